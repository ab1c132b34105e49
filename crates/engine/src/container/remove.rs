//! `rm`: a container, without a trace.

use std::path::Path;
use std::time::Duration;

use minke_runtime_spec::option::log::LogOptions;
use minke_storage::{ContainerId, LayerId};
use minke_sys::lock::{Lock, LockKind};

use super::cleanup::{remove_file, remove_tree};
use super::lock::Locked;
use super::record::{Config, Record};
use super::status::ContainerState;
use super::stop::StopRequest;
use crate::Engine;
use crate::error::{Error, Result};
use crate::image::remove::RemoveImageRequest;

/// How to remove a container.
#[derive(Debug, Clone, Default)]
pub struct RemoveRequest {
    /// Stop it first if it runs.
    pub force: bool,
    /// Remove its anonymous volumes too; always so for one that was to go with its end.
    pub volumes: bool,
    /// Wait so long between the stop signal and SIGKILL; `None` takes the container's own.
    pub timeout: Option<Duration>,
    /// Succeed when there is no such container.
    pub ignore_missing: bool,
    /// One that another engine has in the store may be meant.
    pub external: bool,
    /// Remove the containers that need it first.
    pub dependents: bool,
}

impl Engine {
    /// Removes a container; gives its id, or `None` when it was missing and that is ignored.
    ///
    /// # Errors
    /// [`Error::Running`] unless `force` is set.
    pub fn remove(&self, name: &str, request: &RemoveRequest) -> Result<Option<String>> {
        let locked = match self.find_and_lock(name) {
            Err(Error::ContainerUnknown { name }) => return self.remove_unknown(name, request),
            Err(Error::Record { .. }) => return self.remove_damaged(name).map(Some),
            found => found?,
        };
        let id = locked.record.id.clone();
        let locked = match self.dependents(&locked.record)? {
            dependents if dependents.is_empty() => locked,
            dependents if request.dependents => {
                drop(locked);
                for dependent in dependents {
                    self.remove(&dependent, request)?;
                }
                self.lock(&id)?
            }
            dependents => return Err(Error::HasDependents { id, dependents }),
        };
        let (status, _) = self.status(&locked.record);
        if !status.is_alive() {
            self.remove_locked(locked, request.volumes)?;
            return Ok(Some(id));
        }
        // What has only been initialized goes like what was only created.
        if !request.force && status != ContainerState::Initialized {
            let state = if status == ContainerState::Paused {
                "paused"
            } else {
                "running"
            };
            return Err(Error::Running { id, state });
        }
        drop(locked);
        let stop = StopRequest {
            timeout: request.timeout,
            ignore_missing: true,
            ..StopRequest::default()
        };
        self.stop(&id, &stop)?;
        match self.lock(&id) {
            // The monitor's exit command was there first.
            Err(Error::ContainerUnknown { .. }) => {}
            locked => self.remove_locked(locked?, request.volumes)?,
        }
        Ok(Some(id))
    }

    /// One that is not ours: the store may have it from another engine.
    fn remove_unknown(&self, name: String, request: &RemoveRequest) -> Result<Option<String>> {
        let external = if request.external {
            self.remove_external(&name, request.force)?
        } else {
            None
        };
        match external {
            Some(id) => Ok(Some(id)),
            None if request.ignore_missing => Ok(None),
            None => Err(Error::NothingToRemove { name }),
        }
    }

    /// Removes a container that does not run: what its start left, its layer, its record.
    /// The record goes last, so that a removal that is killed can be repeated.
    pub(crate) fn remove_locked(&self, mut locked: Locked, volumes: bool) -> Result<()> {
        self.record_end(&mut locked)?;
        let record = &locked.record;
        let id: ContainerId = record.id.parse()?;
        // Also where nothing says that there are some: what is mounted must not be emptied.
        self.unstage_mounts(record, &self.bundle(record)?)?;
        self.remove_stored(&id, record.config.layer.parse().ok())?;
        let own = self.store()?.container_directory(&id);
        remove_log(&record.config, &own)?;
        remove_file(&self.health_log_path(record)?)?;
        if let Some(path) = &record.config.cidfile {
            remove_file(path)?;
        }
        if volumes || record.config.spec.remove {
            self.remove_anonymous_volumes(&record.config.anonymous_volumes, &record.id);
        }
        self.forget(&record.id)?;
        if record.config.spec.remove_image && !record.config.image_id.is_empty() {
            self.remove_image_unless_used(&record.config.image_id);
        }
        Ok(())
    }

    /// The container is gone; that its image stays is told of and fails nothing.
    fn remove_image_unless_used(&self, image: &str) {
        let request = RemoveImageRequest::default();
        if let Err(error) = self.remove_image(image, &request) {
            tracing::info!(image, error = %error.chain(), "the image stays");
        }
    }

    /// What the store has of a container. Where a create was killed, or somebody else has been
    /// there, that is a layer without its container, or nothing.
    fn remove_stored(&self, id: &ContainerId, layer: Option<LayerId>) -> Result<()> {
        let store = self.store()?;
        if store.containers()?.get(id).is_some() {
            return Ok(self.store_mut()?.delete_container(id)?);
        }
        if let Some(layer) = layer
            && store.layers()?.get(&layer).is_some()
        {
            store.unmount_all(&layer)?;
            self.store_mut()?.write_layers()?.delete(&layer)?;
        }
        let ours = [
            store.container_directory(id),
            store.container_run_directory(id),
        ];
        // The store keeps them a level below the container's own.
        ours.iter()
            .filter_map(|dir| dir.parent())
            .try_for_each(remove_tree)
    }

    /// The record goes last but for the lock. The exit file stays a while, for who still waits.
    fn forget(&self, id: &str) -> Result<()> {
        remove_tree(&self.persist_dir(id))?;
        self.sweep_exit_files();
        self.database()?.delete(id)?;
        remove_file(&self.places.runtime.join("locks").join(id))
    }

    /// Removes a container whose record cannot be read: by its id, whatever can be found.
    fn remove_damaged(&self, name: &str) -> Result<String> {
        let id = self.database()?.find(name)?;
        tracing::warn!(
            container = id,
            "its record is damaged: removed by what is found of it"
        );
        let path = self.runtime_dir("locks")?.join(&id);
        let _lock = Lock::open(&path, LockKind::Exclusive).map_err(Error::path("lock", &path))?;
        let record = Record {
            id: id.clone(),
            ..Record::default()
        };
        self.end_stray_monitors(&id, None);
        self.runtime(&record)?.delete(&id)?;
        self.leave_all_networks(&record)?;
        self.unstage_mounts(&record, &self.bundle(&record)?)?;
        self.remove_stored(&id.parse()?, None)?;
        self.forget(&id)?;
        Ok(id)
    }
}

/// A log outside the container's own directory, which is gone already, goes too, with the files
/// that its rotation has kept.
fn remove_log(config: &Config, own: &Path) -> Result<()> {
    let log = &config.log_path;
    if log.starts_with(own) || log.as_os_str().is_empty() || log.starts_with("/dev") {
        return Ok(());
    }
    remove_file(log)?;
    let options = LogOptions::read(&config.spec.log.options).unwrap_or_default();
    for number in 1..options.max_files.unwrap_or(1) {
        let mut backup = log.clone().into_os_string();
        backup.push(format!(".{number}"));
        remove_file(Path::new(&backup))?;
    }
    Ok(())
}
