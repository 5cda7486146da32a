//! What README shows, run as it stands there.

use std::process::Command;

use crate::server::Place;

const README: &str = include_str!("../../README.md");

/// The first fenced block of `language` that holds `part`.
fn block(language: &str, part: &str) -> &'static str {
    let mut blocks = README.split("```");
    blocks
        .find_map(|block| block.strip_prefix(language).filter(|block| block.contains(part)))
        .unwrap_or_else(|| panic!("README has no {language} block with {part:?}"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn the_curl_example_is_taken_and_counted() {
    let example = block("sh", "curl -H");
    let body = example.split('\'').find(|part| part.contains("trace_id")).unwrap().to_owned();
    runtime().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = place.start().await;
        let sent = reqwest::Client::new()
            .post(place.url("/api/traces"))
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 202);
        let path = "/api/agents/mitigation";
        place.until(path, |view| view["runs"]["windowed"] == 1).await;
    });
}

#[test]
fn the_python_example_reports_a_run() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: no python3");
        return;
    }
    runtime().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = place.start().await;
        place.until("/api/agents/sim-triage", |view| view["active"] == 1).await;
        let code = block("python", "def report").replace("http://127.0.0.1:8087", &place.url(""));
        let call = "report('sim-triage', 'run-1', time.time() - 3, 'success',\n       \
                    [dict(type='tool', name='get_logs', ok=True, duration=0.4)])\n";
        let program = format!("{code}\n{call}");
        let output = Command::new("python3").args(["-c", &program]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = "/api/agents/sim-triage";
        let view = place.until(path, |view| view["runs"]["windowed"] == 1).await;
        assert_eq!(view["recent"]["tools"][0][0], "get_logs");
    });
}

#[test]
fn every_command_it_names_exists() {
    let help = crate::server::whetstone().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for line in README.lines().filter(|line| line.starts_with("whetstone ")) {
        let command = line.split_whitespace().nth(1).unwrap();
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in --help");
    }
}
