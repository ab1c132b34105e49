//! The new mount API: every mount is a descriptor before it has a place.
//!
//! A file system is configured by [`FsContext`], a piece of the mount tree is copied by
//! [`clone_tree`]; both give a detached mount, which [`set_attributes`] adjusts and [`attach`]
//! puts on a descriptor that the caller has resolved, so no path is looked at twice.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MoveMountFlags, OpenTreeFlags};

pub use rustix::mount::{MountAttrFlags, MountFlags, UnmountFlags};

/// A file system being configured.
#[derive(Debug)]
pub struct FsContext {
    fd: OwnedFd,
}

impl FsContext {
    /// Begins to configure a file system of type `fstype`.
    ///
    /// # Errors
    /// As fsopen(2); `ENODEV` if the kernel has no such type.
    pub fn open(fstype: &str) -> io::Result<Self> {
        Ok(Self {
            fd: mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC)?,
        })
    }

    /// Sets `key` to `value`, which may be at most 255 bytes.
    ///
    /// # Errors
    /// As fsconfig(2), with the kernel's own words where it has some.
    pub fn set_string(&self, key: &str, value: impl rustix::path::Arg) -> io::Result<()> {
        self.explain(mount::fsconfig_set_string(&self.fd, key, value))
    }

    /// Sets the flag `key`.
    ///
    /// # Errors
    /// As [`FsContext::set_string`].
    pub fn set_flag(&self, key: &str) -> io::Result<()> {
        self.explain(mount::fsconfig_set_flag(&self.fd, key))
    }

    /// Sets `key` to a descriptor.
    ///
    /// # Errors
    /// As [`FsContext::set_string`].
    pub fn set_fd(&self, key: &str, value: impl AsFd) -> io::Result<()> {
        self.explain(mount::fsconfig_set_fd(&self.fd, key, value))
    }

    /// Makes the file system and gives it as a detached mount.
    ///
    /// # Errors
    /// As [`FsContext::set_string`] and fsmount(2).
    pub fn mount(self, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
        self.explain(mount::fsconfig_create(&self.fd))?;
        self.explain(mount::fsmount(
            &self.fd,
            FsMountFlags::FSMOUNT_CLOEXEC,
            attributes,
        ))
    }

    fn explain<T>(&self, result: rustix::io::Result<T>) -> io::Result<T> {
        result.map_err(|errno| {
            let error = io::Error::from(errno);
            match self.messages() {
                text if text.is_empty() => error,
                text => io::Error::new(error.kind(), KernelRefusal { errno, text }),
            }
        })
    }

    /// The errors that the kernel wrote about this context since last asked.
    fn messages(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = rustix::io::read(&self.fd, &mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..length]);
            if let Some(text) = line.strip_prefix("e ") {
                lines.push(text.trim_end().to_owned());
            }
        }
        lines.join("; ")
    }
}

/// What the kernel said beside its error number.
#[derive(Debug, thiserror::Error)]
#[error("{text}: {}", io::Error::from(*errno))]
pub struct KernelRefusal {
    /// The error number.
    pub errno: Errno,
    /// The kernel's words.
    pub text: String,
}

/// The error number behind an error of this module, with or without words of the kernel.
pub fn errno_of(error: &io::Error) -> Option<Errno> {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<KernelRefusal>());
    inner
        .map(|refusal| refusal.errno)
        .or_else(|| Errno::from_io_error(error))
}

/// Whether the mounts below are taken along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only the mount itself.
    Single,
    /// The mount and all beneath it.
    Recursive,
}

/// Copies the mount at `path` below `dir` as a detached mount: a bind mount without a place.
///
/// An empty `path` means `dir` itself. The end of `path` is followed if it is a symlink: hand
/// a descriptor where the path is not trusted.
///
/// # Errors
/// As open_tree(2).
pub fn clone_tree(dir: impl AsFd, path: &Path, depth: Depth) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if depth == Depth::Recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(mount::open_tree(dir, path, flags)?)
}

/// Puts the detached (or attached: it moves) mount `from` on the file or directory `onto`.
///
/// # Errors
/// As move_mount(2).
pub fn attach(from: impl AsFd, onto: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(mount::move_mount(from, c"", onto, c"", flags)?)
}

/// As [`attach`], on a path that the caller trusts.
///
/// # Errors
/// As move_mount(2).
pub fn attach_to_path(from: impl AsFd, onto: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(mount::move_mount(from, c"", rustix::fs::CWD, onto, flags)?)
}

/// How mount events travel between copies of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Both ways.
    Shared,
    /// Not at all.
    Private,
    /// From the source to here.
    Slave,
    /// Not at all, and it cannot be cloned.
    Unbindable,
}

/// What [`set_attributes`] changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttributes<'fd> {
    /// Attributes to turn on.
    pub set: Option<MountAttrFlags>,
    /// Attributes to turn off.
    pub clear: Option<MountAttrFlags>,
    /// A new propagation.
    pub propagation: Option<Propagation>,
    /// A user namespace whose mapping the mount takes on. The mount must be detached.
    pub idmap: Option<BorrowedFd<'fd>>,
}

