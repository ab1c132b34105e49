//! `kill`: a signal to a container's first process.

use super::record::Record;
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
        if is_meant_to_end(&record, signal) {
            self.note_user_stop(&record.id)?;
        }
        process
            .signal(signal)
            .map_err(Error::system("signal the container"))?;
        Ok(record.id)
    }

    /// Writes down that somebody wants it ended, so that no policy starts it again.
    fn note_user_stop(&self, id: &str) -> Result<()> {
        let mut locked = self.lock(id)?;
        locked.record.state.stopped_by_user = true;
        locked.save(self)
    }
}

/// Whether a signal is one that ends a container by intent and not by accident.
fn is_meant_to_end(record: &Record, signal: i32) -> bool {
    let ends = [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];
    ends.contains(&signal) || record.config.spec.stop_signal == Some(signal)
}
