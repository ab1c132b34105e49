//! `mount` and `unmount`: a container's files on the host.

use std::collections::HashMap;
use std::path::PathBuf;

use minke_runtime_spec::container::Rootfs;
use minke_storage::{LayerId, MountRequest};

use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// A container whose root is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedContainer {
    /// Its id.
    pub id: String,
    /// Its names.
    pub names: Vec<String>,
    /// Where.
    pub path: PathBuf,
}

/// How to unmount.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnmountRequest {
    /// However often it is mounted, save for the container's own run.
    pub force: bool,
}

impl Engine {
    /// Mounts a container's root, or counts one more mount of it, and gives where. The counts
    /// are the store's: Podman's and Buildah's containers can be mounted too.
    ///
    /// # Errors
    /// No such container; the mount is refused.
    pub fn mount_root(&self, name: &str) -> Result<PathBuf> {
        let (layer, record) = self.rooted_layer(name)?;
        if let Some(record) = &record
            && let Some(rootfs) = &record.config.spec.rootfs
        {
            return self.directory_of(record, rootfs);
        }
        let request = record.map(|record| self.mount_request(&record));
        Ok(self.store()?.mount(&layer, &request.unwrap_or_default())?)
    }

    /// How the root of a container is mounted. What is below the layer of a normal user's
    /// container has the container's owners on disk.
    pub(crate) fn mount_request(&self, record: &Record) -> MountRequest {
        MountRequest {
            id_map: record.id_map().filter(|_| !self.places.rootless),
            ..MountRequest::default()
        }
    }

    /// Succeeds where there is a container that can be mounted, of whichever engine.
    ///
    /// # Errors
    /// No such container.
    pub fn has_root(&self, name: &str) -> Result<()> {
        self.rooted_layer(name).map(drop)
    }

    /// Counts one mount of a container's root less, and unmounts it with the last. Of one that
    /// runs its own mount stays. Not mounted is success.
    ///
    /// # Errors
    /// No such container; the system refuses.
    pub fn unmount_root(&self, name: &str, request: &UnmountRequest) -> Result<()> {
        let store = self.store()?;
        let (layer, record) = self.rooted_layer(name)?;
        if let Some(record) = &record
            && record.config.spec.rootfs.is_some()
        {
            // What is there is its run's, or the host's own.
            return Ok(());
        }
        let runs = record.is_some_and(|record| self.status(&record).0.is_alive());
        let kept = u64::from(runs);
        let mut count = store.mount_count(&layer)?;
        if count == 0 || (request.force && kept == 0) {
            return Ok(store.unmount_all(&layer)?);
        }
        let least = if request.force { kept } else { count - 1 };
        while count > least.max(kept) {
            count = store.unmount(&layer)?;
        }
        Ok(())
    }

    /// Containers whose root is mounted, the oldest first; those of other engines in the same
    /// store after ours.
    ///
    /// # Errors
    /// The store or the database cannot be read.
    pub fn mounted_roots(&self) -> Result<Vec<MountedContainer>> {
        let mut mounted: HashMap<LayerId, PathBuf> = self.store()?.mounted()?.into_iter().collect();
        let mut found = Vec::new();
        for record in self.database()?.all()? {
            let path = match &record.config.spec.rootfs {
                Some(_) if self.status(&record).0.is_alive() => Some(self.root_path(&record)?),
                _ => mounted.remove(&record.config.layer.parse()?),
            };
            if let Some(path) = path {
                let (id, names) = (record.id, vec![record.name]);
                found.push(MountedContainer { id, names, path });
            }
        }
        for container in self.store()?.containers()?.iter() {
            if let Some(path) = mounted.remove(&container.layer) {
                found.push(MountedContainer {
                    id: container.id.to_string(),
                    names: container.names.clone(),
                    path,
                });
            }
        }
        Ok(found)
    }

    /// Where the root of a container without an image is: it is not mounted for this.
    fn directory_of(&self, record: &Record, rootfs: &Rootfs) -> Result<PathBuf> {
        if self.status(record).0.is_alive() {
            return self.root_path(record);
        }
        if rootfs.overlay {
            return Err(Error::WrongState {
                text: format!(
                    "container {} throws away what is written to its root: it can be mounted only while it runs",
                    record.id
                ),
            });
        }
        Ok(rootfs.path.clone())
    }

    /// The layer of a container, with its record where it is ours.
    fn rooted_layer(&self, name: &str) -> Result<(LayerId, Option<Record>)> {
        let error = match self.find(name) {
            Ok(record) => return Ok((record.config.layer.parse()?, Some(record))),
            Err(error @ Error::ContainerUnknown { .. }) => error,
            Err(error) => return Err(error),
        };
        match self.store()?.containers()?.lookup(name) {
            Ok(container) => Ok((container.layer.clone(), None)),
            Err(_) => Err(error),
        }
    }
}
