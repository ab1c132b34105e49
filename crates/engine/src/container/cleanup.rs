//! What is left to do when a container has ended, whoever comes first: the monitor's exit
//! command, a client that waited, or any later command.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use minke_storage::LayerId;
use minke_sys::proc::ProcessId;

use super::lock::Locked;
use super::record::Record;
use super::restart::Followed;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};

/// How to clean up.
#[derive(Debug, Clone, Copy, Default)]
pub struct CleanupRequest {
    /// Remove the container as well.
    pub remove: bool,
    /// Follow the restart policy, with this one to wait for the time of the next attempt.
    pub waiter: Option<RestartWaiter>,
}

/// Who waits between a container's end and its next start, and then cleans up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartWaiter {
    /// This process.
    Ours,
    /// The process that runs this one: a monitor.
    Parent,
}

impl RestartWaiter {
    /// The monitor that runs this process, where it still does: one that was killed has left us
    /// to somebody who waits for nothing.
    pub fn of_monitor(id: &str) -> Self {
        match monitor_above(id) {
            Some(_) => Self::Parent,
            None => Self::Ours,
        }
    }

    fn process(self, id: &str) -> Result<ProcessId> {
        if self == Self::Parent
            && let Some(monitor) = monitor_above(id)
        {
            return Ok(monitor);
        }
        let us = std::process::id().cast_signed();
        ProcessId::of(us).map_err(Error::system("find who waits"))
    }
}

/// Our parent, if it is the container's monitor and runs its exit command again.
fn monitor_above(id: &str) -> Option<ProcessId> {
    let parent = std::os::unix::process::parent_id().cast_signed();
    let process = ProcessId::of(parent).ok()?;
    let line = fs::read(format!("/proc/{parent}/cmdline")).ok()?;
    let mut words = line.split(|&byte| byte == 0);
    let waits = words.clone().any(|word| word == b"--exit-again");
    let is_its = words.any(|word| word == id.as_bytes());
    (waits && is_its && process.is_alive()).then_some(process)
}

/// How long the exit file is waited for after the process is gone: the monitor drains the
/// output first.
const EXIT_FILE_PATIENCE: Duration = Duration::from_secs(10);

/// How often monitors are looked for: one that is ended may have forked the next just before.
const STRAY_ROUNDS: usize = 8;

/// How long an exit file outlives its container.
const EXIT_FILE_LIFE: Duration = Duration::from_secs(300);

impl Engine {
    /// Records a container's end and takes away what it needed to run. One that runs again,
    /// or is gone, is left alone. Where its policy wants another attempt, this is to be called
    /// again after the time given: then it is made.
    ///
    /// # Errors
    /// What could not be taken away; the rest is.
    pub fn cleanup(&self, name: &str, request: &CleanupRequest) -> Result<Option<Duration>> {
        let locked = match self.find_and_lock(name) {
            Err(Error::ContainerUnknown { .. }) => return Ok(None),
            found => found?,
        };
        self.cleanup_locked(locked, request)
    }

    pub(crate) fn cleanup_locked(
        &self,
        mut locked: Locked,
        request: &CleanupRequest,
    ) -> Result<Option<Duration>> {
        let (status, _) = self.status(&locked.record);
        if status.is_alive() {
            return Ok(None);
        }
        if let Some(waiter) = request.waiter {
            let process = waiter.process(&locked.record.id)?;
            match self.follow_policy(&mut locked, process)? {
                Followed::Ends => {}
                Followed::Waits(pause) => return Ok(Some(pause)),
                Followed::Runs => return Ok(None),
            }
        }
        self.record_end(&mut locked)?;
        let keeper = locked.record.state.keeper;
        let is_kept = keeper.is_some_and(|keeper| keeper.is_alive());
        if request.remove && !is_kept && status != ContainerState::Created {
            self.remove_locked(locked, true)?;
        }
        Ok(None)
    }

    /// Writes down how a container ended and undoes its start.
    pub(crate) fn record_end(&self, locked: &mut Locked) -> Result<()> {
        if !locked.record.state.dirty {
            return self.forget_attempt(locked);
        }
        self.note_end(locked);
        self.undo_start(locked)?;
        self.forget_attempt(locked)
    }

    /// Takes into the record how a container ended, if it has.
    pub(crate) fn note_end(&self, locked: &mut Locked) {
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
    }

