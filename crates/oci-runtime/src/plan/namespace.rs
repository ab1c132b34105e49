//! Which namespaces are made new and which existing ones are joined.

use std::fs::File;
use std::os::fd::OwnedFd;

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use crate::error::{Error, Result};

/// The namespaces of one container.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// CLONE_NEW* of those made with the process. The cgroup namespace is not among them:
    /// it is made once the process is in its cgroup.
    pub new: u64,
    /// Whether a new cgroup namespace is wanted.
    pub new_cgroup: bool,
    /// Existing ones, in an order that works: the user namespace first.
    pub joins: Vec<Join>,
}

/// An existing namespace.
#[derive(Debug)]
pub(crate) struct Join {
    /// Its CLONE_NEW* flag.
    pub kind: i32,
    pub fd: OwnedFd,
}

impl Namespaces {
    /// Reads the list of config.json and opens what is to be joined.
    pub fn of(spec: &Spec) -> Result<Self> {
        let listed = spec
            .linux()
            .as_ref()
            .and_then(|linux| linux.namespaces().as_ref());
        let mut found = Self::default();
        let mut seen = 0;
        for namespace in listed.into_iter().flatten() {
            let kind = flag(namespace.typ())?;
            if seen & kind != 0 {
                return Err(Error::config(format!(
                    "namespace {} is listed twice",
                    namespace.typ()
                )));
            }
            seen |= kind;
            match namespace.path() {
                Some(path) => found.joins.push(Join {
                    kind,
                    fd: File::open(path)
                        .map_err(Error::path("open namespace", path))?
                        .into(),
                }),
                None if kind == libc::CLONE_NEWCGROUP => found.new_cgroup = true,
                None => found.new |= kind as u64,
            }
        }
        // Joined first, the user namespace gives the rights to join the others.
        found
            .joins
            .sort_by_key(|join| join.kind != libc::CLONE_NEWUSER);
        Ok(found)
    }

    /// Whether a new namespace of this kind is made.
    pub fn makes(&self, kind: i32) -> bool {
        self.new & kind as u64 != 0 || (kind == libc::CLONE_NEWCGROUP && self.new_cgroup)
    }

    /// Whether the container's root is another user than ours.
    pub fn isolates_users(&self) -> bool {
        self.makes(libc::CLONE_NEWUSER)
            || self
                .joins
                .iter()
                .any(|join| join.kind == libc::CLONE_NEWUSER)
    }

    /// Whether the container is in a namespace of this kind that is not ours.
    pub fn isolates(&self, kind: i32) -> bool {
        self.makes(kind)
            || self
                .joins
                .iter()
                .any(|join| join.kind == kind && !is_our_own(join))
    }

    /// Whether a process between us and init has to do the joining: a pid namespace holds
    /// only children of the one who joined it, and a new user namespace loses the right to
    /// join what its parent owns.
    pub fn need_intermediate(&self) -> bool {
        let joins = |kind| self.joins.iter().any(|join| join.kind == kind);
        joins(libc::CLONE_NEWUSER)
            || joins(libc::CLONE_NEWPID)
            || (self.makes(libc::CLONE_NEWUSER) && !self.joins.is_empty())
    }
}

/// Whether a joined namespace is the one this process is in.
fn is_our_own(join: &Join) -> bool {
    let name = match join.kind {
        libc::CLONE_NEWNET => "net",
        libc::CLONE_NEWIPC => "ipc",
        libc::CLONE_NEWUTS => "uts",
        _ => return false,
    };
    let ours = rustix::fs::stat(format!("/proc/self/ns/{name}"));
    let theirs = rustix::fs::fstat(&join.fd);
    matches!((ours, theirs), (Ok(ours), Ok(theirs)) if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino))
}

fn flag(kind: LinuxNamespaceType) -> Result<i32> {
    Ok(match kind {
        LinuxNamespaceType::Mount => libc::CLONE_NEWNS,
        LinuxNamespaceType::Cgroup => libc::CLONE_NEWCGROUP,
        LinuxNamespaceType::Uts => libc::CLONE_NEWUTS,
        LinuxNamespaceType::Ipc => libc::CLONE_NEWIPC,
        LinuxNamespaceType::User => libc::CLONE_NEWUSER,
        LinuxNamespaceType::Pid => libc::CLONE_NEWPID,
        LinuxNamespaceType::Network => libc::CLONE_NEWNET,
        LinuxNamespaceType::Time => {
            return Err(Error::Unsupported {
                what: "a time namespace".into(),
            });
        }
    })
}
