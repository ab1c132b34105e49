//! What is left to do when a container has ended, whoever comes first: the monitor's exit
//! command, a client that waited, or any later command.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use minke_storage::LayerId;

use super::lock::Locked;
use super::remove::RemoveRequest;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};

/// How to clean up.
#[derive(Debug, Clone, Copy, Default)]
pub struct CleanupRequest {
    /// Remove the container as well.
    pub remove: bool,
}

/// How long the exit file is waited for after the process is gone: the monitor drains the
/// output first.
const EXIT_FILE_PATIENCE: Duration = Duration::from_secs(10);

/// How long an exit file outlives its container.
const EXIT_FILE_LIFE: Duration = Duration::from_secs(300);

impl Engine {
    /// Records a container's end and takes away what it needed to run. One that runs again,
    /// or is gone, is left alone.
    ///
    /// # Errors
    /// What could not be taken away; the rest is.
    pub fn cleanup(&self, name: &str, request: &CleanupRequest) -> Result<()> {
        let locked = match self.find_and_lock(name) {
            Err(Error::ContainerUnknown { .. }) => return Ok(()),
            found => found?,
        };
        self.cleanup_locked(locked, request)
    }

    pub(crate) fn cleanup_locked(
        &self,
        mut locked: Locked,
        request: &CleanupRequest,
    ) -> Result<()> {
        let (status, _) = self.status(&locked.record);
        if status.is_alive() {
            return Ok(());
        }
        self.record_end(&mut locked)?;
        if request.remove && status == ContainerState::Exited {
            return self.remove_locked(locked, &RemoveRequest::default());
        }
        Ok(())
    }

    /// Writes down how a container ended and undoes its start.
    pub(crate) fn record_end(&self, locked: &mut Locked) -> Result<()> {
        if !locked.record.state.dirty {
            return Ok(());
        }
        self.await_exit_file(locked);
        let (status, exit) = self.status(&locked.record);
        if status == ContainerState::Exited
            && locked.record.state.started.is_some()
            && let Some(exit) = exit
        {
            let state = &mut locked.record.state;
            state.exit_code = Some(exit.code);
            state.finished = Some(exit.time);
            state.oom_killed = exit.oom_killed;
        }
        self.undo_start(locked)
    }

    /// The process is gone before the monitor has written its code: waits while the monitor
    /// lives.
    fn await_exit_file(&self, locked: &Locked) {
        let record = &locked.record;
        let deadline = Instant::now() + EXIT_FILE_PATIENCE;
        while record.state.init.is_some()
            && self.exit_file(record).is_none()
            && record
                .state
                .monitor
                .is_some_and(|monitor| monitor.is_alive())
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Takes away what a start made: runtime state, network, mount, runtime files. May be
    /// repeated; every part is tried, the first failure is told.
    pub(crate) fn undo_start(&self, locked: &mut Locked) -> Result<()> {
        if !locked.record.state.dirty {
            return Ok(());
        }
        let mut first = Ok(());
        let mut keep = |result: Result<()>| {
            if let Err(error) = result {
                if first.is_ok() {
                    first = Err(error);
                } else {
                    tracing::warn!(error = %error.chain(), "cleanup");
                }
            }
        };
        keep(
            self.runtime(&locked.record)
                .and_then(|runtime| runtime.delete(&locked.record.id)),
        );
        keep(self.tear_down_network(locked));
        keep(self.unmount_layer(locked));
        keep(self.remove_runtime_files(locked));
        first?;
        let state = &mut locked.record.state;
        state.dirty = false;
        state.init = None;
        state.monitor = None;
        locked.save(self)
    }

    fn unmount_layer(&self, locked: &Locked) -> Result<()> {
        let layer: LayerId = locked.record.config.layer.parse()?;
        self.store()?.unmount_all(&layer)?;
        Ok(())
    }

    fn remove_runtime_files(&self, locked: &Locked) -> Result<()> {
        let bundle = self.bundle(&locked.record)?;
        remove_tree(&bundle)?;
        remove_tree(&self.persist_dir(&locked.record.id))
    }

    /// Exit files of containers that went with their end stay a while for whoever still waits
    /// for the code; the old ones go here.
    pub(crate) fn sweep_exit_files(&self) {
        let entries = fs::read_dir(self.places.runtime.join("exits"));
        for entry in entries.into_iter().flatten().flatten() {
            let age = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .ok()
                .and_then(|time| time.elapsed().ok());
            let known = entry.file_name().to_str().is_some_and(|id| {
                self.database()
                    .and_then(|database| database.get(id))
                    .is_ok_and(|found| found.is_some())
            });
            if age.is_some_and(|age| age > EXIT_FILE_LIFE) && !known {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

pub(crate) fn remove_tree(path: &std::path::Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::path("remove", path)),
    }
}

pub(crate) fn remove_file(path: &std::path::Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::path("remove", path)),
    }
}
