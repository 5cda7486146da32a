//! What the log of calls tells: answers that may serve again, and what is spent. Pure: lines come in one
//! by one, times with them.

use std::collections::{BTreeMap, VecDeque};

use super::entry::{Answered, Call, Line};
use crate::base::{AgentName, Day, Digest, EventTime};
use crate::govern::{Request, RequestId, Spend};

/// The most text of answers that is kept, in bytes.
const MAX_TEXT: usize = 32 << 20;
/// The most answers.
const MAX_ANSWERS: usize = 4_096;
/// The most requests of one agent and day that are told apart.
const MAX_REQUESTS: usize = 1_000;

/// A request as the log knows it: ids are counted anew in each `whetstone optimize`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    requested: EventTime,
    agent: AgentName,
    id: String,
}

/// What the calls of a request, or of several, took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    /// Those that came to an end.
    done: Spend,
    /// The estimates of those that did not.
    open: Spend,
}

/// One agent's calls of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfDay {
    by_request: BTreeMap<Asked, Sum>,
    /// Of requests that are no longer told apart.
    earlier: Sum,
}

/// What is known of the calls of late.
#[derive(Debug, Default)]
pub(super) struct Index {
    answers: BTreeMap<Digest, Answered>,
    /// The same, oldest first; may name some that were replaced.
    order: VecDeque<(EventTime, Digest)>,
    text: usize,
    open: BTreeMap<Digest, Vec<Call>>,
    days: BTreeMap<Day, BTreeMap<AgentName, OfDay>>,
}

impl Index {
    /// Takes a line, in the order in which they were written.
    pub(super) fn take(&mut self, line: &Line) {
        let yesterday = Day::of(line.at()).plus(-1);
        self.days.retain(|day, _| *day >= yesterday);
        match line {
            Line::Call(call) => {
                self.sum(call, |sum| sum.open = sum.open.plus(call.estimate.spend()));
                self.open.retain(|_, calls| {
                    calls.retain(|call| Day::of(call.at) >= yesterday);
                    !calls.is_empty()
                });
                // What was sent is of no use here, and may be long.
                let mut call = Call::clone(call);
                call.sent.messages.clear();
                call.sent.system.clear();
                self.open.entry(call.hash.clone()).or_default().push(call);
            }
            Line::Answer(answer) => {
                let last = self.open.get_mut(&answer.hash).and_then(Vec::pop);
                if let Some(call) = last {
                    self.sum(&call, |sum| {
                        sum.open = sum.open.minus(call.estimate.spend());
                        sum.done = sum.done.plus(answer.spend());
                    });
                }
                self.keep(answer);
            }
        }
    }

    fn sum(&mut self, call: &Call, change: impl FnOnce(&mut Sum)) {
        let agents = self.days.entry(Day::of(call.at)).or_default();
        let of_day = agents.entry(call.agent.clone()).or_default();
        let (agent, id) = (call.agent.clone(), call.request.clone());
        let asked = Asked { requested: call.requested, agent, id };
        change(of_day.by_request.entry(asked).or_default());
        if of_day.by_request.len() > MAX_REQUESTS
            && let Some((_, oldest)) = of_day.by_request.pop_first()
        {
            of_day.earlier.done = of_day.earlier.done.plus(oldest.done);
            of_day.earlier.open = of_day.earlier.open.plus(oldest.open);
        }
    }

    fn keep(&mut self, answer: &Answered) {
        let Some(text) = answer.text.as_ref().filter(|_| answer.whole) else { return };
        self.text += text.len();
        self.order.push_back((answer.at, answer.hash.clone()));
        let replaced = self.answers.insert(answer.hash.clone(), answer.clone());
        self.text -= replaced.and_then(|old| old.text).map_or(0, |text| text.len());
        while self.text > MAX_TEXT || self.order.len() > MAX_ANSWERS {
            let Some((at, hash)) = self.order.pop_front() else { return };
            if self.answers.get(&hash).is_some_and(|kept| kept.at == at)
                && let Some(gone) = self.answers.remove(&hash)
            {
                self.text -= gone.text.map_or(0, |text| text.len());
            }
        }
    }

    /// The answer to what was sent under `hash`, if it came in the last `millis` milliseconds.
    pub(super) fn answer(&self, hash: &Digest, now: EventTime, millis: i64) -> Option<&Answered> {
        let answer = self.answers.get(hash)?;
        (now.millis_since(answer.at) < millis).then_some(answer)
    }

    /// What earlier attempts at a request took, which nobody has handed in.
    pub(super) fn own(&self, asked: &Asked) -> Spend {
        let of_days = self.days.values().filter_map(|agents| agents.get(&asked.agent));
        let sums = of_days.filter_map(|of_day| of_day.by_request.get(asked));
        sums.fold(Spend::default(), |sum, own| sum.plus(own.done).plus(own.open))
    }

