//! Network namespaces that outlive their processes, bound to a file.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use rustix::fs::{Mode, OFlags};

use crate::{Error, Result};

/// Makes a new network namespace, binds it to the file `path` and opens it.
///
/// Missing directories are made. A plain file left by a killed process is taken over; a
/// namespace already bound there is refused. In the new namespace everything is down.
///
/// # Errors
/// [`Error::Kernel`] with `EEXIST` if `path` already holds a namespace; otherwise as mount(2)
/// and unshare(2).
pub fn create(path: &Path) -> Result<OwnedFd> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| Error::file("create", parent, source))?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| match open(path) {
            // A bound namespace cannot be opened for writing.
            Ok(_) => occupied(path),
            Err(_) => Error::file("create", path, source),
        })?;
    if open(path).is_ok() {
        return Err(occupied(path));
    }
    bind_new(path).map_err(|source| {
        let _ = fs::remove_file(path);
        Error::kernel(
            format!("create a network namespace at {}", path.display()),
            source,
        )
    })?;
    open(path)
}

/// Opens the network namespace bound to `path`.
///
/// # Errors
/// [`Error::File`] if there is no such file, or no namespace in it.
pub fn open(path: &Path) -> Result<OwnedFd> {
    let failed = |source: io::Error| Error::file("open the network namespace", path, source);
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed(errno.into()))?;
    let stat = fstatfs(&fd).map_err(|errno| failed(errno.into()))?;
    if stat.filesystem_type() != NSFS_MAGIC {
        return Err(failed(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a namespace",
        )));
    }
    Ok(fd)
}

/// Unbinds the namespace at `path` and removes the file; what is gone already is success.
///
/// The namespace itself ends with the last process or descriptor that uses it.
///
/// # Errors
/// As umount2(2) and unlink(2).
pub fn delete(path: &Path) -> Result<()> {
    match umount2(path, MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(errno) => return Err(Error::file("unmount", path, errno)),
    }
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", path, source))
        }
        _ => Ok(()),
    }
}

/// Runs `task` in the network namespace `netns`, on a thread that ends with it.
///
/// Sockets the task makes belong to that namespace and may be handed back; settings below
/// `/proc/sys/net` are that namespace's for the task.
///
/// # Errors
/// As setns(2), or if no thread can be made.
pub fn within<T: Send>(netns: BorrowedFd<'_>, task: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| -> io::Result<T> {
        thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, move || -> io::Result<T> {
                setns(netns, CloneFlags::CLONE_NEWNET)?;
                Ok(task())
            })?
            .join()
            .map_err(|_| io::Error::other("the thread in the network namespace panicked"))?
    })
}

fn occupied(path: &Path) -> Error {
    Error::kernel(
        format!("create a network namespace at {}", path.display()),
        Errno::EEXIST,
    )
}

/// A namespace belongs to a thread until it is bound; this one ends right after.
fn bind_new(path: &Path) -> io::Result<()> {
    thread::scope(|scope| -> io::Result<()> {
        thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, || -> io::Result<()> {
                unshare(CloneFlags::CLONE_NEWNET)?;
                mount(
                    Some("/proc/thread-self/ns/net"),
                    path,
                    None::<&str>,
                    MsFlags::MS_BIND,
                    None::<&str>,
                )?;
                Ok(())
            })?
            .join()
            .map_err(|_| io::Error::other("the thread in the network namespace panicked"))?
    })
}

/// The network namespace of the calling thread.
///
/// # Errors
/// As open(2).
pub fn current() -> Result<OwnedFd> {
    open(Path::new("/proc/thread-self/ns/net"))
}

/// Whether two descriptors are of the same namespace.
///
/// # Errors
/// As fstat(2).
pub fn same(one: impl AsFd, other: impl AsFd) -> io::Result<bool> {
    let one = rustix::fs::fstat(one)?;
    let other = rustix::fs::fstat(other)?;
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
