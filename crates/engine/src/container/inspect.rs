//! `inspect`: everything about one container, in Podman's shape.

mod config; // what its process is given
mod host_config; // what the host is asked
mod network; // addresses and ports

use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use minke_runtime_spec::container::{Mount, MountKind};
use minke_storage::ImageId;
use serde_json::{Value, json};

use super::host::Prepared;
use super::list::command;
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
        let (effective, bounding) = self.capabilities(&record, &bundle);
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
            "ImageDigest": self.image_digest(&config.image_id),
            "Pod": "",
            "Rootfs": config.spec.rootfs.as_ref().map(|root| root.path.clone()).unwrap_or_default(),
            "AppArmorProfile": config.spec.security.apparmor.clone().unwrap_or_default(),
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
            "EffectiveCaps": effective,
            "BoundingCaps": bounding,
            "ExecIDs": [],
            "GraphDriver": self.graph_driver(&record)?,
            "Mounts": mounts(&record, &self.volumes_dir()),
            "Dependencies": [],
            "NetworkSettings": network::section(&record),
            "Namespace": "",
            "KubeExitCodePropagation": "invalid",
            "lockNumber": 0,
            "UseImageHosts": false,
            "UseImageHostname": false,
            "IsInfra": false,
            "IsService": false,
            "Config": config::section(&record),
            "HostConfig": host_config::section(&record),
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
            "CgroupPath": cgroup_path(record).unwrap_or_default(),
            "Health": record.health_check().map(|_| self.health_log(record)),
            "CheckpointedAt": time(None),
            "RestoredAt": time(None),
            "Checkpointed": false,
            "Restored": false,
        })
    }

    /// The digest of the image's manifest; empty where it is gone, or was never in a registry.
    fn image_digest(&self, id: &str) -> String {
        let images = self.store().and_then(|store| Ok(store.images()?));
        let image = images.ok().and_then(|images| {
            let id: ImageId = id.parse().ok()?;
            Some(images.get(&id)?.digests().next()?.to_string())
        });
        image.unwrap_or_default()
    }

    /// Effective and bounding capabilities: those of the last start, or what a start would give.
    fn capabilities(&self, record: &Record, bundle: &Path) -> (Vec<String>, Vec<String>) {
        let generated = generated_config(bundle);
        if !generated.is_null() {
            return (
                capabilities(&generated, "effective"),
                capabilities(&generated, "bounding"),
            );
        }
        let config = &record.config;
        let host = self.host(record, &Prepared::default(), None);
        let sets = host.and_then(|host| {
            let sets =
                minke_runtime_spec::generate::capabilities_of(&config.spec, &config.image, &host);
            Ok(sets?)
        });
        match sets {
            Ok((effective, bounding)) => (
                effective.into_iter().collect(),
                bounding.into_iter().collect(),
            ),
            // What it asks for cannot be had here: its start will say so.
            Err(_) => (Vec::new(), Vec::new()),
        }
    }

    fn graph_driver(&self, record: &Record) -> Result<Value> {
        let layer = record.config.layer.parse()?;
        let store = self.store()?;
        let changes = store.changes_directory(&layer);
        let layers = store.layers()?;
        let mut below = Vec::new();
        let mut next = layers.get(&layer).and_then(|layer| layer.parent.clone());
        // A loop of records ends with their number.
        while let Some(id) = next.filter(|_| below.len() < layers.len()) {
            below.push(store.changes_directory(&id).display().to_string());
            next = layers.get(&id).and_then(|layer| layer.parent.clone());
        }
        Ok(json!({
            "Name": self.places.store.driver,
            "Data": {
                "LowerDir": below.join(":"),
                "MergedDir": store.mount_point(&layer),
                "UpperDir": changes,
                "WorkDir": changes.with_file_name("work"),
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
