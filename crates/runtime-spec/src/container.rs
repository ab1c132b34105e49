//! What was asked for: the one input that command line, REST API and Kubernetes YAML build.

pub mod health; // health checks
pub mod lifecycle; // restart, stop, health, logs
pub mod mount; // what is mounted where
pub mod namespace; // what is shared with whom
pub mod resources; // limits
pub mod security; // privileges

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use health::{Health, HealthCheck, OnFailure, StartupCheck};
pub use lifecycle::{LogConfig, RestartPolicy, SdNotify};
pub use mount::{ImageVolumes, Mount, MountKind, MountOptions, Propagation, Relabel, VolumesFrom};
pub use namespace::{NamespaceMode, Namespaces, NetworkMode, UserMode};
pub use resources::Resources;
pub use security::{Seccomp, Security};

use crate::option::device::Device;
use crate::option::port::PortMapping;
use crate::option::ulimit::Ulimit;

/// One container as asked for. Every field has a default, which means: not asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// The name; the engine makes one up where it is absent.
    pub name: Option<String>,
    /// The image reference, as typed.
    pub image: String,
    /// The arguments. Empty takes the image's, unless an entry point is given.
    pub command: Vec<String>,
    /// The program in place of the image's. `[""]` or `[]` is: none.
    pub entrypoint: Option<Vec<String>>,
    /// Variables on top of the image's.
    pub env: BTreeMap<String, String>,
    /// Variables of the image or the defaults to leave out.
    pub unset_env: BTreeSet<String>,
    /// Leave all of them out.
    pub unset_env_all: bool,
    /// The directory to start in.
    pub workdir: Option<String>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// Further groups, by name or number.
    pub group_add: Vec<String>,
    /// A terminal.
    pub terminal: bool,
    /// Keep stdin open.
    pub stdin: bool,
    /// Run an init as process 1.
    pub init: bool,
    /// The host name; the short id where it is absent.
    pub hostname: Option<String>,
    /// The NIS domain name.
    pub domainname: Option<String>,
    /// The file creation mask.
    pub umask: Option<u32>,
    /// A zone name, or `local`.
    pub timezone: Option<String>,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Mounts, volumes and tmpfs.
    pub mounts: Vec<Mount>,
    /// What becomes of the directories that the image wants as volumes.
    pub image_volumes: ImageVolumes,
    /// Containers whose mounts are taken over, each unless something is mounted there already.
    pub volumes_from: Vec<VolumesFrom>,
    /// Mount the root file system read-only.
    pub read_only: bool,
    /// With `read_only`: keep `/tmp`, `/run`, `/var/tmp` and `/dev` writable. Absent is yes.
    pub read_only_tmpfs: Option<bool>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size_bytes: Option<u64>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Rules for the device cgroup: `c 1:3 rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// Privileges.
    pub security: Security,
    /// Limits of the control group.
    pub resources: Resources,
    /// Limits of the process.
    pub ulimits: Vec<Ulimit>,
    /// Kernel parameters of the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Published ports.
    pub ports: Vec<PortMapping>,
    /// Annotations of the runtime config.
    pub annotations: BTreeMap<String, String>,
    /// Labels of the container.
    pub labels: BTreeMap<String, String>,
    /// Lines for `/etc/hosts`: name to address.
    pub add_hosts: BTreeMap<String, String>,
    /// Name servers, search domains and options in place of the host's.
    pub dns: Dns,
    /// The signal that asks it to stop.
    pub stop_signal: Option<i32>,
    /// Seconds to wait for that.
    pub stop_timeout_seconds: Option<u64>,
    /// Seconds it may run.
    pub timeout_seconds: Option<u64>,
    /// What happens when it ends.
    pub restart: RestartPolicy,
    /// Whether it is well, and what happens if not.
    pub health: Health,
    /// Who tells a service manager that it is ready.
    pub sdnotify: SdNotify,
    /// How many of the caller's descriptors from 3 on it gets, when the caller starts it.
    pub preserve_fds: u32,
    /// Which of them it gets, in place of a number of them.
    pub preserve_fd: Vec<u32>,
    /// A further place for the monitor's pid.
    pub monitor_pid_file: Option<PathBuf>,
    /// A further place for its own.
    pub pid_file: Option<PathBuf>,
    /// Remove it when it ends.
    pub remove: bool,
    /// Where its output goes.
    pub log: LogConfig,
    /// The parent control group.
    pub cgroup_parent: Option<String>,
}

/// Name resolution, for the engine that writes `resolv.conf`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses.
    pub servers: Vec<String>,
    /// Domains.
    pub search: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

impl ContainerSpec {
    /// Whether the root file system's usual scratch places stay writable.
    pub fn has_read_only_tmpfs(&self) -> bool {
        self.read_only && self.read_only_tmpfs.unwrap_or(true)
    }
}
