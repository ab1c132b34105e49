//! The loop that serves a container from its creation to its end.

use crate::args::Options;
use crate::attach::{AttachSocket, Clients, Input};
use crate::console::ConsoleSocket;
use crate::ctl::{Fifo, Order, window};
use crate::error::{Error, Result, doing};
use crate::exit::code_of;
use crate::log::{Logs, Stream};
use crate::notify::NotifyRelay;
use crate::oom::{self, OomScore, OomWatch};
use crate::periodic::Periodic;
use crate::poller::{Events, Poller, Source};
use crate::stdio::{Output, Stdio, Written};
use nix::sys::signal::{SigSet, Signal as SignalName};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// A terminal nobody has open is looked at again after this long.
const TERMINAL_PAUSE: Duration = Duration::from_millis(100);

/// Who the monitor lives for just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ward {
    Nobody,
    Runtime(Pid),
    Container(Pid),
}

/// How a container's life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended by itself, with this exit code.
    Exited(i32),
    /// It was killed because its time was up.
    TimedOut,
}

/// Everything that is watched.
pub(crate) struct Monitor {
    poller: Poller,
    signals: SignalFd,
    logs: Logs,
    stdio: Stdio,
    close_stdin_with_client: bool,
    attach: Option<AttachSocket>,
    clients: Clients,
    control: Option<Fifo>,
    window_size: Option<Fifo>,
    console: Option<ConsoleSocket>,
    /// A size that was asked for before the terminal came.
    pending_size: Option<(u16, u16)>,
    terminal_again: Option<Instant>,
    out_of_memory: Option<OomWatch>,
    memory_event: bool,
    notify: Option<NotifyRelay>,
    periodic: Option<Periodic>,
    _container: Option<OwnedFd>,
    ward: Ward,
    /// The exit code of the ward, once it has ended.
    ended: Option<i32>,
}

