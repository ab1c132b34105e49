//! What is true of a container now: its process, its boot, its exit file, its freezer.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use minke_runtime_spec::container::CgroupsMode;
use minke_sys::cgroup::Group;
use minke_sys::proc::ProcessId;

use super::record::{Record, State};
use crate::Engine;
use crate::error::{Error, Result};

/// What a container is doing, in Podman's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContainerState {
    /// Made and never started, or started in vain.
    #[default]
    Created,
    /// Set up, its process waiting to be let go.
    Initialized,
    /// Its process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It was asked to stop and still runs.
    Stopping,
    /// Its process has ended.
    Exited,
    /// Its process has ended, and its restart policy will start it again.
    Restarting,
    /// Another engine made it: only the store knows it.
    Storage,
}

impl ContainerState {
    /// Podman's word.
    pub fn as_str(self) -> &'static str {
        match self {
            ContainerState::Created => "created",
            ContainerState::Initialized => "initialized",
            ContainerState::Running => "running",
            ContainerState::Paused => "paused",
            ContainerState::Stopping => "stopping",
            ContainerState::Exited => "exited",
            ContainerState::Restarting => "restarting",
            ContainerState::Storage => "storage",
        }
    }

    /// Whether its process is there.
    pub fn is_alive(self) -> bool {
        matches!(
            self,
            ContainerState::Initialized
                | ContainerState::Running
                | ContainerState::Paused
                | ContainerState::Stopping
        )
    }
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    pub code: i32,
    pub time: Timestamp,
    pub oom_killed: bool,
}

impl Engine {
    /// Derives a container's state; gives how it ended, if it has.
    pub(crate) fn status(&self, record: &Record) -> (ContainerState, Option<Exit>) {
        self.status_of(record, self.is_running(&record.state))
    }

    /// As [`status`](Self::status), where it has been looked at whether its process is there.
    pub(crate) fn status_of(
        &self,
        record: &Record,
        running: bool,
    ) -> (ContainerState, Option<Exit>) {
        let state = &record.state;
        if state.init.is_none() {
            if self.living_waiter(state).is_some() {
                return (ContainerState::Restarting, recorded_exit(state));
            }
            return match recorded_exit(state) {
                Some(exit) => (ContainerState::Exited, Some(exit)),
                None => (ContainerState::Created, None),
            };
        }
        if running {
            if state.started.is_none() {
                return (ContainerState::Initialized, None);
            }
            let frozen = self.group(record).is_some_and(|group| group.is_frozen());
            // A stop that was killed stops nothing any more.
            let stopping = || state.stopper.is_some_and(|stopper| stopper.is_alive());
            let alive = if frozen {
                ContainerState::Paused
            } else if stopping() {
                ContainerState::Stopping
            } else {
                ContainerState::Running
            };
            return (alive, None);
        }
        let exit = recorded_exit(state).or_else(|| self.exit_file(record));
        // Monitor and process are both gone without a word: the code is lost, and said so.
        let exit = exit.unwrap_or(Exit {
            code: -1,
            time: state.started.unwrap_or(record.config.created),
            oom_killed: false,
        });
        (ContainerState::Exited, Some(exit))
    }

    /// Whether the processes of a record can be there: their numbers mean nothing after a reboot.
    pub(crate) fn is_of_this_boot(&self, state: &State) -> bool {
        self.boot_id().is_ok_and(|boot| boot == state.boot_id)
    }

    /// Whether the container's process runs, frozen or not.
    pub(crate) fn is_running(&self, state: &State) -> bool {
        self.is_of_this_boot(state) && state.init.is_some_and(|init| init.is_alive())
    }

    /// The container's monitor, if it lives.
    pub(crate) fn living_monitor(&self, state: &State) -> Option<ProcessId> {
        state
            .monitor
            .filter(|monitor| self.is_of_this_boot(state) && monitor.is_alive())
    }

    /// Who waits to start the container again, if anybody does.
    pub(crate) fn living_waiter(&self, state: &State) -> Option<ProcessId> {
        let waiter = state.again.as_ref().map(|again| again.waiter);
        waiter.filter(|waiter| self.is_of_this_boot(state) && waiter.is_alive())
    }

    /// Where the monitor writes the exit code.
    pub(crate) fn exit_file_path(&self, id: &str) -> PathBuf {
        self.places.runtime.join("exits").join(id)
    }

    /// What the monitor wrote.
    pub(crate) fn exit_file(&self, record: &Record) -> Option<Exit> {
        let path = self.exit_file_path(&record.id);
        let code = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        let modified = fs::metadata(&path).ok()?.modified().ok()?;
        Some(Exit {
            code,
            time: Timestamp::try_from(modified).ok()?,
            oom_killed: self.persist_dir(&record.id).join("oom").exists(),
        })
    }

    /// Where the monitor keeps what outlives it: below the run root.
    pub(crate) fn persist_dir(&self, id: &str) -> PathBuf {
        self.places.runtime.join("containers").join(id)
    }

    /// The container's control group.
    pub(crate) fn group(&self, record: &Record) -> Option<Group> {
        let path = cgroup_path(record)?;
        self.cgroups().ok()?.group(&path).ok()
    }

    /// Refuses what takes a control group of a container without one: `act` is what.
    pub(crate) fn require_group(&self, record: &Record, act: impl Display) -> Result<()> {
        if record.config.spec.cgroups != CgroupsMode::Disabled {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{act}: this container does not have a cgroup"
        )))
    }

    /// What a container is doing, by name, id or prefix.
    ///
    /// # Errors
    /// No such container.
    pub fn state(&self, name: &str) -> Result<ContainerState> {
        Ok(self.status(&self.find(name)?).0)
    }
}

/// Where the container's control group is, from the top of each hierarchy; `None` if it is to have
/// none of its own.
pub(crate) fn cgroup_path(record: &Record) -> Option<PathBuf> {
    if record.config.spec.cgroups == CgroupsMode::Disabled {
        return None;
    }
    let name = format!("minke-{}", record.id);
    let parent = record.config.spec.cgroup_parent.as_deref().unwrap_or("/");
    Some(PathBuf::from("/").join(parent).join(name))
}

fn recorded_exit(state: &State) -> Option<Exit> {
    Some(Exit {
        code: state.exit_code?,
        time: state.finished?,
        oom_killed: state.oom_killed,
    })
}
