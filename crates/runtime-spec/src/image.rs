//! What an image says about containers made of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The part of an OCI image config that a container takes over. The engine fills it from
/// the config blob; field names are those of the blob's `config` object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// `KEY=VALUE` lines.
    pub env: Vec<String>,
    /// Arguments when none are given.
    pub cmd: Vec<String>,
    /// The program, before the arguments.
    pub entrypoint: Vec<String>,
    /// The directory to start in.
    pub working_dir: String,
    /// `user[:group]`, names or numbers.
    pub user: String,
    /// Directories that want a volume.
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// The signal that asks it to stop.
    pub stop_signal: String,
    /// `80/tcp`.
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The health check as it is, for the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<serde_json::Value>,
}
