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
    /// Weights of single devices.
    pub blkio_weight_devices: Vec<DeviceRate>,
    /// Bytes a second read from a device.
    pub read_bps: Vec<DeviceRate>,
    /// Bytes a second written to a device.
    pub write_bps: Vec<DeviceRate>,
    /// Operations a second that read from a device.
    pub read_iops: Vec<DeviceRate>,
    /// Operations a second that write to a device.
    pub write_iops: Vec<DeviceRate>,
    /// Files of cgroup v2, verbatim.
    pub unified: BTreeMap<String, String>,
}

/// A number for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRate {
    /// Its path on the host.
    pub path: String,
    /// The number.
    pub rate: u64,
}

/// Which control groups a container has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupsMode {
    /// One of its own.
    #[default]
    Enabled,
    /// None: it stays in that of whoever starts it, and has no limits.
    Disabled,
    /// One of its own, and none for the monitor.
    NoConmon,
    /// Those of whoever starts it, one for the monitor and one for the container.
    Split,
}
