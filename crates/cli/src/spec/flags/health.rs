//! Health checks.

use clap::Args;
use minke_engine::HealthUpdate;
use minke_runtime_spec::container::{Health, HealthCheck, StartupCheck};
use minke_runtime_spec::option::health;

use crate::error::{Error, Result};
use crate::flag::small;

// Health.
#[derive(Debug, Clone, Default, Args)]
pub struct HealthFlags {
    /// Check its health with this command; "none" for no check
    #[arg(long, alias = "healthcheck-command", value_name = "COMMAND")]
    pub health_cmd: Option<String>,
    /// Time between two checks, or "disable" (default 30s)
    #[arg(long, alias = "healthcheck-interval", value_name = "DURATION")]
    pub health_interval: Option<String>,
    /// How long a check may take (default 30s)
    #[arg(long, alias = "healthcheck-timeout", value_name = "DURATION")]
    pub health_timeout: Option<String>,
    /// After so many failures in a row it is unhealthy (default 3)
    #[arg(long, alias = "healthcheck-retries", value_parser = small, value_name = "NUMBER")]
    pub health_retries: Option<u32>,
    /// For so long after its start failures do not count (default 0s)
    #[arg(long, alias = "healthcheck-start-period", value_name = "DURATION")]
    pub health_start_period: Option<String>,
    /// Check with this command first, until it passes
    #[arg(long, value_name = "COMMAND")]
    pub health_startup_cmd: Option<String>,
    /// Time between two of these checks (default 30s)
    #[arg(long, value_name = "DURATION")]
    pub health_startup_interval: Option<String>,
    /// After so many failures it is started again; 0 is never
    #[arg(long, value_parser = small, value_name = "NUMBER")]
    pub health_startup_retries: Option<u32>,
    /// So many successes in a row are a pass
    #[arg(long, value_parser = small, value_name = "NUMBER")]
    pub health_startup_success: Option<u32>,
    /// How long one of these checks may take (default 30s)
    #[arg(long, value_name = "DURATION")]
    pub health_startup_timeout: Option<String>,
    /// What happens when it is unhealthy: none, kill, restart, stop
    #[arg(long, value_name = "ACTION")]
    pub health_on_failure: Option<String>,
    /// Where results are kept: local, or a directory
    #[arg(long, value_name = "DESTINATION")]
    pub health_log_destination: Option<String>,
    /// How many results are kept, 0 is all (default 5)
    #[arg(long, value_parser = small, value_name = "NUMBER")]
    pub health_max_log_count: Option<u32>,
    /// How many bytes of each result are kept, 0 is all (default 500)
    #[arg(long, value_parser = small, value_name = "BYTES")]
    pub health_max_log_size: Option<u32>,
    /// No check, not the image's either
    #[arg(long)]
    pub no_healthcheck: bool,
}

impl HealthFlags {
    /// What is asked about health.
    ///
    /// # Errors
    /// If a value is not of its form, or two flags contradict each other.
    pub fn read(&self) -> Result<Health> {
        for (given, flag) in [
            (&self.health_cmd, "--health-cmd"),
            (&self.health_startup_cmd, "--health-startup-cmd"),
        ] {
            if self.no_healthcheck && given.is_some() {
                return Err(Error::refused(format!(
                    "cannot specify both --no-healthcheck and {flag}"
                )));
            }
        }
        if self.health_retries == Some(0) {
            return Err(Error::refused("healthcheck-retries must be greater than 0"));
        }
        let action = self.health_on_failure.as_deref().unwrap_or_default();
        let check = self.check()?;
        let none = check.test.first().is_some_and(|word| word == "NONE");
        Ok(Health {
            disabled: self.no_healthcheck || none,
            startup: self.startup()?,
            check,
            on_failure: health::on_failure(action)?,
            log_destination: self.health_log_destination.clone(),
            max_log_count: self.health_max_log_count,
            max_log_bytes: self.health_max_log_size,
        })
    }

    /// What changes of the health of a container that is there.
    ///
    /// # Errors
    /// As [`HealthFlags::read`].
    pub fn update(&self) -> Result<HealthUpdate> {
        let asked = self.read()?;
        let startup = self.health_startup_cmd.as_deref().map(health::test);
        Ok(HealthUpdate {
            disabled: self.no_healthcheck,
            test: self.health_cmd.as_deref().map(health::test),
            interval: asked.check.interval,
            timeout: asked.check.timeout,
            start_period: asked.check.start_period,
            retries: asked.check.retries,
            startup_test: startup,
            startup_interval: read(&self.health_startup_interval, health::interval)?,
            startup_timeout: read(&self.health_startup_timeout, health::timeout)?,
            startup_retries: self.health_startup_retries,
            startup_successes: self.health_startup_success,
            on_failure: self.health_on_failure.as_ref().map(|_| asked.on_failure),
            log_destination: asked.log_destination,
            max_log_count: asked.max_log_count,
            max_log_bytes: asked.max_log_bytes,
        })
    }

    fn check(&self) -> Result<HealthCheck> {
        let command = self.health_cmd.as_deref();
        Ok(HealthCheck {
            test: command.map(health::test).unwrap_or_default(),
            interval: read(&self.health_interval, health::interval)?,
            timeout: read(&self.health_timeout, health::timeout)?,
            start_period: read(&self.health_start_period, health::start_period)?,
            retries: self.health_retries,
        })
    }

    fn startup(&self) -> Result<Option<StartupCheck>> {
        let Some(command) = &self.health_startup_cmd else {
            return Ok(None);
        };
        let half_a_minute = 30_000_000_000;
        let interval = read(&self.health_startup_interval, health::interval)?;
        let timeout = read(&self.health_startup_timeout, health::timeout)?;
        Ok(Some(StartupCheck {
            test: health::test(command),
            interval: interval.unwrap_or(half_a_minute),
            timeout: timeout.unwrap_or(half_a_minute),
            retries: self.health_startup_retries.unwrap_or(0),
            successes: self.health_startup_success.unwrap_or(0),
        }))
    }
}

fn read(
    text: &Option<String>,
    parse: impl Fn(&str) -> minke_runtime_spec::Result<u64>,
) -> Result<Option<u64>> {
    Ok(text.as_deref().map(parse).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused() {
        let some = |text: &str| Some(text.to_owned());
        for (flags, expected) in [
            (
                HealthFlags {
                    health_cmd: some("true"),
                    no_healthcheck: true,
                    ..HealthFlags::default()
                },
                "cannot specify both --no-healthcheck and --health-cmd",
            ),
            (
                HealthFlags {
                    health_retries: Some(0),
                    ..HealthFlags::default()
                },
                "healthcheck-retries must be greater than 0",
            ),
            (
                HealthFlags {
                    health_timeout: some("1ms"),
                    ..HealthFlags::default()
                },
                "healthcheck-timeout must be at least 1 second",
            ),
        ] {
            assert_eq!(flags.read().unwrap_err().to_string(), expected);
        }
        let none = HealthFlags {
            health_cmd: some("none"),
            ..HealthFlags::default()
        };
        assert!(none.read().unwrap().disabled);
    }
}
