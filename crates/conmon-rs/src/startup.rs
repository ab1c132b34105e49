//! From a command line to a running monitor, and from a container's end to the monitor's.

use crate::args::Options;
use crate::console::ConsoleSocket;
use crate::environment::Environment;
use crate::error::{Error, Result, at, doing};
use crate::exit::{self, ExitCommand};
use crate::fork::{self, Program, Setup, Side};
use crate::log::Logs;
use crate::monitor::{End, Monitor, check_terminal};
use crate::notify::NotifyRelay;
use crate::oom::OomScore;
use crate::periodic::Periodic;
use crate::runtime;
use crate::stdio::{ContainerEnds, Stdio};
use crate::sync::{Pipes, Reporter, wait_for_start, wait_or_end};
use rustix::fs::{Access, Mode, OFlags};
use rustix::process::Pid;
use std::fs;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

/// What an exec session that was killed for its time reports, as conmon says it.
const TIMED_OUT: &str = "command timed out";

/// What the process was given and must use or hold.
struct Inheritance {
    pipes: Pipes,
    /// Descriptors held open while the container lives (Podman's reserved ports).
    held: Vec<RawFd>,
    oom_score: OomScore,
}

/// Monitors the container that `options` describe.
///
/// Without `--sync` this forks: it returns 0 in the calling process as soon as the monitor is
/// on its own, and in the new process the exit code to end with.
///
/// # Errors
/// Whatever kept the container from being made, in the calling process as far as it is known
/// there; what the new process meets has also been sent over the sync pipe.
pub fn start(options: Options, environment: &Environment) -> Result<i32> {
    let options = options.complete(environment)?;
    rustix::fs::access(&options.runtime, Access::EXEC_OK)
        .map_err(at("use the OCI runtime", &options.runtime))?;
    let mut inheritance = inherit(environment)?;
    let logs = Logs::open(&options, environment)?;
    if let Some(start) = &inheritance.pipes.start {
        wait_for_start(start).map_err(doing("wait for the start pipe"))?;
    }
    if !options.sync
        && let Side::Parent(monitor) = fork::split().map_err(doing("fork"))?
    {
        if let Some(path) = &options.conmon_pidfile {
            write_pid(path, monitor)?;
        }
        return Ok(0);
    }
    let sync = inheritance.pipes.sync.take();
    let mut reporter = Reporter::new(sync, options.api_version, options.exec);
    serve(&options, environment, inheritance, logs, &mut reporter)
}

fn inherit(environment: &Environment) -> Result<Inheritance> {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    fork::ignore_sigpipe();
    let mut held = fork::inherited_descriptors();
    let pipes = Pipes::adopt(environment)?;
    let numbers = pipes.numbers();
    held.retain(|fd| !numbers.contains(fd));
    Ok(Inheritance {
        pipes,
        held,
        oom_score: OomScore::protect(),
    })
}

fn write_pid(path: &Path, pid: Pid) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => exit::replace(directory, name, &pid.as_raw_pid().to_string()),
        None => Err(Error::usage("--conmon-pidfile is no file name")),
    }
}

/// Everything in the process of its own: the container's life, its exit files, the exit command.
fn serve(
    options: &Options,
    environment: &Environment,
    inheritance: Inheritance,
    logs: Logs,
    reporter: &mut Reporter,
) -> Result<i32> {
    let oom_score = &inheritance.oom_score;
    let prepared = prepare(options, environment, &inheritance.pipes, logs);
    let (mut monitor, mut runtime, exit_command) = report(reporter, prepared)?;
    let launched = launch(options, environment, &inheritance, &mut runtime);
    drop(runtime);
    let launched = report(reporter, launched)?;
    let ended = live(options, &mut monitor, launched, oom_score, reporter);
    drop(monitor);
    drop(inheritance.pipes);
    fork::close_held(&inheritance.held);
    let result = ended.and_then(|end| conclude(options, end, reporter));
    let exit_code = match exit_command {
        Some(command) => command.run(options, oom_score)?,
        None => 0,
    };
    match (result, exit_code) {
        (Ok(code), 0) => Ok(code),
        (Ok(_), code) => Ok(code),
        (Err(error), _) => Err(error),
    }
}

/// Tells the caller of a failure before passing it up.
fn report<T>(reporter: &mut Reporter, result: Result<T>) -> Result<T> {
    result.inspect_err(|error| reporter.send(-1, &error.to_line()))
}

/// What the runtime is to be started with.
struct RuntimeStart {
    program: Program,
    ends: ContainerEnds,
    dev_null: OwnedFd,
    passthrough: bool,
}

type Prepared = (Monitor, RuntimeStart, Option<ExitCommand>);

/// Leaves the caller's session and opens all that callers may use.
fn prepare(
    options: &Options,
    environment: &Environment,
    pipes: &Pipes,
    logs: Logs,
) -> Result<Prepared> {
    if options.exec_attach && pipes.attach.is_none() {
        return Err(Error::usage("--exec-attach needs _OCI_ATTACHPIPE"));
    }
    let passthrough = logs.is_passthrough();
    let dev_null = detach(passthrough)?;
    let console = match options.terminal {
        true => Some(ConsoleSocket::bind(&environment.temp_dir())?),
        false => None,
    };
    let console_path = console.as_ref().map(ConsoleSocket::path);
    let args = runtime::arguments(options, console_path.as_deref());
    let program = Program::new(&options.runtime, &args, environment);
    let mut program = program.map_err(at("prepare to run", &options.runtime))?;
    if must_replace_listen_pid(options, environment) {
        program.replace_listen_pid();
    }
    let exit_command = ExitCommand::new(options, environment)?;
    let (stdio, ends) = Stdio::new(options.terminal, options.stdin)?;
    let mut monitor = Monitor::new(options, logs, stdio, console)?;
    if let Some(periodic) = Periodic::new(options, environment)? {
        monitor.repeat(periodic);
    }
    if let Some(bundle) = &options.bundle
        && let Some(host) = &options.sdnotify_socket
    {
        monitor.relay_readiness(NotifyRelay::bind(bundle, host)?)?;
    }
    if let Some(bundle) = &options.bundle
        && !passthrough
    {
        monitor.open_to_callers(options, bundle)?;
    }
    let start = RuntimeStart {
        program,
        ends,
        dev_null,
        passthrough,
    };
    Ok((monitor, start, exit_command))
}

