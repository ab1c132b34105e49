//! `wait`: for a container's end.

use std::time::Duration;

use super::record::Record;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};

/// How to wait.
#[derive(Debug, Clone)]
pub struct WaitRequest {
    /// How often to look where there is nothing to wait on.
    pub interval: Duration,
}

impl Default for WaitRequest {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(250),
        }
    }
}

impl Engine {
    /// Waits until a container has ended and gives its exit code; 0 for one never started.
    ///
    /// # Errors
    /// No such container.
    pub fn wait(&self, name: &str, request: &WaitRequest) -> Result<i32> {
        let record = self.find(name)?;
        self.wait_record(&record, request)
    }

    pub(crate) fn wait_record(&self, record: &Record, request: &WaitRequest) -> Result<i32> {
        let (status, exit) = self.status(record);
        if status == ContainerState::Created {
            return Ok(0);
        }
        if let (None, Some(exit)) = (record.state.init, exit) {
            return Ok(exit.code);
        }
        if let Some(Ok(process)) = record.state.init.map(|init| init.open()) {
            process
                .wait_ended(None)
                .map_err(Error::system("wait for the container"))?;
        }
        self.exit_code(record, request)
    }

    /// The code of a container whose process is gone: the exit file, or what a cleanup that
    /// was faster has recorded. The monitor writes the file once the output is drained.
    pub(crate) fn exit_code(&self, record: &Record, request: &WaitRequest) -> Result<i32> {
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(exit) = self.exit_file(record) {
                return Ok(exit.code);
            }
            match self.database()?.get(&record.id)? {
                Some(now) if now.state.init != record.state.init => {
                    return Ok(now.state.exit_code.unwrap_or(-1));
                }
                // Removed with its end, between two looks: its exit file outlives it.
                None => return Ok(self.exit_file(record).map_or(-1, |exit| exit.code)),
                Some(_) => {}
            }
            if self.living_monitor(&record.state).is_none() {
                return Ok(self.status(record).1.map_or(-1, |exit| exit.code));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(request.interval);
        }
    }
}
