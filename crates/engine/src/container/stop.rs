//! `stop`: the stop signal, some patience, SIGKILL.

use std::time::Duration;

use jiff::Timestamp;
use minke_sys::pidfd::PidFd;

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
}

/// Where neither the request nor the container says (Podman's default).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Engine {
    /// Stops a container; one that does not run is success. Gives its id, or `None` when it
    /// was missing and that is ignored.
    ///
    /// # Errors
    /// [`Error::WrongState`] for a paused one.
    pub fn stop(&self, name: &str, request: &StopRequest) -> Result<Option<String>> {
        let mut locked = match self.find_and_lock(name) {
            Err(Error::ContainerUnknown { .. }) if request.ignore_missing => return Ok(None),
            found => found?,
        };
        let id = locked.record.id.clone();
        let (status, _) = self.status(&locked.record);
        if status == ContainerState::Paused {
            // A frozen process takes no signal: it is thawed to hear this one.
            let runtime = self.runtime(&locked.record)?;
            runtime.set_paused(&id, false)?;
        } else if !status.is_alive() {
            return Ok(Some(id));
        }
        let spec = &locked.record.config.spec;
        let signal = spec.stop_signal.unwrap_or(libc::SIGTERM);
        let own = spec.stop_timeout_seconds.map(Duration::from_secs);
        let timeout = request.timeout.or(own).unwrap_or(DEFAULT_TIMEOUT);
        let Some(init) = locked.record.state.init else {
            return Ok(Some(id));
        };
        let process = match init.open() {
            Ok(process) => process,
            // It ended by itself.
            Err(_) => return self.after_stop(id),
        };
        locked.record.state.stop_asked = Some(Timestamp::now());
        locked.save(self)?;
        // The wait is long and the lock is others' too.
        drop(locked);
        end(&process, signal, timeout)?;
        self.after_stop(id)
    }

    fn after_stop(&self, id: String) -> Result<Option<String>> {
        self.cleanup(&id, &CleanupRequest::default())?;
        Ok(Some(id))
    }
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
