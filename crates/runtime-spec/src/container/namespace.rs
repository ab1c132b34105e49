//! What a container shares, and with whom.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::option::idmap::IdRange;

/// The namespaces of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// Network.
    pub network: NetworkMode,
    /// Processes.
    pub pid: NamespaceMode,
    /// System V IPC, POSIX queues, `/dev/shm`.
    pub ipc: NamespaceMode,
    /// Whether `/dev/shm` is nobody else's: a container that joins the IPC namespace has its own.
    pub private_shm: bool,
    /// Whether there is no `/dev/shm` at all.
    pub no_shm: bool,
    /// Host name.
    pub uts: NamespaceMode,
    /// User and group ids.
    pub user: UserMode,
    /// The mappings of a user namespace of its own.
    pub mappings: IdMappings,
    /// Control groups. Absent is private on cgroup v2 and the host's on v1.
    pub cgroup: Option<NamespaceMode>,
}

/// Whose namespace it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceMode {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// The one at this path.
    Path(PathBuf),
    /// Another container's; the engine resolves it to a path in [`crate::Host::joined`].
    Container(String),
}

/// Whose network it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// The engine's default: bridge for root, pasta else.
    #[default]
    Default,
    /// Its own, on these networks; none named is the default network.
    Bridge(Vec<String>),
    /// Its own, with a loopback device only.
    None,
    /// Its own, connected by pasta with these options.
    Pasta(Vec<String>),
    /// Its own, connected by slirp4netns with these options, each `KEY=VALUE`.
    Slirp4netns(Vec<String>),
    /// The host's.
    Host,
    /// The one at this path.
    Path(PathBuf),
    /// Another container's.
    Container(String),
}

/// Which ids the engine picks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoIds {
    /// How many; absent is as many as the image's files of users name.
    pub size: Option<u32>,
    /// Users that are mapped as said.
    pub users: Vec<IdRange>,
    /// Groups that are mapped as said.
    pub groups: Vec<IdRange>,
}

/// The mappings asked for by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMappings {
    /// Users.
    pub users: Vec<IdRange>,
    /// Groups.
    pub groups: Vec<IdRange>,
    /// Whose ranges of /etc/subuid are taken.
    pub subuid_name: Option<String>,
    /// Whose ranges of /etc/subgid are taken.
    pub subgid_name: Option<String>,
}

/// Whose ids it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserMode {
    /// The engine's (for a normal user: the namespace the engine itself is in).
    #[default]
    Host,
    /// Its own, with the mappings of the host facts.
    Private,
    /// Its own, with ids the engine picks.
    Auto(AutoIds),
    /// Its own; the user keeps its id, or has this one.
    KeepId {
        /// The id inside.
        uid: Option<u32>,
        /// The group inside.
        gid: Option<u32>,
        /// How many ids.
        size: Option<u32>,
    },
    /// Its own, without the user's id.
    NoMap,
    /// The one at this path.
    Path(PathBuf),
    /// Another container's.
    Container(String),
}

impl NamespaceMode {
    /// Whether it is the host's.
    pub fn is_host(&self) -> bool {
        *self == NamespaceMode::Host
    }
}

impl NetworkMode {
    /// Whether it is the host's.
    pub fn is_host(&self) -> bool {
        *self == NetworkMode::Host
    }
}

impl UserMode {
    /// Whether it is the host's.
    pub fn is_host(&self) -> bool {
        *self == UserMode::Host
    }
}
