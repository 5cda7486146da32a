//! A log that was lost: the config repo remembers what there was.

use serde_json::Value;

use crate::server::Place;

fn states(versions: &Value) -> Vec<String> {
    let state = |version: &Value| format!("v{} {}", version["version"], version["state"]);
    versions.as_array().unwrap().iter().map(state).map(|text| text.replace('"', "")).collect()
}

#[test]
fn a_lost_log_goes_on_from_the_repo() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = Place::new(&["llm.enabled=false", "repo.poll_interval=1s"]);
        let versions = "/api/agents/sim-triage/versions";
        let prompts = place.repo().join("configs/sim-triage_agent_prompts.yaml");
        let edit = |from: &str, to: &str| {
            let text = std::fs::read_to_string(&prompts).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(&prompts, text.replace(from, to)).unwrap();
        };

        let mut server = place.start().await;
        place.until(versions, |v| v.as_array().is_some_and(|v| v.len() == 1)).await;
        edit("Work step by step", "Work with care");
        place.until(versions, |v| v.as_array().is_some_and(|v| v.len() == 2)).await;
        // Published is what the next log can recall.
        while !place.git(&["log", "-1", "--format=%s"]).contains("v2") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());

        std::fs::remove_dir_all(place.dir.path().join("data")).unwrap();
        let head = place.git(&["rev-parse", "HEAD"]);
        let mut server = place.start().await;
        let found = place.until(versions, |v| v.as_array().is_some_and(|v| v.len() == 2)).await;
        assert_eq!(states(&found), ["v1 superseded", "v2 active"]);
        assert_eq!(place.git(&["rev-parse", "HEAD"]), head, "nothing is published again");

        edit("Work with care", "Work with great care");
        let found = place.until(versions, |v| v.as_array().is_some_and(|v| v.len() == 3)).await;
        assert_eq!(states(&found), ["v1 superseded", "v2 superseded", "v3 active"]);
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        assert_eq!(place.git(&["status", "--porcelain"]), "");
    });
}
