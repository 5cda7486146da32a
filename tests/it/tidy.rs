//! What ARCHITECTURE.md promises of the source, checked: invariants that are absences.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Modules in the order in which data flows; each may use those before it.
const ORDER: [&str; 14] = [
    "base", "consume", "decode", "fold", "gauge", "hygiene", "govern", "config", "optimize",
    "publish", "serve", "simulate", "app", "cli",
];

/// Where nothing slow, failing, timed or random may happen.
const PURE: [&str; 28] = [
    "src/decode/",
    "src/fold/",
    "src/gauge/",
    "src/hygiene/",
    "src/govern/",
    "src/simulate/",
    "src/optimize/patterns/",
    "src/optimize/answer.rs",
    "src/optimize/budget.rs",
    "src/optimize/choose.rs",
    "src/optimize/critique.rs",
    "src/optimize/curate.rs",
    "src/optimize/evidence.rs",
    "src/optimize/extract.rs",
    "src/optimize/judge.rs",
    "src/optimize/likeness.rs",
    "src/optimize/lineage.rs",
    "src/optimize/mining.rs",
    "src/optimize/pool.rs",
    "src/optimize/model/entry.rs",
    "src/optimize/model/estimate.rs",
    "src/optimize/model/index.rs",
    "src/optimize/model/price.rs",
    "src/optimize/model/purse.rs",
    "src/optimize/sections.rs",
    "src/optimize/strata.rs",
    "src/optimize/template.rs",
    "src/optimize/usage.rs",
];

const IMPURE: [&str; 12] = [
    "tokio",
    "rdkafka",
    "reqwest",
    "async fn",
    ".await",
    "SystemTime",
    "Instant::now",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "Clock",
];

fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    found.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// Without comments and without the tests at the end of a file.
fn code(text: &str) -> String {
    let production = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = production.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn stage(path: &str) -> &str {
    path.trim_start_matches("src/").split(['/', '.']).next().unwrap()
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{path} has no module doc");
    }
}

#[test]
fn pure_modules_are_pure() {
    let sources = sources();
    for pure in PURE {
        assert!(sources.keys().any(|path| path.starts_with(pure)), "{pure} does not exist");
    }
    for (path, text) in sources {
        if PURE.iter().any(|pure| path.starts_with(pure)) {
            let code = code(&text);
            for word in IMPURE {
                assert!(!code.contains(word), "{path} is pure and mentions {word}");
            }
        }
    }
}

/// Modules that are public on purpose: their names say what their items are of.
const NAMESPACES: [&str; 3] = ["limits", "otlp", "assembly"];

#[test]
fn dependencies_point_one_way_and_at_no_submodule() {
    let rank = |stage: &str| ORDER.iter().position(|name| *name == stage);
    for (path, text) in sources() {
        let Some(own) = rank(stage(&path)) else { continue };
        for reference in code(&text).split("crate::").skip(1) {
            let used = reference.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let Some(other) = rank(used) else { continue };
            assert!(other <= own, "{path} uses {used}, which comes after it");
            let inner = reference.trim_start_matches(used).trim_start_matches("::");
            let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
            let (submodule, rest) = inner.split_at(end);
            let is_module = other != own
                && submodule.chars().next().is_some_and(char::is_lowercase)
                && rest.starts_with("::")
                && !NAMESPACES.contains(&submodule);
            assert!(!is_module, "{path} reaches into {used}::{submodule}");
        }
    }
}

#[test]
fn files_are_small_and_folders_shallow() {
    for (path, text) in sources() {
        let lines = code(&text).lines().count();
        assert!(lines <= 500, "{path} has {lines} lines of code");
        assert!(path.matches('/').count() <= 3, "{path} lies too deep");
    }
}

#[test]
fn nothing_in_the_tree_names_one_machine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "Cargo.toml", ".ci/run"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for path in ["/work/", "/root/", "/home/"] {
            assert!(!text.contains(path), "{file} names {path}");
        }
    }
}

#[test]
fn each_library_of_the_outside_is_known_in_one_place() {
    let homes = [
        ("rdkafka::", "src/consume/kafka/"),
        ("rusqlite::", "src/consume/embedded/"),
        ("genai::", "src/optimize/model/"),
        ("git2::", "src/publish/"),
        ("axum::", "src/serve/"),
        ("csv::", "src/cli/"),
        ("opentelemetry_otlp::", "src/cli/"),
        ("opentelemetry_sdk::", "src/cli/"),
        ("unicode_security::", "src/hygiene/"),
        ("unicode_normalization::", "src/hygiene/"),
    ];
    for (path, text) in sources() {
        let code = code(&text);
        for (library, home) in homes {
            assert!(!code.contains(library) || path.starts_with(home), "{path} knows {library}");
        }
    }
}
