//! The lock files of a store and the token of their last writer.
//!
//! A lock file holds 64 bytes that change with every write to what the lock protects:
//! who finds the bytes it saw before need not read the indexes again. Every program
//! that shares the store writes them in the same form.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use minke_sys::lock::{Lock, LockKind};

use crate::id::random_bytes;
use crate::{Error, Result};

const TOKEN_BYTES: usize = 64;

/// What identifies the last write; equal tokens mean that nothing was written between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token(Vec<u8>);

/// A lock file by its path; each acquisition opens it anew.
#[derive(Debug, Clone)]
pub(crate) struct LockPath(PathBuf);

impl LockPath {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn shared(&self) -> Result<Held> {
        self.take(LockKind::Shared)
    }

    /// The shared lock, or `None` while somebody writes.
    pub(crate) fn try_shared(&self) -> Result<Option<Held>> {
        match Lock::try_open(&self.0, LockKind::Shared) {
            Ok(lock) => Ok(lock.map(|lock| Held {
                lock,
                path: self.0.clone(),
            })),
            // The run root went with a reboot: taking the lock makes it anew.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.shared().map(Some),
            Err(error) => Err(Error::io("lock", &self.0)(error)),
        }
    }

    pub(crate) fn exclusive(&self) -> Result<Held> {
        self.take(LockKind::Exclusive)
    }

    fn take(&self, kind: LockKind) -> Result<Held> {
        let lock = match Lock::open(&self.0, kind) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = self.0.parent().unwrap_or(Path::new("."));
                std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
                Lock::open(&self.0, kind)
            }
            result => result,
        };
        Ok(Held {
            lock: lock.map_err(Error::io("lock", &self.0))?,
            path: self.0.clone(),
        })
    }
}

/// A lock file held; released on drop.
#[derive(Debug)]
pub(crate) struct Held {
    lock: Lock,
    path: PathBuf,
}

impl Held {
    /// The token of the last writer.
    pub(crate) fn token(&self) -> Result<Token> {
        let mut bytes = vec![0; TOKEN_BYTES];
        let mut filled = 0;
        while filled < TOKEN_BYTES {
            match self
                .lock
                .file()
                .read_at(&mut bytes[filled..], filled as u64)
            {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.path)(error)),
            }
        }
        bytes.truncate(filled);
        Ok(Token(bytes))
    }

    /// Makes this process the last writer. To be called before the write it announces, so that
    /// a death between the two costs others a needless reload and never a missed one.
    pub(crate) fn record_write(&self) -> Result<Token> {
        debug_assert_eq!(self.lock.kind(), LockKind::Exclusive);
        let bytes = new_token()?;
        self.lock
            .file()
            .write_all_at(&bytes, 0)
            .map_err(Error::io("write", &self.path))?;
        Ok(Token(bytes.to_vec()))
    }
}

fn new_token() -> Result<[u8; TOKEN_BYTES]> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos() as u64);
    let mut bytes = random_bytes::<TOKEN_BYTES>()?;
    bytes[..8].copy_from_slice(&now.to_le_bytes());
    bytes[8..16].copy_from_slice(&(COUNTER.fetch_add(1, Ordering::Relaxed) + 1).to_le_bytes());
    bytes[16..20].copy_from_slice(&std::process::id().to_le_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_changes_with_each_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = LockPath::new(dir.path().join("deep/layers.lock"));
        let empty = path.shared().unwrap().token().unwrap();
        let first = path.exclusive().unwrap().record_write().unwrap();
        assert_ne!(empty, first);
        assert_eq!(path.shared().unwrap().token().unwrap(), first);
        let second = path.exclusive().unwrap().record_write().unwrap();
        assert_ne!(first, second);
        let file = dir.path().join("deep/layers.lock");
        assert_eq!(std::fs::metadata(file).unwrap().len(), 64);
    }
}