/// A session of our own, our own children, and nothing on stdio; returns `/dev/null`.
fn detach(keep_stdio: bool) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let path = Path::new("/dev/null");
    let dev_null = rustix::fs::open(path, flags, Mode::empty()).map_err(at("open", path))?;
    if !keep_stdio {
        silence(&dev_null)?;
    }
    // A process that leads its group already, as with --sync, stays where it is.
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "no session of our own");
    }
    nix::sys::prctl::set_child_subreaper(true).map_err(doing("become a subreaper"))?;
    Ok(dev_null)
}

fn silence(dev_null: &OwnedFd) -> Result<()> {
    rustix::stdio::dup2_stdin(dev_null)
        .and_then(|()| rustix::stdio::dup2_stdout(dev_null))
        .and_then(|()| rustix::stdio::dup2_stderr(dev_null))
        .map_err(doing("let go of stdio"))
}

/// With `--replace-listen-pid`, or when the sockets were meant for the monitor itself.
fn must_replace_listen_pid(options: &Options, environment: &Environment) -> bool {
    let named = environment.get("LISTEN_PID").and_then(|pid| pid.to_str());
    let named = named.and_then(|pid| pid.parse::<i32>().ok());
    let ours = rustix::process::getpid().as_raw_pid();
    named.is_some_and(|pid| options.replace_listen_pid || pid == ours)
}

/// Starts the runtime, once the caller of an exec session is attached.
fn launch(
    options: &Options,
    environment: &Environment,
    inheritance: &Inheritance,
    start: &mut RuntimeStart,
) -> Result<Pid> {
    if options.exec_attach {
        await_caller(options, &inheritance.pipes)?;
    }
    if options.exec {
        // What an older session left must not be taken for this one's PID.
        let _ = fs::remove_file(&options.container_pidfile);
    }
    let stdin = start.ends.stdin.as_ref().unwrap_or(&start.dev_null);
    let stdout = start.ends.stdout.as_ref().unwrap_or(&start.dev_null);
    let stdio = [stdin.as_fd(), stdout.as_fd(), start.ends.stderr.as_fd()];
    let setup = Setup {
        stdio: (!start.passthrough).then_some(stdio),
        close_from: runtime::first_closed_descriptor(options, environment),
        oom_score: &inheritance.oom_score,
        die_with_monitor: true,
        delay: Duration::ZERO,
    };
    let pid = fork::spawn(&mut start.program, &setup).map_err(at("run", &options.runtime))?;
    if start.passthrough {
        silence(&start.dev_null)?;
    }
    Ok(pid)
}

/// Says that the attach socket is there, and waits for the word to go on.
fn await_caller(options: &Options, pipes: &Pipes) -> Result<()> {
    let attach = match &pipes.attach {
        Some(attach) => Some(attach.try_clone().map_err(doing("use the attach pipe"))?),
        None => None,
    };
    Reporter::new(attach, options.api_version, options.exec).send(0, "");
    match &pipes.start {
        Some(start) => wait_or_end(start).map_err(doing("wait for the start pipe")),
        None => Ok(()),
    }
}

/// From the runtime's start to the container's end.
fn live(
    options: &Options,
    monitor: &mut Monitor,
    runtime: Pid,
    oom_score: &OomScore,
    reporter: &mut Reporter,
) -> Result<End> {
    let container = create(options, monitor, runtime);
    let container = report(reporter, container)?;
    // Before API version 1 an exec session reports nothing but its exit code.
    if options.api_version >= 1 || !options.exec {
        reporter.send(container.as_raw_pid(), "");
    }
    monitor.await_container(container, options.timeout, options, oom_score)
}

/// Waits for the runtime; returns the PID it wrote.
///
/// The exit status of `exec` may be that of the command, so there only a missing PID is a
/// failure.
fn create(options: &Options, monitor: &mut Monitor, runtime: Pid) -> Result<Pid> {
    let status = monitor.await_runtime(runtime)?;
    if status != 0 && !options.exec {
        return Err(runtime::failure(monitor.runtime_stderr(), status));
    }
    match runtime::read_pid(&options.container_pidfile) {
        Ok(pid) => {
            check_terminal(monitor)?;
            Ok(pid)
        }
        Err(_) if status != 0 => Err(runtime::failure(monitor.runtime_stderr(), status)),
        Err(error) => Err(error),
    }
}

/// Leaves the exit files and tells the caller of an exec session.
fn conclude(options: &Options, end: End, reporter: &mut Reporter) -> Result<i32> {
    let (code, message) = match end {
        End::Exited(code) => (code, ""),
        End::TimedOut => (-1, TIMED_OUT),
    };
    exit::write_files(options, code)?;
    if options.exec {
        reporter.send(code, message);
    }
    Ok(code)
}
