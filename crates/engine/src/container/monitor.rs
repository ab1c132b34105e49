//! Starting a monitor (conmon's contract) and hearing what it says.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::option::log::LogOptions;
use minke_sys::proc::ProcessId;
use rustix::io::FdFlags;
use serde::Deserialize;

use super::attach::PASSTHROUGH;
use super::preserve::Preserve;
use super::readiness::relays;
use super::record::Record;
use super::runtime::Runtime;
use crate::Engine;
use crate::error::{Error, Result};

/// What the monitor says over its sync pipe, one JSON object a line.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(alias = "pid")]
    data: i64,
    #[serde(default)]
    message: String,
}

/// A monitor that has made its container.
#[derive(Debug)]
pub(crate) struct Monitored {
    pub init: ProcessId,
    pub monitor: Option<ProcessId>,
}

/// The longest report that is read: a runtime's error text.
const MAX_REPORT_BYTES: u64 = 1 << 20;

impl Engine {
    /// The directory of a container's running life: its bundle, fifos and attach socket.
    pub(crate) fn bundle(&self, record: &Record) -> Result<PathBuf> {
        let id = record.id.parse()?;
        Ok(self.store()?.container_run_directory(&id))
    }

    /// Starts a monitor, which runs `RUNTIME create`, and waits for the container's pid.
    ///
    /// # Errors
    /// What the runtime said, sorted by its meaning.
    pub(crate) fn start_monitor(
        &self,
        record: &Record,
        runtime: &Runtime,
        bundle: &Path,
    ) -> Result<Monitored> {
        let exits = self.runtime_dir("exits")?;
        let persist = self.persist_dir(&record.id);
        crate::engine::make_private_dir(&persist)?;
        let spec = &record.config.spec;
        let pid_file = spec.pid_file.clone();
        let pid_file = pid_file.unwrap_or_else(|| bundle.join("pidfile"));
        let monitor_pid_file = spec.monitor_pid_file.clone();
        let monitor_pid_file = monitor_pid_file.unwrap_or_else(|| bundle.join("conmon.pid"));
        let protected = Protected::new(record, &self.options.self_exe)?;
        let mut command = protected.monitor(record);
        command
            .args(["--api-version", "1", "-c", &record.id, "-u", &record.id])
            .args(["-n", &record.name, "--full-attach"])
            .arg("-r")
            .arg(protected.runtime(runtime))
            .arg("-b")
            .arg(bundle)
            .arg("-p")
            .arg(&pid_file)
            .arg("--conmon-pidfile")
            .arg(&monitor_pid_file)
            .arg("--exit-dir")
            .arg(exits)
            .arg("--persist-dir")
            .arg(persist)
            .arg("--socket-dir-path")
            .arg(bundle)
            .arg("-l")
            .arg(log_argument(record))
            .args(["--log-level", "warning"]);
        command.args(log_limits(record)?);
        for arg in &runtime.args {
            command.arg("--runtime-arg").arg(arg);
        }
        command.args(preserved(spec)?);
        // The container's own is another.
        command.env_remove("NOTIFY_SOCKET");
        if let Some(socket) = &record.state.notify_socket
            && relays(record)
        {
            command.arg("--sdnotify-socket").arg(socket);
        }
        if record.config.spec.terminal {
            command.arg("-t");
        }
        if record.config.spec.stdin {
            command.arg("-i");
        }
        if record.config.conmon.is_none() {
            command.arg("--exit-again");
            command.args(self.periodic_command(record));
        }
        if let Some(seconds) = record.config.spec.timeout_seconds.filter(|time| *time > 0) {
            command.args(["--timeout", &seconds.to_string()]);
        }
        command.args(self.exit_command(record));
        let streams = match record.config.log_driver.as_str() {
            PASSTHROUGH => Streams::Ours,
            _ => Streams::None,
        };
        let report = run_to_report(command, streams)?;
        let pid = accept(report, runtime)?;
        let monitor = fs::read_to_string(&monitor_pid_file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .and_then(|pid| ProcessId::of(pid).ok());
        // A process may end before it is looked at: it cannot be reaped and its number not
        // reused before the monitor has written its exit file, so a failure here means ended.
        let init = ProcessId::of(pid).unwrap_or(ProcessId { pid, start_time: 0 });
        Ok(Monitored { init, monitor })
    }

    /// What the monitor runs at the container's end: us, on the same directories. Our own
    /// monitor waits for us where there is to be another attempt.
    fn exit_command(&self, record: &Record) -> Vec<std::ffi::OsString> {
        let mut words = self.same_places();
        words.extend(["container", "cleanup", "--sweep"].map(Into::into));
        if record.config.conmon.is_none() {
            words.push("--again".into());
        }
        if record.config.spec.remove {
            words.push("--rm".into());
        }
        words.push(record.id.clone().into());
        let mut args = vec![
            "--exit-command".into(),
            self.options.self_exe.clone().into(),
        ];
        for word in words {
            args.push("--exit-command-arg".into());
            args.push(word);
        }
        args
    }

    /// What our monitor runs while the container lives: its health check. One without a check may
    /// be given one later: then the monitor is told to run it.
    fn periodic_command(&self, record: &Record) -> Vec<std::ffi::OsString> {
        let mut words = self.same_places();
        words.extend(["healthcheck", "run", "--again"].map(Into::into));
        words.push(record.id.clone().into());
        let mut args = vec![
            "--periodic-command".into(),
            self.options.self_exe.clone().into(),
        ];
        if let Some(interval) = record.health_interval() {
            args.push("--periodic-delay".into());
            args.push(interval.as_millis().to_string().into());
        }
        for word in words {
            args.push("--periodic-command-arg".into());
            args.push(word);
        }
        args
    }

    /// The arguments that lead our own binary to the same directories.
    pub(crate) fn same_places(&self) -> Vec<std::ffi::OsString> {
        let mut words: Vec<std::ffi::OsString> = vec![
            "--root".into(),
            self.places.store.graph_root.clone().into(),
            "--runroot".into(),
            self.places.store.run_root.clone().into(),
            "--storage-driver".into(),
            self.places.store.driver.clone().into(),
            "--network-config-dir".into(),
            self.places.networks.clone().into(),
        ];
        if let Some(path) = &self.options.default_mounts_file {
            words.extend(["--default-mounts-file".into(), path.into()]);
        }
        for dir in self.options.cdi_spec_dirs.iter().flatten() {
            words.extend(["--cdi-spec-dir".into(), dir.into()]);
        }
        words
    }
}

/// Our own binary as a copy that no container can write to (CVE-2019-5736). An embedded monitor
/// runs from it, and so does the embedded runtime that it starts: neither has to make one.
pub(crate) struct Protected {
    copy: Option<OwnedFd>,
    name: PathBuf,
}

impl Protected {
    pub fn new(record: &Record, self_exe: &Path) -> Result<Self> {
        let copy = match &record.config.conmon {
            Some(_) => None,
            None => {
                // Close-on-exec as it is: the name is resolved before descriptors are closed.
                let copy = minke_sys::exe::protected()
                    .map_err(Error::system("make a safe copy of our binary"))?;
                Some(copy)
            }
        };
        Ok(Self {
            copy,
            name: self_exe.to_owned(),
        })
    }

