//! `inspect`: everything about one container, in Podman's shape.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use minke_runtime_spec::container::{Mount, MountKind, NamespaceMode, NetworkMode, RestartPolicy};
use minke_runtime_spec::option::log::LogOptions;
use serde_json::{Value, json};

use super::list::{command, published};
use super::record::Record;
use super::status::{ContainerState, cgroup_path};
use crate::Engine;
use crate::error::Result;

impl Engine {
    /// One element of the array that `podman inspect` prints for a container.
    ///
    /// # Errors
    /// No such container.
    pub fn inspect(&self, name: &str) -> Result<Value> {
        let record = self.find(name)?;
        let config = &record.config;
        let command = command(&config.spec, &config.image);
        let (path, args) = match command.split_first() {
            Some((path, args)) => (path.clone(), args.to_vec()),
            None => (String::new(), Vec::new()),
        };
        let bundle = self.bundle(&record)?;
        let generated = generated_config(&bundle);
        let file = |name: &str| bundle.join(name).display().to_string();
        let pid_file = |own: &Option<PathBuf>, name: &str| match own {
            Some(path) => path.display().to_string(),
            None => file(name),
        };
        Ok(json!({
            "Id": record.id,
            "Created": config.created.to_string(),
            "Path": path,
            "Args": args,
            "State": self.state_section(&record),
            "Image": config.image_id,
            "ImageName": config.image_name,
            "Rootfs": "",
            "ResolvConfPath": file("resolv.conf"),
            "HostnamePath": file("hostname"),
            "HostsPath": file("hosts"),
            "StaticDir": self.store()?.container_directory(&record.id.parse()?),
            "OCIConfigPath": file("config.json"),
            "OCIRuntime": self.runtime(&record)?.name(),
            "ConmonPidFile": pid_file(&config.spec.monitor_pid_file, "conmon.pid"),
            "PidFile": pid_file(&config.spec.pid_file, "pidfile"),
            "Name": record.name,
            "RestartCount": record.state.restarts,
            "Driver": self.places.store.driver,
            "MountLabel": "",
            "ProcessLabel": "",
            "EffectiveCaps": capabilities(&generated, "effective"),
            "BoundingCaps": capabilities(&generated, "bounding"),
            "ExecIDs": [],
            "GraphDriver": self.graph_driver(&record)?,
            "Mounts": mounts(&record, &self.volumes_dir()),
            "Dependencies": [],
            "NetworkSettings": network_settings(&record),
            "Namespace": "",
            "IsInfra": false,
            "IsService": false,
            "Config": config_section(&record),
            "HostConfig": host_config(&record),
            "Clamps": record.state.clamps,
        }))
    }

    /// As [`Engine::inspect`], with how much room it takes: `SizeRw` and `SizeRootFs`.
    ///
    /// # Errors
    /// As there.
    pub fn inspect_with_size(&self, name: &str) -> Result<Value> {
        let mut found = self.inspect(name)?;
        if let Some(id) = found["Id"].as_str().map(str::to_owned) {
            let size = self.size_of(&id)?;
            found["SizeRw"] = size.changes_bytes.into();
            found["SizeRootFs"] = size.root_bytes.into();
        }
        Ok(found)
    }

    fn state_section(&self, record: &Record) -> Value {
        let (status, exit) = self.status(record);
        let state = &record.state;
        let zero = "0001-01-01T00:00:00Z".to_owned();
        let time = |time: Option<Timestamp>| time.map_or(zero.clone(), |time| time.to_string());
        let alive = status.is_alive();
        let pid = |process: Option<minke_sys::proc::ProcessId>| {
            process.filter(|_| alive).map_or(0, |process| process.pid)
        };
        json!({
            "OciVersion": minke_runtime_spec::generate::OCI_VERSION,
            "Status": status.as_str(),
            "Running": alive,
            "Paused": status == ContainerState::Paused,
            "Restarting": status == ContainerState::Restarting,
            "OOMKilled": exit.is_some_and(|exit| exit.oom_killed),
            "Dead": false,
            "Pid": pid(state.init),
            "ConmonPid": pid(state.monitor),
            "ExitCode": exit.map_or(0, |exit| exit.code),
            "Error": state.error,
            "StartedAt": time(state.started),
            "FinishedAt": time(state.finished.or(exit.map(|exit| exit.time))),
            "CgroupPath": cgroup_path(record),
            "Health": record.health_check().map(|_| self.health_log(record)),
            "Checkpointed": false,
            "Restored": false,
        })
    }

