//! `whetstone send --feedback`: how runs turned out, from the columns of a CSV file or from JSON.

use std::path::Path;

use csv::StringRecord;

use super::failure::Failure;
use super::output::{Output, safe};
use super::{Env, send};
use crate::base::{AgentName, Clock as _, SystemClock};
use crate::decode::{Feedback, Options, Outcome, decode_feedback};

#[derive(Debug, clap::Args)]
pub(super) struct FeedbackArgs {
    /// The files say how runs turned out: *.csv with a heading, or JSON
    #[arg(long, conflicts_with_all = ["follow", "format"])]
    pub(super) feedback: bool,
    /// CSV: the column with the run's id, or how columns in braces make it [default: trace_id]
    #[arg(long, requires = "feedback", value_name = "COLUMN|TEMPLATE")]
    id: Option<String>,
    /// CSV: the column that says whether it succeeded: true, false, 1 or 0 [default: success]
    #[arg(long, requires = "feedback", value_name = "COLUMN", group = "how")]
    success: Option<String>,
    /// CSV: the column that says success, failure or aborted instead
    #[arg(long, requires = "feedback", value_name = "COLUMN", group = "how")]
    outcome: Option<String>,
    /// CSV: the column with a score from 0 to 1 instead
    #[arg(long, requires = "feedback", value_name = "COLUMN", group = "how")]
    score: Option<String>,
    /// CSV: the least score of a success [default: 0.5]
    #[arg(long, requires = "score", value_name = "SCORE")]
    threshold: Option<f64>,
}

/// What was read of some files.
#[derive(Default)]
struct Said {
    feedback: Vec<Feedback>,
    /// Rows that say nothing: a cell that is needed is empty.
    empty: usize,
    refused: usize,
}

pub(super) fn main(args: &send::Args, env: &Env) -> Result<(), Failure> {
    let mut said = Said::default();
    for path in &args.paths {
        let bytes = std::fs::read(path).map_err(|problem| {
            Failure::Usage(anyhow::anyhow!("cannot read {}: {problem}", path.display()))
        })?;
        let file = File { path, agent: args.agent.as_ref(), output: &env.output };
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
            file.table(&bytes, &args.feedback, &mut said)?;
        } else {
            file.json(&bytes, &mut said);
        }
    }
    let Said { feedback, empty, refused } = &said;
    send::deliver(feedback, ("feedback", |orders, batch| orders.say(batch)), args, env)?;
    if env.output.json {
        let sent = feedback.len();
        let counts = serde_json::json!({ "sent": sent, "empty": empty, "refused": refused });
        env.output.value(&counts)?;
    } else {
        let empty = if *empty > 0 { format!(", {empty} empty") } else { String::new() };
        env.output.line(format!("{} outcomes sent{empty}, {refused} refused", feedback.len()));
    }
    if *refused > 0 && feedback.is_empty() {
        return Err(Failure::Failed(anyhow::anyhow!("nothing could be read")));
    }
    Ok(())
}

/// A file, and whom it is about where it does not say.
struct File<'a> {
    path: &'a Path,
    agent: Option<&'a AgentName>,
    output: &'a Output,
}

