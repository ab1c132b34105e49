//! Moments as people type them, and durations as Go prints them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Error, Result};

/// Reads a moment, as the value of `option`: RFC 3339, a date with or without time in the local zone, Unix
/// seconds, or a duration before `now`.
///
/// # Errors
/// If it is none of these.
pub fn parse(option: &'static str, text: &str, now: Timestamp) -> Result<Timestamp> {
    let known = instant(text)
        .or_else(|| local(text))
        .or_else(|| unix(text))
        .or_else(|| before(option, text, now));
    known.ok_or_else(|| {
        Error::invalid(format!(
            "invalid value for {option}: {text:?} is no time, date or duration"
        ))
    })
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn local(text: &str) -> Option<Timestamp> {
    if !text.contains('-') {
        return None; // a bare number is seconds
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(TimeZone::system()).ok()?;
    Some(zoned.timestamp())
}

fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    Timestamp::from_nanosecond(total).ok()
}

fn before(option: &'static str, text: &str, now: Timestamp) -> Option<Timestamp> {
    let duration = minke_runtime_spec::option::duration::parse(option, text).ok()?;
    let nanoseconds = i128::try_from(duration.as_nanos()).ok()?;
    Timestamp::from_nanosecond(now.as_nanosecond() - nanoseconds).ok()
}

/// As Go prints a duration: `1h2m3.5s`, `12.345678ms`, `0s`.
pub fn go_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let (unit, scale) = match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => return go_seconds(duration),
    };
    format!(
        "{}{unit}",
        decimal(nanoseconds / scale, nanoseconds % scale, scale)
    )
}

fn go_seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = decimal(
        u128::from(seconds % 60),
        u128::from(duration.subsec_nanos()),
        1_000_000_000,
    );
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// `whole` and so many parts of `scale`, a power of ten, without zeros at the end.
fn decimal(whole: u128, part: u128, scale: u128) -> String {
    let digits = scale.ilog10() as usize;
    let text = format!("{whole}.{part:0digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (12_345_678, "12.345678ms"),
            (1_000_000_000, "1s"),
            (10_000_000_000, "10s"),
            (90_500_000_000, "1m30.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), expected);
        }
    }

    #[test]
    fn moments_are_read() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (text, expected) in [
            ("1970-01-01T00:00:10Z", Some(10)),
            ("1970-01-01T01:00:10+01:00", Some(10)),
            ("10", Some(10)),
            ("10.5", Some(10)),
            ("10s", Some(999_990)),
            ("1h", Some(996_400)),
            ("x", None),
            ("", None),
        ] {
            let read = parse("--since", text, now).ok();
            assert_eq!(read.map(Timestamp::as_second), expected, "{text}");
        }
        assert!(parse("--since", "1970-01-05", now).is_ok());
        assert!(parse("--since", "1970-01-05T10:00:00", now).is_ok());
    }
}
