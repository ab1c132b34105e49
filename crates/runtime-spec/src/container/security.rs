//! Privileges of a container.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The privileges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// All capabilities and devices, nothing masked, no filter.
    pub privileged: bool,
    /// Capabilities on top of the default ones; `ALL` is all.
    pub cap_add: Vec<String>,
    /// Capabilities to leave out; `ALL` is all.
    pub cap_drop: Vec<String>,
    /// Nothing the process executes may raise privileges.
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: Seccomp,
    /// An AppArmor profile; absent takes the default one.
    pub apparmor: Option<String>,
    /// SELinux label options: `disable`, `type:container_t`, ...
    pub label: Vec<String>,
    /// Allow SELinux changes inside.
    pub label_nested: bool,
    /// Paths to mask on top of the default ones.
    pub mask: Vec<String>,
    /// Paths to leave unmasked and writable, with `*`; `ALL` is all.
    pub unmask: Vec<String>,
    /// Mount options of `/proc` in place of the default ones.
    pub proc_options: Vec<String>,
}

/// Which system call filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seccomp {
    /// The host's default policy; none for a privileged container.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// The policy in this file, whose text the engine puts in [`crate::Host::seccomp_profile`].
    Path(PathBuf),
}
