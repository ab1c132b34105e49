//! `exec`: one more process in a running container.
//!
//! In the foreground the client is the process's parent by way of the runtime, and its
//! streams are handed over as they are; with a terminal the client relays. Detached, a
//! monitor of its own looks after the process.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use minke_runtime_spec::ContainerSpec;
use minke_storage::ContainerId;
use minke_sys::rooted::Root;
use oci_spec::runtime::{Process, Spec, User};

use super::attach::{AttachRequest, Relay};
use super::monitor::{Protected, Streams, accept, run_to_report};
use super::preserve::Preserve;
use super::record::Record;
use super::runtime::Runtime;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};

/// What to execute.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// With a terminal.
    pub tty: bool,
    /// With the client's input.
    pub stdin: bool,
    /// Variables on top of the container's.
    pub env: BTreeMap<String, String>,
    /// `user[:group]`; `None` is the container's own.
    pub user: Option<String>,
    /// The directory to start in; `None` is the container's own.
    pub workdir: Option<String>,
    /// With every capability.
    pub privileged: bool,
    /// Which of this process's descriptors it gets; not with `exec_detached`.
    pub preserve: Preserve,
    /// As [`AttachRequest::detach_keys`].
    pub detach_keys: Vec<u8>,
}

impl Engine {
    /// Executes a command in a running container and gives its exit code.
    ///
    /// # Errors
    /// [`Error::WrongState`] unless the container runs; a command that cannot be executed.
    pub fn exec(&self, name: &str, exec: &ExecRequest, streams: AttachRequest<'_>) -> Result<i32> {
        let record = self.running(name)?;
        self.exec_in(&record, exec, streams)
            .map_err(|error| self.unless_ended(&record, error))
    }

    /// An error that came because the container ended meanwhile says that instead.
    fn unless_ended(&self, record: &Record, error: Error) -> Error {
        if self.is_running(&record.state) {
            return error;
        }
        tracing::debug!(error = %error.chain(), "the container ended meanwhile");
        not_running()
    }

    fn exec_in(
        &self,
        record: &Record,
        exec: &ExecRequest,
        streams: AttachRequest<'_>,
    ) -> Result<i32> {
        let runtime = self.runtime(record)?;
        let dir = ExecDir::make(self.exec_dir(record)?)?;
        let process = self.exec_process(record, exec)?;
        let file = dir.write_process(&process)?;
        let errors = dir.errors();
        let mut command = runtime.command();
        command.arg("--log").arg(&errors);
        command.args(["--log-format", "json", "exec", "--process"]);
        command.arg(&file);
        if exec.preserve != Preserve::default() {
            if !exec.preserve.open_up()? {
                return Err(Error::invalid("a descriptor to preserve is not open"));
            }
            let count = exec.preserve.runtime_count();
            command.args(["--preserve-fds", &count.to_string()]);
        }
        if !exec.tty {
            command.arg(&record.id);
            command
                .stdin(stdio(streams.stdin.filter(|_| exec.stdin))?)
                .stdout(stdio(streams.stdout)?)
                .stderr(stdio(streams.stderr)?);
            // The runtime passes our signals on to the process.
            let status = command
                .status()
                .map_err(Error::path("run", &runtime.program))?;
            return code(status, &errors, &runtime);
        }
        if !runtime.is_embedded() {
            // A foreign runtime relays a terminal itself.
            command.arg("--tty").arg(&record.id);
            let mut child = command
                .spawn()
                .map_err(Error::path("run", &runtime.program))?;
            let status = child
                .wait()
                .map_err(Error::path("wait for", &runtime.program))?;
            return code(status, &errors, &runtime);
        }
        self.exec_terminal(command, record, &dir, &runtime, &streams)
    }

    fn exec_terminal(
        &self,
        mut command: std::process::Command,
        record: &Record,
        dir: &ExecDir,
        runtime: &Runtime,
        streams: &AttachRequest<'_>,
    ) -> Result<i32> {
        // By way of our descriptor the path is short: a socket's may have 107 bytes.
        let opened = fs::File::open(&dir.path).map_err(Error::path("open", &dir.path))?;
        let (us, fd) = (std::process::id(), opened.as_raw_fd());
        let socket = PathBuf::from(format!("/proc/{us}/fd/{fd}/tty"));
        let listener = UnixListener::bind(&socket).map_err(Error::path("listen at", &socket))?;
        command
            .arg("--console-socket")
            .arg(&socket)
            .arg(&record.id)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(Error::path("run", &runtime.program))?;
        let master = receive_terminal(&listener, &mut child)?;
        let mut detached = false;
        if let Some(master) = master {
            let resize = |(rows, columns): (u16, u16)| {
                let size = rustix::termios::Winsize {
                    ws_row: rows,
                    ws_col: columns,
                    ws_xpixel: 0,
                    ws_ypixel: 0,
                };
                let _ = rustix::termios::tcsetwinsize(&master, size);
            };
            let relay = Relay {
                request: streams,
                resize: &resize,
                signal: &|_| {},
            };
            detached = relay.run_terminal(&master)?;
        }
        if detached {
            return Ok(0);
        }
        let status = child
            .wait()
            .map_err(Error::path("wait for", &runtime.program))?;
        code(status, &dir.errors(), runtime)
    }

