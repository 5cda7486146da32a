//! `whetstone check`: is everything there that `run` needs?

use serde::Serialize;

use super::Env;
use super::failure::Failure;
use super::output::Tone;
use crate::app::{gate, optimizer, repo_options};
use crate::config;
use crate::consume::{KafkaLog, KafkaSettings, LogError, TopicProblem};
use crate::publish::ConfigRepo;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  whetstone check\n  whetstone check --config whetstone.yaml --json\n  \
        whetstone check --set log.kind=kafka --set kafka.brokers=127.0.0.1:9092 --create-topics"
)]
pub(super) struct Args {
    /// Create the topics that are missing, with the settings they need (for log.kind: kafka)
    #[arg(long)]
    create_topics: bool,
}

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let mut findings = vec![Finding {
        what: "configuration",
        ok: true,
        detail: "every key is known and every value possible".to_owned(),
    }];
    match &env.config.log {
        config::Log::Embedded => findings.push(data_directory(env)),
        config::Log::Kafka { settings, .. } => findings.extend(cluster(settings, args)),
    }
    findings.extend(repo(env));
    findings.push(model(env));
    findings.extend(offline_gate(env));
    if env.output.json {
        env.output.value(&findings)?;
    } else {
        for finding in &findings {
            let (tone, mark) = if finding.ok { (Tone::Good, "ok") } else { (Tone::Bad, "!!") };
            let mark = env.output.paint(tone, mark);
            env.output.line(format!("{mark}  {:<15} {}", finding.what, finding.detail));
        }
    }
    // A missing model is a choice; a repo or directory that cannot be used is not.
    let broken = findings.iter().any(|finding| !finding.ok && finding.what != "model");
    if broken {
        return Err(Failure::Usage(anyhow::anyhow!("not everything is there; see above")));
    }
    Ok(())
}

fn data_directory(env: &Env) -> Finding {
    let what = "data directory";
    match env.log() {
        Ok(_) => {
            let detail = format!("{} can be used", env.config.data_dir.display());
            Finding { what, ok: true, detail }
        }
        Err(failure) => Finding { what, ok: false, detail: failure.error().to_string() },
    }
}

fn cluster(settings: &KafkaSettings, args: &Args) -> Vec<Finding> {
    let what = "Kafka cluster";
    let detail = format!("{} answers", settings.brokers);
    let mut findings = vec![Finding { what, ok: true, detail }];
    let topics = || -> Result<Vec<Finding>, LogError> {
        let what = "topics";
        let log = KafkaLog::open(settings.clone())?;
        let created = if args.create_topics { log.create_topics()? } else { Vec::new() };
        let mut findings = Vec::new();
        if !created.is_empty() {
            let detail = format!("created {}", created.join(", "));
            findings.push(Finding { what, ok: true, detail });
        }
        let problems = log.check_topics()?;
        if problems.is_empty() {
            let detail = "all there, with the settings they need".to_owned();
            findings.push(Finding { what, ok: true, detail });
        }
        let finding = |problem: &TopicProblem| Finding {
            what,
            ok: !problem.fatal,
            detail: problem.to_string(),
        };
        findings.extend(problems.iter().map(finding));
        Ok(findings)
    };
    match topics() {
        Ok(topics) => findings.extend(topics),
        Err(problem) => {
            findings = vec![Finding { what, ok: false, detail: problem.to_string() }];
        }
    }
    findings
}

fn model(env: &Env) -> Finding {
    let optimizer = match optimizer(&env.config) {
        Ok(optimizer) => optimizer,
        Err(problem) => {
            return Finding { what: "evidence", ok: false, detail: problem.to_string() };
        }
    };
    let problem = optimizer.problem();
    Finding {
        what: "model",
        ok: problem.is_none(),
        detail: match problem {
            Some(problem) => format!("{problem}; patterns alone will decide"),
            None if env.config.llm.enabled => format!("{} is set up", env.config.llm.model),
            None => "switched off: patterns alone will decide".to_owned(),
        },
    }
}

fn offline_gate(env: &Env) -> Option<Finding> {
    let gate = gate(&env.config)?;
    let problem = gate.problem();
    let ok = problem.is_none();
    let detail = match problem {
        Some(problem) => format!("{problem}; nothing ships until it can be asked"),
        None => format!("every candidate is tried by {}", gate.name()),
    };
    Some(Finding { what: "gate", ok, detail })
}

fn repo(env: &Env) -> Vec<Finding> {
    let what = "config repo";
    let Some(options) = repo_options(&env.config.repo) else {
        let detail = "none: runs are counted, nothing is optimized; set repo.path".to_owned();
        return vec![Finding { what, ok: true, detail }];
    };
    let agents = ConfigRepo::open(options).and_then(|repo| {
        let agents = repo.agents()?;
        for agent in &agents {
            repo.read(agent)?;
        }
        Ok(agents)
    });
    match agents {
        Ok(agents) => {
            let names: Vec<_> = agents.iter().map(ToString::to_string).collect();
            let detail = format!("{} agents: {}", names.len(), names.join(", "));
            vec![Finding { what, ok: true, detail }]
        }
        Err(problem) => vec![Finding { what, ok: false, detail: problem.to_string() }],
    }
}
