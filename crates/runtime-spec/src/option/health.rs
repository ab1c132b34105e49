//! `--health-cmd` and its kind.

use std::time::Duration;

use super::duration;
use crate::container::health::OnFailure;
use crate::{Error, Result};

/// Reads `--health-cmd`: a command for the shell, a JSON array, `CMD WORDS`, or `none`.
pub fn test(text: &str) -> Vec<String> {
    let array: Option<Vec<String>> = serde_json::from_str(text).ok();
    let first = match &array {
        Some(words) => words.first().cloned().unwrap_or_default(),
        None => text.split(' ').next().unwrap_or_default().to_owned(),
    };
    match (first.to_uppercase().as_str(), array) {
        ("NONE", _) => vec!["NONE".to_owned()],
        ("CMD" | "CMD-SHELL", Some(words)) => words,
        ("CMD", None) => text.split_whitespace().map(str::to_owned).collect(),
        ("CMD-SHELL", None) => {
            let rest = text.split_once(' ').map_or("", |(_, rest)| rest);
            vec!["CMD-SHELL".to_owned(), rest.to_owned()]
        }
        (_, Some(words)) if words.len() > 1 => {
            let mut test = vec!["CMD".to_owned()];
            test.extend(words);
            test
        }
        (_, Some(words)) => vec!["CMD-SHELL".to_owned(), words.concat()],
        (_, None) => vec!["CMD-SHELL".to_owned(), text.to_owned()],
    }
}

/// Reads an interval in nanoseconds; `disable` is zero, which is never.
///
/// # Errors
/// [`Error::Syntax`].
pub fn interval(text: &str) -> Result<u64> {
    match text {
        "disable" => Ok(0),
        _ => nanoseconds("healthcheck-interval", text, Duration::ZERO, ""),
    }
}

/// Reads a timeout in nanoseconds.
///
/// # Errors
/// [`Error::Syntax`].
pub fn timeout(text: &str) -> Result<u64> {
    let least = "healthcheck-timeout must be at least 1 second";
    nanoseconds("healthcheck-timeout", text, Duration::from_secs(1), least)
}

/// Reads a start period in nanoseconds.
///
/// # Errors
/// [`Error::Syntax`].
pub fn start_period(text: &str) -> Result<u64> {
    nanoseconds("healthcheck-start-period", text, Duration::ZERO, "")
}

/// Reads `--health-on-failure`.
///
/// # Errors
/// [`Error::Syntax`].
pub fn on_failure(text: &str) -> Result<OnFailure> {
    Ok(match text.to_lowercase().as_str() {
        "" | "none" => OnFailure::None,
        "kill" => OnFailure::Kill,
        "restart" => OnFailure::Restart,
        "stop" => OnFailure::Stop,
        _ => {
            return Err(refuse(format!(
                "invalid on-failure action {text:?} for health check: supported actions are kill,none,restart,stop"
            )));
        }
    })
}

fn nanoseconds(what: &str, text: &str, least: Duration, too_short: &str) -> Result<u64> {
    let read = duration::parse("--health", text);
    let read = read.map_err(|error| refuse(format!("invalid {what}: {error}")))?;
    if read < least {
        return Err(refuse(too_short.to_owned()));
    }
    Ok(u64::try_from(read.as_nanos()).unwrap_or(u64::MAX))
}

fn refuse(message: String) -> Error {
    Error::syntax("--health", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_read_as_podman_does() {
        for (text, expected) in [
            (
                "curl -f localhost || exit 1",
                "CMD-SHELL|curl -f localhost || exit 1",
            ),
            ("true", "CMD-SHELL|true"),
            ("CMD curl -f x", "CMD|curl|-f|x"),
            ("CMD-SHELL a  b", "CMD-SHELL|a  b"),
            (r#"["CMD","a","b c"]"#, "CMD|a|b c"),
            (r#"["a","b c"]"#, "CMD|a|b c"),
            (r#"["a"]"#, "CMD-SHELL|a"),
            ("none", "NONE"),
        ] {
            assert_eq!(test(text).join("|"), expected, "{text}");
        }
    }

    #[test]
    fn durations_have_bounds() {
        assert_eq!(interval("disable").unwrap(), 0);
        assert_eq!(interval("1m").unwrap(), 60_000_000_000);
        assert_eq!(
            timeout("10ms").unwrap_err().to_string(),
            "healthcheck-timeout must be at least 1 second"
        );
        assert!(start_period("x").is_err());
        assert!(on_failure("explode").is_err());
        assert_eq!(on_failure("Kill").unwrap(), OnFailure::Kill);
    }
}
