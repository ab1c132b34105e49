//! Restart policies: whether a container that has ended is started again, when, and who waits
//! for that.
//!
//! The monitor's exit command decides and says when it wants to be run again; the monitor, or with
//! a foreign one the exit command itself, waits. Between two lives the network stays, so that
//! addresses and ports are the same. What is to come is in the record, and believed as long as
//! the one who waits lives; once he is gone the next command that meets the container makes
//! another ([`Engine::settled`]).

use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use minke_runtime_spec::container::RestartPolicy;
use minke_sys::proc::ProcessId;

use super::cleanup::CleanupRequest;
use super::lock::Locked;
use super::record::{Again, Record, State};
use crate::Engine;
use crate::error::{Error, Result};

/// The wait before the first attempt; it doubles with each (Docker's numbers).
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// After a life of so long the waits begin anew.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// Waits differ by up to this part, so that many containers do not start at once.
const JITTER: u32 = 8;

/// The exit code of an attempt that did not get so far as to have one.
const START_FAILED: i32 = 127;

/// What a policy has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It stays ended.
    Ends,
    /// The next attempt is after this time.
    Waits(Duration),
    /// It runs, or somebody else sees to it.
    Runs,
}

impl Engine {
    /// Does what the policy wants of a container that does not run. `waiter` will wait.
    pub(crate) fn follow_policy(&self, locked: &mut Locked, waiter: ProcessId) -> Result<Followed> {
        let state = &locked.record.state;
        if !state.dirty && state.again.is_none() || !self.is_of_this_boot(state) {
            return Ok(Followed::Ends);
        }
        let Some(again) = state.again.clone() else {
            return self.follow_end(locked, waiter);
        };
        if self
            .living_waiter(state)
            .is_some_and(|other| other != waiter)
        {
            return Ok(Followed::Runs);
        }
        if !wants_restart(&locked.record) {
            return Ok(Followed::Ends);
        }
        let left = again.at.duration_since(Timestamp::now());
        match Duration::try_from(left) {
            Ok(left) if !left.is_zero() => {
                locked.record.state.again = Some(Again { waiter, ..again });
                locked.save(self)?;
                Ok(Followed::Waits(left))
            }
            _ => self.attempt(locked, waiter),
        }
    }

    /// It has just ended.
    fn follow_end(&self, locked: &mut Locked, waiter: ProcessId) -> Result<Followed> {
        if locked.record.state.started.is_none() {
            return Ok(Followed::Ends);
        }
        self.note_end(locked);
        if !wants_restart(&locked.record) {
            return Ok(Followed::Ends);
        }
        self.undo_life(locked)?;
        let state = &mut locked.record.state;
        state.init = None;
        state.monitor = None;
        self.schedule(locked, waiter).map(Followed::Waits)
    }

    fn schedule(&self, locked: &mut Locked, waiter: ProcessId) -> Result<Duration> {
        let state = &mut locked.record.state;
        let now = Timestamp::now();
        let wait = next_wait(state);
        state.backoff_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let wait = wait + wait * (now.subsec_nanosecond().unsigned_abs() % 1000) / 1000 / JITTER;
        let at = now.saturating_add(wait).unwrap_or(now);
        state.again = Some(Again { at, waiter });
        locked.save(self)?;
        Ok(wait)
    }

    /// There will be no attempt: whoever waits for it need not. He would find that out himself.
    pub(crate) fn forget_attempt(&self, locked: &mut Locked) -> Result<()> {
        let waiter = self.living_waiter(&locked.record.state);
        if locked.record.state.again.take().is_none() {
            return Ok(());
        }
        locked.save(self)?;
        if let Some(Ok(waiter)) = waiter.map(|waiter| waiter.open()) {
            let _ = waiter.signal(libc::SIGTERM);
        }
        Ok(())
    }

    /// Starts it. An attempt that fails is an end like another; one that is killed is made again
    /// by who finds it, since it stays on record until it has succeeded.
    fn attempt(&self, locked: &mut Locked, waiter: ProcessId) -> Result<Followed> {
        let id = locked.record.id.clone();
        self.end_stray_monitors(&id, Some(waiter));
        self.undo_life(locked)?;
        locked.record.state.init = None;
        let launched = self.launch(locked, |_| Ok(()));
        let state = &mut locked.record.state;
        state.restarts = state.restarts.saturating_add(1);
        let Err(error) = launched else {
            state.again = None;
            locked.save(self)?;
            return Ok(Followed::Runs);
        };
        tracing::warn!(container = locked.record.id, error = %error.chain(), "not started again");
        let state = &mut locked.record.state;
        state.exit_code = Some(START_FAILED);
        state.finished = Some(Timestamp::now());
        locked.save(self)?;
        if !wants_restart(&locked.record) {
            return Ok(Followed::Ends);
        }
        self.schedule(locked, waiter).map(Followed::Waits)
    }

