//! The section `HostConfig`.

use minke_runtime_spec::container::resources::DeviceRate;
use minke_runtime_spec::container::{
    CgroupsMode, Mount, MountKind, NamespaceMode, NetworkMode, RestartPolicy, UserMode,
};
use minke_runtime_spec::option::device::Device;
use minke_runtime_spec::option::log::LogOptions;
use serde_json::{Value, json};

use super::network;
use crate::container::record::Record;

pub(super) fn section(record: &Record) -> Value {
    let spec = &record.config.spec;
    let resources = &spec.resources;
    let binds: Vec<String> = spec
        .mounts
        .iter()
        .filter_map(|mount| match &mount.kind {
            MountKind::Bind { source } => Some(format!(
                "{source}:{}:{}",
                mount.destination,
                mount.options.to_words(false).join(",")
            )),
            _ => None,
        })
        .collect();
    let retries = match spec.restart {
        RestartPolicy::OnFailure { max_retries } => max_retries.unwrap_or(0),
        _ => 0,
    };
    json!({
        "Binds": binds,
        "CgroupManager": "cgroupfs",
        "ContainerIDFile": record.config.cidfile.clone().unwrap_or_default(),
        "LogConfig": {
            "Type": record.config.log_driver,
            "Config": null,
            "Path": record.config.log_path,
            "Tag": log_tag(record),
            "Size": log_size(record),
        },
        "NetworkMode": network_mode(&spec.namespaces.network),
        "PortBindings": network::ports(record),
        "RestartPolicy": {"Name": spec.restart.as_str(), "MaximumRetryCount": retries},
        "AutoRemove": spec.remove,
        "Annotations": spec.annotations,
        "CapAdd": spec.security.cap_add,
        "CapDrop": spec.security.cap_drop,
        "Dns": spec.dns.servers,
        "DnsOptions": spec.dns.options,
        "DnsSearch": spec.dns.search,
        "ExtraHosts": spec.add_hosts.iter().map(|(name, ip)| format!("{name}:{ip}")).collect::<Vec<_>>(),
        "GroupAdd": spec.group_add,
        "IpcMode": namespace_mode(&spec.namespaces.ipc),
        "PidMode": namespace_mode(&spec.namespaces.pid),
        "UTSMode": namespace_mode(&spec.namespaces.uts),
        "UsernsMode": user_mode(&spec.namespaces.user),
        "CgroupMode": spec.namespaces.cgroup.as_ref().map_or_else(|| "host".to_owned(), namespace_mode),
        "Cgroups": match spec.cgroups {
            CgroupsMode::Enabled => "default",
            CgroupsMode::Disabled => "disabled",
            CgroupsMode::NoConmon => "no-conmon",
            CgroupsMode::Split => "split",
        },
        "Cgroup": "",
        "CgroupParent": spec.cgroup_parent.clone().unwrap_or_default(),
        "CgroupConf": (!resources.unified.is_empty()).then_some(&resources.unified),
        "VolumeDriver": "",
        "VolumesFrom": null,
        "Links": null,
        "HostsFile": spec.files.hosts_base.clone().unwrap_or_default(),
        "ConsoleSize": [0, 0],
        "Isolation": "",
        "DiskQuota": 0,
        "KernelMemory": 0,
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "CpuRealtimePeriod": resources.cpu_rt_period.unwrap_or(0),
        "CpuRealtimeRuntime": resources.cpu_rt_runtime.unwrap_or(0),
        "MemorySwappiness": resources.memory_swappiness.unwrap_or(0),
        "BlkioWeight": resources.blkio_weight.unwrap_or(0),
        "BlkioWeightDevice": rates(&resources.blkio_weight_devices, "Weight"),
        "BlkioDeviceReadBps": rates(&resources.read_bps, "Rate"),
        "BlkioDeviceWriteBps": rates(&resources.write_bps, "Rate"),
        "BlkioDeviceReadIOps": rates(&resources.read_iops, "Rate"),
        "BlkioDeviceWriteIOps": rates(&resources.write_iops, "Rate"),
        "Devices": devices(&spec.devices),
        "AutoRemoveImage": spec.remove_image,
        "Privileged": spec.security.privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": spec.read_only,
        "SecurityOpt": [],
        "Tmpfs": tmpfs(&spec.mounts),
        "ShmSize": spec.shm_size_bytes.unwrap_or(65_536_000),
        "Runtime": "oci",
        "Init": spec.init,
        "Memory": resources.memory_bytes.unwrap_or(0),
        "MemoryReservation": resources.memory_reservation_bytes.unwrap_or(0),
        "MemorySwap": resources.memory_swap_bytes.unwrap_or(0),
        "NanoCpus": resources.cpus.map_or(0, |cpus| (cpus * 1e9) as u64),
        "CpuShares": resources.cpu_shares.unwrap_or(0),
        "CpuPeriod": resources.cpu_period.unwrap_or(0),
        "CpuQuota": resources.cpu_quota.unwrap_or(0),
        "CpusetCpus": resources.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": resources.cpuset_mems.clone().unwrap_or_default(),
        "PidsLimit": resources.pids_limit.unwrap_or(2048),
        "OomKillDisable": resources.oom_kill_disable,
        "OomScoreAdj": resources.oom_score_adj.unwrap_or(0),
        "Ulimits": spec.ulimits.iter().map(|limit| json!({
            "Name": format!("RLIMIT_{}", limit.limit.name().to_uppercase()),
            "Soft": limit.soft,
            "Hard": limit.hard,
        })).collect::<Vec<_>>(),
    })
}

