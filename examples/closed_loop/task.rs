//! Seeded tasks: an operator's request in plain English, and the one command that it asks for. Pure.
//!
//! Training and held-out tasks share no phrasing, service, reason or spelled-out duration: what is learnt
//! by heart from the one is of no use for the other. The actions and environments are the API's own.

use std::collections::BTreeSet;

use crate::command::{ACTIONS, Command};

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// To learn from.
    Training,
    /// To measure by.
    HeldOut,
}

/// One request and what comes of it if it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    /// What the operator says.
    pub(crate) request: String,
    /// What the operator means.
    pub(crate) expected: Command,
}

/// What requests of one split are made of.
struct Words {
    phrasings: &'static [&'static str],
    services: &'static [&'static str],
    durations: &'static [(&'static str, &'static str)],
    reasons: &'static [&'static str],
}

/// As people say it, and as the API does.
const ENVIRONMENTS: [(&str, &str); 6] = [
    ("production", "prod"),
    ("prod", "prod"),
    ("staging", "staging"),
    ("staging", "staging"),
    ("development", "dev"),
    ("dev", "dev"),
];

const TRAINING: Words = Words {
    phrasings: &[
        "Please {action} {service} in {environment} for {duration}, {reason}.",
        "{action} {service} ({environment}) for {duration}: {reason}.",
        "{reason}: {action} {service} on {environment}, {duration} will do.",
    ],
    services: &[
        "checkout-api",
        "billing-worker",
        "search-indexer",
        "mail-relay",
        "fraud-scorer",
        "image-resizer",
        "Cart Service",
        "Price Feed",
    ],
    durations: &[
        ("5 minutes", "5m"),
        ("90 seconds", "90s"),
        ("3 hours", "3h"),
        ("15 minutes", "15m"),
        ("20m", "20m"),
        ("6h", "6h"),
        ("25m", "25m"),
        ("70s", "70s"),
    ],
    reasons: &["the disks are checked", "load is rising", "a release is due", "it pages everyone"],
};

const HELD_OUT: Words = Words {
    phrasings: &[
        "Could you {action} {service} on {environment} for {duration}? Reason: {reason}.",
        "For the next {duration}, {action} {service} in {environment} - {reason}.",
        "We want to {action} {service} in {environment} for {duration} because {reason}.",
    ],
    services: &[
        "payment-gateway",
        "report-builder",
        "session-store",
        "tax-engine",
        "video-encoder",
        "push-notifier",
        "Order Router",
        "Audit Log",
    ],
    durations: &[
        ("10 minutes", "10m"),
        ("45 seconds", "45s"),
        ("2 hours", "2h"),
        ("40 minutes", "40m"),
        ("30m", "30m"),
        ("4h", "4h"),
        ("35m", "35m"),
        ("50s", "50s"),
    ],
    reasons: &["memory is leaking", "traffic is falling", "we deploy", "the database moves"],
};

/// `count` different tasks, the same for the same seed; fewer only if there are no more.
pub(crate) fn tasks(split: Split, seed: u64, count: usize) -> Vec<Task> {
    let words = match split {
        Split::Training => &TRAINING,
        Split::HeldOut => &HELD_OUT,
    };
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut seen = BTreeSet::new();
    // By then all there are have come with near certainty.
    let draws = count.saturating_mul(100);
    let fresh = std::iter::repeat_with(|| words.draw(&mut rng)).take(draws);
    fresh.filter(|task| seen.insert(task.request.clone())).take(count).collect()
}

impl Words {
    fn draw(&self, rng: &mut fastrand::Rng) -> Task {
        let action = pick(&ACTIONS, rng);
        let service = pick(self.services, rng);
        let (place, environment) = pick(&ENVIRONMENTS, rng);
        let (time, duration) = pick(self.durations, rng);
        let request = pick(self.phrasings, rng)
            .replace("{action}", action)
            .replace("{service}", service)
            .replace("{environment}", place)
            .replace("{duration}", time)
            .replace("{reason}", pick(self.reasons, rng));
        let expected = Command {
            action: action.to_owned(),
            service: service.to_lowercase().replace(' ', "-"),
            environment: environment.to_owned(),
            duration: duration.to_owned(),
        };
        Task { request, expected }
    }
}

fn pick<T: Copy + Default>(list: &[T], rng: &mut fastrand::Rng) -> T {
    rng.choice(list).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::submit;

    #[test]
    fn the_same_seed_gives_the_same_tasks_and_none_twice() {
        for split in [Split::Training, Split::HeldOut] {
            let some = tasks(split, 7, 300);
            assert_eq!(some.len(), 300);
            assert_eq!(some, tasks(split, 7, 300));
            assert_ne!(some, tasks(split, 8, 300));
            let requests: BTreeSet<_> = some.iter().map(|task| &task.request).collect();
            assert_eq!(requests.len(), 300);
        }
    }

    #[test]
    fn what_is_meant_is_what_the_api_takes() {
        for task in tasks(Split::Training, 1, 300).into_iter().chain(tasks(Split::HeldOut, 1, 300))
        {
            let written = serde_json::to_string(&task.expected).unwrap();
            assert_eq!(submit(&written), Ok(task.expected));
            assert!(!task.request.contains(['{', '}']), "{}", task.request);
        }
    }

    #[test]
    fn nothing_held_out_is_trained_on() {
        let words = |words: &Words| -> BTreeSet<&str> {
            let durations = words.durations.iter().map(|(said, _)| *said);
            let others = [words.phrasings, words.services, words.reasons].into_iter().flatten();
            others.copied().chain(durations).collect()
        };
        assert!(words(&TRAINING).is_disjoint(&words(&HELD_OUT)));
    }
}
