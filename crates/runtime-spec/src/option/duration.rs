//! Durations as Go writes them: `1h2m3.5s`, `300ms`.

use std::time::Duration;

use crate::{Error, Result};

/// Parses a duration; negative ones are refused, as no option has a use for them.
///
/// # Errors
/// [`Error::Syntax`].
pub fn parse(option: &'static str, text: &str) -> Result<Duration> {
    read(text).ok_or_else(|| Error::syntax(option, format!("time: invalid duration {text:?}")))
}

fn read(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        nanoseconds = nanoseconds.checked_add(scaled(number, unit_nanoseconds(unit)?)?)?;
        rest = after;
    }
    let limit = u128::from(i64::MAX.cast_unsigned()); // Go's
    (nanoseconds <= limit).then(|| Duration::from_nanos(nanoseconds as u64))
}

fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?.into()
    };
    let fraction = &fraction[..fraction.len().min(18)];
    let part: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?.into()
    };
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_mul(unit)?.checked_add(part * unit / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_does() {
        for (text, expected) in [
            ("0", Some(0)),
            ("30s", Some(30_000_000_000)),
            ("1h2m3s", Some(3_723_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            (".5s", Some(500_000_000)),
            ("300ms", Some(300_000_000)),
            ("1us2ns", Some(1_002)),
            ("µs", None),
            ("30", None),
            ("", None),
            ("-1s", None),
            ("1x", None),
            ("1..5s", None),
            ("99999999999999h", None),
        ] {
            let read = parse("--health-interval", text).ok().map(|d| d.as_nanos());
            assert_eq!(read, expected, "{text}");
        }
    }
}