    /// Executes a command under a monitor of its own and gives the session's id.
    ///
    /// # Errors
    /// As [`Engine::exec`].
    pub fn exec_detached(&self, name: &str, exec: &ExecRequest) -> Result<String> {
        let record = self.running(name)?;
        self.exec_monitored(&record, exec)
            .map_err(|error| self.unless_ended(&record, error))
    }

    fn exec_monitored(&self, record: &Record, exec: &ExecRequest) -> Result<String> {
        let runtime = self.runtime(record)?;
        let session = ContainerId::random()?.to_string();
        let sessions = self.exec_dir(record)?;
        sweep_sessions(&sessions);
        let dir = sessions.join(&session);
        crate::engine::make_private_dir(&dir)?;
        let process = self.exec_process(record, exec)?;
        let file = dir.join("process.json");
        write_process(&file, &process)?;
        let protected = Protected::new(record, &self.options.self_exe)?;
        let mut command = protected.monitor(record);
        command
            .args(["--api-version", "1", "-c", &record.id, "-u", &session])
            .args(["-n", &record.name, "--full-attach", "-e", "-r"])
            .arg(protected.runtime(&runtime))
            .arg("-b")
            .arg(&dir)
            .arg("-p")
            .arg(dir.join("pidfile"))
            .arg("--exec-process-spec")
            .arg(&file)
            .arg("--exit-dir")
            .arg(dir.join("exit"))
            .arg("--socket-dir-path")
            .arg(&dir)
            .args(["-l", "none", "--log-level", "warning"]);
        crate::engine::make_private_dir(&dir.join("exit"))?;
        for arg in &runtime.args {
            command.arg("--runtime-arg").arg(arg);
        }
        if exec.tty {
            command.arg("-t");
        }
        let started =
            run_to_report(command, Streams::None).and_then(|report| accept(report, &runtime));
        if let Err(error) = started {
            super::cleanup::remove_tree(&dir)?;
            return Err(error);
        }
        Ok(session)
    }

    fn running(&self, name: &str) -> Result<Record> {
        let record = self.find(name)?;
        match self.status(&record).0 {
            ContainerState::Running | ContainerState::Stopping => Ok(record),
            _ => Err(not_running()),
        }
    }

    /// Where the files of a container's sessions are: they go with what its start has made.
    pub(super) fn exec_dir(&self, record: &Record) -> Result<PathBuf> {
        let dir = self.persist_dir(&record.id).join("exec");
        crate::engine::make_private_dir(&dir)?;
        Ok(dir)
    }

    /// The container's own process with what the request changes.
    pub(super) fn exec_process(&self, record: &Record, exec: &ExecRequest) -> Result<Process> {
        let path = self.bundle(record)?.join("config.json");
        let text = fs::read(&path).map_err(Error::path("read", &path))?;
        let config: Spec = serde_json::from_slice(&text).map_err(|source| Error::Record {
            object: path.display().to_string(),
            source,
        })?;
        let mut process = config
            .process()
            .clone()
            .ok_or_else(|| Error::invalid(format!("{} has no process", path.display())))?;
        process.set_args(Some(exec.command.clone()));
        process.set_terminal(Some(exec.tty));
        let mut env = process.env().clone().unwrap_or_default();
        if exec.tty && !env.iter().any(|entry| entry.starts_with("TERM=")) {
            env.push("TERM=xterm".into());
        }
        env.extend(exec.env.iter().map(|(key, value)| format!("{key}={value}")));
        if let Some(dir) = &exec.workdir {
            process.set_cwd(PathBuf::from(dir));
        }
        if let Some(text) = &exec.user {
            let home = self.set_user(&mut process, record, text)?;
            if !exec.env.contains_key("HOME") {
                env.retain(|entry| !entry.starts_with("HOME="));
                env.push(format!("HOME={home}"));
            }
        }
        process.set_env(Some(env));
        if exec.privileged {
            let all = minke_oci_runtime::default_spec::every_capability();
            process.set_capabilities(Some(all));
        }
        Ok(process)
    }

