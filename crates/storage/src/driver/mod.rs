//! What a copy-on-write backend must do.

mod overlay;
#[cfg(test)]
mod suite;

use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use minke_sys::idmap::IdMap;

use crate::tempdir::TempDir;
use crate::{LayerId, Result};

pub(crate) use overlay::{Overlay, is_mount};

/// How to mount one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountRequest {
    /// Mount the layer with nothing to write on.
    pub read_only: bool,
    /// Do not sync on unmount or fsync: for containers that end with the host.
    pub volatile: bool,
    /// Mount options in place of the store's own; `None` takes those.
    pub options: Option<Vec<String>>,
    /// Show the layers below through this mapping, from the ids on disk to those of a
    /// container's user namespace. What is written has the latter on disk.
    pub id_map: Option<IdMap>,
    /// SELinux label; `None` takes the one recorded with the layer.
    pub label: Option<String>,
}

/// A copy-on-write backend: it keeps layer directories and mounts them upon each other.
///
/// A driver keeps no record of its own and takes no lock: callers hold the layers lock
/// exclusively for [`Driver::install`] and [`Driver::remove`], and the mount points lock for
/// [`Driver::mount`] and [`Driver::unmount`].
pub(crate) trait Driver: Debug + Send + Sync {
    /// Where temporary directories go: on the same file system as the layers.
    fn temporary_root(&self) -> &Path;

    /// Makes a layer without content in `temporary`; gives the directory to unpack into.
    fn prepare(&self, temporary: &Path) -> Result<PathBuf>;

    /// Puts the layer prepared in `temporary` in its place, on top of `parent`. Where the place
    /// is taken by a leftover, that is removed first, through `temporary`.
    fn install(
        &self,
        temporary: &mut TempDir,
        id: &LayerId,
        parent: Option<&LayerId>,
    ) -> Result<()>;

    /// Makes the installs and removals so far survive a loss of power.
    fn sync(&self) -> Result<()>;

    /// Moves the layer into `temporary`, with which it ends; nothing there is success.
    fn remove(&self, id: &LayerId, temporary: &mut TempDir) -> Result<()>;

    /// The directory of what this layer changes.
    fn changes(&self, id: &LayerId) -> PathBuf;

    /// The directories that make the layer up, its own first.
    fn stack(&self, id: &LayerId) -> Result<Vec<PathBuf>>;

    /// Where the layer is or would be mounted.
    fn mount_point(&self, id: &LayerId) -> PathBuf;

    /// Mounts the layer on its mount point.
    fn mount(&self, id: &LayerId, request: &MountRequest, label: Option<&str>) -> Result<()>;

    /// The root of the layer and all below it, that seen through `id_map`, to read: a mount of its own without a place, that
    /// ends with the descriptor.
    fn view(&self, id: &LayerId, id_map: Option<&IdMap>) -> Result<OwnedFd>;

    /// Unmounts the layer; not mounted is success.
    fn unmount(&self, id: &LayerId) -> Result<()>;

    /// Called when the last mount of the store is gone.
    fn last_unmounted(&self);
}
