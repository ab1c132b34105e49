use std::collections::HashMap;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice,
    LinuxThrottleDeviceBuilder, LinuxWeightDeviceBuilder,
};

use super::{Context, devices};
use crate::container::{CgroupsMode, DeviceRate, Resources};
use crate::host::{Cgroup, Host};
use crate::{ContainerSpec, ImageConfig};
use crate::{Error, Result};

/// Microseconds; the kernel's default.
const CPU_PERIOD: u64 = 100_000;

/// Limits. Without a control group there are none: what was asked becomes a warning.
pub(super) fn resources(
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<LinuxResources>> {
    let asked = &context.spec.resources;
    if context.spec.cgroups == CgroupsMode::Disabled {
        return Ok(None);
    }
    let rules = devices::rules(context)?;
    let mut resources = LinuxResources::default();
    if !rules.is_empty() {
        resources.set_devices(Some(rules));
    }
    if context.host.cgroup == Cgroup::None {
        let unasked = Resources {
            oom_score_adj: asked.oom_score_adj, // of the process, not of the group
            ..Resources::default()
        };
        if *asked != unasked {
            warnings.push(
                "resource limits are not supported and ignored: no cgroup can be written"
                    .to_owned(),
            );
        }
        return Ok(Some(resources));
    }
    resources
        .set_memory(memory(asked, context.host.swap_limit))
        .set_cpu(cpu(asked))
        .set_pids(pids(asked, context.host.default_pids_limit));
    resources.set_block_io(block_io(context)?);
    if !asked.unified.is_empty() {
        let unified: HashMap<String, String> = asked.unified.clone().into_iter().collect();
        resources.set_unified(Some(unified));
    }
    Ok(Some(resources))
}

/// The limits alone, for a container that runs already.
///
/// # Errors
/// As [`super::generate`].
pub fn limits(spec: &ContainerSpec, image: &ImageConfig, host: &Host) -> Result<LinuxResources> {
    let context = Context { spec, image, host };
    let mut limits = resources(&context, &mut Vec::new())?.unwrap_or_default();
    limits.set_devices(None);
    Ok(limits)
}

/// Unless it is said otherwise, as much swap as memory.
fn memory(asked: &Resources, swap_limit: bool) -> Option<LinuxMemory> {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let limit = asked.memory_bytes.filter(|bytes| *bytes > 0).map(signed);
    let doubled = limit
        .filter(|_| swap_limit)
        .map(|limit| limit.saturating_mul(2));
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(limit)
        .set_swap(asked.memory_swap_bytes.or(doubled))
        .set_reservation(asked.memory_reservation_bytes.map(signed))
        .set_swappiness(asked.memory_swappiness)
        .set_disable_oom_killer(asked.oom_kill_disable.then_some(true));
    (memory != LinuxMemory::default()).then_some(memory)
}

fn cpu(asked: &Resources) -> Option<LinuxCpu> {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(asked.cpu_shares)
        .set_period(asked.cpu_period)
        .set_quota(asked.cpu_quota)
        .set_realtime_period(asked.cpu_rt_period)
        .set_realtime_runtime(asked.cpu_rt_runtime)
        .set_cpus(asked.cpuset_cpus.clone())
        .set_mems(asked.cpuset_mems.clone());
    if let Some(cpus) = asked.cpus {
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // saturates
        let quota = (cpus * CPU_PERIOD as f64) as i64;
        cpu.set_period(Some(CPU_PERIOD)).set_quota(Some(quota));
    }
    (cpu != LinuxCpu::default()).then_some(cpu)
}

fn block_io(context: &Context<'_>) -> Result<Option<LinuxBlockIo>> {
    let asked = &context.spec.resources;
    let weights = asked
        .blkio_weight_devices
        .iter()
        .map(|device| {
            let (major, minor) = numbers(context, &device.path)?;
            let weight = u16::try_from(device.rate).ok();
            let built = LinuxWeightDeviceBuilder::default()
                .major(major)
                .minor(minor)
                .weight(weight.unwrap_or(u16::MAX))
                .build();
            Ok(built.expect("every field that has no default is set"))
        })
        .collect::<Result<Vec<_>>>()?;
    let throttles = |list: &[DeviceRate]| -> Result<Option<Vec<LinuxThrottleDevice>>> {
        let made = list.iter().map(|device| {
            let (major, minor) = numbers(context, &device.path)?;
            let built = LinuxThrottleDeviceBuilder::default()
                .major(major)
                .minor(minor)
                .rate(device.rate)
                .build();
            Ok(built.expect("every field is set"))
        });
        let made = made.collect::<Result<Vec<_>>>()?;
        Ok((!made.is_empty()).then_some(made))
    };
    let mut block_io = LinuxBlockIo::default();
    block_io
        .set_weight(asked.blkio_weight)
        .set_weight_device((!weights.is_empty()).then_some(weights))
        .set_throttle_read_bps_device(throttles(&asked.read_bps)?)
        .set_throttle_write_bps_device(throttles(&asked.write_bps)?)
        .set_throttle_read_iops_device(throttles(&asked.read_iops)?)
        .set_throttle_write_iops_device(throttles(&asked.write_iops)?);
    Ok((block_io != LinuxBlockIo::default()).then_some(block_io))
}

fn numbers(context: &Context<'_>, path: &str) -> Result<(i64, i64)> {
    let node = context.host.device_nodes.get(path);
    let node = node.ok_or_else(|| Error::DeviceMissing {
        path: path.to_owned(),
    })?;
    Ok((node.major.into(), node.minor.into()))
}

fn pids(asked: &Resources, default: Option<i64>) -> Option<LinuxPids> {
    let limit = asked.pids_limit.or(default)?;
    let mut pids = LinuxPids::default();
    pids.set_limit(if limit <= 0 { -1 } else { limit });
    Some(pids)
}
