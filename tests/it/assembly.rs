//! Spans to runs: the same spans give the same runs, however they arrive.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whetstone::base::EventTime;
use whetstone::decode::assembly::{Assembled, Assembly, GivenUp, TraceKey, TracePiece, Verdict};
use whetstone::decode::otlp::{
    AgentFacts, Batch, Evaluation, LlmFacts, PromptLink, Role, Rules, Span, SpanId, Status,
    ToolFacts, TraceId, Usage,
};
use whetstone::decode::{Outcome, Reason, Step, Tokens, Trace};

const START: u64 = 1_780_000_000_000_000_000;
const NOW: i64 = 1_780_000_100_000;
const MS: u64 = 1_000_000;
const EVERYTHING: usize = usize::MAX;

fn trace(n: u128) -> TraceId {
    format!("{n:032x}").parse().unwrap()
}

fn id(n: u64) -> SpanId {
    format!("{n:016x}").parse().unwrap()
}

fn at(millis: i64) -> EventTime {
    EventTime::from_millis(NOW + millis)
}

fn span(n: u64, parent: u64, role: Role) -> Span {
    Span {
        id: id(n),
        parent: (parent > 0).then(|| id(parent)),
        start: START + n * 100 * MS,
        end: START + n * 100 * MS + 50 * MS,
        status: Status::Unset,
        error: None,
        session: None,
        prompts: Vec::new(),
        outcome: None,
        evaluations: Vec::new(),
        role,
    }
}

fn agent(name: &str) -> Role {
    Role::Agent(AgentFacts { name: name.to_owned(), ..AgentFacts::default() })
}

fn tool(name: &str) -> Role {
    Role::Tool(ToolFacts { name: name.to_owned(), ..ToolFacts::default() })
}

fn llm(input: u64, output: u64) -> Role {
    let usage = Usage { tokens: Tokens { input, output }, cost_micros: None };
    Role::Llm(LlmFacts { usage, ..LlmFacts::default() })
}

fn evaluation(about: Option<u64>, name: &str, outcome: Outcome) -> Evaluation {
    Evaluation { span: about.map(id), name: name.to_owned(), outcome }
}

fn batch(of: u128, spans: impl IntoIterator<Item = Span>) -> Batch {
    Batch { trace: trace(of), spans: spans.into_iter().collect(), evaluations: Vec::new() }
}

fn said(of: u128, evaluation: Evaluation) -> Batch {
    Batch { trace: trace(of), spans: Vec::new(), evaluations: vec![evaluation] }
}

#[derive(Debug, Default, PartialEq)]
struct Made {
    runs: BTreeMap<String, Trace>,
    verdicts: Vec<Verdict>,
    given_up: Vec<GivenUp>,
}

impl Made {
    fn add(&mut self, assembly: &mut Assembly) {
        for made in assembly.take_made().0 {
            match made {
                Assembled::Run(run) => {
                    let again = self.runs.insert(run.trace_id.clone(), *run);
                    assert_eq!(again, None, "told twice");
                }
                Assembled::Verdict(verdict) => self.verdicts.push(verdict),
                Assembled::GivenUp(given_up) => self.given_up.push(given_up),
            }
        }
    }

    fn run(&self, of: u128, span: u64) -> &Trace {
        &self.runs[&format!("{}-{}", trace(of), id(span))]
    }
}

/// What comes of `batches`, each with the time of its arrival, and of waiting long enough.
fn assembled(rules: &Rules, batches: impl IntoIterator<Item = (i64, Batch)>) -> Made {
    let (mut assembly, mut made) = (Assembly::new(rules.clone()), Made::default());
    let mut last = 0;
    for (millis, batch) in batches {
        assembly.advance(at(millis), EVERYTHING);
        assembly.take(batch, at(millis));
        made.add(&mut assembly);
        last = millis;
    }
    for wait in [rules.grace, rules.timeout, rules.remember] {
        last += wait;
        assembly.advance(at(last), EVERYTHING);
        made.add(&mut assembly);
    }
    assert!(assembly.is_empty(), "{} traces are held for good", assembly.len());
    assert_eq!(assembly.weight(), 0);
    assert_eq!(assembly.next_due(), None);
    made
}

