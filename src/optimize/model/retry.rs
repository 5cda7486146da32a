//! How long to wait before asking again. Pure: chance is seeded, and the time comes in.

use std::time::Duration;

use fastrand::Rng;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::base::EventTime;

/// The longest wait between two calls. Who asks for a longer one is asked again some other time.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The pause after `failures` failed calls in a row: it doubles from `first` on, up to
/// [`LONGEST_WAIT`], and half of it is drawn, so that those who failed together do not come back
/// together.
pub(in crate::optimize) fn pause(first: Duration, failures: u32, rng: &mut Rng) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let whole = first.saturating_mul(doubled).min(LONGEST_WAIT);
    whole.mul_f64(0.5 + 0.5 * rng.f64())
}

/// How long a server asks to be left alone: `Retry-After` in seconds or as an HTTP date,
/// `Retry-After-Ms`, or the `retryDelay` that Google puts in the body.
pub(super) fn asked_wait(
    headers: Option<&HeaderMap>,
    body: &str,
    now: EventTime,
) -> Option<Duration> {
    let header = |name: &str| Some(headers?.get(name)?.to_str().ok()?.trim().to_owned());
    header("retry-after-ms")
        .and_then(|millis| seconds(&millis).map(|wait| wait / 1000))
        .or_else(|| {
            header("retry-after").and_then(|wait| seconds(&wait).or_else(|| until(&wait, now)))
        })
        .or_else(|| retry_delay(body))
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// From `now` to an HTTP date; nothing if that is past.
fn until(date: &str, now: EventTime) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    let date = EventTime::from_millis(date.as_millisecond());
    let millis = u64::try_from(date.millis_since(now)).unwrap_or_default();
    Some(Duration::from_millis(millis))
}

/// `"retryDelay": "34s"` among an error's details.
fn retry_delay(body: &str) -> Option<Duration> {
    let body: Value = serde_json::from_str(body).ok()?;
    let details = body.pointer("/error/details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    seconds(delay.strip_suffix('s')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_left_alone_as_long_as_it_asks() {
        let now = EventTime::from_millis(1_445_412_400_000); // 2015-10-21T07:26:40Z
        let check = |name: &'static str, value: &str, body: &str, millis: Option<u64>| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            let found = asked_wait(Some(&headers), body, now);
            assert_eq!(found, millis.map(Duration::from_millis), "{name}: {value} {body}");
        };
        check("retry-after", "7", "", Some(7_000));
        check("retry-after", " 0.5 ", "", Some(500));
        check("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", "", Some(80_000));
        check("retry-after", "Wed, 21 Oct 2015 07:20:00 GMT", "", Some(0));
        check("retry-after-ms", "250", "", Some(250));
        check("retry-after", "soon", "", None);
        check("retry-after", "-1", "", None);
        check("retry-after", "1e400", "", None);
        check("x-other", "7", "", None);
        let google = r#"{"error":{"details":[{"reason":"x"},{"retryDelay":"34s"}]}}"#;
        check("x-other", "7", google, Some(34_000));
        assert_eq!(asked_wait(None, google, now), Some(Duration::from_secs(34)));
    }

    #[test]
    fn pauses_double_and_are_drawn_from_the_seed() {
        let first = Duration::from_secs(1);
        let pauses = |seed: u64| {
            let mut rng = Rng::with_seed(seed);
            [1, 2, 3, 9, u32::MAX].map(|failures| pause(first, failures, &mut rng))
        };
        for seed in 0..50 {
            let found = pauses(seed);
            for (found, most) in found.iter().zip([1, 2, 4, 60, 60].map(Duration::from_secs)) {
                assert!((most / 2..=most).contains(found), "{found:?} of {most:?}");
            }
        }
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
    }
}
