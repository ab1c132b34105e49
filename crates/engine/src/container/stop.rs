//! `stop`: the stop signal, some patience, SIGKILL.

use std::time::Duration;

use minke_runtime_spec::ContainerSpec;
use minke_sys::pidfd::PidFd;
use minke_sys::proc::ProcessId;

use super::cleanup::CleanupRequest;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};

/// How to stop one container.
#[derive(Debug, Clone, Default)]
pub struct StopRequest {
    /// Wait this long between the stop signal and SIGKILL. `None` takes the container's own
    /// stop timeout.
    pub timeout: Option<Duration>,
    /// Succeed when there is no such container.
    pub ignore_missing: bool,
    /// Keep it, though it is to be removed when it ends: it will be started again.
    pub keep: bool,
    /// The host goes down: after its next boot the container is as if nobody had stopped it.
    pub for_shutdown: bool,
}

/// Where neither the request nor the container says (Podman's default).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Engine {
    /// Stops a container; one that does not run is success, and a frozen one is thawed to hear
    /// the signal. Gives its id, or `None` when it was missing and that is ignored.
    ///
    /// # Errors
    /// No such container; one that can be neither signalled nor cleaned up.
    pub fn stop(&self, name: &str, request: &StopRequest) -> Result<Option<String>> {
        let mut locked = match self.find_and_lock(name) {
            Err(Error::ContainerUnknown { .. }) if request.ignore_missing => return Ok(None),
            found => found?,
        };
        let id = locked.record.id.clone();
        let (status, _) = self.status(&locked.record);
        if status == ContainerState::Paused {
            let runtime = self.runtime(&locked.record)?;
            runtime.set_paused(&id, false)?;
        }
        let spec = &locked.record.config.spec;
        let (signal, own) = patience(spec);
        let timeout = request.timeout.unwrap_or(own);
        // What the monitor's exit command would do, in case that it was killed.
        let clean = CleanupRequest {
            remove: spec.remove && !request.keep,
            waiter: None,
        };
        let init = locked
            .record
            .state
            .init
            .filter(|_| status.is_alive())
            .and_then(|init| init.open().ok());
        if status != ContainerState::Created && status != ContainerState::Exited {
            let state = &mut locked.record.state;
            state.stopped_by_user |= !request.for_shutdown;
            state.halted = request.for_shutdown;
            state.restart_wanted = false;
        }
        let Some(process) = init else {
            locked.save(self)?;
            self.cleanup_locked(locked, &clean)?;
            return Ok(Some(id));
        };
        let us = ProcessId::of(std::process::id().cast_signed()).ok();
        locked.record.state.stopper = us;
        locked.record.state.keeper = us.filter(|_| request.keep);
        locked.save(self)?;
        // The wait is long and the lock is others' too.
        drop(locked);
        end(&process, signal, timeout)?;
        self.cleanup(&id, &clean)?;
        Ok(Some(id))
    }

    /// Ends a container so that who cleans up after it starts it again, whatever its policy.
    pub(crate) fn stop_to_restart(&self, name: &str) -> Result<()> {
        let mut locked = self.find_and_lock(name)?;
        let (status, _) = self.status(&locked.record);
        let init = locked.record.state.init.filter(|_| status.is_alive());
        let Some(process) = init.and_then(|init| init.open().ok()) else {
            return Ok(());
        };
        locked.record.state.restart_wanted = true;
        locked.save(self)?;
        let (signal, timeout) = patience(&locked.record.config.spec);
        drop(locked);
        end(&process, signal, timeout)
    }
}

/// How a container is asked to end, and how long it is waited for.
fn patience(spec: &ContainerSpec) -> (i32, Duration) {
    let own = spec.stop_timeout_seconds.map(Duration::from_secs);
    let signal = spec.stop_signal.unwrap_or(libc::SIGTERM);
    (signal, own.unwrap_or(DEFAULT_TIMEOUT))
}

/// Signals, waits, kills, waits.
fn end(process: &PidFd, signal: i32, timeout: Duration) -> Result<()> {
    let gone = |error: &std::io::Error| error.raw_os_error() == Some(libc::ESRCH);
    let ended = |timeout| {
        process
            .wait_ended(timeout)
            .map_err(Error::system("wait for the container to end"))
    };
    match process.signal(signal) {
        Err(error) if gone(&error) => return Ok(()),
        result => result.map_err(Error::system("signal the container"))?,
    }
    if ended(Some(timeout))? {
        return Ok(());
    }
    tracing::warn!(
        signal,
        seconds = timeout.as_secs(),
        "container did not end, killing it"
    );
    match process.signal(libc::SIGKILL) {
        Err(error) if gone(&error) => return Ok(()),
        result => result.map_err(Error::system("kill the container"))?,
    }
    ended(None).map(drop)
}
