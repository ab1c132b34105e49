//! Health checks; data for the engine.

use serde::{Deserialize, Serialize};

/// Everything that is asked about a container's health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// What is checked, field by field on top of the image's check.
    pub check: HealthCheck,
    /// No check at all, not the image's either.
    pub disabled: bool,
    /// What is checked at first, until it has passed.
    pub startup: Option<StartupCheck>,
    /// What happens once it is unhealthy.
    pub on_failure: OnFailure,
    /// `local`, or a directory for the log; absent is `local`.
    pub log_destination: Option<String>,
    /// How many results are kept; 0 is all, absent is 5.
    pub max_log_count: Option<u32>,
    /// How many bytes of a result's output are kept; 0 is all, absent is 500.
    pub max_log_bytes: Option<u32>,
}

/// A check, as images and Podman's `inspect` have it. Durations are in nanoseconds, zero takes
/// the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthCheck {
    /// `["CMD", ARG...]`, `["CMD-SHELL", COMMAND]`, `["NONE"]`, or nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// From one check's end to the next; `None` takes the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    /// How long a check may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// How long after the start failures do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<u64>,
    /// How many failures in a row make it unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

/// A check that comes before the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StartupCheck {
    /// As [`HealthCheck::test`].
    pub test: Vec<String>,
    /// Nanoseconds from one check's end to the next.
    pub interval: u64,
    /// Nanoseconds a check may take.
    pub timeout: u64,
    /// After so many failures it is started again; 0 is never.
    pub retries: u32,
    /// So many successes in a row are a pass; 0 is as 1.
    pub successes: u32,
}

/// What is done with a container that has become unhealthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Nothing.
    #[default]
    None,
    /// SIGKILL; a restart policy starts it again.
    Kill,
    /// It is stopped and started.
    Restart,
    /// It is stopped.
    Stop,
}

impl OnFailure {
    /// Podman's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kill => "kill",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

/// Podman's default interval and timeout.
const HALF_A_MINUTE: u64 = 30_000_000_000;

impl HealthCheck {
    /// This check with what it leaves open taken from `image`, and then from the defaults; `None`
    /// if nothing is checked.
    pub fn over(&self, image: Option<&HealthCheck>) -> Option<HealthCheck> {
        let none = HealthCheck::default();
        // What belongs to another command does not fit this one.
        let base = image.filter(|_| self.test.is_empty()).unwrap_or(&none);
        let test = match self.test.is_empty() {
            true => &base.test,
            false => &self.test,
        };
        if matches!(test.first().map(String::as_str), None | Some("" | "NONE")) {
            return None;
        }
        let given = |own: Option<u64>, images: Option<u64>| {
            own.or(images.filter(|nanoseconds| *nanoseconds > 0))
        };
        let interval = given(self.interval, base.interval);
        let timeout = given(self.timeout, base.timeout);
        let retries = self.retries.or(base.retries.filter(|count| *count > 0));
        Some(HealthCheck {
            test: test.clone(),
            interval: interval.or(Some(HALF_A_MINUTE)),
            timeout: timeout.or(Some(HALF_A_MINUTE)),
            start_period: given(self.start_period, base.start_period).or(Some(0)),
            retries: retries.or(Some(3)),
        })
    }
}

/// The command of a check: `None` if there is none.
pub fn command(test: &[String]) -> Option<Vec<String>> {
    let (kind, rest) = test.split_first()?;
    let command = match kind.as_str() {
        "" | "NONE" => return None,
        "CMD" => rest.to_vec(),
        "CMD-SHELL" => vec!["/bin/sh".into(), "-c".into(), rest.join(" ")],
        _ => test.to_vec(),
    };
    let has_name = command.first().is_some_and(|name| !name.is_empty());
    has_name.then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn commands_are_those_of_podman() {
        for (test, expected) in [
            ("", None),
            ("NONE", None),
            ("CMD", None),
            ("CMD a b", Some("a b")),
            ("CMD-SHELL a || b", Some("/bin/sh -c a || b")),
            ("a b", Some("a b")),
        ] {
            let command = command(&words(test)).map(|words| words.join(" "));
            assert_eq!(command.as_deref(), expected, "{test}");
        }
    }

    #[test]
    fn an_images_check_is_taken_whole_or_field_by_field() {
        let image: HealthCheck =
            serde_json::from_str(r#"{"Test":["CMD","a"],"Interval":5,"Retries":0}"#).unwrap();
        let own = HealthCheck {
            timeout: Some(7),
            ..HealthCheck::default()
        };
        let both = own.over(Some(&image)).unwrap();
        assert_eq!((both.interval, both.timeout), (Some(5), Some(7)));
        assert_eq!((both.retries, both.start_period), (Some(3), Some(0)));
        let other = HealthCheck {
            test: words("CMD-SHELL b"),
            ..HealthCheck::default()
        };
        assert_eq!(
            other.over(Some(&image)).unwrap().interval,
            Some(HALF_A_MINUTE)
        );
        assert_eq!(own.over(None), None);
    }
}