    /// Whether a container has ended, or was never quite started, and nobody is there any more
    /// to see to it: its monitor was killed, or the command that started it.
    pub(crate) fn is_abandoned(&self, state: &State) -> bool {
        (state.dirty && !self.is_running(state) || state.again.is_some())
            && self.is_of_this_boot(state)
            && self.living_waiter(state).is_none()
            && (state.again.is_some() || self.living_monitor(state).is_none())
    }

    /// A record as it is once what an abandoned container needs is done: cleaned up, removed, or
    /// given somebody who starts it again. `None` if it was removed. One that somebody is at work
    /// on is left to him.
    pub(crate) fn settled(&self, record: Record) -> Option<Record> {
        if !self.is_abandoned(&record.state) {
            return Some(record);
        }
        let id = record.id.clone();
        if let Err(error) = self.settle(&id) {
            tracing::warn!(container = id, error = %error.chain(), "cannot clean up");
            return Some(record);
        }
        match self.database().and_then(|database| database.get(&id)) {
            Ok(now) => now,
            Err(_) => Some(record),
        }
    }

    fn settle(&self, id: &str) -> Result<()> {
        let Some(mut locked) = self.try_lock(id)? else {
            return Ok(());
        };
        if !self.is_abandoned(&locked.record.state) {
            return Ok(());
        }
        if self.is_running(&locked.record.state) {
            // Its start was killed with all done but the last step.
            self.go_on(&locked)?;
            return self.forget_attempt(&mut locked);
        }
        let record = &locked.record;
        let began = record.state.started.is_some() || record.state.again.is_some();
        if began && wants_restart(record) {
            return self.send_waiter(id);
        }
        let request = CleanupRequest {
            remove: record.config.spec.remove,
            waiter: None,
        };
        self.cleanup_locked(locked, &request).map(drop)
    }

    /// Makes a process that follows the policy in place of a monitor that is gone.
    fn send_waiter(&self, id: &str) -> Result<()> {
        use std::os::unix::process::CommandExt;
        let program = &self.options.self_exe;
        Command::new(program)
            .args(self.same_places())
            .args(["container", "cleanup", id])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(drop)
            .map_err(Error::path("run", program))
    }
}

/// Whether the policy starts a container again that ended as its record says. A code that is not
/// known is a failure.
fn wants_restart(record: &Record) -> bool {
    let state = &record.state;
    if state.restart_wanted {
        return true;
    }
    if state.stopped_by_user || state.halted {
        return false;
    }
    match record.config.spec.restart {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure { max_retries } => {
            state.exit_code != Some(0) && max_retries.is_none_or(|max| state.restarts < max)
        }
    }
}

/// Whether a container is to be started after the host's next boot.
pub(crate) fn starts_on_boot(record: &Record) -> bool {
    match record.config.spec.restart {
        RestartPolicy::Always => true,
        RestartPolicy::UnlessStopped => !record.state.stopped_by_user,
        RestartPolicy::No | RestartPolicy::OnFailure { .. } => false,
    }
}

fn next_wait(state: &State) -> Duration {
    let life = match (state.started, state.finished) {
        (Some(started), Some(finished)) => finished.duration_since(started),
        _ => jiff::SignedDuration::ZERO,
    };
    let lived_long = Duration::try_from(life).is_ok_and(|life| life >= LONG_LIFE);
    if state.backoff_ms == 0 || lived_long {
        return FIRST_WAIT;
    }
    let last = Duration::from_millis(state.backoff_ms);
    last.saturating_mul(2).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_long_life() {
        let mut state = State::default();
        let mut waits = Vec::new();
        for _ in 0..11 {
            let wait = next_wait(&state).as_millis() as u64;
            state.backoff_ms = wait;
            waits.push(wait);
        }
        let expected = [
            100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000,
        ];
        assert_eq!(waits, expected);
        state.started = Some("2026-01-01T00:00:00Z".parse().unwrap());
        state.finished = Some("2026-01-01T00:00:09Z".parse().unwrap());
        assert_eq!(next_wait(&state), LONGEST_WAIT);
        state.finished = Some("2026-01-01T00:00:10Z".parse().unwrap());
        assert_eq!(next_wait(&state), FIRST_WAIT);
    }

    #[test]
    fn policies_decide_by_code_count_and_intent() {
        let two = RestartPolicy::OnFailure {
            max_retries: Some(2),
        };
        for (policy, code, restarts, by_user, expected) in [
            (RestartPolicy::No, 1, 0, false, false),
            (RestartPolicy::Always, 0, 99, false, true),
            (RestartPolicy::Always, 0, 0, true, false),
            (RestartPolicy::UnlessStopped, 0, 0, false, true),
            (RestartPolicy::UnlessStopped, 137, 0, true, false),
            (two, 0, 0, false, false),
            (two, -1, 1, false, true),
            (two, 1, 2, false, false),
        ] {
            let mut record = Record::default();
            record.config.spec.restart = policy;
            record.state.exit_code = Some(code);
            record.state.restarts = restarts;
            record.state.stopped_by_user = by_user;
            assert_eq!(wants_restart(&record), expected, "{policy:?} {code}");
        }
    }
}
