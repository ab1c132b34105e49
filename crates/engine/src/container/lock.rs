//! One change of a container at a time.
//!
//! The lock is a file named by the id in the run root: nothing is numbered, nothing runs out,
//! and the kernel frees it when its holder dies. Readers take none.

use minke_sys::lock::{Lock, LockKind};

use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// A container that only we may change, with its record as read under the lock.
#[derive(Debug)]
pub(crate) struct Locked {
    pub record: Record,
    _lock: Lock,
}

impl Engine {
    /// Locks a container and reads its record again: what was known before is a rumour.
    pub(crate) fn lock(&self, id: &str) -> Result<Locked> {
        let path = self.runtime_dir("locks")?.join(id);
        let lock = Lock::open(&path, LockKind::Exclusive).map_err(Error::path("lock", &path))?;
        match self.database()?.get(id)? {
            Some(record) => Ok(Locked {
                record,
                _lock: lock,
            }),
            None => {
                // Removed while we waited, or never there: the file goes with the container.
                let _ = std::fs::remove_file(path);
                Err(Error::ContainerUnknown {
                    name: id.to_owned(),
                })
            }
        }
    }

    /// Finds a container by name, id or prefix, and locks it.
    pub(crate) fn find_and_lock(&self, name: &str) -> Result<Locked> {
        let id = self.database()?.find(name)?;
        self.lock(&id).map_err(|error| match error {
            Error::ContainerUnknown { .. } => Error::ContainerUnknown {
                name: name.to_owned(),
            },
            other => other,
        })
    }

    /// Reads a container by name, id or prefix.
    pub(crate) fn find(&self, name: &str) -> Result<Record> {
        let id = self.database()?.find(name)?;
        let found = self.database()?.get(&id)?;
        let found = found.and_then(|record| self.settled(record));
        found.ok_or_else(|| Error::ContainerUnknown {
            name: name.to_owned(),
        })
    }

    /// Locks a container unless somebody has it locked.
    pub(crate) fn try_lock(&self, id: &str) -> Result<Option<Locked>> {
        let path = self.runtime_dir("locks")?.join(id);
        let lock =
            Lock::try_open(&path, LockKind::Exclusive).map_err(Error::path("lock", &path))?;
        let Some(lock) = lock else { return Ok(None) };
        let record = self.database()?.get(id)?;
        Ok(record.map(|record| Locked {
            record,
            _lock: lock,
        }))
    }
}

impl Locked {
    /// Writes the facts back.
    pub fn save(&self, engine: &Engine) -> Result<()> {
        engine
            .database()?
            .update_state(&self.record.id, &self.record.state)
    }
}
