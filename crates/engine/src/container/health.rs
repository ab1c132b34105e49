//! Health checks: one command in the container, its result in a log, and what follows from it.
//!
//! The monitor runs `healthcheck run` while the container lives; what that says is when the next
//! check is to be. So nothing but the monitor is needed, and an interval that is changed holds from
//! the next check on. The log is a file of Podman's shape; its status counts while the container
//! of this life runs.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use minke_runtime_spec::container::health::command;
use minke_runtime_spec::container::{HealthCheck, OnFailure, StartupCheck};
use minke_sys::atomic::{Durability, ReplaceOptions};
use minke_sys::pidfd::PidFd;
use minke_sys::proc::ProcessId;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::exec::{ExecDir, ExecRequest, code};
use super::record::{Record, State};
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, ErrorKind, Result};

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthResult {
    /// It passed.
    Healthy,
    /// It failed.
    Unhealthy,
    /// It failed, and the start-up check has not passed before.
    Starting,
}

/// The log: what `inspect` shows as `State.Health`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HealthLog {
    /// `starting`, `healthy`, `unhealthy`.
    pub status: String,
    pub failing_streak: u32,
    pub log: Vec<HealthLogEntry>,
}

/// One check.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HealthLogEntry {
    pub start: String,
    pub end: String,
    /// 0 passed, 1 failed, -1 took too long, 125 could not be run.
    pub exit_code: i32,
    pub output: String,
}

/// Where a start-up check stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StartupState {
    pub passed: bool,
    pub successes: u32,
    pub failures: u32,
}

const STARTING: &str = "starting";
const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";

/// Podman's bounds of a log.
const LOG_COUNT: u32 = 5;
const LOG_BYTES: u32 = 500;

/// Where no bound is asked for, this one holds.
const MOST_BYTES: usize = 1 << 20;

/// A longer log file is no log of ours.
const MAX_LOG_FILE: u64 = 64 << 20;

/// How a run of the command ended.
struct Ran {
    code: i32,
    output: Vec<u8>,
    failure: Option<Error>,
}

impl Record {
    /// The check, if there is one.
    pub(crate) fn health_check(&self) -> Option<&HealthCheck> {
        let health = &self.config.spec.health;
        let check = Some(&health.check).filter(|_| !health.disabled);
        check.filter(|check| command(&check.test).is_some())
    }

    /// The start-up check, while it has not passed.
    fn startup_check(&self) -> Option<&StartupCheck> {
        let startup = self.config.spec.health.startup.as_ref();
        startup.filter(|_| !self.state.startup.passed)
    }

    /// From one check to the next; `None` if none is made without being asked for.
    pub(crate) fn health_interval(&self) -> Option<Duration> {
        let check = self.health_check()?;
        let nanoseconds = match self.startup_check() {
            Some(startup) => startup.interval,
            None => check.interval.unwrap_or(0),
        };
        Some(Duration::from_nanos(nanoseconds)).filter(|interval| !interval.is_zero())
    }
}

impl Engine {
    /// Checks a container's health once and does what follows from it.
    ///
    /// # Errors
    /// It does not run or has no check; the check took too long or could not be made at all, which
    /// is logged as a failure too.
    pub fn check_health(&self, name: &str) -> Result<HealthResult> {
        let record = self.find(name)?;
        if self.status(&record).0 != ContainerState::Running {
            let text = format!("container {} is not running", record.id);
            return Err(Error::invalid(text));
        }
        let check = record.health_check().ok_or_else(|| {
            Error::invalid(format!(
                "container {} has no defined healthcheck",
                record.id
            ))
        })?;
        let startup = record.startup_check();
        let (test, limit) = match startup {
            Some(startup) => (&startup.test, startup.timeout),
            None => (&check.test, check.timeout.unwrap_or(0)),
        };
        let words = command(test).unwrap_or_default();
        let began = Timestamp::now();
        let ran = self.run_check(&record, words, Duration::from_nanos(limit));
        let entry = HealthLogEntry {
            start: began.to_string(),
            end: Timestamp::now().to_string(),
            exit_code: ran.code,
            output: bounded(&ran.output, record.config.spec.health.max_log_bytes),
        };
        self.note_check(&record, entry, startup.is_some(), began)?;
        match ran.failure {
            Some(failure) => Err(failure),
            None if ran.code == 0 => Ok(HealthResult::Healthy),
            None if startup.is_some() => Ok(HealthResult::Starting),
            None => Ok(HealthResult::Unhealthy),
        }
    }

