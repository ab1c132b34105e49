//! Resource limits of config.json, written to the files of whatever cgroup version is there.

use std::io;

use minke_sys::cgroup::Group;
use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxNetwork,
    LinuxResources, LinuxThrottleDevice,
};

use crate::error::{Error, Result};

/// Applies every limit given. Called before the container's process runs anything.
///
/// # Errors
/// A limit the kernel refuses, with its file and value.
pub(crate) fn apply(group: &Group, resources: &LinuxResources) -> Result<()> {
    let writer = Writer { group };
    if let Some(memory) = resources.memory() {
        writer.memory(memory)?;
    }
    if let Some(cpu) = resources.cpu() {
        writer.cpu(cpu)?;
    }
    if let Some(pids) = resources.pids() {
        let limit = match pids.limit() {
            limit if limit > 0 => limit.to_string(),
            _ => "max".to_owned(),
        };
        writer.set("pids", "pids.max", &limit)?;
    }
    if let Some(block) = resources.block_io() {
        writer.block(block)?;
    }
    for huge in resources.hugepage_limits().iter().flatten() {
        let suffix = if group.is_v1("hugetlb") {
            "limit_in_bytes"
        } else {
            "max"
        };
        let file = format!("hugetlb.{}.{suffix}", huge.page_size());
        writer.set("hugetlb", &file, &huge.limit().to_string())?;
    }
    if let Some(network) = resources.network() {
        writer.network(network)?;
    }
    if resources
        .rdma()
        .as_ref()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(Error::Unsupported {
            what: "linux.resources.rdma".into(),
        });
    }
    for (file, value) in resources.unified().iter().flatten() {
        writer.unified(file, value)?;
    }
    Ok(())
}

/// Applies device rules: ours first, so that the nodes we make can be made and used.
///
/// # Errors
/// As [`apply`].
pub(crate) fn apply_devices(group: &Group, rules: &[LinuxDeviceCgroup]) -> Result<()> {
    if !group.is_v1("devices") {
        if rules.iter().any(|rule| !rule.allow()) {
            tracing::debug!("device rules need a BPF program on cgroup v2: not applied");
        }
        return Ok(());
    }
    let writer = Writer { group };
    // A new group inherits all its parent may do: nothing that is not listed is meant.
    if !rules.first().is_some_and(concerns_everything) {
        writer.set("devices", "devices.deny", "a *:* rwm")?;
    }
    for rule in rules {
        let file = if rule.allow() {
            "devices.allow"
        } else {
            "devices.deny"
        };
        writer.set("devices", file, &device_rule(rule))?;
    }
    for rule in ALWAYS_ALLOWED {
        writer.set("devices", "devices.allow", rule)?;
    }
    Ok(())
}

/// Whether a rule speaks of every device and every access.
fn concerns_everything(rule: &LinuxDeviceCgroup) -> bool {
    device_rule(rule) == "a *:* rwm"
}

/// What every container may do, whatever its rules (config-linux.md § Default Devices):
/// make nodes, and use the default ones and terminals.
const ALWAYS_ALLOWED: &[&str] = &[
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

fn device_rule(rule: &LinuxDeviceCgroup) -> String {
    let kind = match rule.typ() {
        Some(LinuxDeviceType::B) => "b",
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => "c",
        _ => "a",
    };
    let access = rule.access().as_deref().filter(|text| !text.is_empty());
    let access = access.unwrap_or("rwm");
    let number = |number: Option<i64>| match number {
        Some(number) if number >= 0 => number.to_string(),
        _ => "*".to_owned(),
    };
    format!(
        "{kind} {}:{} {access}",
        number(rule.major()),
        number(rule.minor())
    )
}

struct Writer<'a> {
    group: &'a Group,
}

