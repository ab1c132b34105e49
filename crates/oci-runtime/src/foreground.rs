//! Waits for a process while passing our signals on to it.

use std::io;
use std::os::fd::AsFd;

use minke_sys::pidfd::{ExitStatus, PidFd};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::relay::Terminal;

/// Signals that stay ours: the process has its own, or they cannot be caught.
const OURS: &[Signal] = &[Signal::SIGCHLD, Signal::SIGPIPE, Signal::SIGURG];

/// Blocks the signals that will be passed on. Called before the process is made, undone by
/// dropping.
#[derive(Debug)]
pub(crate) struct Forwarder {
    signals: SignalFd,
    before: SigSet,
}

impl Forwarder {
    pub fn new() -> io::Result<Self> {
        let mut set = SigSet::all();
        for &signal in OURS {
            set.remove(signal);
        }
        let before = set.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { signals, before })
    }

    /// Waits for the end of `process`, our child, and reaps it. Meanwhile a terminal's bytes
    /// go both ways.
    pub fn wait(
        &self,
        process: &PidFd,
        mut terminal: Option<&mut Terminal>,
    ) -> io::Result<ExitStatus> {
        loop {
            let mut fds = vec![
                PollFd::new(process.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            if let Some(terminal) = &terminal {
                terminal.interests(&mut fds);
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
                Ok(_) => {}
            }
            if let Some(terminal) = terminal.as_deref_mut() {
                terminal.pump()?;
            }
            while let Ok(Some(signal)) = self.signals.read_signal() {
                match (terminal.as_deref(), signal.ssi_signo as i32) {
                    (Some(terminal), libc::SIGWINCH) => terminal.resize(),
                    (_, number) => drop(process.signal(number)),
                }
            }
            if process.has_ended()? {
                if let Some(terminal) = terminal {
                    terminal.pump()?;
                }
                return process.reap();
            }
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}
