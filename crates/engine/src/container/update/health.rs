//! What may change of a health check.

use minke_runtime_spec::container::{Health, OnFailure, StartupCheck};

use crate::container::create::check_health_request;
use crate::error::Result;

/// What changes of a health check. Durations are in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthUpdate {
    /// No check any more.
    pub disabled: bool,
    /// The check's command.
    pub test: Option<Vec<String>>,
    /// From one check to the next.
    pub interval: Option<u64>,
    /// How long one may take.
    pub timeout: Option<u64>,
    /// How long after the start failures do not count.
    pub start_period: Option<u64>,
    /// How many failures in a row make it unhealthy.
    pub retries: Option<u32>,
    /// The start-up check's command.
    pub startup_test: Option<Vec<String>>,
    /// From one start-up check to the next.
    pub startup_interval: Option<u64>,
    /// How long one may take.
    pub startup_timeout: Option<u64>,
    /// After so many failures it is started again.
    pub startup_retries: Option<u32>,
    /// So many successes are a pass.
    pub startup_successes: Option<u32>,
    /// What happens once it is unhealthy.
    pub on_failure: Option<OnFailure>,
    /// Where results are kept.
    pub log_destination: Option<String>,
    /// How many of them.
    pub max_log_count: Option<u32>,
    /// How many bytes of each.
    pub max_log_bytes: Option<u32>,
}

/// Changes what is given.
///
/// # Errors
/// If what comes out contradicts itself.
pub(super) fn apply(health: &mut Health, update: &HealthUpdate) -> Result<()> {
    let check = &mut health.check;
    if let Some(test) = &update.test {
        check.test.clone_from(test);
        health.disabled = test.first().is_some_and(|word| word == "NONE");
    }
    check.interval = update.interval.or(check.interval);
    check.timeout = update.timeout.or(check.timeout);
    check.start_period = update.start_period.or(check.start_period);
    check.retries = update.retries.or(check.retries);
    if update.disabled {
        health.disabled = true;
        health.startup = None;
    }
    let filled = check.over(None);
    *check = filled.filter(|_| !health.disabled).unwrap_or_default();
    if let Some(startup) = with_startup(health.startup.clone(), update) {
        health.startup = Some(startup);
    }
    health.on_failure = update.on_failure.unwrap_or(health.on_failure);
    if update.log_destination.is_some() {
        health.log_destination.clone_from(&update.log_destination);
    }
    health.max_log_count = update.max_log_count.or(health.max_log_count);
    health.max_log_bytes = update.max_log_bytes.or(health.max_log_bytes);
    check_health_request(health)
}

fn with_startup(now: Option<StartupCheck>, update: &HealthUpdate) -> Option<StartupCheck> {
    let half_a_minute = 30_000_000_000;
    let fresh = || StartupCheck {
        interval: half_a_minute,
        timeout: half_a_minute,
        ..StartupCheck::default()
    };
    let mut startup = match (&update.startup_test, now) {
        (None, now) => now?,
        (Some(test), now) => StartupCheck {
            test: test.clone(),
            ..now.unwrap_or_else(fresh)
        },
    };
    startup.interval = update.startup_interval.unwrap_or(startup.interval);
    startup.timeout = update.startup_timeout.unwrap_or(startup.timeout);
    startup.retries = update.startup_retries.unwrap_or(startup.retries);
    startup.successes = update.startup_successes.unwrap_or(startup.successes);
    Some(startup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_changes_and_the_rest_stays() {
        let mut health = Health::default();
        let first = HealthUpdate {
            test: Some(vec!["CMD".into(), "a".into()]),
            retries: Some(7),
            startup_test: Some(vec!["CMD".into(), "s".into()]),
            ..HealthUpdate::default()
        };
        apply(&mut health, &first).unwrap();
        assert_eq!(health.check.interval, Some(30_000_000_000));
        let second = HealthUpdate {
            interval: Some(5),
            startup_retries: Some(2),
            ..HealthUpdate::default()
        };
        apply(&mut health, &second).unwrap();
        assert_eq!(health.check.test, ["CMD", "a"]);
        assert_eq!(
            (health.check.interval, health.check.retries),
            (Some(5), Some(7))
        );
        assert_eq!(health.startup.as_ref().unwrap().retries, 2);
        let none = HealthUpdate {
            disabled: true,
            ..HealthUpdate::default()
        };
        apply(&mut health, &none).unwrap();
        assert!(health.disabled && health.startup.is_none() && health.check.test.is_empty());
        let alone = HealthUpdate {
            on_failure: Some(OnFailure::Kill),
            ..HealthUpdate::default()
        };
        assert!(apply(&mut health, &alone).is_err());
    }
}
