//! Everything the container's init needs, prepared before it is cloned.
//!
//! The child allocates nothing: paths, arguments, filters and descriptors are made here and
//! only read there.

pub(crate) mod cgroup_mount; // how /sys/fs/cgroup looks from inside
pub(crate) mod entrance; // the way into the cgroup
pub(crate) mod mount; // config.json mounts, resolved as far as the host can
pub(crate) mod namespace; // which namespaces are new and which are joined
pub(crate) mod options; // mount option words
pub(crate) mod process; // command, credentials, limits, seccomp

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};

/// What init does, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The cgroup to enter first of all; `None` where there is none.
    pub entrance: Option<entrance::Entrance>,
    pub namespaces: namespace::Namespaces,
    /// `None` when the container shares our mount namespace: nothing is mounted then.
    pub root: Option<RootPlan>,
    pub hostname: Option<CString>,
    pub domainname: Option<CString>,
    pub sysctls: Vec<Sysctl>,
    pub console: Option<ConsolePlan>,
    pub process: process::ProcessPlan,
    /// Whether init stops for hooks before it changes its root.
    pub waits_for_hooks: bool,
}

/// The container's file tree.
#[derive(Debug)]
pub(crate) struct RootPlan {
    /// A copy of the tree at `path`, for a user namespace whose root may not go there.
    pub tree: Option<OwnedFd>,
    pub path: CString,
    /// MS_* flags for the whole tree of the new namespace before anything is mounted.
    pub propagation: u64,
    pub read_only: bool,
    pub mounts: Vec<mount::MountStep>,
    pub devices: Vec<Device>,
    /// Whether /dev is a tmpfs of ours, to be filled.
    pub fill_dev: bool,
    pub masked: Vec<Target>,
    pub read_only_paths: Vec<Target>,
}

/// A place inside the container, with every directory above it, so that missing ones can be
/// made without building a string.
#[derive(Debug)]
pub(crate) struct Target {
    /// Each leading part, the whole path last: `a`, `a/b`, `a/b/c`.
    pub prefixes: Vec<CString>,
    /// The last component of each prefix.
    pub names: Vec<CString>,
}

impl Target {
    /// Splits an absolute path of the container.
    pub fn new(path: &Path) -> Result<Self> {
        let mut prefixes = Vec::new();
        let mut names = Vec::new();
        let mut whole = std::path::PathBuf::new();
        for part in path.components() {
            match part {
                std::path::Component::Normal(name) => {
                    whole.push(name);
                    prefixes.push(c_string(whole.as_os_str().as_bytes())?);
                    names.push(c_string(name.as_bytes())?);
                }
                std::path::Component::RootDir | std::path::Component::CurDir => {}
                _ => {
                    return Err(Error::config(format!(
                        "path {} must not hold `..`",
                        path.display()
                    )));
                }
            }
        }
        Ok(Self { prefixes, names })
    }

    /// The whole path, for messages and for opening.
    pub fn whole(&self) -> &std::ffi::CStr {
        self.prefixes.last().map_or(c".", |path| path)
    }
}

/// A device node to make.
#[derive(Debug)]
pub(crate) struct Device {
    pub target: Target,
    /// Where the host has it, to bind when nodes cannot be made (user namespaces).
    pub host: CString,
    pub kind: u32,
    pub number: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// One kernel setting below /proc/sys.
#[derive(Debug)]
pub(crate) struct Sysctl {
    pub path: CString,
    pub value: Vec<u8>,
}

/// Where the terminal's master goes.
#[derive(Debug)]
pub(crate) struct ConsolePlan {
    /// A connected socket; the master is sent over it.
    pub socket: OwnedFd,
    /// Rows and columns, if asked for.
    pub size: Option<(u16, u16)>,
}

/// A string the kernel takes.
pub(crate) fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| {
        Error::config(format!(
            "`{}` holds a NUL byte",
            String::from_utf8_lossy(bytes)
        ))
    })
}

/// An errno text without the number that std adds, as C programs print it.
pub(crate) fn plain(text: &str) -> String {
    match text.find(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_lists_every_directory_on_the_way() {
        let target = Target::new(Path::new("/a/./b/c")).unwrap();
        assert_eq!(target.prefixes, [c"a", c"a/b", c"a/b/c"].map(CString::from));
        assert_eq!(target.names[2].as_c_str(), c"c");
        assert_eq!(target.whole(), c"a/b/c");
        assert_eq!(Target::new(Path::new("/")).unwrap().whole(), c".");
        assert!(Target::new(Path::new("/a/../b")).is_err());
    }

    #[test]
    fn errno_texts_lose_their_number() {
        assert_eq!(
            plain("No such file or directory (os error 2)"),
            "No such file or directory"
        );
    }
}
