//! The way into a control group, opened before the process that takes it is made.
//!
//! Writing a pid to `cgroup.procs` makes the kernel lock out every fork of the host, which
//! waits for an RCU grace period: milliseconds. A thread that moves itself alone needs no such
//! lock (`cgroup_procs_write_start`), and neither does one that is born inside. So the child
//! writes `0` to the `tasks` file of each v1 hierarchy, and is cloned into the v2 tree.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use minke_sys::cgroup::Group;
use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result};

/// Descriptors by which a process gets into every hierarchy of one group.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// The group's directory in the v2 tree.
    unified: Option<OwnedFd>,
    /// One for each v1 hierarchy.
    pub doors: Vec<Door>,
}

/// The `tasks` file of a v1 hierarchy. Who opened it had the right to move processes.
#[derive(Debug)]
pub(crate) struct Door {
    pub path: PathBuf,
    pub tasks: OwnedFd,
}

impl Entrance {
    /// Opens a group that exists. Its limits should be set: they apply from the first moment.
    ///
    /// # Errors
    /// A hierarchy that has no such group, or one we may not move processes in.
    pub fn open(group: &Group) -> Result<Self> {
        let mut found = Self {
            unified: None,
            doors: Vec::new(),
        };
        for (hierarchy, dir) in group.dirs() {
            if hierarchy.is_unified() {
                found.unified = Some(open(dir, OFlags::PATH | OFlags::DIRECTORY)?);
            } else {
                let path = dir.join("tasks");
                let tasks = open(&path, OFlags::WRONLY)?;
                found.doors.push(Door { path, tasks });
            }
        }
        Ok(found)
    }

    /// Where to be born.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// All of its descriptors, which the container must not see.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let doors = self.doors.iter().map(|door| door.tasks.as_fd());
        doors.chain(self.unified())
    }
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::path("open", path)(errno.into()))
}
