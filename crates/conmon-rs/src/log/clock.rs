use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// The local time zone, read once.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// The zone that `TZ` names, or that of `/etc/localtime`; UTC if neither can be read.
    pub fn new(tz: Option<&OsStr>) -> Clock {
        let zone = match tz {
            None => read_zone(Path::new("/etc/localtime")),
            Some(text) => text.to_str().and_then(named_zone),
        };
        Clock {
            zone: zone.unwrap_or(TimeZone::UTC),
        }
    }

    /// A clock that always shows UTC.
    pub fn utc() -> Clock {
        Clock {
            zone: TimeZone::UTC,
        }
    }

    /// Appends `at` as conmon writes it: local time, nine decimals, the offset as `+hh:mm`.
    pub fn write(&self, at: Timestamp, out: &mut Vec<u8>) {
        let offset = self.zone.to_offset(at);
        let time = offset.to_datetime(at);
        let seconds = offset.seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.unsigned_abs() / 60;
        let written = write!(
            out,
            "{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}{sign}{:02}:{:02}",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.subsec_nanosecond(),
            minutes / 60,
            minutes % 60,
        );
        written.expect("a vector takes every byte");
    }
}

fn read_zone(path: &Path) -> Option<TimeZone> {
    let data = fs::read(path).ok()?;
    TimeZone::tzif("local", &data).ok()
}

/// The zone a value of `TZ` names: a file below zoneinfo, any file after a colon, or a rule.
fn named_zone(text: &str) -> Option<TimeZone> {
    let name = text.strip_prefix(':').unwrap_or(text);
    if name.is_empty() {
        return Some(TimeZone::UTC);
    }
    let path = PathBuf::from("/usr/share/zoneinfo").join(name);
    let is_plain = path.components().all(|part| part != Component::ParentDir);
    let file = is_plain.then(|| read_zone(&path)).flatten();
    file.or_else(|| TimeZone::posix(name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(clock: &Clock, at: &str) -> String {
        let mut out = Vec::new();
        clock.write(at.parse().unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_have_nine_decimals_and_an_offset() {
        let at = "2026-02-03T04:05:06.000000789Z";
        assert_eq!(
            written(&Clock::utc(), at),
            "2026-02-03T04:05:06.000000789+00:00"
        );
        let india = Clock::new(Some(OsStr::new("IST-5:30")));
        assert_eq!(written(&india, at), "2026-02-03T09:35:06.000000789+05:30");
        let west = Clock::new(Some(OsStr::new("NST3:30")));
        assert_eq!(written(&west, at), "2026-02-03T00:35:06.000000789-03:30");
    }

    #[test]
    fn an_unknown_zone_is_utc() {
        let clock = Clock::new(Some(OsStr::new("No/Such/../Zone")));
        assert!(written(&clock, "2026-01-01T00:00:00Z").ends_with("+00:00"));
    }
}