/// Changes attributes of the mount whose root `mount` is, and with [`Depth::Recursive`] of all
/// beneath it, all or none.
///
/// # Errors
/// As mount_setattr(2): `ENOSYS` before Linux 5.12, `EINVAL` if the file system has no idmap.
pub fn set_attributes(
    mount: impl AsFd,
    depth: Depth,
    attributes: &MountAttributes<'_>,
) -> io::Result<()> {
    let mut raw = RawMountAttr {
        attr_set: attributes.set.map_or(0, |flags| flags.bits().into()),
        attr_clr: attributes.clear.map_or(0, |flags| flags.bits().into()),
        propagation: attributes.propagation.map_or(0, propagation_bits),
        userns_fd: 0,
    };
    if let Some(userns) = attributes.idmap {
        raw.attr_set |= u64::from(MountAttrFlags::MOUNT_ATTR_IDMAP.bits());
        raw.userns_fd = userns.as_raw_fd().unsigned_abs().into();
    }
    let mut flags = libc::AT_EMPTY_PATH;
    if depth == Depth::Recursive {
        flags |= libc::AT_RECURSIVE;
    }
    mount_setattr(mount.as_fd(), c"", flags, &raw)
}

/// `struct mount_attr` of linux/mount.h, version 0.
#[repr(C)]
struct RawMountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

fn propagation_bits(propagation: Propagation) -> u64 {
    match propagation {
        Propagation::Shared => libc::MS_SHARED,
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::Slave => libc::MS_SLAVE,
        Propagation::Unbindable => libc::MS_UNBINDABLE,
    }
}

fn mount_setattr(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
    attributes: &RawMountAttr,
) -> io::Result<()> {
    // SAFETY: `path` is null-terminated, `attributes` is a live struct of the size given and
    // the kernel only reads both; the descriptor is borrowed for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags as libc::c_uint,
            std::ptr::from_ref(attributes),
            size_of::<RawMountAttr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes away the mount at `path`, now or when its last user is gone; none there is success.
///
/// `path` is not followed if it is a symlink.
///
/// # Errors
/// As umount2(2), save `EINVAL` (no mount there) and `ENOENT`.
pub fn detach(path: &Path) -> io::Result<()> {
    unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Unmounts `path`; none there is success.
///
/// # Errors
/// As umount2(2), save `EINVAL` (no mount there) and `ENOENT`.
pub fn unmount(path: &Path, flags: UnmountFlags) -> io::Result<()> {
    match mount::unmount(path, flags) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Mounts by the classic mount(2): for options that the new API cannot carry on older kernels.
///
/// # Errors
/// As mount(2).
pub fn mount_classic(
    source: &CStr,
    target: &Path,
    fstype: &CStr,
    flags: MountFlags,
    data: &CStr,
) -> io::Result<()> {
    Ok(mount::mount(source, target, fstype, flags, data)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    use std::fs::File;

    /// Runs `body` on a thread with its own mount namespace, which ends with it.
    fn in_mount_namespace(body: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let flags = UnshareFlags::NEWNS | UnshareFlags::FS;
                // SAFETY: both flags affect only this thread, which then ends.
                let unshared = unsafe { unshare_unsafe(flags) };
                if let Err(error) = unshared {
                    eprintln!("skipped: no mount namespace: {error}");
                    return;
                }
                let root = File::open("/").unwrap();
                let private = MountAttributes {
                    propagation: Some(Propagation::Private),
                    ..Default::default()
                };
                set_attributes(&root, Depth::Recursive, &private).unwrap();
                body();
            });
            worker.join().unwrap();
        });
    }

    #[test]
    fn tmpfs_is_made_attached_and_detached() {
        let dir = tempfile::tempdir().unwrap();
        in_mount_namespace(|| {
            let context = FsContext::open("tmpfs").unwrap();
            context.set_string("size", "64k").unwrap();
            let mount = context.mount(MountAttrFlags::MOUNT_ATTR_NOSUID).unwrap();
            attach(&mount, File::open(dir.path()).unwrap()).unwrap();
            std::fs::write(dir.path().join("f"), "x").unwrap();
            detach(dir.path()).unwrap();
            assert!(!dir.path().join("f").exists());
            detach(dir.path()).unwrap();
            detach(&dir.path().join("missing")).unwrap();
        });
    }

    #[test]
    fn kernel_words_reach_the_caller() {
        in_mount_namespace(|| {
            let context = FsContext::open("tmpfs").unwrap();
            let error = context.set_string("no-such-option", "1").unwrap_err();
            assert_eq!(errno_of(&error), Some(Errno::INVAL));
            assert!(error.to_string().contains("no-such-option"), "{error}");
        });
    }

    #[test]
    fn clone_is_read_only_on_its_own() {
        let source = tempfile::tempdir().unwrap();
        let target = tempfile::tempdir().unwrap();
        in_mount_namespace(|| {
            let handle = File::open(source.path()).unwrap();
            let clone = clone_tree(&handle, Path::new(""), Depth::Recursive).unwrap();
            let read_only = MountAttributes {
                set: Some(MountAttrFlags::MOUNT_ATTR_RDONLY),
                ..Default::default()
            };
            set_attributes(&clone, Depth::Recursive, &read_only).unwrap();
            attach_to_path(&clone, target.path()).unwrap();
            let error = std::fs::write(target.path().join("f"), "x").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EROFS));
            std::fs::write(source.path().join("f"), "x").unwrap();
        });
    }
}