    /// When the next check of a container that runs is due, counted from now.
    ///
    /// # Errors
    /// No such container.
    pub fn next_health_check(&self, name: &str) -> Result<Option<Duration>> {
        let record = self.find(name)?;
        let alive = self.status(&record).0.is_alive();
        Ok(record.health_interval().filter(|_| alive))
    }

    /// Takes a result into the log and acts on it, unless the container has another life by now.
    fn note_check(
        &self,
        before: &Record,
        entry: HealthLogEntry,
        is_startup: bool,
        began: Timestamp,
    ) -> Result<()> {
        let mut locked = self.lock(&before.id)?;
        if locked.record.state.init != before.state.init {
            return Ok(());
        }
        let passed = entry.exit_code == 0;
        let mut restart = false;
        if is_startup {
            restart = note_startup(&mut locked.record, passed);
            locked.save(self)?;
        }
        let was = self.health_log(&locked.record);
        let log = with_result(&locked.record, was.clone(), entry, is_startup, began);
        self.write_health_log(&locked.record, &log)?;
        let record = locked.record.clone();
        drop(locked);
        if restart {
            return self.end_for_health(&record, OnFailure::Restart);
        }
        if log.status == HEALTHY && was.status != HEALTHY {
            self.tell_healthy(&record);
        }
        if log.status == UNHEALTHY && !is_startup {
            return self.end_for_health(&record, record.config.spec.health.on_failure);
        }
        Ok(())
    }

    /// What is done with a container that is not well.
    fn end_for_health(&self, record: &Record, action: OnFailure) -> Result<()> {
        let id = record.id.as_str();
        tracing::warn!(
            container = id,
            action = action.as_str(),
            "it is not healthy"
        );
        match action {
            OnFailure::None => Ok(()),
            // By accident, as far as a restart policy is concerned.
            OnFailure::Kill => match record.state.init.and_then(|init| init.open().ok()) {
                Some(init) => init
                    .signal(libc::SIGKILL)
                    .map_err(Error::system("kill the container")),
                None => Ok(()),
            },
            OnFailure::Stop => self
                .stop(id, &super::stop::StopRequest::default())
                .map(drop),
            OnFailure::Restart => self.stop_to_restart(id),
        }
    }

    /// The log as it is; empty where there is none yet, or it is damaged.
    pub(crate) fn health_log(&self, record: &Record) -> HealthLog {
        let read = || {
            let path = self.health_log_path(record).ok()?;
            let mut text = Vec::new();
            let file = fs::File::open(path).ok()?;
            file.take(MAX_LOG_FILE).read_to_end(&mut text).ok()?;
            serde_json::from_slice(&text).ok()
        };
        read().unwrap_or_default()
    }

    /// The status that `ps` shows: of a container that runs and has a check.
    pub(crate) fn health_status(&self, record: &Record, state: ContainerState) -> Option<String> {
        let shown = state.is_alive() && record.health_check().is_some();
        shown.then(|| self.health_log(record).status)
    }

    /// Begins the log of a new life.
    pub(crate) fn begin_health(&self, record: &mut Record) -> Result<()> {
        record.state.startup = StartupState::default();
        if record.health_check().is_none() {
            return Ok(());
        }
        let log = HealthLog {
            status: STARTING.to_owned(),
            ..HealthLog::default()
        };
        self.write_health_log(record, &log)
    }

    /// Has the monitor make the first check of a container that has just been started, or one
    /// with a new interval.
    pub(crate) fn hurry_health(&self, record: &Record) {
        if record.config.conmon.is_some() || record.health_interval().is_none() {
            return;
        }
        let order = || -> Result<()> {
            let path = self.bundle(record)?.join("ctl");
            let fifo = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(&path);
            let mut fifo = fifo.map_err(Error::path("open", &path))?;
            fifo.write_all(b"3 0 0\n")
                .map_err(Error::path("write", path))
        };
        // It makes the check after an interval anyway.
        if let Err(error) = order() {
            tracing::debug!(error = %error.chain(), "the monitor is not told");
        }
    }

    fn write_health_log(&self, record: &Record, log: &HealthLog) -> Result<()> {
        let path = self.health_log_path(record)?;
        let text = serde_json::to_vec(log).map_err(|source| Error::Record {
            object: path.display().to_string(),
            source,
        })?;
        let options = ReplaceOptions {
            mode: 0o600,
            durability: Durability::Cached,
        };
        minke_sys::atomic::replace(&path, &text, &options).map_err(Error::path("write", path))
    }

