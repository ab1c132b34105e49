//! Labels, restarts and logs.

use clap::Args;

use crate::flag::unsigned;

// Life and labels.
#[derive(Debug, Clone, Default, Args)]
pub struct LifeFlags {
    /// Label: KEY=VALUE
    #[arg(short, long)]
    pub label: Vec<String>,
    /// Annotation of the runtime's config: KEY=VALUE
    #[arg(long)]
    pub annotation: Vec<String>,
    /// What happens when it ends: no, always, on-failure[:RETRIES], unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Signal that asks it to stop
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds to wait before it is killed (default 10)
    #[arg(long, value_parser = unsigned, value_name = "SECONDS")]
    pub stop_timeout: Option<u64>,
    /// Seconds after which it is killed
    #[arg(long, value_parser = unsigned, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Where its output goes: k8s-file, json-file, journald, none, passthrough
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Option of the log driver: KEY=VALUE
    #[arg(long, value_name = "OPTION")]
    pub log_opt: Vec<String>,
}