fn names(run: &Trace) -> Vec<&str> {
    run.tool_calls().map(|call| call.name.as_str()).collect()
}

#[test]
fn what_is_below_an_agent_is_its_run_and_an_agent_below_it_has_a_run_of_its_own() {
    let spans = [
        span(1, 0, Role::Other),
        span(2, 1, agent("outer")),
        span(3, 2, llm(10, 1)),
        span(4, 2, tool("search")),
        span(5, 4, agent("inner")),
        span(6, 5, Role::Other),
        span(7, 6, tool("read")),
        span(8, 5, llm(100, 20)),
        span(9, 2, tool("answer")),
    ];
    let made = assembled(&Rules::default(), [(0, batch(1, spans))]);
    assert_eq!(made.given_up, []);
    let (outer, inner) = (made.run(1, 2), made.run(1, 5));
    assert_eq!((outer.agent.as_str(), inner.agent.as_str()), ("outer", "inner"));
    assert_eq!(names(outer), ["search", "answer"]);
    assert_eq!(names(inner), ["read"]);
    assert_eq!((outer.tokens.total(), inner.tokens.total()), (11, 120));
    assert_eq!((outer.rounds, inner.rounds), (Some(1), Some(1)));
    assert_eq!(outer.session.as_deref(), Some("00000000000000000000000000000001"));
    assert_eq!(outer.start.as_millis(), 1_780_000_000_200);
    assert_eq!(outer.end.as_millis(), 1_780_000_000_250);
    assert_eq!(outer.outcome, Outcome::Unknown, "nobody said how it ended");
}

#[test]
fn a_run_waits_for_its_grace_period_and_no_longer() {
    let rules = Rules { grace: 1_000, ..Rules::default() };
    let mut assembly = Assembly::new(rules);
    assembly.take(batch(1, [span(2, 1, agent("a"))]), at(0));
    assembly.take(batch(1, [span(3, 2, tool("early"))]), at(400));
    assembly.advance(at(999), EVERYTHING);
    assert_eq!(assembly.take_made().0, []);
    assert_eq!(assembly.next_due(), Some(at(1_000)));
    assembly.advance(at(1_000), EVERYTHING);
    let mut made = Made::default();
    made.add(&mut assembly);
    assembly.take(batch(1, [span(4, 2, tool("late")), span(2, 1, agent("a"))]), at(1_001));
    assembly.advance(at(900_000), EVERYTHING);
    made.add(&mut assembly);
    assert_eq!(names(made.run(1, 2)), ["early"]);
    assert_eq!((made.runs.len(), made.given_up.len()), (1, 0), "told once, and nothing is amiss");
}

#[test]
fn a_call_that_two_libraries_tell_of_counts_once() {
    let spans = [
        span(1, 0, agent("a")),
        span(2, 1, llm(10, 5)),
        span(3, 2, llm(10, 5)),
        span(4, 1, llm(0, 0)),
        span(5, 4, Role::Other),
        span(6, 5, llm(7, 2)),
        span(7, 1, tool("search")),
        span(8, 7, tool("search")),
        span(9, 7, tool("fetch")),
    ];
    let made = assembled(&Rules::default(), [(0, batch(1, spans))]);
    let run = made.run(1, 1);
    assert_eq!(run.tokens, Tokens { input: 17, output: 7 });
    assert_eq!(run.rounds, Some(2));
    assert_eq!(names(run), ["search", "fetch"]);
}