    fn graph_driver(&self, record: &Record) -> Result<Value> {
        let layer = record.config.layer.parse()?;
        let store = self.store()?;
        Ok(json!({
            "Name": self.places.store.driver,
            "Data": {
                "MergedDir": store.mount_point(&layer),
                "UpperDir": store.changes_directory(&layer),
            }
        }))
    }
}

/// The configuration of the last start; null before the first.
fn generated_config(bundle: &Path) -> Value {
    let text = std::fs::read(bundle.join("config.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// A capability set of a generated configuration.
fn capabilities(config: &Value, set: &str) -> Vec<String> {
    let list = &config["process"]["capabilities"][set];
    let mut names: Vec<String> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn mounts(record: &Record, volumes: &Path) -> Vec<Value> {
    let mounts = record.config.spec.mounts.iter();
    mounts.filter_map(|asked| mount(asked, volumes)).collect()
}

fn mount(mount: &Mount, volumes: &Path) -> Option<Value> {
    let mut options = mount.options.clone();
    let data;
    let (kind, source) = match &mount.kind {
        MountKind::Bind { source } | MountKind::Overlay { source } => ("bind", source.as_str()),
        MountKind::Image { source } => ("image", source.as_str()),
        MountKind::Tmpfs => ("tmpfs", ""),
        MountKind::Volume { name: Some(name) } => {
            options.suid.get_or_insert(false);
            options.dev.get_or_insert(false);
            data = volumes.join(name).join(crate::volume::DATA);
            ("volume", data.to_str().unwrap_or_default())
        }
        _ => return None,
    };
    let propagation = options.propagation.map_or("rprivate", |mode| mode.as_str());
    let mut shown = json!({
        "Type": kind,
        "Source": source,
        "Destination": mount.destination,
        "Driver": if kind == "volume" { "local" } else { "" },
        "Mode": "",
        "Options": options.to_words(kind == "tmpfs"),
        "RW": !options.read_only.unwrap_or(false),
        "Propagation": propagation,
    });
    if let MountKind::Volume { name: Some(name) } = &mount.kind {
        shown["Name"] = name.as_str().into();
    }
    if let Some(part) = &options.subpath {
        shown["SubPath"] = part.as_str().into();
    }
    Some(shown)
}

fn network_settings(record: &Record) -> Value {
    let mut networks = serde_json::Map::new();
    let mut first = Interface::default();
    for (name, block) in &record.state.addresses {
        for interface in block.interfaces.iter().flatten() {
            let found = Interface::of(interface.1);
            if first.address.is_empty() {
                first = found.clone();
            }
            networks.insert(
                name.clone(),
                json!({
                    "EndpointID": "",
                    "Gateway": found.gateway,
                    "IPAddress": found.address,
                    "IPPrefixLen": found.prefix,
                    "IPv6Gateway": "",
                    "GlobalIPv6Address": "",
                    "GlobalIPv6PrefixLen": 0,
                    "MacAddress": found.mac,
                    "NetworkID": name,
                    "DriverOpts": null,
                    "IPAMConfig": null,
                    "Links": null,
                    "Aliases": [record.id.chars().take(12).collect::<String>()],
                }),
            );
        }
    }
    json!({
        "EndpointID": "",
        "Gateway": first.gateway,
        "IPAddress": first.address,
        "IPPrefixLen": first.prefix,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": first.mac,
        "Bridge": "",
        "SandboxID": "",
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": port_map(record),
        "SandboxKey": record.state.netns,
        "Networks": networks,
    })
}

/// The first address of an interface.
#[derive(Debug, Clone, Default)]
struct Interface {
    address: String,
    prefix: u8,
    gateway: String,
    mac: String,
}

impl Interface {
    fn of(interface: &minke_network::netavark::NetInterface) -> Self {
        let subnet = interface.subnets.iter().flatten().next();
        Self {
            address: subnet.map_or_else(String::new, |subnet| subnet.ipnet.ip().to_string()),
            prefix: subnet.map_or(0, |subnet| subnet.ipnet.prefix()),
            gateway: subnet
                .and_then(|subnet| subnet.gateway)
                .map_or_else(String::new, |gateway| gateway.to_string()),
            mac: interface.mac_address.clone(),
        }
    }
}

/// `{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`, with what the image exposes.
fn port_map(record: &Record) -> BTreeMap<String, Value> {
    let mut ports: BTreeMap<String, Value> = record
        .config
        .image
        .exposed_ports
        .keys()
        .map(|port| (port.clone(), Value::Null))
        .collect();
    for port in published(record) {
        for offset in 0..port.range {
            for protocol in port.protocol.split(',') {
                let key = format!("{}/{protocol}", port.container_port.saturating_add(offset));
                let host = port.host_port.saturating_add(offset).to_string();
                let binding = json!({"HostIp": port.host_ip, "HostPort": host});
                match ports.entry(key).or_insert(Value::Null) {
                    Value::Array(list) => list.push(binding),
                    other => *other = json!([binding]),
                }
            }
        }
    }
    ports
}

fn config_section(record: &Record) -> Value {
    let config = &record.config;
    let (spec, image) = (&config.spec, &config.image);
    let mut env: BTreeMap<String, String> = image
        .env
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    env.extend(spec.env.clone());
    let env: Vec<String> = env
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let command = if spec.command.is_empty() {
        &image.cmd
    } else {
        &spec.command
    };
    let hostname = spec
        .hostname
        .clone()
        .unwrap_or_else(|| record.id.chars().take(12).collect());
    json!({
        "Hostname": hostname,
        "Domainname": spec.domainname.clone().unwrap_or_default(),
        "User": spec.user.clone().unwrap_or_else(|| image.user.clone()),
        "AttachStdin": spec.stdin,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": spec.terminal,
        "OpenStdin": spec.stdin,
        "StdinOnce": false,
        "Env": env,
        "Cmd": command,
        "Image": config.image_name,
        "Volumes": null,
        "WorkingDir": spec.workdir.clone().unwrap_or_else(|| {
            if image.working_dir.is_empty() { "/".to_owned() } else { image.working_dir.clone() }
        }),
        "Entrypoint": spec.entrypoint.clone().unwrap_or_else(|| image.entrypoint.clone()),
        "OnBuild": null,
        "Labels": spec.labels,
        "Annotations": spec.annotations,
        "StopSignal": spec.stop_signal
            .and_then(minke_runtime_spec::option::signal::name)
            .unwrap_or_else(|| "SIGTERM".to_owned()),
        "sdNotifyMode": spec.sdnotify.as_str(),
        "Healthcheck": record.health_check(),
        "StartupHealthCheck": spec.health.startup,
        "HealthcheckOnFailureAction": spec.health.on_failure.as_str(),
        "HealthLogDestination": spec.health.log_destination.as_deref().unwrap_or("local"),
        "HealthcheckMaxLogCount": spec.health.max_log_count.unwrap_or(5),
        "HealthcheckMaxLogSize": spec.health.max_log_bytes.unwrap_or(500),
        "CreateCommand": config.create_command,
        "Umask": format!("{:04o}", spec.umask.unwrap_or(0o022)),
        "Timeout": spec.timeout_seconds.unwrap_or(0),
        "StopTimeout": spec.stop_timeout_seconds.unwrap_or(10),
        "Passwd": true,
    })
}

fn host_config(record: &Record) -> Value {
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
    let (restart, retries) = match spec.restart {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
        RestartPolicy::OnFailure { max_retries } => ("on-failure", max_retries.unwrap_or(0)),
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
        "PortBindings": port_map(record),
        "RestartPolicy": {"Name": restart, "MaximumRetryCount": retries},
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
        "UsernsMode": "",
        "CgroupMode": spec.namespaces.cgroup.as_ref().map_or_else(|| "host".to_owned(), namespace_mode),
        "Privileged": spec.security.privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": spec.read_only,
        "SecurityOpt": [],
        "Tmpfs": {},
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
