//! Temporary directories in the graph root that do not outlive their process for long.
//!
//! A directory `temp-dir-X` is alive while somebody holds the record lock on `lock-X` beside
//! it. Whoever takes that lock may remove both. Every program that shares the store follows
//! this, so what one leaves when killed, any other clears away.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use minke_sys::lock::{Lock, LockKind};

use crate::digest::hex;
use crate::id::random_bytes;
use crate::{Error, Result};

const DIRECTORY: &str = "temp-dir-";
const LOCK: &str = "lock-";

/// A temporary directory, removed on drop.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: Lock,
    moved: u32,
}

impl TempDir {
    /// Makes a directory below `parent`, which is made if missing.
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        loop {
            builder
                .create(parent)
                .map_err(Error::io("create", parent))?;
            let name = hex(&random_bytes::<8>()?);
            let lock_path = parent.join(format!("{LOCK}{name}"));
            let lock = match own_lock(&lock_path) {
                Ok(Some(lock)) => lock,
                Ok(None) => continue,
                // Who removed the last one took the parent with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("lock", lock_path)(error)),
            };
            let path = parent.join(format!("{DIRECTORY}{name}"));
            builder.create(&path).map_err(Error::io("create", &path))?;
            return Ok(Self {
                path,
                lock_path,
                _lock: lock,
                moved: 0,
            });
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves `path` in here, to be removed with us; false if there is none.
    pub(crate) fn take_in(&mut self, path: &Path) -> Result<bool> {
        let target = self.path.join(format!("{}-removed", self.moved));
        self.moved += 1;
        match fs::rename(path, target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("move", path)(error)),
        }
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // The lock file goes last: while it is there, the directory is somebody's concern.
        let removed = remove_tree(&self.path).and_then(|()| fs::remove_file(&self.lock_path));
        if let Err(error) = removed {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove");
        }
        remove_if_empty(&self.path);
    }
}

/// Removes the directories below `parent` whose processes are gone.
pub(crate) fn recover(parent: &Path) -> Result<()> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read", parent)(error)),
    };
    for entry in entries.filter_map(io::Result::ok) {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(name) = name
            .strip_prefix(DIRECTORY)
            .or_else(|| name.strip_prefix(LOCK))
        else {
            continue;
        };
        if let Err(error) = recover_one(parent, name) {
            tracing::warn!(%error, parent = %parent.display(), name, "cannot clear a leftover");
        }
    }
    let _ = fs::remove_dir(parent);
    Ok(())
}

/// Removes the parent of `path` unless others are in it: programs that know of no such
/// directory then see none.
fn remove_if_empty(path: &Path) {
    if let Some(parent) = path.parent() {
        let _ = fs::remove_dir(parent);
    }
}

fn recover_one(parent: &Path, name: &str) -> io::Result<()> {
    let lock_path = parent.join(format!("{LOCK}{name}"));
    let mut how = OpenOptions::new();
    how.read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let file = how.open(&lock_path)?;
    let Some(lock) = Lock::try_acquire(file, LockKind::Exclusive)? else {
        return Ok(());
    };
    remove_tree(&parent.join(format!("{DIRECTORY}{name}")))?;
    if is_at(lock.file(), &lock_path)? {
        fs::remove_file(&lock_path)?;
    }
    Ok(())
}

/// Makes and locks the file, or gives `None` if somebody cleared it away in between.
fn own_lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let Some(lock) = Lock::try_acquire(file, LockKind::Exclusive)? else {
        return Ok(None);
    };
    Ok(is_at(lock.file(), path)?.then_some(lock))
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a tree whose mode bits may forbid it; none there is success.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_are_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let living = TempDir::new(parent.path()).unwrap();
        fs::write(living.path().join("f"), "x").unwrap();
        fs::create_dir(parent.path().join("temp-dir-dead")).unwrap();
        fs::write(parent.path().join("lock-dead"), "").unwrap();
        fs::create_dir(parent.path().join("temp-dir-lockless")).unwrap();
        recover(parent.path()).unwrap();
        assert!(living.path().join("f").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2);
        drop(living);
        assert!(!parent.path().exists());
        recover(&parent.path().join("missing")).unwrap();
    }
}