#[test]
fn an_agents_own_sum_stands_in_where_no_call_has_tokens() {
    let tokens = Tokens { input: 40, output: 2 };
    let facts = AgentFacts {
        name: "a".to_owned(),
        usage: Usage { tokens, cost_micros: None },
        ..AgentFacts::default()
    };
    let check = |calls: &[Span], expected: Tokens| {
        let spans = [span(1, 0, Role::Agent(facts.clone()))].into_iter().chain(calls.to_vec());
        assert_eq!(assembled(&Rules::default(), [(0, batch(1, spans))]).run(1, 1).tokens, expected);
    };
    check(&[], tokens);
    check(&[span(2, 1, llm(0, 0))], tokens);
    check(&[span(2, 1, llm(3, 0))], Tokens { input: 3, output: 0 });
}

#[test]
fn tries_that_failed_under_the_same_span_make_the_next_one_a_retry() {
    let failed = |n| Span { status: Status::Error, ..span(n, 1, agent("a")) };
    let other = Span { status: Status::Error, ..span(5, 1, agent("b")) };
    let spans = [
        span(1, 0, Role::Other),
        failed(2),
        failed(3),
        span(4, 1, agent("a")),
        other,
        span(6, 1, agent("a")),
    ];
    let made = assembled(&Rules::default(), [(0, batch(1, spans))]);
    let retries = |n| made.run(1, n).retries;
    assert_eq!([2, 3, 4, 5, 6].map(retries), [0, 1, 2, 0, 0]);
    assert_eq!(made.run(1, 3).outcome, Outcome::Failure);
}

#[test]
fn a_failed_call_of_a_tool_says_why_and_one_of_a_model_is_no_round() {
    let broken =
        Span { error: Some("timeout: no answer".to_owned()), ..span(2, 1, tool("search")) };
    let limited = Span { status: Status::Error, ..span(3, 1, llm(0, 0)) };
    let spans = [span(1, 0, agent("a")), broken, limited, span(4, 1, llm(5, 5))];
    let made = assembled(&Rules::default(), [(0, batch(1, spans))]);
    let run = made.run(1, 1);
    let call = run.tool_calls().next().unwrap();
    assert_eq!((call.ok, call.error.as_deref()), (false, Some("timeout: no answer")));
    assert_eq!(call.duration, Some(0.05));
    assert_eq!(run.rounds, Some(1));
    assert!(matches!(run.steps.as_slice(), [Step::Tool(_), Step::Llm(_), Step::Llm(_)]));
}

#[test]
fn an_outcome_is_what_an_evaluation_says_then_an_attribute_then_the_status() {
    let rules = Rules { aborted_errors: vec!["quota".to_owned()], ..Rules::default() };
    let base = span(1, 0, agent("a"));
    let check = |span: Span, said_of_it: &[Evaluation], expected: Outcome| {
        let mut batch = batch(1, [span.clone()]);
        batch.evaluations = said_of_it.to_vec();
        let made = assembled(&rules, [(0, batch)]);
        assert_eq!(made.run(1, 1).outcome, expected, "{span:?} {said_of_it:?}");
    };
    let of = |status, outcome, error: Option<&str>| Span {
        status,
        outcome,
        error: error.map(str::to_owned),
        ..base.clone()
    };
    let good = evaluation(Some(1), "right", Outcome::Success);
    let bad = evaluation(None, "kind", Outcome::Failure);
    check(of(Status::Unset, None, None), &[], Outcome::Unknown);
    check(of(Status::Ok, None, None), &[], Outcome::Success);
    check(of(Status::Error, None, None), &[], Outcome::Failure);
    check(of(Status::Unset, None, Some("oops")), &[], Outcome::Failure);
    check(of(Status::Error, None, Some("quota: all gone")), &[], Outcome::Aborted);
    check(of(Status::Error, Some(Outcome::Success), None), &[], Outcome::Success);
    check(
        of(Status::Ok, Some(Outcome::Success), None),
        std::slice::from_ref(&bad),
        Outcome::Failure,
    );
    check(of(Status::Error, None, None), std::slice::from_ref(&good), Outcome::Success);
    check(of(Status::Ok, None, None), &[good, bad], Outcome::Failure);
}