impl File<'_> {
    fn refuse(&self, line: u64, problem: &dyn std::fmt::Display, said: &mut Said) {
        said.refused += 1;
        let place = format!("{}:{line}", self.path.display());
        self.output.remark(format!("{place}: {}", safe(&problem.to_string())));
    }

    fn json(&self, bytes: &[u8], said: &mut Said) {
        let options = Options {
            agent: self.agent.cloned(),
            max_record_bytes: usize::MAX,
            ..Options::arrived(SystemClock.now())
        };
        for decoded in decode_feedback(bytes, &options) {
            match decoded.result {
                Ok(feedback) => said.feedback.push(feedback),
                Err(reject) => self.refuse(decoded.line, &reject, said),
            }
        }
    }

    fn table(&self, bytes: &[u8], args: &FeedbackArgs, said: &mut Said) -> Result<(), Failure> {
        let named = |problem: String| {
            Failure::Usage(anyhow::anyhow!("{}: {}", self.path.display(), safe(&problem)))
        };
        let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let heading = table.headers().map_err(|problem| named(problem.to_string()))?;
        let columns = Columns::find(heading, args, self.agent.is_none()).map_err(named)?;
        let by = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut row = StringRecord::new();
        loop {
            let read = table.read_record(&mut row);
            let line = row.position().map_or(0, csv::Position::line);
            match read {
                Ok(false) => return Ok(()),
                Err(problem) => self.refuse(problem_line(&problem, line), &problem, said),
                Ok(true) => match self.row(&columns, &row, by.as_deref()) {
                    Ok(Some(feedback)) => said.feedback.push(feedback),
                    Ok(None) => said.empty += 1,
                    Err(problem) => self.refuse(line, &problem, said),
                },
            }
        }
    }

    /// What a row says; nothing if a cell that is needed is empty.
    fn row(
        &self,
        columns: &Columns,
        row: &StringRecord,
        by: Option<&str>,
    ) -> Result<Option<Feedback>, String> {
        let (Some(id), Some(cell)) = (columns.id(row), filled(row, columns.how.column)) else {
            return Ok(None);
        };
        let outcome = columns.how.read(cell)?;
        let agent = match (self.agent, columns.agent.and_then(|agent| filled(row, agent))) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(name)) => {
                let name = name.parse::<AgentName>();
                Some(name.map_err(|problem| format!("column \"agent\": {problem}"))?)
            }
            (None, None) => None,
        };
        let feedback = Feedback::new(agent, id, outcome, by);
        feedback.map(Some).map_err(|reject| reject.to_string())
    }
}

/// Where the reader lost its way, if it says so.
fn problem_line(problem: &csv::Error, line: u64) -> u64 {
    problem.position().map_or(line, csv::Position::line)
}

fn filled(row: &StringRecord, column: usize) -> Option<&str> {
    row.get(column).filter(|cell| !cell.is_empty())
}

/// Which columns say what.
#[derive(Debug)]
struct Columns {
    /// What makes an id, in order.
    id: Vec<Part>,
    how: How,
    agent: Option<usize>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Column(usize),
}

/// How a row says how its run turned out.
#[derive(Debug)]
struct How {
    column: usize,
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Success,
    Outcome,
    Score(f64),
}

impl Columns {
    /// What `args` names, in a table with this heading; in words what is missing.
    fn find(heading: &StringRecord, args: &FeedbackArgs, agent: bool) -> Result<Self, String> {
        let id = parts(heading, args.id.as_deref().unwrap_or("trace_id"))?;
        let score = Kind::Score(args.threshold.unwrap_or(Feedback::THRESHOLD));
        let named = [
            (&args.success, "success", Kind::Success),
            (&args.outcome, "outcome", Kind::Outcome),
            (&args.score, "score", score),
        ];
        let asked = named.iter().find_map(|(name, _, kind)| Some((name.as_deref()?, *kind)));
        let usual = || {
            let there =
                named.iter().find(|(_, name, _)| heading.iter().any(|found| found == *name));
            there.map_or(("success", Kind::Success), |(_, name, kind)| (*name, *kind))
        };
        let (name, kind) = asked.unwrap_or_else(usual);
        let column = column(heading, name, "name it with --success, --outcome or --score")?;
        let how = How { column, name: name.to_owned(), kind };
        let agent = heading.iter().position(|name| name == "agent").filter(|_| agent);
        Ok(Self { id, how, agent })
    }

    fn id(&self, row: &StringRecord) -> Option<String> {
        let mut id = String::new();
        for part in &self.id {
            id.push_str(match part {
                Part::Text(text) => text,
                Part::Column(column) => filled(row, *column)?,
            });
        }
        Some(id)
    }
}

fn column(heading: &StringRecord, name: &str, fix: &str) -> Result<usize, String> {
    let mut found = heading.iter().enumerate().filter(|(_, column)| *column == name);
    match (found.next(), found.next()) {
        (Some((column, _)), None) => Ok(column),
        (Some(_), Some(_)) => Err(format!("there are two columns {name:?}: rename one")),
        (None, _) => {
            let columns: Vec<_> = heading.iter().map(|column| format!("{column:?}")).collect();
            Err(format!("there is no column {name:?}: {fix}; there are {}", columns.join(", ")))
        }
    }
}

