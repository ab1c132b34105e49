//! Volumes: directories that outlive containers.
//!
//! Podman's layout: `volumes/NAME/_data` below the graph root. What we know of a volume is in
//! `volumes/NAME/minke.json`, so that there is nothing to rebuild; a directory without that
//! file is a volume that another engine made, and is used as it is. Which containers use a
//! volume is read from their records.

mod fill; // a new volume takes over what the image has
mod list; // which there are, and who uses them
mod make; // create, or find
mod record; // what is stored of one
mod remove; // without a trace

use std::path::PathBuf;

use minke_sys::lock::{Lock, LockKind};

use crate::Engine;
use crate::error::{Error, Result};

pub use make::VolumeRequest;
pub use record::Volume;

pub(crate) use fill::Filling;

/// The directory with a volume's content.
pub(crate) const DATA: &str = "_data";

impl Engine {
    pub(crate) fn volumes_dir(&self) -> PathBuf {
        self.places.store.graph_root.join("volumes")
    }

    /// The directory of a volume whose name is checked.
    pub(crate) fn volume_dir(&self, name: &str) -> PathBuf {
        self.volumes_dir().join(name)
    }

    /// One change of a volume at a time. Taken after a container's lock, never before.
    pub(crate) fn lock_volume(&self, name: &str) -> Result<Lock> {
        let path = self.runtime_dir("volume-locks")?.join(name);
        Lock::open(&path, LockKind::Exclusive).map_err(Error::path("lock", path))
    }
}

/// A volume's name is a directory's: nothing that could leave its parent.
///
/// # Errors
/// [`Error::VolumeNameInvalid`].
pub(crate) fn check_name(name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest && name.len() <= 255 {
        return Ok(());
    }
    Err(Error::VolumeNameInvalid {
        name: name.to_owned(),
    })
}