    /// Looks a user up in the container's files as they are now.
    fn set_user(&self, process: &mut Process, record: &Record, text: &str) -> Result<String> {
        let rootfs = self.root_path(record)?;
        let root = Root::open_dir(&rootfs).map_err(Error::path("open rootfs", &rootfs))?;
        let spec = ContainerSpec {
            user: Some(text.to_owned()),
            ..ContainerSpec::default()
        };
        // Not the container's own user that is missing, only the one asked for now.
        let own = self.bundle(record)?;
        let resolved = super::host::resolve_user(&root, Some(&own), &spec, &record.config.image)
            .map_err(|error| Error::invalid(error.to_string()))?;
        let mut user = User::default();
        user.set_uid(resolved.uid)
            .set_gid(resolved.gid)
            .set_umask(process.user().umask());
        user.set_additional_gids(Some(resolved.additional_gids.clone()));
        process.set_user(user);
        if resolved.uid != 0 {
            keep_only_bounding(process);
        }
        Ok(resolved.home)
    }
}

/// A user who is not root starts with no capability; the bounding set stays.
fn keep_only_bounding(process: &mut Process) {
    if let Some(mut capabilities) = process.capabilities().clone() {
        capabilities
            .set_effective(None)
            .set_permitted(None)
            .set_inheritable(None)
            .set_ambient(None);
        process.set_capabilities(Some(capabilities));
    }
}

fn not_running() -> Error {
    Error::WrongState {
        text: "can only create exec sessions on running containers".into(),
    }
}

/// Takes away what detached sessions that have ended left; whoever waits for one has a while.
fn sweep_sessions(sessions: &Path) {
    const LIFE: std::time::Duration = std::time::Duration::from_secs(300);
    for entry in fs::read_dir(sessions).into_iter().flatten().flatten() {
        let ended = entry.path().join("exit").join(entry.file_name());
        let age = fs::metadata(&ended)
            .and_then(|meta| meta.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > LIFE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A directory for one exec, gone with it.
#[derive(Debug)]
pub(super) struct ExecDir {
    path: PathBuf,
    errors: fs::File,
}

impl ExecDir {
    pub(super) fn make(parent: PathBuf) -> Result<Self> {
        let path = parent.join(ContainerId::random()?.short());
        crate::engine::make_private_dir(&path)?;
        let log = path.join("errors");
        let errors = fs::File::create(&log).map_err(Error::path("create", log))?;
        Ok(Self { path, errors })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the runtime tells what went wrong. The directory goes with the container's end, and
    /// just then there is something to tell: by way of our descriptor the file is there yet.
    pub(super) fn errors(&self) -> PathBuf {
        let (us, fd) = (std::process::id(), self.errors.as_raw_fd());
        PathBuf::from(format!("/proc/{us}/fd/{fd}"))
    }

    pub(super) fn write_process(&self, process: &Process) -> Result<PathBuf> {
        let file = self.path.join("process.json");
        write_process(&file, process)?;
        Ok(file)
    }
}

impl Drop for ExecDir {
    fn drop(&mut self) {
        // With the container's end it may be gone already.
        if let Err(error) = super::cleanup::remove_tree(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "exec directory left");
        }
    }
}

fn write_process(path: &Path, process: &Process) -> Result<()> {
    let text = serde_json::to_vec(process).map_err(|source| Error::Record {
        object: path.display().to_string(),
        source,
    })?;
    fs::write(path, text).map_err(Error::path("write", path))
}

fn stdio(stream: Option<BorrowedFd<'_>>) -> Result<Stdio> {
    Ok(match stream {
        Some(stream) => stream
            .try_clone_to_owned()
            .map_err(Error::system("pass a stream on"))?
            .into(),
        None => Stdio::null(),
    })
}

/// The master of the terminal, or `None` when the runtime ended without making one.
fn receive_terminal(listener: &UnixListener, child: &mut Child) -> Result<Option<OwnedFd>> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let process = minke_sys::pidfd::PidFd::open(child.id() as i32)
        .map_err(Error::system("hold the runtime"))?;
    let mut fds = [
        PollFd::new(listener.as_fd(), PollFlags::POLLIN),
        PollFd::new(process.as_fd(), PollFlags::POLLIN),
    ];
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Error::system("wait for the terminal")(errno)),
            Ok(_) => break,
        }
    }
    if !fds[0].any().unwrap_or(false) {
        return Ok(None);
    }
    let (stream, _) = listener
        .accept()
        .map_err(Error::system("accept the terminal"))?;
    let mut name = [0; 128];
    let mut received = minke_sys::fdpass::receive(stream.as_fd(), &mut name)
        .map_err(Error::system("receive the terminal"))?;
    Ok(received.fds.pop())
}

/// The process's exit code, or what kept the runtime from running it.
pub(super) fn code(status: ExitStatus, errors: &Path, runtime: &Runtime) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt;
    if !status.success()
        && let Some(message) = last_error(errors)
    {
        return Err(runtime.failure(&message));
    }
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, signal) => 128 + signal.unwrap_or(0),
    })
}

/// The last error a runtime logged (runc's JSON log lines).
fn last_error(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    text.lines().rev().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let error = line.get("level")?.as_str()? == "error";
        error.then(|| line.get("msg")?.as_str().map(str::to_owned))?
    })
}
