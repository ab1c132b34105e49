//! User namespaces that exist for their mapping only, for idmapped mounts.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;

use crate::child::{CloneRequest, Fork, clone3};

/// A range of ids and where it is mapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first id inside: on disk, for an idmapped mount.
    pub inside: u32,
    /// The first id outside: as seen through an idmapped mount.
    pub outside: u32,
    /// How many.
    pub size: u32,
}

/// The mappings of users and of groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMap {
    /// Users.
    pub users: Vec<Range>,
    /// Groups.
    pub groups: Vec<Range>,
}

impl IdMap {
    /// Where a user's id is mapped to; `None` if it is not.
    pub fn user(&self, id: u32) -> Option<u32> {
        outside(&self.users, id)
    }

    /// Where a group's id is mapped to; `None` if it is not.
    pub fn group(&self, id: u32) -> Option<u32> {
        outside(&self.groups, id)
    }

    /// The way back: from ids outside to those inside.
    #[must_use]
    pub fn inverted(&self) -> Self {
        let swap = |ranges: &[Range]| {
            let swapped = ranges.iter().map(|range| Range {
                inside: range.outside,
                outside: range.inside,
                size: range.size,
            });
            swapped.collect()
        };
        Self {
            users: swap(&self.users),
            groups: swap(&self.groups),
        }
    }

    /// A user namespace with these mappings and nobody in it.
    ///
    /// # Errors
    /// As clone3(2) and user_namespaces(7): `EPERM` without the right to map these ids,
    /// `EINVAL` for ranges that overlap.
    pub fn namespace(&self) -> io::Result<OwnedFd> {
        let request = CloneRequest {
            flags: libc::CLONE_NEWUSER as u64,
            into_cgroup: None,
        };
        // SAFETY: the child makes system calls only and never returns.
        match unsafe { clone3(&request)? } {
            Fork::Child => loop {
                // SAFETY: plain system calls: the child waits to be killed, and dies with us.
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::pause();
                }
            },
            Fork::Parent { pid, child } => {
                let opened = self
                    .write(pid)
                    .and_then(|()| File::open(format!("/proc/{pid}/ns/user")).map(OwnedFd::from));
                let _ = child.signal(libc::SIGKILL);
                let _ = child.reap();
                opened
            }
        }
    }

    fn write(&self, pid: i32) -> io::Result<()> {
        fs::write(format!("/proc/{pid}/uid_map"), lines(&self.users))?;
        fs::write(format!("/proc/{pid}/gid_map"), lines(&self.groups))
    }
}

fn lines(ranges: &[Range]) -> String {
    let lines = ranges
        .iter()
        .map(|range| format!("{} {} {}\n", range.inside, range.outside, range.size));
    lines.collect()
}

fn outside(ranges: &[Range], id: u32) -> Option<u32> {
    ranges.iter().find_map(|range| {
        let offset = id.checked_sub(range.inside)?;
        (offset < range.size).then_some(range.outside.wrapping_add(offset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn map() -> IdMap {
        let ranges = vec![Range {
            inside: 0,
            outside: 100_000,
            size: 1000,
        }];
        IdMap {
            users: ranges.clone(),
            groups: ranges,
        }
    }

    #[test]
    fn ids_are_mapped() {
        assert_eq!(map().user(5), Some(100_005));
        assert_eq!(map().group(1000), None);
        assert_eq!(map().inverted().user(100_005), Some(5));
        assert_eq!(map().inverted().user(5), None);
    }

    #[test]
    fn a_namespace_is_made_of_a_mapping_and_outlives_its_maker() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root maps ids that are not its own");
            return;
        }
        let namespace = map().namespace().unwrap();
        let path = format!("/proc/self/fd/{}", namespace.as_raw_fd());
        let name = fs::read_link(path).unwrap();
        assert!(name.to_string_lossy().starts_with("user:["), "{name:?}");
    }
}
