//! One conversation with the model: asked, told what is wrong with its answer, asked once more.

use std::time::Duration;

use serde_json::Value;

use super::answer::{Aimed, Parsed};
use super::critique::{self, Cause};
use super::curate::{Curated, Maker, curate, only_make_room};
use super::evidence::{Ask, Brief, brief};
use super::judge::Judge;
use super::model::{Model, Question, Reply, Said, Silence};
use crate::govern::{Half, LlmReport};

/// The longest answer that a model is reminded of, in characters.
const MAX_REMINDER: usize = 4_000;

/// What came of a conversation.
pub(super) enum Heard {
    /// Edits that may stand.
    Edits(Vec<Aimed>),
    /// Nothing should change: why.
    NoChange(String),
    /// Answers that may not stand: why not. The server itself is well.
    Refused(String),
    /// Nothing usable: why, and how long the server wants to be left alone.
    Failed { reason: String, wait: Option<Duration> },
    /// Nobody was asked: why not. It says nothing about the server.
    Unasked(String),
    /// Answers that cannot be read: why not.
    Unreadable(String),
}

/// One conversation.
pub(super) struct Consultation<'a> {
    pub(super) model: &'a Model,
    pub(super) judge: &'a Judge<'a>,
    pub(super) ask: Ask<'a>,
    pub(super) seed: u64,
}

/// Why an answer is not taken.
struct Problem {
    words: String,
    /// What of the answer may stand all the same.
    rest: Vec<Aimed>,
    /// Whether it was read at all.
    read: bool,
}

impl Problem {
    fn new(words: String, read: bool) -> Self {
        Self { words, rest: Vec::new(), read }
    }
}

impl Consultation<'_> {
    /// The causes that the model sees; none if it sees none or cannot be understood.
    ///
    /// # Errors
    /// Why it does not answer.
    pub(super) async fn critique(&self, report: &mut LlmReport) -> Result<Vec<Cause>, Silence> {
        let silent = |reason: String| Silence { reason, wait: None, asked: false };
        let brief = brief(&self.ask).map_err(|problem| silent(problem.to_string()))?;
        let said = [Said::Ours(brief.evidence)];
        let schema = self.ask.schema();
        let question = self.question(&brief.system, &said, &schema);
        let mut attempts = self.model.max_attempts();
        let reply = self.model.ask(&question, &mut attempts, report).await?;
        let echoed = brief.canaries.iter().any(|canary| reply.text.contains(canary.as_str()));
        Ok(if echoed { Vec::new() } else { critique::parse(&reply.text) })
    }

    /// Edits, or why there are none. What was proposed and refused on the way is added to `refused`.
    pub(super) async fn hold(self, report: &mut LlmReport, refused: &mut Vec<String>) -> Heard {
        let brief = match brief(&self.ask) {
            Ok(brief) => brief,
            Err(problem) => return Heard::Unasked(problem.to_string()),
        };
        let lines = u32::try_from(brief.quarantined).unwrap_or(u32::MAX);
        report.quarantined = report.quarantined.max(lines);
        let schema = self.ask.schema();
        let mut said = vec![Said::Ours(brief.evidence.clone())];
        let mut attempts = self.model.max_attempts();
        let mut corrected = false;
        loop {
            let system = &brief.system;
            let question = self.question(system, &said, &schema);
            let reply = match self.model.ask(&question, &mut attempts, report).await {
                Ok(reply) => reply,
                Err(Silence { reason, asked: false, .. }) => return Heard::Unasked(reason),
                Err(Silence { reason, wait, .. }) => return Heard::Failed { reason, wait },
            };
            let problem = match self.judge(&reply, &brief, refused) {
                Ok(heard) => return heard,
                Err(problem) => problem,
            };
            if let Some(end) = problem.end(corrected, attempts) {
                return end;
            }
            corrected |= problem.read;
            // The last answer and what is wrong with it; earlier ones would only use up room.
            said.truncate(1);
            said.push(Said::Theirs(reply.text.chars().take(MAX_REMINDER).collect()));
            said.push(Said::Ours(format!(
                "This answer was refused: {}. Answer again in full, with one JSON object, \
                 without what was refused, or with no edits and a no_change_reason.",
                problem.words
            )));
        }
    }

    fn question<'q>(
        &'q self,
        system: &'q str,
        said: &'q [Said],
        schema: &'q Value,
    ) -> Question<'q> {
        let (request, purpose) = (self.ask.request, self.ask.purpose());
        Question { request, purpose, sample: 0, system, said, schema, seed: self.seed }
    }

    fn judge(
        &self,
        reply: &Reply,
        brief: &Brief,
        refused: &mut Vec<String>,
    ) -> Result<Heard, Problem> {
        if brief.canaries.iter().any(|canary| reply.text.contains(canary.as_str())) {
            let why = "it repeats a mark of the request".to_owned();
            refused.push(format!("the model's answer: {why}"));
            return Err(Problem::new(why, true));
        }
        let edits = match self.ask.scope.parse(&reply.text) {
            Ok(Parsed::NoChange(reason)) => return Ok(Heard::NoChange(reason)),
            Ok(Parsed::Edits(edits)) => edits,
            Err(problem) => {
                let cut = if reply.cut_off { " (it was cut off at the token limit)" } else { "" };
                return Err(Problem::new(format!("{problem}{cut}"), false));
            }
        };
        let Curated { edits, left_out } = curate(self.ask.request, edits, Maker::Model);
        let whole: Vec<_> = edits.iter().map(|aimed| aimed.proposed.clone()).collect();
        let reasons = match self.judge.check(&whole) {
            Ok(()) if !edits.is_empty() => {
                refused.extend(left_out);
                return Ok(Heard::Edits(edits));
            }
            // That nothing is left to change is no reason of its own.
            Err(reasons) if !edits.is_empty() || left_out.is_empty() => {
                [left_out, reasons].concat()
            }
            Ok(()) | Err(_) => left_out,
        };
        let words = reasons.join("; ");
        refused.push(format!("the model's answer: {words}"));
        // Changes of the config hang together: of two that contradict each other neither is meant.
        let rest = match self.ask.half {
            Half::Prompts => self.judge.select(edits).0,
            Half::Config => Vec::new(),
        };
        Err(Problem { words, rest, read: true })
    }
}

impl Problem {
    /// How the conversation ends with it, if the model has had its second chance or its last call.
    fn end(&self, corrected: bool, attempts: u32) -> Option<Heard> {
        if !(attempts == 0 || (self.read && corrected)) {
            return None;
        }
        if !only_make_room(&self.rest) {
            return Some(Heard::Edits(self.rest.clone()));
        }
        let words = &self.words;
        Some(if self.read {
            Heard::Refused(format!("the model's edits were refused: {words}"))
        } else {
            Heard::Unreadable(format!("the model's answer could not be read: {words}"))
        })
    }
}
