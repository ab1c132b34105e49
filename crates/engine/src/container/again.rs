//! `restart`: stop, and start again.

use std::time::Duration;

use super::status::ContainerState;
use super::stop::StopRequest;
use crate::Engine;
use crate::error::{Error, Result};

/// How to restart one container.
#[derive(Debug, Clone, Default)]
pub struct RestartRequest {
    /// Wait so long between the stop signal and SIGKILL; `None` takes the container's own.
    pub timeout: Option<Duration>,
}

impl Engine {
    /// Stops a container if it runs, and starts it. One that is removed when it ends is kept.
    /// Gives its id.
    ///
    /// # Errors
    /// No such container; one that is paused; as [`Engine::start`].
    pub fn restart(&self, name: &str, request: &RestartRequest) -> Result<String> {
        let record = self.find(name)?;
        let (status, _) = self.status(&record);
        if status == ContainerState::Paused {
            return Err(Error::WrongState {
                text: "unable to restart a container in a paused or unknown state".to_owned(),
            });
        }
        if status.is_alive() {
            let stop = StopRequest {
                timeout: request.timeout,
                keep: true,
                ..StopRequest::default()
            };
            self.stop(&record.id, &stop)?;
        }
        self.start(&record.id)
    }
}
