//! The first mount of a new volume: it takes over what the image has at the mount point.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use minke_sys::rooted::Root;
use minke_sys::tree;
use rustix::fs::OFlags;

use super::{Volume, VolumeRequest};
use crate::Engine;
use crate::error::{Error, Result};

/// Where a volume is mounted first.
pub(crate) struct Filling<'a> {
    /// The container's mounted root file system.
    pub root: &'a Root,
    /// The mount point in it.
    pub destination: &'a Path,
    /// Whether content is taken over; owner and mode always are.
    pub copy: bool,
    /// Who gets it where the image has no such directory; ids of this namespace.
    pub owner: (u32, u32),
}

impl Engine {
    /// The volume `name`, made if it is gone, and filled if it is new.
    ///
    /// A copy is noted before it begins and again when it is done: one that was killed is
    /// begun again by the next start.
    pub(crate) fn ready_volume(
        &self,
        name: &str,
        anonymous: bool,
        filling: &Filling<'_>,
    ) -> Result<Volume> {
        let request = VolumeRequest {
            existing_is_fine: true,
            anonymous,
            ..VolumeRequest::default()
        };
        let mut volume = self.create_volume(name, &request)?;
        if !volume.needs_chown && !volume.needs_copy_up && !volume.copying {
            return Ok(volume);
        }
        let _lock = self.lock_volume(name)?;
        // Filled by another container meanwhile, perhaps.
        if let Some(now) = self.read_volume(name)? {
            volume = now;
        }
        let failed = |source| Error::Path {
            act: "fill volume",
            path: volume.mountpoint.clone(),
            source,
        };
        let data = File::open(&volume.mountpoint).map_err(failed)?;
        let image = match filling
            .root
            .open(filling.destination, OFlags::RDONLY | OFlags::DIRECTORY)
        {
            Ok(image) => Some(image),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                None
            }
            Err(source) => {
                return Err(Error::path(
                    "open the image's",
                    filling.destination.to_owned(),
                )(source));
            }
        };
        let untouched = volume.copying || tree::is_empty(data.as_fd()).map_err(failed)?;
        if untouched && (filling.copy && volume.needs_copy_up || volume.copying) {
            if let Some(image) = &image {
                volume.copying = true;
                self.write_volume(&volume)?;
                tree::copy(image.as_fd(), data.as_fd()).map_err(|source| Error::Path {
                    act: "fill volume",
                    path: volume.mountpoint.clone(),
                    source,
                })?;
            }
            volume.needs_copy_up = false;
        }
        if untouched && volume.needs_chown {
            let given = match &image {
                Some(image) => tree::copy_attributes(image.as_fd(), data.as_fd()),
                None => {
                    std::os::unix::fs::fchown(&data, Some(filling.owner.0), Some(filling.owner.1))
                }
            };
            given.map_err(|source| Error::Path {
                act: "set the owner of",
                path: volume.mountpoint.clone(),
                source,
            })?;
        }
        volume.needs_chown = false;
        volume.copying = false;
        self.write_volume(&volume)?;
        Ok(volume)
    }
}
