//! Moments as people type them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