    /// The monitor that a container was made for.
    pub fn monitor(&self, record: &Record) -> Command {
        use std::os::unix::process::CommandExt;
        match (&record.config.conmon, &self.copy) {
            (None, Some(copy)) => {
                let mut command = Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd()));
                command.arg0(&self.name).arg("conmon");
                command
            }
            (Some(program), _) => Command::new(program),
            (None, None) => {
                let mut command = Command::new(&self.name);
                command.arg("conmon");
                command
            }
        }
    }

    /// The runtime as the monitor should name it.
    pub fn runtime(&self, runtime: &Runtime) -> PathBuf {
        if self.copy.is_some() && runtime.is_embedded() {
            return PathBuf::from("/proc/self/exe");
        }
        runtime.program.clone()
    }
}

fn log_argument(record: &Record) -> std::ffi::OsString {
    let config = &record.config;
    if config.log_driver == "none" || config.log_driver == PASSTHROUGH {
        return config.log_driver.clone().into();
    }
    let mut argument = std::ffi::OsString::from(format!("{}:", config.log_driver));
    argument.push(&config.log_path);
    argument
}

/// What the runtime is told of the caller's descriptors. Who starts the container again has them
/// no more: it goes without.
fn preserved(spec: &ContainerSpec) -> Result<Vec<String>> {
    let preserve = Preserve {
        count: spec.preserve_fds,
        listed: spec.preserve_fd.clone(),
    };
    if preserve == Preserve::default() {
        return Ok(Vec::new());
    }
    let count = preserve.runtime_count();
    if !preserve.open_up()? {
        tracing::warn!("the descriptors to preserve are not open: none is passed");
        return Ok(Vec::new());
    }
    let word = "--runtime-opt".to_owned();
    let option = "--preserve-fds".to_owned();
    Ok(vec![word.clone(), option, word, count.to_string()])
}

