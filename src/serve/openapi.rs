//! `GET /api/openapi.json`: what there is, for programs.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use serde_yaml::Value;

/// As it is written, for people.
const WRITTEN: &str = include_str!("../../configs/openapi.yaml");

static DOCUMENT: LazyLock<String> = LazyLock::new(|| read().unwrap_or_default());

/// None if it cannot be read, which a test makes sure of.
fn read() -> Option<String> {
    let mut document: Value = serde_yaml::from_str(WRITTEN).ok()?;
    document.apply_merge().ok()?;
    serde_json::to_string(&document).ok()
}

pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_has_every_path_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(&read().unwrap()).unwrap();
        let described: BTreeSet<_> =
            document["paths"].as_object().unwrap().keys().cloned().collect();
        let there: BTreeSet<_> = crate::serve::paths().into_iter().map(str::to_owned).collect();
        assert_eq!(described, there);
    }
}
