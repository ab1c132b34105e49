//! Moments, as Go's `time.Time` has them in templates.

use std::rc::Rc;

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::value::Value;

/// Members of Podman's documents that are moments; elsewhere in them they are text.
const NAMES: &[&str] = &[
    "CheckpointedAt",
    "Created",
    "End",
    "FinishedAt",
    "RestoredAt",
    "Start",
    "StartedAt",
];

/// A moment with the zone it was told in.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// As the document has it.
    pub text: Rc<str>,
    zoned: Zoned,
}

impl Moment {
    /// The moment that a member is, if its name and its text say so.
    pub fn of(name: &str, text: &str) -> Option<Self> {
        if !NAMES.contains(&name) {
            return None;
        }
        let timestamp: Timestamp = text.parse().ok()?;
        Some(Self {
            text: Rc::from(text),
            zoned: timestamp.to_zoned(TimeZone::fixed(offset(text)?)),
        })
    }

    fn is_zero(&self) -> bool {
        self.zoned.timestamp() == zero()
    }

    /// As Go prints it: `2026-01-02 03:04:05.6 +0000 UTC`.
    pub fn go_text(&self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    /// What a method without arguments gives.
    pub fn method(&self, name: &str) -> Option<Value> {
        let now = &self.zoned;
        let timestamp = now.timestamp();
        let int = |number: i64| Some(Value::Int(number));
        match name {
            "IsZero" => Some(Value::Bool(self.is_zero())),
            "Unix" => int(timestamp.as_second()),
            "UnixMilli" => int(timestamp.as_millisecond()),
            "UnixMicro" => int(timestamp.as_microsecond()),
            "UnixNano" => int(i64::try_from(timestamp.as_nanosecond()).unwrap_or(i64::MIN)),
            "Year" => int(now.year().into()),
            "Month" => Some(Value::text(self.format("January"))),
            "Day" => int(now.day().into()),
            "Hour" => int(now.hour().into()),
            "Minute" => int(now.minute().into()),
            "Second" => int(now.second().into()),
            "Nanosecond" => int(now.subsec_nanosecond().into()),
            "YearDay" => int(now.day_of_year().into()),
            "Weekday" => Some(Value::text(self.format("Monday"))),
            "String" => Some(Value::text(self.go_text())),
            "UTC" => Some(self.in_zone(TimeZone::UTC)),
            "Local" => Some(self.in_zone(TimeZone::system())),
            _ => None,
        }
    }

    fn in_zone(&self, zone: TimeZone) -> Value {
        Value::Moment(Rc::new(Self {
            text: self.text.clone(),
            zoned: self.zoned.with_time_zone(zone),
        }))
    }

    /// As Go's `Format`: the layout shows how the second of January 2006, 15:04:05 would be.
    pub fn format(&self, layout: &str) -> String {
        let mut text = String::new();
        let mut rest = layout;
        while let Some(first) = rest.chars().next() {
            if let Some((token, directive)) =
                TOKENS.iter().find(|(token, _)| rest.starts_with(token))
            {
                text.push_str(&self.zoned.strftime(directive).to_string());
                rest = &rest[token.len()..];
            } else if let Some(length) = fraction(rest) {
                text.push_str(&self.fraction(&rest[..length]));
                rest = &rest[length..];
            } else if let Some(after) = rest.strip_prefix("MST") {
                text.push_str(&self.zone());
                rest = after;
            } else if let Some(after) = rest.strip_prefix("Z07:00") {
                let is_utc = self.zoned.offset() == Offset::UTC;
                let directive = if is_utc { "Z" } else { "%:z" };
                text.push_str(&self.zoned.strftime(directive).to_string());
                rest = after;
            } else {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        text
    }

    fn zone(&self) -> String {
        if self.zoned.offset() == Offset::UTC {
            return "UTC".to_owned();
        }
        self.zoned.strftime("%Z").to_string()
    }

    /// `.000` shows as many digits, `.999` none at the end that are zero.
    fn fraction(&self, token: &str) -> String {
        let digits = format!("{:09}", self.zoned.subsec_nanosecond());
        let shown = &digits[..(token.len() - 1).min(9)];
        if token.ends_with('0') {
            return format!(".{shown}");
        }
        match shown.trim_end_matches('0') {
            "" => String::new(),
            shown => format!(".{shown}"),
        }
    }
}

/// The parts of a layout, the longer before what they begin with.
const TOKENS: &[(&str, &str)] = &[
    ("2006", "%Y"),
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("_2", "%e"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// The length of a fraction of a second at the beginning of a layout.
fn fraction(layout: &str) -> Option<usize> {
    let rest = layout.strip_prefix(['.', ','])?;
    let digit = rest
        .chars()
        .next()
        .filter(|digit| matches!(digit, '0' | '9'))?;
    let count = rest.chars().take_while(|&other| other == digit).count();
    let follows = rest[count..].chars().next();
    (!follows.is_some_and(|next| next.is_ascii_digit())).then_some(count + 1)
}

/// Go's zero moment.
fn zero() -> Timestamp {
    Timestamp::from_second(-62_135_596_800).unwrap_or(Timestamp::MIN)
}

/// `Z` or `+01:00` at the end.
fn offset(text: &str) -> Option<Offset> {
    if text.ends_with(['Z', 'z']) {
        return Some(Offset::UTC);
    }
    let at = text.len().checked_sub(6)?;
    let sign = match text.get(at..=at)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let hours: i32 = text.get(at + 1..at + 3)?.parse().ok()?;
    let minutes: i32 = text.get(at + 4..)?.parse().ok()?;
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_printed_and_formatted_as_in_go() {
        let moment = Moment::of("Created", "2026-11-03T04:05:06.789Z").unwrap();
        for (layout, expected) in [
            (
                "2006-01-02 15:04:05.999999999 -0700 MST",
                "2026-11-03 04:05:06.789 +0000 UTC",
            ),
            ("2006-01-02T15:04:05Z07:00", "2026-11-03T04:05:06Z"),
            ("Mon Jan _2 15:04:05 2006", "Tue Nov  3 04:05:06 2026"),
            ("3:04PM", "4:05AM"),
            ("02/01/06 .000", "03/11/26 .789"),
            ("January 2, 2006", "November 3, 2026"),
            ("", ""),
        ] {
            assert_eq!(moment.format(layout), expected, "{layout}");
        }
        let east = Moment::of("Created", "2026-01-02T03:04:05+01:30").unwrap();
        assert_eq!(east.format("-07:00 15:04"), "+01:30 03:04");
    }

    #[test]
    fn zero_is_gos_and_other_names_are_text() {
        let zero = Moment::of("StartedAt", "0001-01-01T00:00:00Z").unwrap();
        assert!(zero.is_zero());
        assert_eq!(zero.go_text(), "0001-01-01 00:00:00 +0000 UTC");
        assert!(Moment::of("Name", "0001-01-01T00:00:00Z").is_none());
        assert!(Moment::of("Created", "2 days ago").is_none());
    }
}