    /// What the agent spent on `day` besides. Two books tell: `ledger`, which other instances fill
    /// too, and this one, where calls are that were never handed in.
    pub(super) fn others(&self, asked: &Asked, day: Day, ledger: Spend) -> Spend {
        let mut sum = Sum::default();
        if let Some(of_day) = self.days.get(&day).and_then(|agents| agents.get(&asked.agent)) {
            let others = of_day.by_request.iter().filter(|(other, _)| *other != asked);
            for other in others.map(|(_, sum)| sum).chain([&of_day.earlier]) {
                sum.done = sum.done.plus(other.done);
                sum.open = sum.open.plus(other.open);
            }
        }
        ledger.plus(sum.open).max(sum.done.plus(sum.open))
    }
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        let RequestId { agent, .. } = &request.id;
        Self { requested: request.at, agent: agent.clone(), id: request.id.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{answer, call};
    use super::*;
    use crate::optimize::fixture;

    const DAY: i64 = 86_400_000;

    fn asked(number: u64) -> Asked {
        Asked::of(&request(number))
    }

    fn request(number: u64) -> Request {
        let mut request = fixture::request();
        request.id.number = number;
        request.at = EventTime::from_millis(0);
        request
    }

    fn started(index: &mut Index, call: &Call) {
        index.take(&Line::Call(Box::new(call.clone())));
    }

    fn tokens(spend: Spend) -> u64 {
        spend.tokens()
    }

    #[test]
    fn a_call_counts_at_its_estimate_until_it_is_answered() {
        let mut index = Index::default();
        let first = call(3, DAY, "a");
        started(&mut index, &first);
        let (own, other) = (asked(3), asked(4));
        assert_eq!(tokens(index.own(&own)), 150);
        assert_eq!(tokens(index.own(&other)), 0);
        let others = |index: &Index, request, day, ledger| {
            let ledger = Spend::of_call(ledger, 0, Some(0));
            tokens(index.others(request, Day::of(EventTime::from_millis(day)), ledger))
        };
        assert_eq!(others(&index, &own, DAY, 0), 0, "its own are in its report");
        assert_eq!(others(&index, &other, DAY, 0), 150);
        assert_eq!(others(&index, &other, DAY, 7), 157, "nobody handed it in");
        assert_eq!(others(&index, &other, 0, 7), 7);
        assert_eq!(others(&index, &other, 2 * DAY, 7), 7, "the next day");

        index.take(&Line::Answer(answer(&first, DAY + 1, "yes")));
        assert_eq!(tokens(index.own(&own)), 45);
        assert_eq!(others(&index, &other, DAY, 0), 45, "where there is no ledger");
        assert_eq!(others(&index, &other, DAY, 40), 45, "it stands in both books");
        let later = Request { at: EventTime::from_millis(9), ..request(3) };
        assert_eq!(tokens(index.own(&Asked::of(&later))), 0, "the same id of another run");
    }

    #[test]
    fn the_dead_ones_call_stays_open_when_the_same_is_asked_again() {
        let mut index = Index::default();
        started(&mut index, &call(3, DAY, "a"));
        started(&mut index, &call(3, DAY + 5, "a"));
        index.take(&Line::Answer(answer(&call(3, DAY + 5, "a"), DAY + 6, "yes")));
        assert_eq!(tokens(index.own(&asked(3))), 150 + 45);
        assert_eq!(index.own(&asked(3)).calls, 2);
    }

    #[test]
    fn an_answer_serves_again_for_a_while_if_it_is_whole() {
        let mut index = Index::default();
        let asked = call(3, DAY, "a");
        started(&mut index, &asked);
        index.take(&Line::Answer(answer(&asked, DAY, "yes")));
        let find = |index: &Index, now: i64| {
            let found = index.answer(&asked.hash, EventTime::from_millis(now), 1000);
            found.and_then(|answer| answer.text.clone())
        };
        assert_eq!(find(&index, DAY + 999).as_deref(), Some("yes"));
        assert_eq!(find(&index, DAY + 1000), None);
        let hidden = answer(&asked, DAY + 2000, "").saying("my key", &|_| "my [key]".to_owned());
        index.take(&Line::Answer(hidden));
        assert_eq!(find(&index, DAY + 2001), None);
        index.take(&Line::Answer(answer(&asked, DAY + 3000, "no")));
        assert_eq!(find(&index, DAY + 3001).as_deref(), Some("no"));
        let failed = Answered { text: None, ..answer(&asked, DAY + 3002, "") };
        index.take(&Line::Answer(failed));
        assert_eq!(find(&index, DAY + 3003).as_deref(), Some("no"));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut index = Index::default();
        for number in 0..3_000 {
            let asked = call(number, DAY + 1, &format!("{number}"));
            started(&mut index, &asked);
            index.take(&Line::Answer(answer(&asked, DAY + 1, &"x".repeat(20_000))));
        }
        let kept: usize =
            index.answers.values().filter_map(|a| a.text.as_ref()).map(String::len).sum();
        assert_eq!(kept, index.text);
        assert!(kept <= MAX_TEXT && kept > MAX_TEXT / 2, "{kept}");
        assert!(index.answers.len() <= MAX_ANSWERS);
        let of_day = &index.days[&Day::of(EventTime::from_millis(DAY))];
        assert_eq!(of_day.values().map(|of_day| of_day.by_request.len()).max(), Some(MAX_REQUESTS));
        let day = Day::of(EventTime::from_millis(DAY));
        let all = index.others(&asked(9_999), day, Spend::default());
        assert_eq!((all.calls, all.tokens()), (3_000, 3_000 * 45));

        started(&mut index, &call(1, 4 * DAY, "later"));
        assert_eq!(index.days.len(), 1);
        assert_eq!(index.open.values().map(Vec::len).sum::<usize>(), 1);
    }
}