#[test]
fn an_evaluation_of_any_span_in_a_run_is_said_of_the_run_early_or_late() {
    let rules = Rules::default();
    let spans = || {
        [
            span(1, 0, Role::Other),
            span(2, 1, agent("outer")),
            span(3, 2, llm(1, 1)),
            span(4, 3, agent("inner")),
        ]
    };
    let about_llm = || said(1, evaluation(Some(3), "judge", Outcome::Failure));
    let early = assembled(&rules, [(0, about_llm()), (5, batch(1, spans()))]);
    assert_eq!(early.run(1, 2).outcome, Outcome::Failure);
    assert_eq!(early.run(1, 4).outcome, Outcome::Unknown);
    // Before the trace is closed, after it, and twice.
    for late in [rules.grace + 1, rules.grace + rules.timeout, rules.remember - 1] {
        let made = assembled(
            &rules,
            [(0, batch(1, spans())), (late, about_llm()), (late + 1, about_llm())],
        );
        assert_eq!(made.run(1, 2).outcome, Outcome::Unknown);
        let verdict = Verdict {
            agent: "outer".parse().unwrap(),
            trace_id: format!("{}-{}", trace(1), id(2)),
            outcome: Outcome::Failure,
            by: "judge".to_owned(),
        };
        assert_eq!(made.verdicts, [verdict.clone(), verdict], "{late}");
        assert_eq!(made.given_up, []);
    }
    let forgotten = assembled(&rules, [(0, batch(1, spans())), (rules.remember * 2, about_llm())]);
    assert_eq!(forgotten.verdicts, []);
    let reasons: Vec<_> =
        forgotten.given_up.iter().map(|given_up| given_up.reject.reason).collect();
    assert_eq!(reasons, [Reason::NoTrace]);
}

#[test]
fn a_missing_link_leads_to_the_root_if_that_is_an_agents_and_nowhere_else() {
    let made = assembled(
        &Rules::default(),
        [(0, batch(1, [span(1, 0, agent("a")), span(3, 2, tool("t"))]))],
    );
    assert_eq!(names(made.run(1, 1)), ["t"]);
    let made = assembled(
        &Rules::default(),
        [(0, batch(1, [span(1, 9, agent("a")), span(3, 2, tool("t"))]))],
    );
    assert_eq!(names(made.run(1, 1)), [""; 0]);
    assert_eq!(made.given_up[0].reject.reason, Reason::NoAgentSpan);
}

#[test]
fn spans_in_a_circle_belong_to_nobody() {
    let made = assembled(
        &Rules::default(),
        [(0, batch(1, [span(1, 0, agent("a")), span(2, 3, tool("t")), span(3, 2, tool("u"))]))],
    );
    assert_eq!(names(made.run(1, 1)), [""; 0]);
}

#[test]
fn calls_whose_agent_never_comes_are_given_up_by_name_and_so_is_the_agent_that_comes_then() {
    let rules = Rules::default();
    let calls = batch(1, [span(2, 1, tool("t")), span(3, 1, llm(1, 1)), span(4, 3, Role::Other)]);
    let made =
        assembled(&rules, [(0, calls), (rules.timeout + 1, batch(1, [span(1, 0, agent("a"))]))]);
    assert_eq!(made.runs.len(), 0);
    let told: Vec<_> =
        made.given_up.iter().map(|given_up| (given_up.reject.reason, given_up.spans)).collect();
    assert_eq!(told, [(Reason::NoAgentSpan, 2), (Reason::NoAgentSpan, 1)]);
    // What has nothing to do with agents goes without a word.
    let plain =
        assembled(&rules, [(0, batch(1, [span(1, 0, Role::Other), span(2, 1, Role::Other)]))]);
    assert_eq!(plain, Made::default());
}

