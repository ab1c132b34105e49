//! What the engine writes into a container, and where its root comes from.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A directory of the host as the root file system, in place of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// The directory.
    pub path: PathBuf,
    /// What is written goes to a throw-away layer (`:O`).
    #[serde(default)]
    pub overlay: bool,
    /// `idmap`, with a mapping or none.
    #[serde(default)]
    pub idmap: Option<String>,
}

/// What is asked of `/etc/passwd`, `/etc/group`, `/etc/hosts` and `/etc/hostname`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Files {
    /// Leave the image's `/etc/passwd` and `/etc/group` as they are.
    pub no_passwd: bool,
    /// The line for the user in `/etc/passwd`, with `$USERNAME`, `$UID`, `$GID`, `$NAME`, `$HOME`.
    pub passwd_entry: Option<String>,
    /// The line for the group in `/etc/group`, with `$GROUPNAME`, `$GID`, `$USERLIST`.
    pub group_entry: Option<String>,
    /// Users of the host to put in `/etc/passwd`, by name or id.
    pub host_users: Vec<String>,
    /// The file that `/etc/hosts` starts from: a path, `image` or `none`; absent is the host's.
    pub hosts_base: Option<String>,
    /// Leave the image's `/etc/hosts` as it is.
    pub no_hosts: bool,
    /// Leave the image's `/etc/hostname` as it is.
    pub no_hostname: bool,
    /// Directories below which resolv.conf, hosts and hostname are mounted too.
    pub chroot_dirs: Vec<String>,
}

/// What a container asks of one of its networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// Addresses.
    pub ips: Vec<IpAddr>,
    /// Hardware address.
    pub mac: Option<String>,
    /// Names under which others find it there.
    pub aliases: Vec<String>,
    /// The name of the interface.
    pub interface: Option<String>,
}