    pub(crate) fn health_log_path(&self, record: &Record) -> Result<PathBuf> {
        match record.config.spec.health.log_destination.as_deref() {
            None | Some("" | "local") => {
                let dir = self.store()?.container_directory(&record.id.parse()?);
                Ok(dir.join("healthcheck.log"))
            }
            Some(dir) => Ok(Path::new(dir).join(format!("{}-healthcheck.log", record.id))),
        }
    }

    /// Runs the command in the container, for at most `limit`.
    fn run_check(&self, record: &Record, words: Vec<String>, limit: Duration) -> Ran {
        match self.try_check(record, words, limit) {
            Ok(ran) => ran,
            Err(error) => {
                let output = error.chain().into_bytes();
                let is_commands = matches!(
                    error.kind(),
                    ErrorKind::CommandNotFound | ErrorKind::CommandNotExecutable
                );
                Ran {
                    code: if is_commands { 1 } else { 125 },
                    output,
                    failure: (!is_commands).then_some(error),
                }
            }
        }
    }

    fn try_check(&self, record: &Record, words: Vec<String>, limit: Duration) -> Result<Ran> {
        let runtime = self.runtime(record)?;
        let dir = ExecDir::make(self.exec_dir(record)?)?;
        let request = ExecRequest {
            command: words,
            ..ExecRequest::default()
        };
        let file = dir.write_process(&self.exec_process(record, &request)?)?;
        let pid_file = dir.path().join("pid");
        let (mut ours, theirs) = io::pipe().map_err(Error::system("make a pipe"))?;
        let both = theirs.try_clone().map_err(Error::system("make a pipe"))?;
        let mut command = runtime.command();
        command.arg("--log").arg(dir.errors());
        command.args(["--log-format", "json", "exec", "--process"]);
        command.arg(&file).arg("--pid-file").arg(&pid_file);
        command.arg(&record.id);
        command.stdin(Stdio::null()).stdout(theirs).stderr(both);
        let spawned = command.spawn();
        let mut child = spawned.map_err(Error::path("run", &runtime.program))?;
        // Our copies of the other end.
        drop(command);
        let mut output = Vec::new();
        let ended = hear(&mut ours, &child, limit, &mut output)
            .map_err(Error::system("hear the health check"))?;
        if !ended {
            end_check(&mut child, &pid_file);
            let failure =
                Error::invalid(format!("healthcheck command exceeded timeout of {limit:?}"));
            return Ok(Ran {
                code: -1,
                output,
                failure: Some(failure),
            });
        }
        let status = child
            .wait()
            .map_err(Error::path("wait for", &runtime.program))?;
        let code = code(status, &dir.errors(), &runtime)?;
        Ok(Ran {
            code: i32::from(code != 0),
            output,
            failure: None,
        })
    }
}

