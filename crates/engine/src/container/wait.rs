//! `wait`: for a container's end, or another condition.

use std::time::Duration;

use super::record::Record;
use super::status::ContainerState;
use crate::error::{Error, Result};
use crate::{Engine, Id};

/// How to wait, and for what.
#[derive(Debug, Clone)]
pub struct WaitRequest {
    /// How often to look where there is nothing to wait on.
    pub interval: Duration,
    /// Any of these; none is the container's end.
    pub conditions: Vec<WaitCondition>,
}

/// What may be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCondition {
    /// The container is in this state.
    State(ContainerState),
    /// It runs, and its last check was good.
    Healthy,
    /// It runs, and its checks have failed too often.
    Unhealthy,
    /// It is gone.
    Removing,
}

impl WaitCondition {
    /// Reads Podman's word.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "created" | "configured" => Self::State(ContainerState::Created),
            "initialized" => Self::State(ContainerState::Initialized),
            "running" => Self::State(ContainerState::Running),
            "paused" => Self::State(ContainerState::Paused),
            "stopping" => Self::State(ContainerState::Stopping),
            "stopped" | "exited" => Self::State(ContainerState::Exited),
            "restarting" => Self::State(ContainerState::Restarting),
            "removing" => Self::Removing,
            "healthy" => Self::Healthy,
            "unhealthy" => Self::Unhealthy,
            _ => return None,
        })
    }
}

impl Default for WaitRequest {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(250),
            conditions: Vec::new(),
        }
    }
}

impl Engine {
    /// Waits until a container has ended and gives its exit code, 0 for one never started; or
    /// until a condition holds, and gives -1 where there is no code.
    ///
    /// # Errors
    /// No such container. It is waited for to be healthy or not, and has no check.
    pub fn wait(&self, name: &str, request: &WaitRequest) -> Result<i32> {
        let record = self.find(name)?;
        let wanted = &request.conditions;
        if wanted.is_empty() || *wanted == [WaitCondition::State(ContainerState::Exited)] {
            return self.wait_record(&record, request);
        }
        let about_health = [WaitCondition::Healthy, WaitCondition::Unhealthy];
        if record.health_check().is_none() && wanted.iter().all(|c| about_health.contains(c)) {
            let text = format!("container {} has no defined healthcheck", record.id);
            return Err(Error::invalid(text));
        }
        self.wait_first(&[record.id], request)
    }

    /// Waits until a condition holds for one of several containers; gives what [`Engine::wait`]
    /// would for that one.
    ///
    /// # Errors
    /// As there.
    pub fn wait_first(&self, ids: &[Id], request: &WaitRequest) -> Result<i32> {
        loop {
            for id in ids {
                if let Some(code) = self.met(id, request)? {
                    return Ok(code);
                }
            }
            std::thread::sleep(request.interval);
        }
    }

    /// What is given once a condition holds, or can hold no more since the container is gone.
    fn met(&self, id: &str, request: &WaitRequest) -> Result<Option<i32>> {
        let now = self.database()?.get(id)?;
        let Some(now) = now.and_then(|record| self.settled(record)) else {
            let gone = Record {
                id: id.to_owned(),
                ..Record::default()
            };
            return Ok(Some(self.exit_file(&gone).map_or(-1, |exit| exit.code)));
        };
        let (state, exit) = self.status(&now);
        if request.conditions.is_empty() {
            return Ok(match state {
                ContainerState::Created => Some(0),
                ContainerState::Exited => Some(exit.map_or(-1, |exit| exit.code)),
                _ => None,
            });
        }
        let mut conditions = request.conditions.iter();
        let holds = conditions.any(|&condition| self.holds(&now, condition));
        Ok(holds.then(|| exit.map_or(-1, |exit| exit.code)))
    }

    fn holds(&self, record: &Record, condition: WaitCondition) -> bool {
        let (state, _) = self.status(record);
        let health = || self.health_status(record, state);
        match condition {
            WaitCondition::State(wanted) => state == wanted,
            WaitCondition::Healthy => health().as_deref() == Some("healthy"),
            WaitCondition::Unhealthy => health().as_deref() == Some("unhealthy"),
            WaitCondition::Removing => false,
        }
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