    /// The process is gone before the monitor has written its code: waits while the monitor
    /// lives. One that never writes is ended, lest it writes into the container's next life.
    fn await_exit_file(&self, locked: &Locked) {
        let record = &locked.record;
        let deadline = Instant::now() + EXIT_FILE_PATIENCE;
        while self.exit_file(record).is_none()
            && let Some(monitor) = self.living_monitor(&record.state)
        {
            if Instant::now() > deadline {
                tracing::warn!(container = record.id, "the monitor is stuck, ending it");
                end(&monitor);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Ends what works at a start whose command was killed before it had a container: the
    /// monitor and its first process are not on record then, and know the container by id.
    ///
    /// One of `spared`, or whose child we are, is none: it runs what cleans up after it.
    pub(crate) fn end_stray_monitors(&self, id: &str, spared: Option<ProcessId>) {
        let exits = self.places.runtime.join("exits");
        let parent = std::os::unix::process::parent_id().cast_signed();
        for _ in 0..STRAY_ROUNDS {
            let mut strays = makers_of(id, &exits);
            strays.retain(|stray| Some(*stray) != spared && stray.pid != parent);
            if strays.is_empty() {
                return;
            }
            // The runtime it has started dies with it.
            strays.iter().for_each(end);
        }
    }

    /// Takes away what a start made: runtime state, network, mount, runtime files. May be
    /// repeated; every part is tried, the first failure is told.
    pub(crate) fn undo_start(&self, locked: &mut Locked) -> Result<()> {
        if !locked.record.state.dirty {
            return Ok(());
        }
        if locked.record.state.init.is_none() {
            let waiter = self.living_waiter(&locked.record.state);
            self.end_stray_monitors(&locked.record.id, waiter);
        }
        let life = self.undo_life(locked);
        let network = self.tear_down_network(locked);
        life.and(network)?;
        let state = &mut locked.record.state;
        state.dirty = false;
        state.init = None;
        state.monitor = None;
        locked.save(self)
    }

    /// Takes away what a start made but for the network. May be repeated; every part is tried,
    /// the first failure is told.
    pub(crate) fn undo_life(&self, locked: &Locked) -> Result<()> {
        let deleted = self.delete_from_runtime(&locked.record);
        // What we have just ended may be told of yet.
        self.await_exit_file(locked);
        let parts = [
            deleted,
            self.unmount_layer(locked),
            self.remove_runtime_files(locked),
        ];
        let mut first = Ok(());
        for part in parts {
            match (&first, part) {
                (Ok(()), part) => first = part,
                (Err(_), Err(error)) => tracing::warn!(error = %error.chain(), "cleanup"),
                (Err(_), Ok(())) => {}
            }
        }
        first
    }

    /// A runtime that is not installed any more must not keep its containers for ever: what it
    /// would do is done here then.
    fn delete_from_runtime(&self, record: &Record) -> Result<()> {
        let runtime = self.runtime(record)?;
        match runtime.delete(&record.id) {
            Err(Error::Path { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        let program = runtime.program.display();
        tracing::warn!(container = record.id, %program, "its runtime is gone");
        if self.is_running(&record.state)
            && let Some(init) = &record.state.init
        {
            end(init);
        }
        if let Some(group) = self.group(record) {
            group
                .remove(EXIT_FILE_PATIENCE)
                .map_err(Error::system("remove the container's cgroup"))?;
        }
        remove_tree(&self.runtime_dir("oci")?.join(&record.id))
    }

    fn unmount_layer(&self, locked: &Locked) -> Result<()> {
        let layer: LayerId = locked.record.config.layer.parse()?;
        self.store()?.unmount_all(&layer)?;
        Ok(())
    }

    fn remove_runtime_files(&self, locked: &Locked) -> Result<()> {
        let bundle = self.bundle(&locked.record)?;
        self.unstage_mounts(&locked.record, &bundle)?;
        remove_tree(&bundle)?;
        let spec = &locked.record.config.spec;
        for file in [&spec.pid_file, &spec.monitor_pid_file]
            .into_iter()
            .flatten()
        {
            remove_file(file)?;
        }
        remove_tree(&self.persist_dir(&locked.record.id))
    }

    /// Exit files of containers that are gone stay a while for whoever still waits for the
    /// code; the old ones go here, once in that while.
    pub(crate) fn sweep_exit_files(&self) {
        let exits = self.places.runtime.join("exits");
        let marker = exits.join(".swept");
        if age(&marker).is_some_and(|age| age < EXIT_FILE_LIFE) {
            return;
        }
        let _ = fs::write(&marker, "");
        let Ok(containers) = self.container_names() else {
            return;
        };
        for entry in fs::read_dir(&exits).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let known = containers.iter().any(|(id, _)| name == id.as_str());
            if !known && age(&entry.path()).is_some_and(|age| age > EXIT_FILE_LIFE) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// How long ago a file was written.
fn age(path: &Path) -> Option<Duration> {
    fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}

/// Kills a process, if it is still the same one, and waits until it is gone.
fn end(process: &ProcessId) {
    let Ok(held) = process.open() else { return };
    let ended = held
        .signal(libc::SIGKILL)
        .and_then(|()| held.wait_ended(Some(EXIT_FILE_PATIENCE)));
    if let Err(error) = ended {
        tracing::debug!(pid = process.pid, %error, "not ended");
    }
}

/// The processes that make a container: its monitors, and the runtimes they have started, which
/// die with them but not at once. By their command lines.
fn makers_of(id: &str, exits: &Path) -> Vec<ProcessId> {
    let exits = exits.as_os_str().as_bytes();
    let of_ours = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
        let has = |flag: &[u8], value: &[u8]| words.windows(2).any(|two| two == [flag, value]);
        let is_monitor = has(b"-c", id.as_bytes()) && has(b"--exit-dir", exits);
        let last = words.iter().rfind(|word| !word.is_empty());
        let names = |word: &&[u8]| word.windows(id.len()).any(|part| part == id.as_bytes());
        let is_runtime = last == Some(&id.as_bytes())
            && words.contains(&&b"create"[..])
            && words
                .windows(2)
                .any(|two| two[0] == b"--bundle" && names(&two[1]));
        // The pid is read before the words: a number that changes hands between is not ended.
        (is_monitor || is_runtime).then_some(())
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let process = ProcessId::of(pid).ok()?;
            of_ours(pid).map(|()| process)
        })
        .filter(ProcessId::is_alive)
        .collect()
}

pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::path("remove", path)),
    }
}

pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::path("remove", path)),
    }
}
