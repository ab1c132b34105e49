//! Limits of the control group. Absent is: not limited.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Memory and swap together in bytes; -1 is unlimited.
    pub memory_swap_bytes: Option<i64>,
    /// Soft limit of memory in bytes.
    pub memory_reservation_bytes: Option<u64>,
    /// 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// Do not kill when memory runs out (cgroup v1).
    pub oom_kill_disable: bool,
    /// -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Number of CPUs, as time. Replaces period and quota.
    pub cpus: Option<f64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds a period.
    pub cpu_quota: Option<i64>,
    /// Relative weight, 1024 is normal.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_rt_period: Option<u64>,
    /// Microseconds a period.
    pub cpu_rt_runtime: Option<i64>,
    /// `0-3,7`.
    pub cpuset_cpus: Option<String>,
    /// `0`.
    pub cpuset_mems: Option<String>,
    /// Number of tasks; -1 and 0 are unlimited. Absent takes the host's default.
    pub pids_limit: Option<i64>,
    /// 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// Files of cgroup v2, verbatim.
    pub unified: BTreeMap<String, String>,
}
