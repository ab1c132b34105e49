//! Processes held by descriptor: a pidfd never names a stranger (pidfd_open(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called exit with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl ExitStatus {
    /// The code a shell would show: 128 + n for signal n.
    pub fn code(self) -> i32 {
        match self {
            ExitStatus::Code(code) => code,
            ExitStatus::Signal(signal) => 128 + signal,
        }
    }
}

/// One process, held.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the process that has `pid` now.
    ///
    /// # Errors
    /// `ESRCH` when there is none; as pidfd_open(2) otherwise.
    pub fn open(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Takes a descriptor that clone3(2) or pidfd_open(2) made.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends a signal by number, real-time ones included; 0 only asks whether it is there.
    ///
    /// # Errors
    /// `ESRCH` once the process is gone; as pidfd_send_signal(2) otherwise.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: a valid descriptor, a plain integer, no siginfo and no flags: no memory is passed.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Whether the process has ended (a zombie has). Works for any process, not only children.
    ///
    /// # Errors
    /// As poll(2).
    pub fn has_ended(&self) -> io::Result<bool> {
        self.wait_ended(Some(Duration::ZERO))
    }

    /// Waits until the process has ended, or until `timeout` has passed; tells which.
    ///
    /// # Errors
    /// As poll(2).
    pub fn wait_ended(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let spec = left.map(|left| Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut fds, spec.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(ready) => return Ok(ready > 0),
            }
        }
    }

    /// Reaps the process, which must be our child. Blocks until it has ended.
    ///
    /// # Errors
    /// `ECHILD` when it is not our child; as waitid(2) otherwise.
    pub fn reap(&self) -> io::Result<ExitStatus> {
        loop {
            match waitid(WaitId::PidFd(self.0.as_fd()), WaitIdOptions::EXITED) {
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(None) => return Err(io::ErrorKind::WouldBlock.into()),
                Ok(Some(status)) => {
                    let signal = status.terminating_signal();
                    return Ok(match (status.exit_status(), signal) {
                        (Some(code), _) => ExitStatus::Code(code),
                        (None, Some(signal)) => ExitStatus::Signal(signal),
                        (None, None) => ExitStatus::Signal(libc::SIGKILL),
                    });
                }
            }
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn spawn(script: &str) -> PidFd {
        #[allow(clippy::zombie_processes)] // reaped through the descriptor
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        PidFd::open(child.id() as i32).unwrap()
    }

    #[test]
    fn exit_codes_and_signals_come_back() {
        let held = spawn("exit 7");
        assert_eq!(held.reap().unwrap(), ExitStatus::Code(7));

        let held = spawn("exec sleep 60");
        assert!(!held.has_ended().unwrap());
        held.signal(libc::SIGTERM).unwrap();
        assert!(held.wait_ended(Some(Duration::from_secs(20))).unwrap());
        assert_eq!(held.reap().unwrap(), ExitStatus::Signal(libc::SIGTERM));
        assert_eq!(ExitStatus::Signal(15).code(), 143);
        let gone = held.signal(0).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
    }
}
