//! Waits for a process while passing our signals on to it.

use std::io;
use std::os::fd::AsFd;

use minke_sys::pidfd::{ExitStatus, PidFd};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

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

    /// Waits for the end of `process`, our child, and reaps it.
    pub fn wait(&self, process: &PidFd) -> io::Result<ExitStatus> {
        loop {
            let mut fds = [
                PollFd::new(process.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
                Ok(_) => {}
            }
            while let Ok(Some(signal)) = self.signals.read_signal() {
                let _ = process.signal(signal.ssi_signo as i32);
            }
            if process.has_ended()? {
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