impl Monitor {
    /// Starts to watch signals, which are blocked from here on, and the console socket.
    pub(crate) fn new(
        options: &Options,
        logs: Logs,
        stdio: Stdio,
        console: Option<ConsoleSocket>,
    ) -> Result<Monitor> {
        let mut mask = SigSet::empty();
        for signal in [
            SignalName::SIGCHLD,
            SignalName::SIGTERM,
            SignalName::SIGQUIT,
            SignalName::SIGINT,
        ] {
            mask.add(signal);
        }
        mask.thread_block().map_err(doing("block signals"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&mask, flags).map_err(doing("watch signals"))?;
        let poller = Poller::new().map_err(doing("create an epoll set"))?;
        let watched = doing("watch a descriptor");
        poller
            .add(&signals, Source::Signals, EventFlags::IN)
            .map_err(watched)?;
        if let Some(console) = &console {
            poller
                .add(console.descriptor(), Source::Console, EventFlags::IN)
                .map_err(doing("watch the console socket"))?;
        }
        Ok(Monitor {
            poller,
            signals,
            logs,
            stdio,
            close_stdin_with_client: options.stdin && !options.leave_stdin_open,
            attach: None,
            clients: Clients::default(),
            control: None,
            window_size: None,
            console,
            pending_size: None,
            terminal_again: None,
            out_of_memory: None,
            memory_event: false,
            notify: None,
            periodic: None,
            _container: None,
            ward: Ward::Nobody,
            ended: None,
        })
    }

    /// Opens the attach socket and the control fifos.
    pub(crate) fn open_to_callers(&mut self, options: &Options, bundle: &Path) -> Result<()> {
        let attach = AttachSocket::bind(options, bundle)?;
        let control = Fifo::create(bundle, "ctl")?;
        let window_size = Fifo::create(bundle, "winsz")?;
        let watched = [
            (attach.descriptor(), Source::Listener),
            (control.descriptor(), Source::Control),
            (window_size.descriptor(), Source::WindowSize),
        ];
        for (fd, source) in watched {
            self.poller
                .add(fd, source, EventFlags::IN)
                .map_err(doing("watch the bundle's sockets"))?;
        }
        self.attach = Some(attach);
        self.control = Some(control);
        self.window_size = Some(window_size);
        Ok(())
    }

    /// Passes the container's readiness on to the host's socket.
    pub(crate) fn relay_readiness(&mut self, relay: NotifyRelay) -> Result<()> {
        self.poller
            .add(relay.descriptor(), Source::Notify, EventFlags::IN)
            .map_err(doing("watch the notify socket"))?;
        self.notify = Some(relay);
        Ok(())
    }

    /// Runs a command again and again while the container lives.
    pub(crate) fn repeat(&mut self, periodic: Periodic) {
        self.periodic = Some(periodic);
    }

    /// Serves until the runtime has ended; returns its exit code.
    pub(crate) fn await_runtime(&mut self, runtime: Pid) -> Result<i32> {
        self.ward = Ward::Runtime(runtime);
        self.ended = None;
        let mut events = Events::new();
        loop {
            self.reap();
            if let Some(code) = self.ended {
                self.receive_terminal()?;
                return Ok(code);
            }
            self.turn(&mut events, None)?;
        }
    }

    /// What the runtime has left on stderr.
    pub(crate) fn runtime_stderr(&self) -> Option<&OwnedFd> {
        self.stdio.output(Stream::Stderr)
    }

    /// Whether a terminal is still missing.
    pub(crate) fn lacks_terminal(&self) -> bool {
        self.console.is_some()
    }

    /// Serves until the container has ended or `timeout` is over, then takes what it has left.
    pub(crate) fn await_container(
        &mut self,
        container: Pid,
        timeout: Option<Duration>,
        options: &Options,
        oom_score: &OomScore,
    ) -> Result<End> {
        self.ward = Ward::Container(container);
        self.ended = None;
        self.watch_output(Stream::Stdout)?;
        self.watch_output(Stream::Stderr)?;
        self.reap();
        self.watch_container(container);
        self.watch_memory(container);
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut events = Events::new();
        let end = loop {
            if let Some(code) = self.ended {
                break End::Exited(code);
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                kill_group(container);
                break End::TimedOut;
            }
            self.run_periodic(oom_score);
            let due = self.periodic.as_ref().and_then(Periodic::due);
            let next = [deadline, due].into_iter().flatten().min();
            self.turn(&mut events, next)?;
            if std::mem::take(&mut self.memory_event) {
                self.mark_out_of_memory(options);
            }
        };
        self.mark_out_of_memory(options);
        if end != End::TimedOut {
            self.drain();
        }
        self.logs.finish(!options.no_sync_log);
        Ok(end)
    }

    fn run_periodic(&mut self, oom_score: &OomScore) {
        if let Some(periodic) = &mut self.periodic
            && let Err(error) = periodic.run_if_due(oom_score)
        {
            tracing::warn!(error = %error.to_line(), "the periodic command does not run");
        }
    }

    /// Waits once, until something happens, and handles it.
    fn turn(&mut self, events: &mut Events, deadline: Option<Instant>) -> Result<()> {
        let next = [deadline, self.terminal_again];
        let next = next.into_iter().flatten().min();
        let wait = next.map(|next| next.saturating_duration_since(Instant::now()));
        let found = self.poller.wait(events, wait);
        for (source, flags) in found.map_err(doing("wait for events"))? {
            self.handle(source, flags)?;
        }
        if self
            .terminal_again
            .is_some_and(|again| again <= Instant::now())
        {
            self.terminal_again = None;
            self.watch_output(Stream::Stdout)?;
        }
        Ok(())
    }

    fn handle(&mut self, source: Source, flags: EventFlags) -> Result<()> {
        match source {
            Source::Signals => self.take_signals(),
            Source::Container => self.container_has_ended(),
            Source::Stdout => self.take_output(Stream::Stdout, flags),
            Source::Stderr => self.take_output(Stream::Stderr, flags),
            Source::Stdin => self.continue_input()?,
            Source::Listener => self.accept_clients(),
            Source::Client(slot) => self.serve_client(slot, flags)?,
            Source::Control => self.take_orders(Source::Control),
            Source::WindowSize => self.take_orders(Source::WindowSize),
            Source::Console => self.receive_terminal()?,
            Source::OutOfMemory => self.memory_event = true,
            Source::Notify => {
                if let Some(notify) = &mut self.notify {
                    notify.relay();
                }
            }
        }
        Ok(())
    }

    /// Takes in whoever has connected. Before each output too: who was connected before the
    /// container was started sees all of it, whichever the kernel tells of first.
    fn accept_clients(&mut self) {
        if let Some(attach) = &self.attach {
            self.clients.accept(attach, &self.poller);
        }
    }

    /// Passes signals on, and reaps.
    fn take_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let signal = match info.ssi_signo as i32 {
                libc::SIGTERM => Signal::TERM,
                libc::SIGQUIT => Signal::QUIT,
                libc::SIGINT => Signal::INT,
                _ => continue,
            };
            if let Ward::Runtime(pid) | Ward::Container(pid) = self.ward
                && self.ended.is_none()
                && let Err(error) = rustix::process::kill_process(pid, signal)
            {
                tracing::debug!(%error, "cannot pass a signal on");
            }
        }
        self.reap();
    }

    /// Reaps who has ended. Until the container's PID is known only the runtime is reaped, so
    /// that no exit code is lost.
    fn reap(&mut self) {
        match self.ward {
            Ward::Nobody => {}
            Ward::Runtime(pid) => {
                if let Ok(Some((_, status))) =
                    rustix::process::waitpid(Some(pid), WaitOptions::NOHANG)
                {
                    self.ended = Some(code_of(status));
                    self.ward = Ward::Nobody;
                }
            }
            Ward::Container(pid) => {
                while let Ok(Some((ended, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                    if ended == pid {
                        self.ended = Some(code_of(status));
                    } else if let Some(periodic) = &mut self.periodic {
                        periodic.reaped(ended, code_of(status));
                    }
                }
            }
        }
    }

    /// A container that is not our child tells its end only here, and not its exit code.
    fn container_has_ended(&mut self) {
        self.reap();
        if self.ended.is_none() {
            tracing::warn!("the container was not our child: its exit code is unknown");
            self.ended = Some(-1);
        }
    }

    fn watch_container(&mut self, container: Pid) {
        if self.ended.is_some() {
            return;
        }
        match rustix::process::pidfd_open(container, PidfdFlags::empty()) {
            Ok(pidfd) => {
                let watch = self.poller.add(&pidfd, Source::Container, EventFlags::IN);
                if let Err(error) = watch {
                    tracing::warn!(%error, "cannot watch the container's pidfd");
                }
                self._container = Some(pidfd);
            }
            Err(Errno::SRCH) => self.container_has_ended(),
            Err(error) => tracing::debug!(%error, "no pidfd: SIGCHLD has to do"),
        }
    }

    fn watch_memory(&mut self, container: Pid) {
        match OomWatch::new(container.as_raw_pid()) {
            Ok(Some(watch)) => {
                let add = self
                    .poller
                    .add(watch.descriptor(), Source::OutOfMemory, EventFlags::IN);
                if let Err(error) = add {
                    tracing::warn!(%error, "cannot watch the container's memory");
                }
                self.out_of_memory = Some(watch);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = %error.to_line(), "cannot watch the container's memory");
            }
        }
    }

    fn mark_out_of_memory(&mut self, options: &Options) {
        if self.out_of_memory.as_mut().is_some_and(OomWatch::check) {
            oom::mark(&[options.persist_dir.as_deref(), options.bundle.as_deref()]);
        }
    }

    fn watch_output(&mut self, stream: Stream) -> Result<()> {
        if !self.clients.is_settled() {
            return Ok(());
        }
        match self.stdio.output(stream) {
            Some(fd) => self
                .poller
                .add(fd, source_of(stream), EventFlags::IN)
                .or_else(|error| match error {
                    Errno::EXIST => Ok(()),
                    error => Err(error),
                })
                .map_err(doing("watch the container's output")),
            None => Ok(()),
        }
    }

    fn take_output(&mut self, stream: Stream, flags: EventFlags) {
        self.accept_clients();
        if !self.clients.is_settled() {
            return;
        }
        let outcome = match flags.contains(EventFlags::IN) {
            true => self.stdio.read(stream),
            false => Output::End,
        };
        match outcome {
            Output::Nothing => {}
            Output::Chunk => self.pass_on(stream),
            Output::End => self.stop_output(stream),
        }
    }

    /// Logs the chunk just read and sends it to the clients. While one of them has not taken it,
    /// no more is read.
    fn pass_on(&mut self, stream: Stream) {
        self.logs.write(stream, self.stdio.chunk());
        if !self.clients.send(self.stdio.packet(), &self.poller) {
            for stream in [Stream::Stdout, Stream::Stderr] {
                if let Some(fd) = self.stdio.output(stream) {
                    self.poller.remove(fd);
                }
            }
        }
    }

    fn stop_output(&mut self, stream: Stream) {
        if let Some(fd) = self.stdio.output(stream) {
            self.poller.remove(fd);
        }
        if self.stdio.can_return(stream) {
            self.terminal_again = Some(Instant::now() + TERMINAL_PAUSE);
        } else {
            self.stdio.close_output(stream);
        }
    }

    fn serve_client(&mut self, slot: usize, flags: EventFlags) -> Result<()> {
        let was_settled = self.clients.is_settled();
        let (packet, room) = self.stdio.packet_and_room();
        let input = self.clients.handle(slot, flags, packet, room, &self.poller);
        match input {
            Input::Nothing => {}
            Input::Bytes(length) => {
                if self.stdio.feed(length) == Written::Blocked {
                    self.hold_input()?;
                }
            }
            Input::End if self.close_stdin_with_client => self.stdio.close_input(),
            Input::End => {}
        }
        if !was_settled && self.clients.is_settled() {
            self.resume_output()?;
        }
        Ok(())
    }

    /// Reads output again, unless a terminal's next look is due anyway.
    fn resume_output(&mut self) -> Result<()> {
        if self.terminal_again.is_none() {
            self.watch_output(Stream::Stdout)?;
        }
        self.watch_output(Stream::Stderr)
    }

    fn hold_input(&mut self) -> Result<()> {
        self.clients.pause(true, &self.poller);
        match self.stdio.input() {
            Some(stdin) => self
                .poller
                .add(stdin, Source::Stdin, EventFlags::OUT)
                .map_err(doing("watch the container's stdin")),
            None => Ok(()),
        }
    }

    fn continue_input(&mut self) -> Result<()> {
        // Writing may find stdin closed, and then close it here too.
        if let Some(stdin) = self.stdio.input() {
            self.poller.remove(stdin);
        }
        match self.stdio.push_input() {
            Written::All => self.clients.pause(false, &self.poller),
            Written::Blocked => self.hold_input()?,
        }
        Ok(())
    }

    fn take_orders(&mut self, source: Source) {
        let (fifo, read): (_, fn(&[u8]) -> Option<Order>) = match source {
            Source::Control => (&mut self.control, Order::from_control),
            _ => (&mut self.window_size, Order::from_window_size),
        };
        let mut size = None;
        let mut reopen = false;
        let mut hurry = false;
        if let Some(fifo) = fifo {
            fifo.read_lines(|line| match read(line) {
                Some(Order::Resize { height, width }) => size = Some((height, width)),
                Some(Order::ReopenLogs) => reopen = true,
                Some(Order::RunPeriodic) => hurry = true,
                None => tracing::warn!("a control message makes no sense"),
            });
        }
        if size.is_some() {
            self.pending_size = size;
            self.resize();
        }
        if reopen {
            self.logs.reopen();
        }
        if let Some(periodic) = self.periodic.as_mut().filter(|_| hurry) {
            periodic.hurry();
        }
    }

    /// Gives the terminal the size last asked for, once it is there.
    fn resize(&mut self) {
        if self.console.is_some() {
            return;
        }
        if let Some((height, width)) = self.pending_size.take()
            && let Some(terminal) = self.stdio.output(Stream::Stdout)
            && let Err(error) = rustix::termios::tcsetwinsize(terminal, window(height, width))
        {
            tracing::warn!(%error, "cannot resize the terminal");
        }
    }

    /// Takes the terminal if the runtime has sent it.
    fn receive_terminal(&mut self) -> Result<()> {
        let Some(console) = &self.console else {
            return Ok(());
        };
        let Some(terminal) = console.receive()? else {
            return Ok(());
        };
        self.poller.remove(console.descriptor());
        self.console = None;
        self.stdio.set_terminal(terminal)?;
        self.resize();
        if matches!(self.ward, Ward::Container(_)) {
            self.watch_output(Stream::Stdout)?;
        }
        self.continue_input()
    }

    /// Takes what the container has left in its pipes.
    fn drain(&mut self) {
        self.accept_clients();
        self.clients.settle(self.stdio.packet(), &self.poller);
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.stdio.read(stream) == Output::Chunk {
                self.logs.write(stream, self.stdio.chunk());
                self.clients.send(self.stdio.packet(), &self.poller);
                self.clients.settle(self.stdio.packet(), &self.poller);
            }
        }
    }
}

fn source_of(stream: Stream) -> Source {
    match stream {
        Stream::Stdout => Source::Stdout,
        Stream::Stderr => Source::Stderr,
    }
}

/// Kills the container and, where it leads one, its process group.
fn kill_group(container: Pid) {
    let group = rustix::process::getpgid(Some(container));
    let result = match group {
        // Group 1 would mean everybody.
        Ok(group) if !group.is_init() => rustix::process::kill_process_group(group, Signal::KILL),
        _ => rustix::process::kill_process(container, Signal::KILL),
    };
    if let Err(error) = result {
        tracing::warn!(%error, "cannot kill the container");
    }
}

/// The failure to report for a runtime that ended well without a terminal.
pub(crate) fn check_terminal(monitor: &Monitor) -> Result<()> {
    match monitor.lacks_terminal() {
        true => Err(Error::NoTerminal),
        false => Ok(()),
    }
}
