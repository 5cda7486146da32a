//! What stands before every route: who may ask, from where, how many at once and for how long; and what
//! browsers are told about every answer.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::headers::{authorize, authorize_reading, text};
use super::{ApiError, Exposure, Server};

/// How long a request may take until its answer begins. A large body over a slow line needs most of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a page of ours may do, and whoever embeds one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// Lets `request` through if it may.
pub(super) async fn stand(
    State(server): State<Server>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    allow(&server, request.method(), request.headers())?;
    let turn = server.turns.try_acquire();
    let _turn = turn.map_err(|_| ApiError::Unavailable("too many requests at once".to_owned()))?;
    let answer = tokio::time::timeout(PATIENCE, next.run(request)).await;
    answer.map_err(|_| ApiError::Unavailable("it took too long".to_owned()))
}

fn allow(server: &Server, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    // Without a token all that protects is that nobody else reaches this machine's own addresses. A page whose
    // name is made to lead here does; its name gives it away.
    if server.token.is_none() && !host(headers).is_none_or(|host| is_local(&host)) {
        return Err(ApiError::Host);
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if !reads && is_cross_site(headers) {
        return Err(ApiError::CrossSite);
    }
    if reads && server.exposure == Exposure::Loopback {
        return Ok(());
    }
    if reads { authorize_reading(server, headers) } else { authorize(server, headers) }
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    text(headers, header::HOST).parse().ok()
}

fn is_local(host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    let ip = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Whether a browser sends it for a page that is not ours. Who is no browser says nothing of the kind.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = text(headers, HeaderName::from_static("sec-fetch-site"));
    if !matches!(site, "" | "same-origin" | "none") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().unwrap_or_default();
    let own = origin.split_once("://").and_then(|(_, rest)| rest.parse::<Authority>().ok());
    own.is_none() || own != host(headers)
}

/// Tells browsers to take nothing in `response` for what it is not.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api");
    let mut response = next.run(request).await.into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if api {
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_a_browser_sends_for_another_page_is_told_apart() {
        let check = |pairs: &[(&'static str, &'static str)], cross: bool| {
            assert_eq!(is_cross_site(&headers(pairs)), cross, "{pairs:?}");
        };
        check(&[("host", "127.0.0.1:8087")], false);
        check(&[("host", "127.0.0.1:8087"), ("origin", "http://127.0.0.1:8087")], false);
        check(&[("host", "127.0.0.1:8087"), ("sec-fetch-site", "same-origin")], false);
        check(&[("host", "127.0.0.1:8087"), ("sec-fetch-site", "none")], false);
        check(&[("host", "127.0.0.1:8087"), ("sec-fetch-site", "same-site")], true);
        check(&[("host", "127.0.0.1:8087"), ("sec-fetch-site", "cross-site")], true);
        check(&[("host", "127.0.0.1:8087"), ("origin", "http://127.0.0.1:9000")], true);
        check(&[("host", "127.0.0.1:8087"), ("origin", "http://evil.example")], true);
        check(&[("host", "127.0.0.1:8087"), ("origin", "null")], true);
        check(&[("origin", "http://127.0.0.1:8087")], true);
    }

    #[test]
    fn a_name_that_is_made_to_lead_here_is_not_local() {
        let check = |host: &str, local: bool| {
            assert_eq!(is_local(&host.parse().unwrap()), local, "{host}");
        };
        for host in ["localhost", "LOCALHOST:8087", "127.0.0.1:8087", "127.1.2.3", "[::1]:8087"] {
            check(host, true);
        }
        for host in ["evil.example:8087", "localhost.evil.example", "192.168.0.1", "0.0.0.0:80"] {
            check(host, false);
        }
    }
}