/// How large the log may grow, and with our own monitor how many files are kept of it.
fn log_limits(record: &Record) -> Result<Vec<String>> {
    let config = &record.config;
    let options = LogOptions::read(&config.spec.log.options)?;
    let mut words = Vec::new();
    if let Some(bytes) = options.max_size_bytes {
        words.extend(["--log-size-max".into(), bytes.to_string()]);
    }
    if let Some(backups) = options.max_files.and_then(|files| files.checked_sub(1))
        && backups > 0
        && config.conmon.is_none()
    {
        words.extend(["--log-rotate".into(), "--log-max-files".into()]);
        words.push(backups.to_string());
    }
    Ok(words)
}

/// What a monitor gets as its own stdin, stdout and stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Nothing, and stderr is heard in case it fails.
    None,
    /// This process's, which become the container's.
    Ours,
}

/// Runs a monitor's first process with its pipes and reads its first report.
pub(crate) fn run_to_report(mut command: Command, streams: Streams) -> Result<String> {
    let (start_reader, mut start_writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
    let (sync_reader, sync_writer) = std::io::pipe().map_err(Error::system("make a pipe"))?;
    let start_reader = OwnedFd::from(start_reader);
    let sync_writer = OwnedFd::from(sync_writer);
    for inherited in [&start_reader, &sync_writer] {
        rustix::io::fcntl_setfd(inherited, FdFlags::empty())
            .map_err(Error::system("pass a pipe on"))?;
    }
    command
        .env("_OCI_STARTPIPE", start_reader.as_raw_fd().to_string())
        .env("_OCI_SYNCPIPE", sync_writer.as_raw_fd().to_string());
    if streams == Streams::None {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
    }
    let program = PathBuf::from(command.get_program());
    let mut child = command.spawn().map_err(Error::path("run", &program))?;
    drop((start_reader, sync_writer));
    let _ = start_writer.write_all(b"\0");
    let mut report = String::new();
    BufReader::new(sync_reader.take(MAX_REPORT_BYTES))
        .read_line(&mut report)
        .map_err(Error::system("hear the monitor"))?;
    // The first process ends once the monitor is on its own.
    let status = child.wait().map_err(Error::path("wait for", &program))?;
    if report.is_empty() {
        let mut text = String::new();
        if let Some(stderr) = child.stderr.take() {
            let _ = stderr.take(MAX_REPORT_BYTES).read_to_string(&mut text);
        }
        return Err(Error::invalid(format!(
            "the monitor {} failed ({status}): {}",
            program.display(),
            text.trim()
        )));
    }
    Ok(report)
}

/// The pid of a report, or the failure it tells.
pub(crate) fn accept(report: String, runtime: &Runtime) -> Result<i32> {
    let report: Report = serde_json::from_str(&report).map_err(|source| Error::Record {
        object: "what the monitor said".into(),
        source,
    })?;
    match i32::try_from(report.data) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(runtime.failure(report.message.trim())),
    }
}