#[test]
fn two_versions_in_one_run_prove_nothing_of_either() {
    let link = |name: Option<&str>, version| PromptLink {
        name: name.map(str::to_owned),
        version: whetstone::base::VersionNumber(version),
    };
    let check = |links: &[PromptLink], expected: Result<Option<u32>, Reason>| {
        let spans = (2..)
            .zip(links)
            .map(|(n, link)| Span { prompts: vec![link.clone()], ..span(n, 1, llm(1, 1)) });
        let made = assembled(
            &Rules::default(),
            [(0, batch(1, std::iter::once(span(1, 0, agent("a"))).chain(spans)))],
        );
        let found = match made.given_up.first() {
            Some(given_up) => Err(given_up.reject.reason),
            None => Ok(made.run(1, 1).version.map(|version| version.0)),
        };
        assert_eq!(found, expected, "{links:?}");
    };
    check(&[], Ok(None));
    check(&[link(None, 3)], Ok(Some(3)));
    check(&[link(Some("a"), 3), link(Some("a"), 3)], Ok(Some(3)));
    check(&[link(Some("a"), 3), link(Some("summarizer"), 4)], Ok(Some(3)));
    check(&[link(Some("a"), 3), link(None, 4)], Err(Reason::MixedVersions));
}

#[test]
fn a_span_that_is_sent_when_it_starts_is_replaced_by_what_is_sent_when_it_ends() {
    let begun = Span { end: START + 100 * MS, ..span(1, 0, agent("a")) };
    let ended = Span { status: Status::Ok, end: START + 900 * MS, ..span(1, 0, agent("a")) };
    for order in [[begun.clone(), ended.clone()], [ended, begun]] {
        let made = assembled(&Rules::default(), [(0, batch(1, order))]);
        assert_eq!(made.run(1, 1).outcome, Outcome::Success);
        assert_eq!(made.run(1, 1).end.as_millis(), 1_780_000_000_900);
    }
}

#[test]
fn where_too_much_is_held_what_has_nothing_to_do_with_agents_goes_first() {
    let mut assembly = Assembly::new(Rules::default());
    assembly.take(batch(1, [span(2, 1, tool("t"))]), at(0));
    for n in 2..2_000 {
        assembly.take(batch(n, [span(9, 8, Role::Other)]), at(1));
        assembly.advance(at(1), 100_000);
        assert!(assembly.weight() <= 100_000);
    }
    assert_eq!(assembly.take_made().0, [], "the run's part is still held");
    assembly.take(batch(1, [span(1, 0, agent("a"))]), at(2));
    assembly.advance(at(600_000), 100_000);
    let mut made = Made::default();
    made.add(&mut assembly);
    assert_eq!(names(made.run(1, 1)), ["t"]);
    // Of runs' parts, the oldest.
    for n in 3_000..5_000 {
        assembly.take(batch(n, [span(2, 1, tool("t"))]), at(700_000));
        assembly.advance(at(700_000), 100_000);
        assert!(assembly.weight() <= 100_000);
    }
    made.add(&mut assembly);
    let detail = &made.given_up[0].reject.detail;
    assert!(detail.contains("raise otel.memory_mib, or send fewer"), "{detail}");
    assert!(made.given_up.len() > 1_500, "{}", made.given_up.len());
    assert!(made.given_up.iter().all(|given_up| given_up.reject.reason == Reason::TooManySpans));
}

prop_compose! {
    /// Some spans of one trace, each below an earlier one, and evaluations of some.
    fn a_trace()(
        shapes in prop::collection::vec((0..8u8, any::<prop::sample::Index>(), 0..4u8), 1..25),
        about in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..3),
        rooted in any::<bool>(),
    ) -> (Vec<Span>, Vec<Evaluation>) {
        let spans = (1..).zip(&shapes).map(|(n, (kind, parent, more))| {
            let parent = if n == 1 { u64::from(!rooted) * 999 } else { 1 + parent.index(usize::try_from(n).unwrap() - 1) as u64 };
            let role = match kind {
                0 | 1 => agent(if *more > 1 { "a" } else { "b" }),
                2 | 3 => tool(if *more > 1 { "look" } else { "act" }),
                4 | 5 => llm(u64::from(*more) * 7, u64::from(*more)),
                _ => Role::Other,
            };
            let status = [Status::Unset, Status::Ok, Status::Error, Status::Unset][usize::from(*more)];
            let session = (*more == 3).then(|| format!("session-{}", n % 3));
            Span { status, session, ..span(n, parent, role) }
        });
        let spans: Vec<_> = spans.collect();
        let said = about.iter().map(|(about, good)| {
            let about = about.index(shapes.len() + 1) as u64;
            let outcome = if *good { Outcome::Success } else { Outcome::Failure };
            evaluation((about > 0).then_some(about), "judge", outcome)
        });
        (spans, said.collect())
    }
}

