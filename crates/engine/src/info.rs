//! `info` and `version`: what this engine is, and where.

use std::fs;

use minke_sys::cgroup::{Cgroups, Mode};
use serde_json::{Value, json};

use crate::Engine;
use crate::container::list::ListRequest;
use crate::container::status::ContainerState;
use crate::error::Result;
use crate::image::list::ImagesRequest;

/// The version object, in Podman's shape.
pub fn version() -> Value {
    json!({
        "Client": {
            "APIVersion": env!("CARGO_PKG_VERSION"),
            "Version": env!("CARGO_PKG_VERSION"),
            "GoVersion": "",
            "GitCommit": "",
            "BuiltTime": "",
            "Built": 0,
            "BuildOrigin": "minke",
            "OsArch": format!("linux/{}", architecture()),
            "Os": "linux",
        }
    })
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Engine {
    /// The info object, in Podman's shape.
    ///
    /// # Errors
    /// The store or the database cannot be read.
    pub fn info(&self) -> Result<Value> {
        let cgroups = self.cgroups()?;
        let containers = self.list(&ListRequest {
            all: true,
            ..ListRequest::default()
        })?;
        let count = |wanted: fn(ContainerState) -> bool| {
            containers.iter().filter(|each| wanted(each.state)).count()
        };
        let images = self.images(&ImagesRequest { all: true })?.len();
        let release = rustix::system::uname();
        let store = &self.places.store;
        let options = &self.options;
        Ok(json!({
            "host": {
                "arch": architecture(),
                "cgroupManager": "cgroupfs",
                "cgroupVersion": match cgroups.mode() {
                    Mode::None => "none",
                    Mode::V1 | Mode::Hybrid => "v1",
                    Mode::V2 => "v2",
                },
                "cgroupControllers": controllers(cgroups),
                "conmon": {"path": options.conmon.as_ref().unwrap_or(&options.self_exe), "package": "minke", "version": minke_conmon_rs::VERSION},
                "cpus": std::thread::available_parallelism().map_or(1, usize::from),
                "distribution": distribution(),
                "hostname": release.nodename().to_string_lossy(),
                "kernel": release.release().to_string_lossy(),
                "memTotal": memory("MemTotal:"),
                "memFree": memory("MemAvailable:"),
                "swapTotal": memory("SwapTotal:"),
                "swapFree": memory("SwapFree:"),
                "networkBackend": "minke",
                "ociRuntime": {"name": options.runtime.as_deref().unwrap_or("minke-oci"), "package": "minke", "path": options.runtime.as_deref().map_or_else(|| options.self_exe.display().to_string(), str::to_owned)},
                "os": "linux",
                "security": {
                    "apparmorEnabled": false,
                    "capabilities": minke_runtime_spec::option::capability::DEFAULT.join(","),
                    "rootless": self.places.rootless,
                    "seccompEnabled": true,
                    "selinuxEnabled": false,
                },
                "uptime": uptime(),
                "logDriver": "k8s-file",
            },
            "store": {
                "graphDriverName": store.driver,
                "graphRoot": store.graph_root,
                "runRoot": store.run_root,
                "imageStore": {"number": images},
                "containerStore": {
                    "number": containers.len(),
                    "running": count(|state| matches!(state, ContainerState::Running | ContainerState::Stopping)),
                    "paused": count(|state| state == ContainerState::Paused),
                    "stopped": count(|state| !state.is_alive()),
                },
                "volumePath": store.graph_root.join("volumes"),
            },
            "registries": self.search_registries()?,
            "plugins": {"log": ["k8s-file", "json-file", "none", "passthrough"], "network": ["bridge", "host", "none"], "volume": []},
            "version": version()["Client"],
        }))
    }
}

fn controllers(cgroups: &Cgroups) -> Vec<String> {
    if let (Mode::V2, Some(unified)) = (cgroups.mode(), cgroups.unified()) {
        let text = fs::read_to_string(unified.mount.join("cgroup.controllers"));
        return text
            .unwrap_or_default()
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect();
    }
    cgroups
        .hierarchies()
        .iter()
        .flat_map(|each| each.controllers.iter().cloned())
        .filter(|name| !name.starts_with("name="))
        .collect()
}

fn distribution() -> Value {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or("unknown").trim_matches('"').to_owned()
    };
    json!({"distribution": field("ID="), "version": field("VERSION_ID=")})
}

/// A line of proc_meminfo(5), in bytes.
pub(crate) fn memory(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes: u64 = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    kilobytes * 1024
}

fn uptime() -> String {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = text
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0.0);
    let minutes = seconds as u64 / 60;
    format!("{}h {}m", minutes / 60, minutes % 60)
}
