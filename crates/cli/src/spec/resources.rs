//! Limits of the control group.

use std::collections::BTreeMap;

use minke_runtime_spec::container::{CgroupsMode, Resources};
use minke_runtime_spec::option;

use super::flags::{LimitFlags, ResourceFlags};
use super::{optional, parsed, size};
use crate::error::{Error, Result};

/// Reads the limits.
pub(super) fn all(flags: &LimitFlags) -> Result<Resources> {
    Ok(Resources {
        oom_kill_disable: flags.oom_kill_disable,
        oom_score_adj: oom_score(flags.oom_score_adj)?,
        unified: unified(&flags.cgroup_conf)?,
        ..resources(&flags.resources)?
    })
}

/// Reads the limits that can be changed later.
pub fn resources(flags: &ResourceFlags) -> Result<Resources> {
    if flags.cpus.is_some() && flags.cpu_period.is_some() {
        return Err(Error::refused(
            "--cpu-period and --cpus cannot be set together",
        ));
    }
    if flags.cpus.is_some() && flags.cpu_quota.is_some() {
        return Err(Error::refused(
            "--cpu-quota and --cpus cannot be set together",
        ));
    }
    Ok(Resources {
        memory_bytes: size("memory", flags.memory.as_deref())?,
        memory_swap_bytes: optional(flags.memory_swap.as_deref(), |text| {
            option::size::parse_or_unlimited("memory-swap", text)
        })?,
        memory_reservation_bytes: size("memory-reservation", flags.memory_reservation.as_deref())?,
        memory_swappiness: swappiness(flags.memory_swappiness)?,
        cpus: flags.cpus,
        cpu_period: flags.cpu_period,
        cpu_quota: flags.cpu_quota,
        cpu_shares: flags.cpu_shares,
        cpu_rt_period: flags.cpu_rt_period,
        cpu_rt_runtime: flags.cpu_rt_runtime,
        cpuset_cpus: flags.cpuset_cpus.clone(),
        cpuset_mems: flags.cpuset_mems.clone(),
        pids_limit: flags.pids_limit,
        blkio_weight: blkio_weight(flags.blkio_weight.as_deref())?,
        blkio_weight_devices: parsed(&flags.blkio_weight_device, option::rate::weight)?,
        read_bps: parsed(&flags.device_read_bps, option::rate::bytes)?,
        write_bps: parsed(&flags.device_write_bps, option::rate::bytes)?,
        read_iops: parsed(&flags.device_read_iops, option::rate::operations)?,
        write_iops: parsed(&flags.device_write_iops, option::rate::operations)?,
        ..Resources::default()
    })
}

/// Reads `--cgroups`.
pub(super) fn cgroups(text: Option<&str>) -> Result<CgroupsMode> {
    Ok(match text {
        None | Some("" | "enabled" | "default") => CgroupsMode::Enabled,
        Some("disabled") => CgroupsMode::Disabled,
        Some("no-conmon") => CgroupsMode::NoConmon,
        Some("split") => CgroupsMode::Split,
        Some(other) => {
            return Err(Error::refused(format!(
                "invalid cgroups mode {other:?}: it is enabled, disabled, no-conmon or split"
            )));
        }
    })
}

fn swappiness(number: Option<i64>) -> Result<Option<u64>> {
    match number {
        None | Some(-1) => Ok(None),
        Some(number @ 0..=100) => Ok(u64::try_from(number).ok()),
        Some(number) => Err(Error::refused(format!(
            "invalid value: {number}, valid memory swappiness range is 0-100"
        ))),
    }
}

fn blkio_weight(text: Option<&str>) -> Result<Option<u16>> {
    let Some(text) = text else { return Ok(None) };
    let weight = crate::flag::unsigned(text)
        .map_err(|reason| Error::refused(format!("invalid value for blkio-weight: {reason}")))?;
    match u16::try_from(weight) {
        Ok(weight @ 10..=1000) => Ok(Some(weight)),
        _ => Err(Error::refused("range of blkio weight is from 10 to 1000")),
    }
}

fn unified(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let pairs = texts.iter().map(|text| {
        let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) =
            pair.ok_or_else(|| Error::refused("--cgroup-conf must be formatted KEY=VALUE"))?;
        Ok((key.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

fn oom_score(score: Option<i64>) -> Result<Option<i32>> {
    let Some(score) = score else {
        return Ok(None);
    };
    match i32::try_from(score) {
        Ok(score) if (-1000..=1000).contains(&score) => Ok(Some(score)),
        _ => Err(Error::refused(format!(
            "--oom-score-adj is from -1000 to 1000, not {score}"
        ))),
    }
}
