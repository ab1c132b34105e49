//! What is in /dev: the nodes of the specification, those of config.json, and the links.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, Result};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::{At, Done, place};
use crate::plan::{Device, RootPlan};
use crate::step::Step;

/// `(link, target)` (runtime-spec, config-linux.md § Default Devices and runtime-linux.md
/// § Dev symbolic links).
const LINKS: &[(&std::ffi::CStr, &std::ffi::CStr)] = &[
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"core", c"/proc/kcore"),
    (c"ptmx", c"pts/ptmx"),
];

/// Makes every planned device and, where /dev is our own tmpfs, the links.
pub(super) fn make_all(root: BorrowedFd<'_>, plan: &RootPlan) -> Done {
    // The modes asked for are exact.
    let umask = rustix::process::umask(Mode::empty());
    for (index, device) in plan.devices.iter().enumerate() {
        make(root, device).at_index(Step::Device, index)?;
    }
    rustix::process::umask(umask);
    if plan.fill_dev {
        links(root).at(Step::DeviceLink)?;
    }
    Ok(())
}

fn make(root: BorrowedFd<'_>, device: &Device) -> Result<()> {
    let parent = place::open_ordinary_parent(root, &device.target)?;
    let parent = parent.as_ref().map_or(root, AsFd::as_fd);
    let name = device.target.names.last().ok_or(Errno::INVAL)?;
    let kind = FileType::from_raw_mode(device.kind);
    let mode = Mode::from_raw_mode(device.mode);
    match rustix::fs::mknodat(parent, &**name, kind, mode, device.number) {
        Ok(()) => rustix::fs::chownat(
            parent,
            &**name,
            Some(Uid::from_raw(device.uid)),
            Some(Gid::from_raw(device.gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        ),
        // There already, in an image that brings its own /dev, or given by a mount.
        Err(Errno::EXIST) => require_same(parent, name, device),
        // A user namespace makes no device nodes: borrow the host's.
        Err(Errno::PERM) => bind(parent, name, device),
        Err(errno) => Err(errno),
    }
}

/// Refuses what has a device's name and is another thing (CVE-2025-31133).
fn require_same(parent: BorrowedFd<'_>, name: &std::ffi::CStr, device: &Device) -> Result<()> {
    let found = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let same_kind = found.st_mode & libc::S_IFMT == device.kind;
    if same_kind && (device.kind == libc::S_IFIFO || found.st_rdev == device.number) {
        Ok(())
    } else {
        Err(Errno::EXIST)
    }
}

fn bind(parent: BorrowedFd<'_>, name: &std::ffi::CStr, device: &Device) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    drop(rustix::fs::openat(
        parent,
        name,
        flags,
        Mode::from_raw_mode(0o600),
    )?);
    let onto = rustix::fs::openat(
        parent,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let node = open_tree(
        CWD,
        &*device.host,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    let stat = rustix::fs::fstat(&node)?;
    if stat.st_rdev != device.number || stat.st_mode & libc::S_IFMT != device.kind {
        return Err(Errno::NODEV);
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&node, c"", &onto, c"", flags)
}

fn links(root: BorrowedFd<'_>) -> Result<()> {
    let dev = place::open_ordinary(root, c"dev", OFlags::PATH | OFlags::DIRECTORY)?;
    for (name, target) in LINKS {
        if *name == c"core" && place::open(root, c"proc/kcore", OFlags::PATH).is_err() {
            continue;
        }
        match rustix::fs::symlinkat(*target, &dev, *name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