impl Writer<'_> {
    fn set(&self, controller: &str, file: &str, value: &str) -> Result<()> {
        self.group.write(controller, file, value).map_err(|source| {
            let path = self
                .group
                .dir(controller)
                .map_or_else(|| file.into(), |dir| dir.join(file));
            Error::Path {
                act: "set a resource limit in",
                path,
                source,
            }
        })
    }

    fn unified(&self, file: &str, value: &str) -> Result<()> {
        if file.contains('/') {
            return Err(Error::config(format!("unified resource {file}")));
        }
        let dir = self.group.unified_dir().ok_or_else(|| Error::Unsupported {
            what: format!("unified resource {file} without cgroup v2"),
        })?;
        std::fs::write(dir.join(file), value)
            .map_err(Error::path("set a resource limit in", dir.join(file)))
    }

    fn network(&self, network: &LinuxNetwork) -> Result<()> {
        if let Some(class) = network.class_id().filter(|&class| class != 0) {
            self.set("net_cls", "net_cls.classid", &class.to_string())?;
        }
        for each in network.priorities().iter().flatten() {
            let value = format!("{} {}", each.name(), each.priority());
            self.set("net_prio", "net_prio.ifpriomap", &value)?;
        }
        Ok(())
    }

    fn memory(&self, memory: &LinuxMemory) -> Result<()> {
        if self.group.is_v1("memory") {
            return self.memory_v1(memory);
        }
        let limit = |value: i64| match value {
            -1 => "max".to_owned(),
            value => value.to_string(),
        };
        if let Some(value) = memory.limit().filter(|&value| value != 0) {
            self.set("memory", "memory.max", &limit(value))?;
        }
        if let Some(value) = memory.reservation().filter(|&value| value != 0) {
            self.set("memory", "memory.low", &limit(value))?;
        }
        if let Some(swap) = memory.swap().filter(|&value| value != 0) {
            // v1 counts memory and swap together, v2 swap alone.
            let alone = match (swap, memory.limit()) {
                (-1, _) => -1,
                (swap, Some(limit)) if limit > 0 => swap.saturating_sub(limit).max(0),
                (swap, _) => swap,
            };
            self.set("memory", "memory.swap.max", &limit(alone))?;
        }
        Ok(())
    }

    fn memory_v1(&self, memory: &LinuxMemory) -> Result<()> {
        let limit = memory.limit().filter(|&value| value != 0);
        let swap = memory.swap().filter(|&value| value != 0);
        let both = [
            ("memory.limit_in_bytes", limit),
            ("memory.memsw.limit_in_bytes", swap),
        ];
        // Memory may never exceed memory+swap, so which goes first depends on the present
        // values: try one order, then the other.
        let forward = self.set_all(both.iter());
        if forward.is_err() {
            self.set_all(both.iter().rev())?;
        }
        if let Some(value) = memory.reservation().filter(|&value| value != 0) {
            self.set("memory", "memory.soft_limit_in_bytes", &value.to_string())?;
        }
        if let Some(value) = memory.swappiness().filter(|&value| value <= 100) {
            self.set("memory", "memory.swappiness", &value.to_string())?;
        }
        if memory.disable_oom_killer() == Some(true) {
            self.set("memory", "memory.oom_control", "1")?;
        }
        Ok(())
    }

    fn set_all<'a>(&self, values: impl Iterator<Item = &'a (&'a str, Option<i64>)>) -> Result<()> {
        for (file, value) in values {
            if let Some(value) = value {
                self.set("memory", file, &value.to_string())?;
            }
        }
        Ok(())
    }

    fn cpu(&self, cpu: &LinuxCpu) -> Result<()> {
        for (file, value) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
            if let Some(value) = value.as_deref().filter(|text| !text.is_empty()) {
                self.set("cpuset", file, value)?;
            }
        }
        if !self.group.is_v1("cpu") {
            return self.cpu_v2(cpu);
        }
        let number = |value: Option<u64>| value.filter(|&value| value != 0);
        let signed = |value: Option<i64>| value.filter(|&value| value != 0);
        let unsigned = [
            ("cpu.shares", number(cpu.shares())),
            ("cpu.cfs_period_us", number(cpu.period())),
        ];
        for (file, value) in unsigned {
            if let Some(value) = value {
                self.set("cpu", file, &value.to_string())?;
            }
        }
        let rest = [
            ("cpu.cfs_quota_us", signed(cpu.quota())),
            (
                "cpu.rt_period_us",
                number(cpu.realtime_period()).map(|value| value as i64),
            ),
            ("cpu.rt_runtime_us", signed(cpu.realtime_runtime())),
            (
                "cpu.cfs_burst_us",
                number(cpu.burst()).map(|value| value as i64),
            ),
        ];
        for (file, value) in rest {
            if let Some(value) = value {
                self.set("cpu", file, &value.to_string())?;
            }
        }
        Ok(())
    }

    fn cpu_v2(&self, cpu: &LinuxCpu) -> Result<()> {
        if let Some(shares) = cpu.shares().filter(|&shares| shares != 0) {
            self.set("cpu", "cpu.weight", &weight_of_shares(shares).to_string())?;
        }
        if cpu.quota().is_some() || cpu.period().is_some() {
            let quota = match cpu.quota() {
                Some(quota) if quota > 0 => quota.to_string(),
                _ => "max".to_owned(),
            };
            let period = cpu.period().filter(|&value| value != 0).unwrap_or(100_000);
            self.set("cpu", "cpu.max", &format!("{quota} {period}"))?;
        }
        Ok(())
    }

    fn block(&self, block: &LinuxBlockIo) -> Result<()> {
        let v1 = self.group.is_v1("blkio");
        let given = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if given(block.weight_device()) || block.leaf_weight().is_some_and(|weight| weight != 0) {
            return Err(Error::Unsupported {
                what: "blockIO.weightDevice and leafWeight".into(),
            });
        }
        if let Some(weight) = block.weight().filter(|&weight| weight != 0) {
            self.block_weight(v1, weight)?;
        }
        let throttles = [
            (
                block.throttle_read_bps_device(),
                "blkio.throttle.read_bps_device",
                "rbps",
            ),
            (
                block.throttle_write_bps_device(),
                "blkio.throttle.write_bps_device",
                "wbps",
            ),
            (
                block.throttle_read_iops_device(),
                "blkio.throttle.read_iops_device",
                "riops",
            ),
            (
                block.throttle_write_iops_device(),
                "blkio.throttle.write_iops_device",
                "wiops",
            ),
        ];
        for (devices, file, key) in throttles {
            for device in devices.iter().flatten() {
                let (file, value) = throttle(v1, device, file, key);
                self.set(if v1 { "blkio" } else { "io" }, file, &value)?;
            }
        }
        Ok(())
    }

    /// The weight file is there only with the scheduler that honours it.
    fn block_weight(&self, v1: bool, weight: u16) -> Result<()> {
        if !v1 {
            let weight = 1 + (u64::from(weight) - 10) * 9999 / 990;
            return self.set("io", "io.bfq.weight", &weight.to_string());
        }
        let value = weight.to_string();
        match self.group.write("blkio", "blkio.weight", &value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.set("blkio", "blkio.bfq.weight", &value)
            }
            result => result.map_err(Error::system("set blkio.weight")),
        }
    }
}

