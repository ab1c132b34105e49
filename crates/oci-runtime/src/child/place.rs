//! Mount points, resolved beneath the container's root and made where missing.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

use crate::plan::Target;

/// Opens `path` beneath `root`, links resolved inside it.
pub(super) fn open(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    resolved(root, path, flags, resolve)
}

/// Opens `path` beneath `root`; `ELOOP` where any part of it is a link.
pub(super) fn open_ordinary(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    resolved(root, path, flags, resolve)
}

fn resolved(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    for _ in 0..127 {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens a mount point, making it and the directories above where they are missing.
pub(super) fn open_or_make(root: BorrowedFd<'_>, target: &Target, file: bool) -> Result<OwnedFd> {
    match open(root, target.whole(), OFlags::PATH) {
        Err(Errno::NOENT) => {}
        result => return result,
    }
    let parent = open_parent(root, target)?;
    let (Some(name), parent) = (
        target.names.last(),
        parent.as_ref().map_or(root, AsFd::as_fd),
    ) else {
        return Err(Errno::NOENT);
    };
    make(parent, name, file)?;
    open(root, target.whole(), OFlags::PATH)
}

/// Opens the directory above a target, making what is missing; `None` is the root itself.
fn open_parent(root: BorrowedFd<'_>, target: &Target) -> Result<Option<OwnedFd>> {
    parent_by(open, root, target)
}

/// As [`open_parent`], refusing links: a device behind one would be made in whatever is
/// mounted there.
pub(super) fn open_ordinary_parent(
    root: BorrowedFd<'_>,
    target: &Target,
) -> Result<Option<OwnedFd>> {
    parent_by(open_ordinary, root, target)
}

fn parent_by(
    open: fn(BorrowedFd<'_>, &CStr, OFlags) -> Result<OwnedFd>,
    root: BorrowedFd<'_>,
    target: &Target,
) -> Result<Option<OwnedFd>> {
    let mut parent: Option<OwnedFd> = None;
    let above = target.prefixes.len().saturating_sub(1);
    for (prefix, name) in target.prefixes.iter().zip(&target.names).take(above) {
        let next = match open(root, prefix, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => {
                make(parent.as_ref().map_or(root, AsFd::as_fd), name, false)?;
                open(root, prefix, OFlags::PATH | OFlags::DIRECTORY)?
            }
            result => result?,
        };
        parent = Some(next);
    }
    Ok(parent)
}

fn make(parent: BorrowedFd<'_>, name: &CStr, file: bool) -> Result<()> {
    let made = if file {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
    } else {
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
    };
    match made {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}
