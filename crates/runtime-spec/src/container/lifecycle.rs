//! What happens over a container's life; data for the engine and the monitor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What happens when a container ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It stays ended.
    #[default]
    No,
    /// It starts again, also after a reboot.
    Always,
    /// It starts again unless it was stopped by hand.
    UnlessStopped,
    /// It starts again after a failure.
    OnFailure {
        /// At most so often; `None` is for ever.
        max_retries: Option<u32>,
    },
}

impl RestartPolicy {
    /// As it is typed, without a number of retries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure { .. } => "on-failure",
        }
    }
}

/// Who tells a service manager that the container is ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SdNotify {
    /// Itself, by a socket it is given.
    #[default]
    Container,
    /// The engine, once it runs.
    Conmon,
    /// The engine, once it is healthy.
    Healthy,
    /// Nobody.
    Ignore,
}

impl SdNotify {
    /// Podman's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Conmon => "conmon",
            Self::Healthy => "healthy",
            Self::Ignore => "ignore",
        }
    }
}

/// Where a container's output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// `k8s-file`, `json-file`, `journald`, `none`, `passthrough`; absent takes the configured one.
    pub driver: Option<String>,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
}

/// Whether the container is made ready for systemd as its process 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemdMode {
    /// If its command is an init.
    #[default]
    True,
    /// Whatever its command is.
    Always,
    /// Never.
    False,
}