fn user_mode(mode: &UserMode) -> String {
    match mode {
        UserMode::Host => String::new(),
        UserMode::Path(path) => format!("ns:{}", path.display()),
        UserMode::Container(id) => format!("container:{id}"),
        _ => "private".to_owned(),
    }
}

/// `{"/tmp": "rprivate,size=10m"}`.
fn tmpfs(mounts: &[Mount]) -> serde_json::Map<String, Value> {
    let memory = mounts.iter().filter(|mount| mount.kind == MountKind::Tmpfs);
    memory
        .map(|mount| {
            let options = mount.options.to_words(true).join(",");
            (mount.destination.clone(), options.into())
        })
        .collect()
}

/// `null` where there is none, as Podman has it.
fn rates(rates: &[DeviceRate], number: &str) -> Value {
    if rates.is_empty() {
        return Value::Null;
    }
    let entries = rates
        .iter()
        .map(|rate| json!({"Path": rate.path, number: rate.rate}));
    entries.collect()
}

fn devices(devices: &[Device]) -> Vec<Value> {
    let entries = devices.iter().map(|device| {
        json!({
            "PathOnHost": device.source,
            "PathInContainer": device.destination,
            "CgroupPermissions": device.permissions,
        })
    });
    entries.collect()
}

fn log_tag(record: &Record) -> String {
    let options = LogOptions::read(&record.config.spec.log.options);
    options
        .ok()
        .and_then(|options| options.tag)
        .unwrap_or_default()
}

/// The size a log may have, as Go's units package prints it: `1.5kB`.
fn log_size(record: &Record) -> String {
    let options = LogOptions::read(&record.config.spec.log.options);
    let bytes = options.ok().and_then(|options| options.max_size_bytes);
    let mut size = bytes.unwrap_or(0) as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = units.next().unwrap_or("");
    while size >= 1000.0
        && let Some(next) = units.next()
    {
        size /= 1000.0;
        unit = next;
    }
    // Four significant digits, as `%.4g` has them.
    let whole = format!("{size:.0}").len();
    let text = format!("{size:.*}", 4usize.saturating_sub(whole));
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

fn network_mode(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::Default | NetworkMode::Bridge(_) => "bridge".into(),
        NetworkMode::None => "none".into(),
        NetworkMode::Pasta(_) => "pasta".into(),
        NetworkMode::Slirp4netns(_) => "slirp4netns".into(),
        NetworkMode::Host => "host".into(),
        NetworkMode::Path(path) => format!("ns:{}", path.display()),
        NetworkMode::Container(id) => format!("container:{id}"),
    }
}

fn namespace_mode(mode: &NamespaceMode) -> String {
    match mode {
        NamespaceMode::Private => "private".into(),
        NamespaceMode::Host => "host".into(),
        NamespaceMode::Path(path) => format!("ns:{}", path.display()),
        NamespaceMode::Container(id) => format!("container:{id}"),
    }
}
