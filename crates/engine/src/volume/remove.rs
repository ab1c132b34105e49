//! `volume rm`, and what goes with a container.

use std::time::Duration;

use crate::Engine;
use crate::container::cleanup::{remove_file, remove_tree};
use crate::container::remove::RemoveRequest;
use crate::error::{Error, Result};

impl Engine {
    /// Removes a volume; with `force` the containers that use it go first, stopped after
    /// `timeout`. Gives its full name.
    ///
    /// # Errors
    /// [`Error::VolumeUnknown`]; [`Error::VolumeInUse`].
    pub fn remove_volume(
        &self,
        name: &str,
        force: bool,
        timeout: Option<Duration>,
    ) -> Result<String> {
        let name = self.volume(name)?.name;
        if force {
            for id in self.volume_users(&name)? {
                let request = RemoveRequest {
                    force: true,
                    timeout,
                    ignore_missing: true,
                    ..RemoveRequest::default()
                };
                self.remove(&id, &request)?;
            }
        }
        self.remove_unused_volume(&name, None)?;
        Ok(name)
    }

    /// Removes a volume that no container but `leaving` uses; gone already is success.
    fn remove_unused_volume(&self, name: &str, leaving: Option<&str>) -> Result<()> {
        let _lock = self.lock_volume(name)?;
        let mut users = self.volume_users(name)?;
        users.retain(|id| leaving != Some(id));
        if !users.is_empty() {
            return Err(Error::VolumeInUse {
                name: name.to_owned(),
                users,
            });
        }
        // A mount below it that somebody forgot is not emptied with it.
        let dir = self.volume_dir(name);
        minke_sys::mount::detach(&dir.join(super::DATA))
            .map_err(Error::path("unmount", dir.join(super::DATA)))?;
        remove_tree(&dir)?;
        remove_file(&self.runtime_dir("volume-locks")?.join(name))
    }

    /// Removes the volumes that were made for the container `leaving`, save those that others
    /// have taken over. A failure is told of and ends nothing.
    pub(crate) fn remove_anonymous_volumes(&self, names: &[String], leaving: &str) {
        for name in names {
            match self.remove_unused_volume(name, Some(leaving)) {
                Ok(()) | Err(Error::VolumeInUse { .. }) => {}
                Err(error) => {
                    tracing::warn!(volume = name, error = %error.chain(), "not removed");
                }
            }
        }
    }
}
