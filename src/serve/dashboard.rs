//! `GET /` and what its pages are made of: the dashboard, built into the binary from `dashboard/`. It has no
//! data of its own: browsers get that from the API, with the token where one is wanted.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};

use super::headers::text;
use super::{ApiError, Server};
use crate::base::Digest;

/// Where its files are.
const FILES: &str = "/dashboard/{file}";

/// The addresses of its pages. Which one is shown, the browser finds out.
const PAGES: [&str; 4] = ["/", "/agents/{agent}", "/activity", "/dead-letters"];

const PAGE: File = file("text/html", include_str!("../../dashboard/index.html"));

/// A file of the dashboard.
#[derive(Clone, Copy)]
struct File {
    media_type: &'static str,
    body: &'static str,
}

const fn file(media_type: &'static str, body: &'static str) -> File {
    File { media_type, body }
}

const fn script(body: &'static str) -> File {
    file("text/javascript", body)
}

fn found(name: &str) -> Option<File> {
    Some(match name {
        "activity.js" => script(include_str!("../../dashboard/activity.js")),
        "agent.js" => script(include_str!("../../dashboard/agent.js")),
        "agents.js" => script(include_str!("../../dashboard/agents.js")),
        "api.js" => script(include_str!("../../dashboard/api.js")),
        "app.js" => script(include_str!("../../dashboard/app.js")),
        "charts.js" => script(include_str!("../../dashboard/charts.js")),
        "diff.js" => script(include_str!("../../dashboard/diff.js")),
        "dom.js" => script(include_str!("../../dashboard/dom.js")),
        "format.js" => script(include_str!("../../dashboard/format.js")),
        "icon.svg" => file("image/svg+xml", include_str!("../../dashboard/icon.svg")),
        "orders.js" => script(include_str!("../../dashboard/orders.js")),
        "style.css" => file("text/css", include_str!("../../dashboard/style.css")),
        "trial.js" => script(include_str!("../../dashboard/trial.js")),
        _ => return None,
    })
}

/// The pages and their files: anybody who reaches the server may have them.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Server>)> {
    let page = || get(async |headers: HeaderMap| answer(PAGE, &headers));
    let pages = PAGES.into_iter().map(|path| (path, page()));
    pages.chain([(FILES, get(one))]).collect()
}

async fn one(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    found(&name).map(|file| answer(file, &headers)).ok_or(ApiError::NoRoute)
}

/// Browsers keep it, and ask each time whether it is still the same: the next version may differ.
fn answer(file: File, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", Digest::of(file.body.as_bytes()).as_str());
    let kept = text(headers, header::IF_NONE_MATCH) == tag;
    let caching = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if kept {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let media_type = format!("{}; charset=utf-8", file.media_type);
    (caching, [(header::CONTENT_TYPE, media_type)], file.body).into_response()
}
