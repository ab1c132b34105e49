//! Open-file-description record locks.
//!
//! They conflict with the POSIX record locks that Go programs take on the same files, also
//! across processes, and unlike those they are not lost when another descriptor of the file
//! is closed. They belong to the open file, so two [`Lock`]s of one process exclude each other.
//! flock(2) is a different lock that none of these sees.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Whether others may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Any number of shared holders, no exclusive one.
    Shared,
    /// A single holder.
    Exclusive,
}

/// A whole-file record lock, released on drop.
#[derive(Debug)]
pub struct Lock {
    file: File,
    kind: LockKind,
}

impl Lock {
    /// Opens `path`, making it with mode 0644 if missing, and waits for the lock.
    ///
    /// # Errors
    /// As open(2) and fcntl(2).
    pub fn open(path: &Path, kind: LockKind) -> io::Result<Self> {
        Self::acquire(open_lock_file(path)?, kind)
    }

    /// As [`Lock::open`], but gives `None` instead of waiting.
    ///
    /// # Errors
    /// As open(2) and fcntl(2).
    pub fn try_open(path: &Path, kind: LockKind) -> io::Result<Option<Self>> {
        Self::try_acquire(open_lock_file(path)?, kind)
    }

    /// Waits for the lock on `file`, which must be open for writing if exclusive.
    ///
    /// # Errors
    /// As fcntl(2); signals do not end the wait.
    pub fn acquire(file: File, kind: LockKind) -> io::Result<Self> {
        set(&file, libc::F_OFD_SETLKW, record_type(kind))?;
        Ok(Self { file, kind })
    }

    /// Takes the lock on `file`, or gives `None` if somebody holds it.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn try_acquire(file: File, kind: LockKind) -> io::Result<Option<Self>> {
        match set(&file, libc::F_OFD_SETLK, record_type(kind)) {
            Ok(()) => Ok(Some(Self { file, kind })),
            Err(error) if is_held(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the lock is shared or exclusive.
    pub fn kind(&self) -> LockKind {
        self.kind
    }

    /// The locked file, for what is written in it.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Explicitly, since a forked child may still share the open file.
        if let Err(error) = set(
            &self.file,
            libc::F_OFD_SETLK,
            libc::F_UNLCK as libc::c_short,
        ) {
            tracing::warn!(%error, "cannot release a record lock");
        }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)
}

fn record_type(kind: LockKind) -> libc::c_short {
    match kind {
        LockKind::Shared => libc::F_RDLCK as libc::c_short,
        LockKind::Exclusive => libc::F_WRLCK as libc::c_short,
    }
}

fn is_held(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

fn set(file: &File, command: libc::c_int, record: libc::c_short) -> io::Result<()> {
    // SAFETY: `flock` is a plain C struct for which all-zero is a valid value: the whole file,
    // counted from its start, and `l_pid` 0 as OFD locks demand.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = record;
    range.l_whence = libc::SEEK_SET as libc::c_short;
    loop {
        // SAFETY: the descriptor is open for the whole call and `range` is a valid flock.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &range) };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_of_one_process_exclude_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let one = Lock::open(&path, LockKind::Shared).unwrap();
        let two = Lock::try_open(&path, LockKind::Shared).unwrap();
        assert!(two.is_some());
        assert!(
            Lock::try_open(&path, LockKind::Exclusive)
                .unwrap()
                .is_none()
        );
        drop((one, two));
        let three = Lock::try_open(&path, LockKind::Exclusive).unwrap();
        assert_eq!(three.unwrap().kind(), LockKind::Exclusive);
        assert!(
            Lock::try_open(&path, LockKind::Exclusive)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn conflicts_with_posix_record_locks() {
        use nix::fcntl::{FcntlArg, fcntl};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let held = Lock::open(&path, LockKind::Exclusive).unwrap();
        let other = File::options().write(true).open(&path).unwrap();
        let record = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: 0,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        assert!(fcntl(&other, FcntlArg::F_SETLK(&record)).is_err());
        drop(held);
        fcntl(&other, FcntlArg::F_SETLK(&record)).unwrap();
        assert!(Lock::try_open(&path, LockKind::Shared).unwrap().is_none());
    }

    #[test]
    fn closing_another_descriptor_keeps_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let _held = Lock::open(&path, LockKind::Exclusive).unwrap();
        drop(File::open(&path).unwrap());
        assert!(
            Lock::try_open(&path, LockKind::Exclusive)
                .unwrap()
                .is_none()
        );
    }
}
