//! `kill`: a signal to a container's first process.

use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Sends signal number `signal`. Gives the container's id.
    ///
    /// # Errors
    /// [`Error::WrongState`] unless it runs.
    pub fn kill(&self, name: &str, signal: i32) -> Result<String> {
        let record = self.find(name)?;
        let (status, _) = self.status(&record);
        let stopped = || Error::WrongState {
            text: format!(
                "can only kill running containers. {} is in state {}",
                record.id,
                status.as_str()
            ),
        };
        let init = record
            .state
            .init
            .filter(|_| status.is_alive())
            .ok_or_else(stopped)?;
        let process = init.open().map_err(|_| stopped())?;
        process
            .signal(signal)
            .map_err(Error::system("signal the container"))?;
        Ok(record.id)
    }
}