/// v1 shares 2..262144 as v2 weight 1..10000 (the kernel's and systemd's mapping).
fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn throttle<'a>(
    v1: bool,
    device: &LinuxThrottleDevice,
    file: &'a str,
    key: &str,
) -> (&'a str, String) {
    let number = format!("{}:{}", device.major(), device.minor());
    if v1 {
        (file, format!("{number} {}", device.rate()))
    } else {
        ("io.max", format!("{number} {key}={}", device.rate()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxDeviceCgroupBuilder;

    #[test]
    fn shares_map_onto_weights() {
        assert_eq!(weight_of_shares(2), 1);
        assert_eq!(weight_of_shares(1024), 39);
        assert_eq!(weight_of_shares(262_144), 10_000);
        assert_eq!(weight_of_shares(0), 1);
    }

    #[test]
    fn device_rules_are_spelled_as_the_kernel_reads_them() {
        let all = LinuxDeviceCgroupBuilder::default()
            .allow(false)
            .access("rwm")
            .build()
            .unwrap();
        assert_eq!(device_rule(&all), "a *:* rwm");
        let one = LinuxDeviceCgroupBuilder::default()
            .allow(true)
            .typ(LinuxDeviceType::C)
            .major(10)
            .minor(200)
            .access("rw")
            .build()
            .unwrap();
        assert_eq!(device_rule(&one), "c 10:200 rw");
    }
}