proptest! {
    #[test]
    fn any_mixing_doubling_and_splitting_gives_the_same_runs(
        traces in prop::collection::vec(a_trace(), 1..4),
        seed in any::<u64>(),
    ) {
        let rules = Rules::default();
        let mut rng = fastrand::Rng::with_seed(seed);
        let whole = (1..).zip(&traces).map(|(of, (spans, said))| {
            (0, Batch { trace: trace(of), spans: spans.clone(), evaluations: said.clone() })
        });
        let expected = assembled(&rules, whole);

        let mut pieces = Vec::new();
        for (of, (spans, said_of_it)) in (1..).zip(&traces) {
            for span in spans {
                for _ in 0..rng.u8(1..4) {
                    pieces.push(batch(of, [span.clone()]));
                }
            }
            pieces.extend(said_of_it.iter().map(|evaluation| said(of, evaluation.clone())));
        }
        rng.shuffle(&mut pieces);
        let found = in_pieces(&rules, pieces, &mut rng);
        prop_assert_eq!(&found.runs, &expected.runs);
        let sorted = |made: &Made| {
            let mut told: Vec<_> = made.given_up.iter().map(|g| (g.trace, g.reject.clone(), g.spans)).collect();
            told.sort_by_key(|(trace, reject, _)| (*trace, reject.detail.clone()));
            told
        };
        prop_assert_eq!(sorted(&found), sorted(&expected));
        let sorted = |made: &Made| {
            let mut verdicts = made.verdicts.clone();
            verdicts.sort_by_key(|verdict| (verdict.trace_id.clone(), verdict.outcome));
            verdicts
        };
        prop_assert_eq!(sorted(&found), sorted(&expected));
    }
}

/// What comes of `pieces`, all of them within one grace period, with restarts in between: what was not
/// stored is lost then.
fn in_pieces(rules: &Rules, pieces: Vec<Batch>, rng: &mut fastrand::Rng) -> Made {
    let (mut assembly, mut made) = (Assembly::new(rules.clone()), Made::default());
    let mut store: BTreeMap<TraceKey, TracePiece> = BTreeMap::new();
    let step = rules.grace / (pieces.len() as i64 + 1);
    let mut now = 0;
    let mut keep = |assembly: &mut Assembly, made: &mut Made| {
        made.add(assembly);
        for change in assembly.take_changes() {
            match change.piece {
                Some(piece) => store.insert(change.key, piece),
                None => Some(store.remove(&change.key).expect("only what is stored is taken out")),
            };
        }
        store.clone()
    };
    for piece in pieces {
        assembly.take(piece, at(now));
        assembly.advance(at(now), EVERYTHING);
        if rng.u8(..4) == 0 {
            let store = keep(&mut assembly, &mut made);
            if rng.bool() {
                assembly = Assembly::new(rules.clone());
                store.into_iter().for_each(|(key, piece)| assembly.restore(key, piece));
            }
        }
        now += step;
    }
    for wait in [rules.grace, rules.timeout, rules.remember] {
        now += wait;
        assembly.advance(at(now), EVERYTHING);
        keep(&mut assembly, &mut made);
    }
    assert!(assembly.is_empty());
    assert_eq!(keep(&mut assembly, &mut made), BTreeMap::new(), "nothing is left in the store");
    made
}
