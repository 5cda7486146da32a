//! `whetstone send`: files of traces or of feedback onto the log, or a directory followed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use indicatif::ProgressBar;
use serde::Serialize;

use super::failure::Failure;
use super::output::{Output, safe};
use super::{Env, feedback, pause, runtime};
use crate::app::Orders;
use crate::base::{AgentName, Clock as _, SystemClock};
use crate::consume::LogError;
use crate::decode::{Format, Options, Report, Trace, decode};

/// Reports, or what is said of them, appended in one atomic step.
const BATCH: usize = 200;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone send runs.jsonl\n  \
    whetstone send --follow ./results                each new *.json and *.jsonl file once it is whole\n  \
    whetstone send --url http://127.0.0.1:8087 runs.jsonl\n  \
    whetstone send --feedback said.jsonl             how runs turned out, one a line\n  \
    whetstone send --feedback results.csv --agent mitigation --success Mitigation.success \\\n      \
      --id '{problem_id}-{attempt}'                  the same from columns, which make the run's id\n\n\
    What cannot be read is named on standard error with its line; the rest is sent. A run that is sent\n\
    twice is counted once.")]
pub(super) struct Args {
    /// Files of traces or of feedback, or with --follow the directory
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,
    /// Their format; detected if not given
    #[arg(long)]
    format: Option<Format>,
    /// The agent, where the format names none
    #[arg(long)]
    pub(super) agent: Option<AgentName>,
    /// Keep looking for new files in the directory
    #[arg(long)]
    follow: bool,
    /// Send to a running server instead of the data directory
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    pub(super) feedback: feedback::FeedbackArgs,
}

/// What was read of some files.
pub(super) struct Read {
    pub(super) reports: Vec<Report>,
    pub(super) refused: usize,
}

impl Read {
    /// How many runs ended, and how many began.
    fn counts(&self) -> (usize, usize) {
        let started = |report: &&Report| matches!(report, Report::Started(_));
        let starts = self.reports.iter().filter(started).count();
        (self.reports.len().saturating_sub(starts), starts)
    }

    /// The runs that ended, for those who learn from runs alone; names what is left out.
    pub(super) fn runs(self, output: &Output) -> Vec<Trace> {
        let (_, starts) = self.counts();
        if starts > 0 {
            output.remark(format!(
                "{starts} starts of runs are ignored: only runs that ended count here"
            ));
        }
        self.reports.into_iter().filter_map(Report::into_run).collect()
    }

    /// The counts in words.
    fn sent(&self) -> String {
        let ((runs, starts), refused) = (self.counts(), self.refused);
        let starts = if starts > 0 { format!(" and {starts} starts") } else { String::new() };
        format!("{runs} runs{starts} sent, {refused} refused")
    }
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    if args.follow {
        return follow(args, env);
    }
    if args.feedback.feedback {
        return feedback::main(args, env);
    }
    let read = read_reports(&args.paths, args.format, args.agent.as_ref(), &env.output)?;
    deliver_reports(&read.reports, args, env)?;
    if env.output.json {
        let ((sent, started), refused) = (read.counts(), read.refused);
        let counts = serde_json::json!({ "sent": sent, "started": started, "refused": refused });
        env.output.value(&counts)?;
    } else {
        env.output.line(read.sent());
    }
    if read.refused > 0 && read.reports.is_empty() {
        return Err(Failure::Failed(anyhow::anyhow!("nothing could be read")));
    }
    Ok(())
}

/// Reads `paths`; names what cannot be read on standard error, with its line.
pub(super) fn read_reports(
    paths: &[PathBuf],
    format: Option<Format>,
    agent: Option<&AgentName>,
    output: &Output,
) -> Result<Read, Failure> {
    let mut read = Read { reports: Vec::new(), refused: 0 };
    for path in paths {
        let bytes = std::fs::read(path).map_err(|problem| {
            Failure::Usage(anyhow::anyhow!("cannot read {}: {problem}", path.display()))
        })?;
        let options = Options {
            format,
            agent: agent.cloned(),
            max_record_bytes: usize::MAX,
            ..Options::arrived(SystemClock.now())
        };
        for decoded in decode(&bytes, &options) {
            match decoded.result {
                Ok(report) => read.reports.push(report),
                Err(reject) => {
                    read.refused += 1;
                    let place = format!("{}:{}", path.display(), decoded.line);
                    output.remark(format!("{place}: {}", safe(&reject.to_string())));
                }
            }
        }
    }
    Ok(read)
}

fn deliver_reports(reports: &[Report], args: &Args, env: &Env) -> Result<(), Failure> {
    deliver(reports, ("traces", |orders, batch| orders.send(batch)), args, env)
}

/// Where something goes on a server, and how onto the log itself.
pub(super) type Route<T> = (&'static str, fn(&Orders<'_>, &[T]) -> Result<(), LogError>);

pub(super) fn deliver<T: Serialize>(
    all: &[T],
    (path, append): Route<T>,
    args: &Args,
    env: &Env,
) -> Result<(), Failure> {
    // Hidden by indicatif where standard error is no terminal.
    let bar = ProgressBar::new(all.len() as u64);
    let local = if args.url.is_none() { Some(env.log()?) } else { None };
    for batch in all.chunks(BATCH) {
        match (&args.url, &local) {
            (Some(url), _) => post(url, path, batch, env)?,
            (None, Some(log)) => {
                append(&Orders::new(log.as_ref()), batch).map_err(Failure::failed)?;
            }
            (None, None) => {}
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

fn post<T: Serialize>(url: &str, path: &str, batch: &[T], env: &Env) -> Result<(), Failure> {
    use secrecy::ExposeSecret as _;
    let url = format!("{}/api/{path}", url.trim_end_matches('/'));
    runtime()?.block_on(async {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build();
        let mut request = client.map_err(Failure::failed)?.post(&url).json(batch);
        if let Some(token) = &env.config.http.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let response = request.send().await.map_err(Failure::failed)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = response.text().await.unwrap_or_default();
        Err(Failure::Failed(anyhow::anyhow!("{url} answered {status}: {}", safe(&text))))
    })
}

/// Looks at the directory every second; a file is sent when it has not changed between two looks.
/// After a restart files are sent again, and counted once.
fn follow(args: &Args, env: &Env) -> Result<(), Failure> {
    let mut looks: BTreeMap<PathBuf, (u64, Option<SystemTime>, bool)> = BTreeMap::new();
    loop {
        for path in trace_files(&args.paths)? {
            let Ok(facts) = path.metadata() else { continue };
            let look = (facts.len(), facts.modified().ok());
            match looks.get(&path) {
                Some((len, modified, sent)) if (*len, *modified) == look => {
                    if !sent {
                        let one = std::slice::from_ref(&path);
                        let agent = args.agent.as_ref();
                        let read = read_reports(one, args.format, agent, &env.output)?;
                        deliver_reports(&read.reports, args, env)?;
                        env.output.line(format!("{}: {}", path.display(), read.sent()));
                        looks.insert(path, (look.0, look.1, true));
                    }
                }
                _ => {
                    looks.insert(path, (look.0, look.1, false));
                }
            }
        }
        pause(Duration::from_secs(1));
    }
}

fn trace_files(roots: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = roots.to_vec();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|problem| {
            Failure::Usage(anyhow::anyhow!("cannot list {}: {problem}", folder.display()))
        })?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && is_trace_file(&path) => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_trace_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl")
}
