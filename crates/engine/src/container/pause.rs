//! `pause` and `unpause`: the freezer.

use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Freezes a container's processes. Gives its id.
    ///
    /// # Errors
    /// [`Error::WrongState`] unless it runs.
    pub fn pause(&self, name: &str) -> Result<String> {
        self.require_freezer("pause")?;
        let locked = self.find_and_lock(name)?;
        let id = locked.record.id.clone();
        match self.status(&locked.record).0 {
            ContainerState::Running => {}
            ContainerState::Paused => {
                return Err(Error::WrongState {
                    text: format!("\"{id}\" is already paused"),
                });
            }
            other => {
                return Err(Error::WrongState {
                    text: format!("\"{}\" is not running, can't pause", other.as_str()),
                });
            }
        }
        self.require_group(&locked.record, "cannot pause without using Cgroups")?;
        self.runtime(&locked.record)?.set_paused(&id, true)?;
        Ok(id)
    }

    /// Lets a frozen container's processes go on. Gives its id.
    ///
    /// # Errors
    /// [`Error::WrongState`] unless it is paused.
    pub fn unpause(&self, name: &str) -> Result<String> {
        self.require_freezer("unpause")?;
        let locked = self.find_and_lock(name)?;
        let id = locked.record.id.clone();
        if self.status(&locked.record).0 != ContainerState::Paused {
            return Err(Error::WrongState {
                text: format!("\"{id}\" is not paused, can't unpause"),
            });
        }
        self.runtime(&locked.record)?.set_paused(&id, false)?;
        Ok(id)
    }

    fn require_freezer(&self, act: &'static str) -> Result<()> {
        if self.lacks_cgroups()? {
            let why = "for cgroupv1 rootless containers";
            return Err(Error::WithoutCgroup { act, why });
        }
        Ok(())
    }
}
