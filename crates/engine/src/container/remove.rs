//! `rm`: a container, without a trace.

use std::path::Path;
use std::time::Duration;

use minke_storage::ContainerId;

use super::cleanup::{remove_file, remove_tree};
use super::lock::Locked;
use super::status::ContainerState;
use super::stop::StopRequest;
use crate::Engine;
use crate::error::{Error, Result};

/// How to remove a container.
#[derive(Debug, Clone, Default)]
pub struct RemoveRequest {
    /// Stop it first if it runs.
    pub force: bool,
    /// Remove its anonymous volumes too. There are none yet; accepted for scripts.
    pub volumes: bool,
    /// Wait so long between the stop signal and SIGKILL; `None` takes the container's own.
    pub timeout: Option<Duration>,
    /// Succeed when there is no such container.
    pub ignore_missing: bool,
}

impl Engine {
    /// Removes a container; gives its id, or `None` when it was missing and that is ignored.
    ///
    /// # Errors
    /// [`Error::Running`] unless `force` is set.
    pub fn remove(&self, name: &str, request: &RemoveRequest) -> Result<Option<String>> {
        let locked = match self.find_and_lock(name) {
            Err(Error::ContainerUnknown { .. }) if request.ignore_missing => return Ok(None),
            Err(Error::ContainerUnknown { name }) => return Err(Error::NothingToRemove { name }),
            found => found?,
        };
        let id = locked.record.id.clone();
        let (status, _) = self.status(&locked.record);
        if !status.is_alive() {
            self.remove_locked(locked, request)?;
            return Ok(Some(id));
        }
        if !request.force {
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
        };
        self.stop(&id, &stop)?;
        match self.lock(&id) {
            // The monitor's exit command was there first.
            Err(Error::ContainerUnknown { .. }) => {}
            locked => self.remove_locked(locked?, request)?,
        }
        Ok(Some(id))
    }

    /// Removes a container that does not run: what its start left, its layer, its record.
    /// The record goes last, so that a removal that is killed can be repeated.
    pub(crate) fn remove_locked(&self, mut locked: Locked, _request: &RemoveRequest) -> Result<()> {
        self.record_end(&mut locked)?;
        let record = &locked.record;
        let id: ContainerId = record.id.parse()?;
        let store = self.store()?;
        let known = store.containers()?.get(&id).is_some();
        if known {
            self.store_mut()?.delete_container(&id)?;
        }
        remove_log(&record.config.log_path, &store.container_directory(&id))?;
        if let Some(path) = &record.config.cidfile {
            remove_file(path)?;
        }
        remove_tree(&self.persist_dir(&record.id))?;
        if record.config.spec.remove {
            self.sweep_exit_files();
        } else {
            remove_file(&self.exit_file_path(&record.id))?;
        }
        self.database()?.delete(&record.id)?;
        remove_file(&self.places.runtime.join("locks").join(&record.id))
    }
}

/// A log outside the container's own directory, which is gone already, goes too.
fn remove_log(log: &Path, own: &Path) -> Result<()> {
    if log.starts_with(own) || log.as_os_str().is_empty() || log.starts_with("/dev") {
        return Ok(());
    }
    remove_file(log)
}
