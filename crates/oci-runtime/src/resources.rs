//! Resource limits of config.json, written to the files of whatever cgroup version is there.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use minke_sys::bpf::DeviceProgram;
use minke_sys::cgroup::Group;
use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxMemory, LinuxNetwork, LinuxResources,
    LinuxThrottleDevice,
};

use crate::device_program;
use crate::device_rule::{ALWAYS_ALLOWED, DeviceRule};
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

/// Applies device rules: those given, and after them what every container may do, so that the
/// nodes we make can be made and used.
///
/// # Errors
/// As [`apply`]. On v2 only the host's root may set them: a container that is
/// `optional`ly limited, or made in a user namespace, goes without, as with runc.
pub(crate) fn apply_devices(
    group: &Group,
    rules: &[LinuxDeviceCgroup],
    optional: bool,
) -> Result<()> {
    let mut rules = rules
        .iter()
        .map(DeviceRule::of)
        .collect::<Result<Vec<_>>>()?;
    if !rules.first().is_some_and(DeviceRule::concerns_everything) {
        // A new v1 group inherits all its parent may do: nothing that is not listed is meant.
        rules.insert(0, DeviceRule::DENY_ALL);
    }
    rules.extend(ALWAYS_ALLOWED);
    if group.is_v1("devices") {
        return apply_devices_v1(group, &rules);
    }
    let Some(dir) = group.unified_dir() else {
        tracing::debug!("no hierarchy takes device rules: not applied");
        return Ok(());
    };
    match attach_program(dir, &rules) {
        Err(Error::System { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied
                && (optional || !in_first_user_namespace()) =>
        {
            tracing::debug!("a device program is not ours to load: device rules are not applied");
            Ok(())
        }
        result => result,
    }
}

fn apply_devices_v1(group: &Group, rules: &[DeviceRule]) -> Result<()> {
    let writer = Writer { group };
    for rule in rules.iter().flat_map(|rule| rule.for_v1()) {
        let file = if rule.allow {
            "devices.allow"
        } else {
            "devices.deny"
        };
        writer.set("devices", file, &rule.to_string())?;
    }
    Ok(())
}

/// Whether our root is the host's. The kernel gives its first user namespace a fixed inode
/// (PROC_USER_INIT_INO).
fn in_first_user_namespace() -> bool {
    std::fs::metadata("/proc/self/ns/user").is_ok_and(|meta| meta.ino() == 0xEFFF_FFFD)
}

fn attach_program(dir: &Path, rules: &[DeviceRule]) -> Result<()> {
    let program = DeviceProgram::load(&device_program::compile(rules)).map_err(|error| {
        tracing::debug!(log = error.log, "device program refused");
        Error::system("load the cgroup's device program")(error.source)
    })?;
    let group = File::open(dir).map_err(Error::path("open cgroup", dir))?;
    program
        .attach(group.as_fd())
        .map_err(Error::system("attach the cgroup's device program"))
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

    #[test]
    fn shares_map_onto_weights() {
        assert_eq!(weight_of_shares(2), 1);
        assert_eq!(weight_of_shares(1024), 39);
        assert_eq!(weight_of_shares(262_144), 10_000);
        assert_eq!(weight_of_shares(0), 1);
    }
}