/// Reads what a check says until it has ended, or its time is over, which gives false.
fn hear(
    from: &mut io::PipeReader,
    child: &Child,
    limit: Duration,
    output: &mut Vec<u8>,
) -> io::Result<bool> {
    let deadline = Some(limit).filter(|limit| !limit.is_zero());
    let deadline = deadline.and_then(|limit| Instant::now().checked_add(limit));
    let process = PidFd::open(child.id().cast_signed())?;
    let mut buffer = [0; 4096];
    let mut open = true;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(false);
        }
        let left = left.map_or(PollTimeout::NONE, |left| {
            // At least a millisecond: never a busy wait.
            let left = left.max(Duration::from_millis(1));
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        if open {
            fds.push(PollFd::new(from.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, left) {
            Err(nix::errno::Errno::EINTR) => continue,
            result => result?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        if ready.get(1) == Some(&true) {
            let length = from.read(&mut buffer)?;
            open = length > 0;
            let room = MOST_BYTES.saturating_sub(output.len());
            output.extend_from_slice(&buffer[..length.min(room)]);
            continue;
        }
        // Ended, and nothing more to read: whoever still has the pipe is not waited for.
        if ready[0] {
            return Ok(true);
        }
    }
}

/// Ends a check that takes too long: the process in the container, and the runtime.
fn end_check(child: &mut Child, pid_file: &Path) {
    let pid = fs::read_to_string(pid_file)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if let Some(process) = pid.and_then(|pid| ProcessId::of(pid).ok())
        && let Ok(process) = process.open()
    {
        let _ = process.signal(libc::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn bounded(output: &[u8], limit: Option<u32>) -> String {
    let limit = match limit.unwrap_or(LOG_BYTES) {
        0 => MOST_BYTES,
        limit => limit as usize,
    };
    let end = output.len().min(limit);
    String::from_utf8_lossy(&output[..end]).into_owned()
}

/// Counts a start-up check; true if the container is to be started again.
fn note_startup(record: &mut Record, passed: bool) -> bool {
    let Some(check) = record.config.spec.health.startup.clone() else {
        return false;
    };
    let state = &mut record.state.startup;
    if passed {
        state.failures = 0;
        state.successes += 1;
        state.passed = state.successes >= check.successes.max(1);
        return false;
    }
    state.successes = 0;
    state.failures += 1;
    check.retries > 0 && state.failures >= check.retries
}

/// The log with one more result.
fn with_result(
    record: &Record,
    mut log: HealthLog,
    entry: HealthLogEntry,
    is_startup: bool,
    began: Timestamp,
) -> HealthLog {
    if entry.exit_code == 0 {
        log.failing_streak = 0;
        if !is_startup || record.state.startup.passed {
            log.status = HEALTHY.to_owned();
        }
    } else if !is_startup && !in_start_period(record, &record.state, began) {
        log.failing_streak += 1;
        let retries = record.health_check().and_then(|check| check.retries);
        if log.failing_streak >= retries.unwrap_or(1) {
            log.status = UNHEALTHY.to_owned();
        }
    }
    if log.status.is_empty() {
        log.status = STARTING.to_owned();
    }
    log.log.push(entry);
    let count = record.config.spec.health.max_log_count.unwrap_or(LOG_COUNT) as usize;
    if count > 0 && log.log.len() > count {
        log.log.drain(..log.log.len() - count);
    }
    log
}

fn in_start_period(record: &Record, state: &State, began: Timestamp) -> bool {
    let period = record.health_check().and_then(|check| check.start_period);
    let period = Duration::from_nanos(period.unwrap_or(0));
    let ends = state
        .started
        .and_then(|started| started.checked_add(period).ok());
    ends.is_some_and(|ends| began < ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(retries: u32) -> Record {
        let mut record = Record::default();
        record.config.spec.health.check = HealthCheck {
            test: vec!["CMD".into(), "x".into()],
            retries: Some(retries),
            start_period: Some(60_000_000_000),
            ..HealthCheck::default()
        };
        record.state.started = Some("2026-01-01T00:00:00Z".parse().unwrap());
        record
    }

    fn results(record: &Record, codes: &[i32], at: &str) -> Vec<String> {
        let mut log = HealthLog {
            status: STARTING.into(),
            ..HealthLog::default()
        };
        let mut seen = Vec::new();
        for &exit_code in codes {
            let entry = HealthLogEntry {
                exit_code,
                ..HealthLogEntry::default()
            };
            log = with_result(record, log, entry, false, at.parse().unwrap());
            seen.push(format!("{} {}", log.status, log.failing_streak));
        }
        assert!(log.log.len() <= 5);
        seen
    }

    #[test]
    fn failures_in_a_row_make_it_unhealthy() {
        let seen = results(&record(2), &[1, 0, 1, -1, 1, 0], "2026-01-01T01:00:00Z");
        let expected = [
            "starting 1",
            "healthy 0",
            "healthy 1",
            "unhealthy 2",
            "unhealthy 3",
            "healthy 0",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn in_the_start_period_failures_do_not_count_and_success_does() {
        let seen = results(&record(1), &[1, 1, 0, 1], "2026-01-01T00:00:59Z");
        assert_eq!(seen, ["starting 0", "starting 0", "healthy 0", "healthy 0"]);
    }

    #[test]
    fn a_startup_check_passes_once_and_gives_up_after_its_retries() {
        let mut record = record(1);
        record.config.spec.health.startup = Some(StartupCheck {
            retries: 2,
            successes: 2,
            ..StartupCheck::default()
        });
        let mut restarts = Vec::new();
        for passed in [false, true, false, true, true] {
            restarts.push(note_startup(&mut record, passed));
        }
        assert_eq!(restarts, [false; 5]);
        assert!(record.state.startup.passed);
        record.state.startup = StartupState::default();
        assert!(!note_startup(&mut record, false));
        assert!(note_startup(&mut record, false));
    }

    #[test]
    fn output_is_bounded() {
        assert_eq!(bounded(&[b'x'; 600], None).len(), 500);
        assert_eq!(bounded(&[b'x'; 600], Some(0)).len(), 600);
        assert_eq!(bounded(b"abc", Some(2)), "ab");
    }
}
