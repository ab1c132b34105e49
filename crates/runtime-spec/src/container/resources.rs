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

impl Resources {
    /// These limits with `newer` on top: what that does not name stays.
    pub fn overlaid(self, newer: Resources) -> Resources {
        let quota_is_named = newer.cpu_period.is_some() || newer.cpu_quota.is_some();
        let lists = |newer: Vec<DeviceRate>, old: Vec<DeviceRate>| {
            if newer.is_empty() { old } else { newer }
        };
        let mut unified = self.unified;
        unified.extend(newer.unified);
        Resources {
            memory_bytes: newer.memory_bytes.or(self.memory_bytes),
            memory_swap_bytes: newer.memory_swap_bytes.or(self.memory_swap_bytes),
            memory_reservation_bytes: newer
                .memory_reservation_bytes
                .or(self.memory_reservation_bytes),
            memory_swappiness: newer.memory_swappiness.or(self.memory_swappiness),
            oom_kill_disable: newer.oom_kill_disable || self.oom_kill_disable,
            oom_score_adj: newer.oom_score_adj.or(self.oom_score_adj),
            // One of the two ways to give CPU time replaces the other.
            cpus: newer.cpus.or(self.cpus.filter(|_| !quota_is_named)),
            cpu_period: newer
                .cpu_period
                .or(self.cpu_period.filter(|_| newer.cpus.is_none())),
            cpu_quota: newer
                .cpu_quota
                .or(self.cpu_quota.filter(|_| newer.cpus.is_none())),
            cpu_shares: newer.cpu_shares.or(self.cpu_shares),
            cpu_rt_period: newer.cpu_rt_period.or(self.cpu_rt_period),
            cpu_rt_runtime: newer.cpu_rt_runtime.or(self.cpu_rt_runtime),
            cpuset_cpus: newer.cpuset_cpus.or(self.cpuset_cpus),
            cpuset_mems: newer.cpuset_mems.or(self.cpuset_mems),
            pids_limit: newer.pids_limit.or(self.pids_limit),
            blkio_weight: newer.blkio_weight.or(self.blkio_weight),
            blkio_weight_devices: lists(newer.blkio_weight_devices, self.blkio_weight_devices),
            read_bps: lists(newer.read_bps, self.read_bps),
            write_bps: lists(newer.write_bps, self.write_bps),
            read_iops: lists(newer.read_iops, self.read_iops),
            write_iops: lists(newer.write_iops, self.write_iops),
            unified,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let old = Resources {
            memory_bytes: Some(1),
            cpus: Some(2.0),
            pids_limit: Some(3),
            ..Resources::default()
        };
        let newer = Resources {
            memory_bytes: Some(4),
            cpu_quota: Some(5),
            ..Resources::default()
        };
        let both = old.clone().overlaid(newer);
        assert_eq!(both.memory_bytes, Some(4));
        assert_eq!((both.cpus, both.cpu_quota), (None, Some(5)));
        assert_eq!(both.pids_limit, Some(3));
        assert_eq!(old.clone().overlaid(Resources::default()), old);
    }
}
