//! What was asked for: the one input that command line, REST API and Kubernetes YAML build.

pub mod files; // what the engine writes into it
pub mod health; // health checks
pub mod lifecycle; // restart, stop, health, logs
pub mod mount; // what is mounted where
pub mod namespace; // what is shared with whom
pub mod resources; // limits
pub mod security; // privileges

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use files::{Attachment, Files, Rootfs};
pub use health::{Health, HealthCheck, OnFailure, StartupCheck};
pub use lifecycle::{LogConfig, RestartPolicy, SdNotify, SystemdMode};
pub use mount::{ImageVolumes, Mount, MountKind, MountOptions, Propagation, Relabel, VolumesFrom};
pub use namespace::{AutoIds, IdMappings, NamespaceMode, Namespaces, NetworkMode, UserMode};
pub use resources::{CgroupsMode, DeviceRate, Resources};
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
    /// Variables on top of all, in whose values `$NAME` and `${NAME}` are the image's.
    pub env_merge: BTreeMap<String, String>,
    /// Pass the host's proxies on. Absent is yes.
    pub http_proxy: Option<bool>,
    /// The directory to start in.
    pub workdir: Option<String>,
    /// `user[:group]`.
    pub user: Option<String>,
    /// Further groups, by name or number.
    pub group_add: Vec<String>,
    /// Keep the groups of whoever starts it.
    pub keep_groups: bool,
    /// A terminal.
    pub terminal: bool,
    /// Keep stdin open.
    pub stdin: bool,
    /// Run an init as process 1.
    pub init: bool,
    /// The init to run in place of the engine's: a path of the host.
    pub init_path: Option<PathBuf>,
    /// Whether it is made ready for systemd.
    pub systemd: SystemdMode,
    /// The execution domain: `LINUX`, `LINUX32`.
    pub personality: Option<String>,
    /// A directory as root file system; then there is no image.
    pub rootfs: Option<Rootfs>,
    /// What is asked of the files the engine writes.
    pub files: Files,
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
    /// Size in bytes of the memory systemd has for itself: `/run`, `/run/lock`, `/var/log/journal`.
    pub shm_size_systemd_bytes: Option<u64>,
    /// Devices by the names of the Container Device Interface: `vendor.com/class=name`.
    pub cdi_devices: Vec<String>,
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
    /// Ports the container listens at: `80/tcp`. They are published with `publish_all`.
    pub expose: BTreeSet<String>,
    /// Publish every port that is exposed, at a port the host picks.
    pub publish_all: bool,
    /// What is asked of the networks, by name; that of `""` is for the first.
    pub attachments: BTreeMap<String, Attachment>,
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
    /// Remove its image too, unless others need it.
    pub remove_image: bool,
    /// Containers that are started before it.
    pub requires: Vec<String>,
    /// Where its output goes.
    pub log: LogConfig,
    /// The parent control group.
    pub cgroup_parent: Option<String>,
    /// Which control groups it has.
    pub cgroups: CgroupsMode,
    /// Its class of service in Intel's RDT.
    pub rdt_class: Option<String>,
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
