//! Durations as people write them.

use jiff::{Span, SpanRelativeTo};

pub(super) const SECOND: i64 = 1_000;
pub(super) const HOUR: i64 = 3_600 * SECOND;
pub(super) const DAY: i64 = 24 * HOUR;

/// Milliseconds of e.g. `90s`, `1h 30m` or `7d`; days have 24 hours. `None` if it is no duration.
pub(super) fn parse(text: &str) -> Option<i64> {
    let span: Span = text.trim().parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_millis()).ok()
}

/// The shortest way to write `millis` in one unit.
pub(super) fn text(millis: i64) -> String {
    let units = [("d", DAY), ("h", HOUR), ("m", 60 * SECOND), ("s", SECOND)];
    match units.into_iter().find(|(_, unit)| millis != 0 && millis % unit == 0) {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        let check = |written: &str, millis: Option<i64>| {
            assert_eq!(parse(written), millis, "{written:?}");
        };
        check("90s", Some(90 * SECOND));
        check("1h 30m", Some(90 * 60 * SECOND));
        check("1h30m", Some(90 * 60 * SECOND));
        check("250ms", Some(250));
        check("7d", Some(7 * DAY));
        check("2 weeks", Some(14 * DAY));
        check("PT24H", Some(DAY));
        check("0s", Some(0));
        check("-1h", Some(-HOUR));
        check("90", None);
        check("1 month", None);
        check("soon", None);
        check("", None);
        check("99999999999999999999d", None);
    }

    #[test]
    fn what_is_written_back_reads_the_same() {
        for (millis, written) in
            [(0, "0s"), (250, "250ms"), (90 * SECOND, "90s"), (HOUR, "1h"), (366 * DAY, "366d")]
        {
            assert_eq!(text(millis), written);
            assert_eq!(parse(written), Some(millis));
        }
    }
}
