//! Limits of the control group and of the process.

use clap::Args;

use crate::flag::{float, integer, unsigned};

// Limits.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitFlags {
    /// Memory
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Memory and swap together, -1 for no limit
    #[arg(long, value_name = "SIZE")]
    pub memory_swap: Option<String>,
    /// Memory to fall back to under pressure
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<String>,
    /// Number of CPUs
    #[arg(long, value_parser = float)]
    pub cpus: Option<f64>,
    /// Weight of CPU time, 1024 is normal
    #[arg(short = 'c', long, value_parser = unsigned, value_name = "WEIGHT")]
    pub cpu_shares: Option<u64>,
    /// Period of the CPU quota in microseconds
    #[arg(long, value_parser = unsigned, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// CPU time a period in microseconds
    #[arg(long, value_parser = integer, value_name = "MICROSECONDS")]
    pub cpu_quota: Option<i64>,
    /// CPUs it may run on: 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Number of tasks, -1 for no limit
    #[arg(long, value_parser = integer, value_name = "NUMBER")]
    pub pids_limit: Option<i64>,
    /// Limit of the process: NAME=SOFT[:HARD]
    #[arg(long, value_delimiter = ',')]
    pub ulimit: Vec<String>,
    /// How soon it is killed when memory runs out, -1000 to 1000
    #[arg(long, value_parser = integer, value_name = "SCORE")]
    pub oom_score_adj: Option<i64>,
    /// Parent of its control group
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
}
