//! `mountpoints.json` in the run root: which layers are mounted, where, and how often.

use std::io;
use std::path::{Path, PathBuf};

use minke_sys::atomic::{self, Durability, ReplaceOptions};
use serde::{Deserialize, Serialize};

use crate::lastwrite::{Held, LockPath};
use crate::record::Unknown;
use crate::{Error, Result};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct MountPoint {
    id: String,
    path: PathBuf,
    count: i64,
    #[serde(flatten)]
    unknown: Unknown,
}

/// The file and its lock.
#[derive(Debug)]
pub(crate) struct MountPointFile {
    path: PathBuf,
    lock: LockPath,
}

impl MountPointFile {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join("mountpoints.json"),
            lock: LockPath::new(directory.join("mountpoints.lock")),
        }
    }

    /// Locks for writing and reads what there is; a missing file, as after a reboot, is empty.
    pub(crate) fn lock(&self) -> Result<MountPoints<'_>> {
        let held = self.lock.exclusive()?;
        Ok(MountPoints {
            entries: self.read()?,
            held,
            path: &self.path,
        })
    }

    /// How often the layer is mounted by what is recorded.
    pub(crate) fn count(&self, id: &str) -> Result<u64> {
        let _held = self.lock.shared()?;
        let entries = self.read()?;
        let count = entries
            .iter()
            .find(|entry| entry.id == id)
            .map_or(0, |entry| entry.count);
        Ok(count.max(0).cast_unsigned())
    }

    /// What is mounted by what is recorded: id, place and how often.
    pub(crate) fn all(&self) -> Result<Vec<(String, PathBuf, u64)>> {
        let _held = self.lock.shared()?;
        let entries = self.read()?.into_iter();
        let counted = entries.map(|entry| {
            let count = entry.count.max(0).cast_unsigned();
            (entry.id, entry.path, count)
        });
        Ok(counted.collect())
    }

    fn read(&self) -> Result<Vec<MountPoint>> {
        match std::fs::read(&self.path) {
            Ok(text) if text.iter().all(u8::is_ascii_whitespace) => Ok(Vec::new()),
            Ok(text) => serde_json::from_slice(&text).map_err(|source| Error::Index {
                path: self.path.clone(),
                source,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("read", &self.path)(error)),
        }
    }
}

/// The mount points, locked for writing.
pub(crate) struct MountPoints<'f> {
    entries: Vec<MountPoint>,
    held: Held,
    path: &'f Path,
}

impl MountPoints<'_> {
    pub(crate) fn get(&self, id: &str) -> u64 {
        let entry = self.entries.iter().find(|entry| entry.id == id);
        entry.map_or(0, |entry| entry.count.max(0).cast_unsigned())
    }

    /// Records that the layer is mounted `count` times; zero takes it out.
    pub(crate) fn set(&mut self, id: &str, path: &Path, count: u64) -> Result<()> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        match self.entries.iter_mut().find(|entry| entry.id == id) {
            Some(entry) => {
                entry.count = count;
                entry.path = path.to_owned();
            }
            None => self.entries.push(MountPoint {
                id: id.to_owned(),
                path: path.to_owned(),
                count,
                unknown: Unknown::new(),
            }),
        }
        self.entries.retain(|entry| entry.count > 0);
        let text = serde_json::to_vec(&self.entries).map_err(|source| Error::Index {
            path: self.path.to_owned(),
            source,
        })?;
        self.held.record_write()?;
        let options = ReplaceOptions {
            mode: 0o600,
            durability: Durability::Cached,
        };
        atomic::replace(self.path, &text, &options).map_err(Error::io("write", self.path))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
