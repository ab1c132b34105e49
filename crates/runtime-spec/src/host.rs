//! What the engine knows about this machine, and has prepared for one container.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use minke_seccomp::{Architecture, KernelVersion, Profile};

use serde::{Deserialize, Serialize};

use crate::option::capability;
use crate::option::ulimit::{Rlimit, Ulimit};
use crate::user::ResolvedUser;

/// Facts; [`generate`](crate::generate()) asks for no others.
#[derive(Debug, Clone)]
pub struct Host {
    /// The container's id, whose first 12 letters are its host name by default.
    pub container_id: String,
    /// The root file system.
    pub rootfs: PathBuf,
    /// Whether the engine runs as a normal user.
    pub rootless: bool,
    /// Mappings of the container's own user namespace; empty for none.
    pub uid_mappings: Vec<IdMapping>,
    /// As `uid_mappings`, for groups.
    pub gid_mappings: Vec<IdMapping>,
    /// For a normal user: how many group ids the engine's namespace has.
    pub available_gids: u32,
    /// The control groups there are.
    pub cgroup: Cgroup,
    /// Where the container's control group is, relative to the mount point.
    pub cgroups_path: Option<PathBuf>,
    /// Whether the kernel counts swap.
    pub swap_limit: bool,
    /// The limit on tasks where none is asked.
    pub default_pids_limit: Option<i64>,
    /// The running kernel.
    pub kernel_version: Option<KernelVersion>,
    /// Its architecture; `None` where no filter can be made.
    pub architecture: Option<Architecture>,
    /// The hard limits of this process; one that is absent is unlimited.
    pub hard_limits: BTreeMap<Rlimit, u64>,
    /// Whether this process may raise hard limits.
    pub may_raise_limits: bool,
    /// Limits where none are asked (containers.conf).
    pub default_ulimits: Vec<Ulimit>,
    /// Capabilities where none are asked (containers.conf).
    pub default_capabilities: BTreeSet<String>,
    /// What this process can give at most: its bounding set.
    pub bounding: BTreeSet<String>,
    /// Kernel parameters where none are asked (containers.conf).
    pub default_sysctls: BTreeMap<String, String>,
    /// Variables for every container (containers.conf); the image's win.
    pub default_env: BTreeMap<String, String>,
    /// The host's proxies, as variables.
    pub proxy_env: BTreeMap<String, String>,
    /// The nodes of devices that were asked for or limited, by their host paths.
    pub device_nodes: BTreeMap<String, DeviceNode>,
    /// All devices, for a privileged container.
    pub all_devices: BTreeMap<String, DeviceNode>,
    /// The file for `/etc/resolv.conf`.
    pub resolv_conf: Option<PathBuf>,
    /// The file for `/etc/hosts`.
    pub hosts: Option<PathBuf>,
    /// The file for `/etc/hostname`.
    pub hostname: Option<PathBuf>,
    /// The file for `/run/.containerenv`.
    pub containerenv: Option<PathBuf>,
    /// The file for `/etc/passwd`, where it is not the image's own.
    pub passwd: Option<PathBuf>,
    /// The file for `/etc/group`.
    pub group: Option<PathBuf>,
    /// The file for `/etc/localtime`.
    pub localtime: Option<PathBuf>,
    /// The init binary.
    pub init: Option<PathBuf>,
    /// A directory for `/dev/shm` that outlives the container or is shared.
    pub shm: Option<PathBuf>,
    /// The prepared network namespace.
    pub netns: Option<PathBuf>,
    /// Namespaces of other containers, resolved: `pid` to a path.
    pub joined: BTreeMap<&'static str, PathBuf>,
    /// Who the process runs as.
    pub user: ResolvedUser,
    /// The policy where none is asked; `None` leaves containers unfiltered.
    pub default_seccomp: Option<Profile>,
    /// The text of the policy the container asked for by path.
    pub seccomp_profile: Option<Vec<u8>>,
    /// Whether AppArmor is on.
    pub apparmor: bool,
    /// The AppArmor profile where none is asked.
    pub default_apparmor: Option<String>,
    /// SELinux labels of process and mounts, where it is on.
    pub selinux: Option<(String, String)>,
    /// Whether the kernel has POSIX message queues.
    pub mqueue: bool,
    /// Further paths to mask that this machine has.
    pub extra_masked_paths: Vec<String>,
}

/// A range of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapping {
    /// The first inside.
    pub container_id: u32,
    /// The first outside.
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// The control groups a container can have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cgroup {
    /// Those of version 1, also in a hybrid layout.
    V1,
    /// Those of version 2.
    #[default]
    V2,
    /// None that can be written.
    None,
}

/// A device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceNode {
    /// Block or character.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Default for Host {
    /// Root, cgroup v2, nothing prepared, Podman's defaults.
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        Self {
            container_id: String::new(),
            rootfs: PathBuf::new(),
            rootless: false,
            uid_mappings: Vec::new(),
            gid_mappings: Vec::new(),
            available_gids: u32::MAX,
            cgroup: Cgroup::default(),
            cgroups_path: None,
            swap_limit: true,
            default_pids_limit: None,
            kernel_version: None,
            architecture: Architecture::native(),
            hard_limits: BTreeMap::new(),
            may_raise_limits: false,
            default_ulimits: Vec::new(),
            default_capabilities: names(capability::DEFAULT),
            bounding: names(capability::ALL),
            default_sysctls: BTreeMap::new(),
            default_env: BTreeMap::new(),
            proxy_env: BTreeMap::new(),
            device_nodes: BTreeMap::new(),
            all_devices: BTreeMap::new(),
            resolv_conf: None,
            hosts: None,
            hostname: None,
            containerenv: None,
            passwd: None,
            group: None,
            localtime: None,
            init: None,
            shm: None,
            netns: None,
            joined: BTreeMap::new(),
            user: ResolvedUser::default(),
            default_seccomp: Some(Profile::default_policy().clone()),
            seccomp_profile: None,
            apparmor: false,
            default_apparmor: None,
            selinux: None,
            mqueue: true,
            extra_masked_paths: Vec::new(),
        }
    }
}