/// The parts of an id: those of a template, or one column.
fn parts(heading: &StringRecord, id: &str) -> Result<Vec<Part>, String> {
    const FIX: &str = "name the column with the run's id with --id, or make the id of several, as in \
                       --id '{problem_id}-{attempt}'";
    if !id.contains(['{', '}']) {
        return Ok(vec![Part::Column(column(heading, id, FIX)?)]);
    }
    let mut parts = Vec::new();
    let mut rest = id;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!("--id {id:?} has a brace that does not close"));
        };
        parts.push(Part::Text(text.to_owned()));
        parts.push(Part::Column(column(heading, name, FIX)?));
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    let stray = |part: &Part| matches!(part, Part::Text(text) if text.contains('}'));
    if parts.iter().any(stray) {
        return Err(format!("--id {id:?} has a brace that does not open"));
    }
    parts.retain(|part| *part != Part::Text(String::new()));
    Ok(parts)
}

impl How {
    fn read(&self, cell: &str) -> Result<Outcome, String> {
        let wrong = |fix: &str| format!("column {:?} holds {cell:?}: {fix}", self.name);
        let lower = cell.to_ascii_lowercase();
        match self.kind {
            Kind::Success => match lower.as_str() {
                "true" | "1" | "1.0" => Ok(Outcome::Success),
                "false" | "0" | "0.0" => Ok(Outcome::Failure),
                _ => Err(wrong("say true or false, or 1 or 0, or leave it empty")),
            },
            Kind::Outcome => match lower.as_str() {
                "success" => Ok(Outcome::Success),
                "failure" => Ok(Outcome::Failure),
                "aborted" => Ok(Outcome::Aborted),
                _ => Err(wrong("say success, failure or aborted, or leave it empty")),
            },
            Kind::Score(threshold) => {
                let score: f64 = cell
                    .parse()
                    .map_err(|_| wrong("give a number from 0 to 1, or leave it empty"))?;
                Feedback::scored(score, threshold).map_err(|reject| wrong(&reject.detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading() -> StringRecord {
        StringRecord::from(vec!["problem_id", "attempt", "Mitigation.success", "x", "x"])
    }

    #[test]
    fn an_id_is_a_column_or_made_of_some() {
        let row = StringRecord::from(vec!["pod_failure", "2", "True", "", ""]);
        let check = |id: &str, expected: &str| {
            let id = parts(&heading(), id).unwrap();
            let how = How { column: 2, name: String::new(), kind: Kind::Success };
            let columns = Columns { id, how, agent: None };
            assert_eq!(columns.id(&row).as_deref(), Some(expected));
        };
        check("problem_id", "pod_failure");
        check("{problem_id}", "pod_failure");
        check("{problem_id}-{attempt}", "pod_failure-2");
        check("s/{attempt}{attempt}/end", "s/22/end");
    }

    #[test]
    fn what_is_wrong_about_an_id_is_said() {
        let check = |id: &str, part: &str| {
            let problem = parts(&heading(), id).unwrap_err();
            assert!(problem.contains(part), "{id}: {problem}");
        };
        check("trace_id", "no column \"trace_id\": name the column with the run's id with --id");
        check("{run}", "there are \"problem_id\", \"attempt\"");
        check("{problem_id", "does not close");
        check("problem_id}", "does not open");
        check("x", "two columns \"x\"");
    }

    #[test]
    fn a_cell_says_how_it_went_in_several_spellings() {
        let check = |kind: Kind, cell: &str, expected: Option<Outcome>| {
            let how = How { column: 0, name: "it".to_owned(), kind };
            assert_eq!(how.read(cell).ok(), expected, "{cell:?}");
            if let Err(problem) = how.read(cell) {
                assert!(problem.starts_with("column \"it\" holds"), "{problem}");
            }
        };
        let (good, bad) = (Some(Outcome::Success), Some(Outcome::Failure));
        for cell in ["True", "true", "1", "1.0"] {
            check(Kind::Success, cell, good);
        }
        for cell in ["False", "FALSE", "0", "0.0"] {
            check(Kind::Success, cell, bad);
        }
        for cell in ["yes", "2", "NaN", "None"] {
            check(Kind::Success, cell, None);
        }
        check(Kind::Outcome, "Aborted", Some(Outcome::Aborted));
        check(Kind::Outcome, "unknown", None);
        check(Kind::Score(0.5), "0.5", good);
        check(Kind::Score(0.9), "0.5", bad);
        check(Kind::Score(0.5), "50", None);
        check(Kind::Score(0.5), "NaN", None);
        check(Kind::Score(7.0), "0.5", None);
    }
}
