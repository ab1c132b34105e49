//! A copy of our own binary that a container cannot overwrite (CVE-2019-5736).
//!
//! A process that enters a container runs a program the container can reach through
//! /proc/PID/exe. It must not be the file on the host, opened writable. Cheapest is a
//! detached read-only clone of the mount the binary is on; a sealed memory file is the
//! fallback where mounts cannot be cloned.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::mount::OpenTreeFlags;

use crate::mount::{Depth, MountAttrFlags, MountAttributes, set_attributes};

const SELF: &str = "/proc/self/exe";

/// Whether the program we run can be written to through /proc/self/exe by somebody who is
/// allowed to write the file: false on a read-only mount or a sealed memory file.
///
/// # Errors
/// When /proc/self/exe cannot be opened.
pub fn is_writable() -> io::Result<bool> {
    let exe = File::open(SELF)?;
    if rustix::fs::fstatvfs(&exe)?
        .f_flag
        .contains(StatVfsMountFlags::RDONLY)
    {
        return Ok(false);
    }
    Ok(!rustix::fs::fcntl_get_seals(&exe).is_ok_and(|seals| seals.contains(SealFlags::WRITE)))
}

/// Opens a protected copy of our own binary, to be executed with [`execute`].
///
/// # Errors
/// When neither a mount can be cloned nor a memory file be made.
pub fn protected() -> io::Result<OwnedFd> {
    read_only_clone().or_else(|_| sealed_copy())
}

fn read_only_clone() -> io::Result<OwnedFd> {
    let path = std::fs::read_link(SELF)?;
    let tree = rustix::mount::open_tree(
        rustix::fs::CWD,
        &path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    // The path may have been replaced since we started: only the same file will do.
    let (ours, found) = (rustix::fs::stat(SELF)?, rustix::fs::fstat(&tree)?);
    if (ours.st_dev, ours.st_ino) != (found.st_dev, found.st_ino) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let read_only = MountAttributes {
        set: Some(MountAttrFlags::MOUNT_ATTR_RDONLY),
        ..MountAttributes::default()
    };
    set_attributes(&tree, Depth::Single, &read_only)?;
    Ok(tree)
}

fn sealed_copy() -> io::Result<OwnedFd> {
    let mut source = File::open(SELF)?;
    let copy = rustix::fs::memfd_create("minke", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(copy);
    io::copy(&mut source, &mut copy)?;
    rustix::fs::fcntl_add_seals(
        &copy,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    // Executing a descriptor that is open for writing is ETXTBSY: keep a read-only one.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
    Ok(rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Replaces this process by the binary behind `exe`, with our own arguments and environment.
/// Returns only when that failed.
pub fn execute(exe: &OwnedFd) -> io::Error {
    use std::os::unix::process::CommandExt;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(exe));
    std::process::Command::new(path)
        .arg0(name)
        .args(args)
        .exec()
}
