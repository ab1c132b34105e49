//! Moments for people.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How long, in Docker's words: `5 seconds`, `About an hour`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    let hours = (seconds + 30 * 60) / 3600;
    let whole_hours = seconds / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", whole_hours / 24 / 365),
    }
}

/// How long before `now`; nothing for what is to come.
pub fn since(moment: Timestamp, now: Timestamp) -> String {
    let nanoseconds = now.as_nanosecond() - moment.as_nanosecond();
    let nanoseconds = u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX);
    human_duration(Duration::from_nanos(nanoseconds))
}

/// `2 minutes ago`.
pub fn ago(moment: Timestamp, now: Timestamp) -> String {
    format!("{} ago", since(moment, now))
}

/// As Go prints a time: `2024-05-01 10:00:00 +0000 UTC`.
pub fn go_text(moment: Timestamp) -> String {
    let zoned = moment.to_zoned(TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_dockers_words() {
        const HOUR: u64 = 3600;
        const DAY: u64 = 24 * HOUR;
        for (seconds, expected) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (HOUR, "About an hour"),
            (2 * HOUR, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (729 * DAY, "24 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_future_is_no_time_ago() {
        let now = Timestamp::from_second(10).unwrap();
        let later = Timestamp::from_second(20).unwrap();
        assert_eq!(ago(later, now), "Less than a second ago");
    }
}
