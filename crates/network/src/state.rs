//! State files: small JSON records in the run root, replaced whole under a lock.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use minke_sys::lock::{Lock, LockKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// More than any honest state file holds: a full /16 is under 10 MiB.
const LIMIT_BYTES: u64 = 64 << 20;

/// A record of type `T` in a file, locked as long as this lives.
#[derive(Debug)]
pub(crate) struct StateFile<T> {
    path: PathBuf,
    /// What the file holds; changed in place, then written by [`StateFile::save`].
    pub(crate) record: T,
    _lock: Lock,
}

impl<T: Serialize + DeserializeOwned + Default> StateFile<T> {
    /// Locks `<dir>/<name>.lock`, then reads `<dir>/<name>.json`.
    ///
    /// A file that cannot be understood is put aside as `<name>.json.damaged` and named in the
    /// log: state follows from facts, and one damaged file must not stop every container.
    pub(crate) fn open(dir: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|source| Error::file("create", dir, source))?;
        let lock_path = dir.join(format!("{name}.lock"));
        let lock = Lock::open(&lock_path, LockKind::Exclusive)
            .map_err(|source| Error::file("lock", lock_path, source))?;
        let path = dir.join(format!("{name}.json"));
        remove(&fresh(&path))?;
        let record = read(&path)?;
        Ok(Self {
            path,
            record,
            _lock: lock,
        })
    }

    /// Replaces the file by what `record` holds now.
    ///
    /// The new text has one fixed name until it takes the old one's place, so that a kill leaves
    /// nothing that the next holder of the lock does not remove. A reboot empties the directory:
    /// nothing has to reach a disk.
    pub(crate) fn save(&self) -> Result<()> {
        let bytes = serde_json::to_vec(&self.record)
            .map_err(|source| Error::file("write", &self.path, io::Error::from(source)))?;
        let fresh = fresh(&self.path);
        let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, &self.path));
        written.map_err(|source| Error::file("write", &self.path, source))
    }

    /// Removes the file, where the record says nothing any more; the lock file stays, since
    /// somebody may be waiting on it.
    pub(crate) fn remove(&self) -> Result<()> {
        remove(&self.path)
    }
}

/// Whether there is a record called `name`, or the remains of one.
pub(crate) fn exists(dir: &Path, name: &str) -> bool {
    let path = dir.join(format!("{name}.json"));
    path.exists() || fresh(&path).exists()
}

/// Where new text waits to take the place of `path`.
fn fresh(path: &Path) -> PathBuf {
    path.with_extension("json.new")
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", path, source))
        }
        _ => Ok(()),
    }
}

fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(source) => return Err(Error::file("read", path, source)),
    };
    let mut bytes = Vec::new();
    file.take(LIMIT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::file("read", path, source))?;
    match serde_json::from_slice(&bytes) {
        Ok(record) => Ok(record),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "network state is damaged, put aside");
            let aside = path.with_extension("json.damaged");
            fs::rename(path, aside).map_err(|source| Error::file("rename", path, source))?;
            Ok(T::default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_put_aside_and_the_next_use_works() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.json"), "{ half").unwrap();
        let mut state = StateFile::<Vec<u32>>::open(dir.path(), "x").unwrap();
        assert!(state.record.is_empty());
        state.record.push(7);
        state.save().unwrap();
        drop(state);
        let state = StateFile::<Vec<u32>>::open(dir.path(), "x").unwrap();
        assert_eq!(state.record, [7]);
        assert_eq!(
            fs::read_to_string(dir.path().join("x.json.damaged")).unwrap(),
            "{ half"
        );
    }
}
