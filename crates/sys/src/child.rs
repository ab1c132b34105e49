//! clone3(2), and the report by which a child tells the parent what failed.
//!
//! Between fork and exec the child only makes system calls on memory that was owned before
//! the fork. It cannot format an error; it sends a [`Failure`] of eight bytes instead.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::pidfd::PidFd;

/// What the new process shares with us and where it starts.
#[derive(Debug, Default)]
pub struct CloneRequest<'a> {
    /// CLONE_NEW* and CLONE_PARENT flags.
    pub flags: u64,
    /// Start inside this cgroup (an open v2 cgroup directory).
    pub into_cgroup: Option<BorrowedFd<'a>>,
}

/// Which side of the fork this is.
#[derive(Debug)]
pub enum Fork {
    /// In the new process.
    Child,
    /// In the process that called.
    Parent {
        /// Number of the child in the caller's pid namespace.
        pid: i32,
        /// The child, held.
        child: PidFd,
    },
}

/// Makes a process as fork(2) does, with the namespaces asked for.
///
/// # Errors
/// As clone3(2).
///
/// # Safety
/// The caller must be single threaded, or the child must make async-signal-safe calls only
/// until it execs or exits: locks held by other threads stay locked in the child for ever.
pub unsafe fn clone3(request: &CloneRequest<'_>) -> io::Result<Fork> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: all-zero is a valid clone_args; it means "as fork".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = request.flags | libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    // With CLONE_PARENT the new process is our sibling and takes its signal from our parent.
    if request.flags & libc::CLONE_PARENT as u64 == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = request.into_cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM, so the child has its own copy of this stack; `args` and `pidfd`
    // outlive the call. The caller vouches for threads.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut args,
            size_of::<libc::clone_args>(),
        )
    };
    match pid {
        0 => Ok(Fork::Child),
        pid if pid > 0 => Ok(Fork::Parent {
            pid: pid as i32,
            // SAFETY: clone3 stored a descriptor it has just made for us.
            child: PidFd::from_fd(unsafe { OwnedFd::from_raw_fd(pidfd) }),
        }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `CLONE_INTO_CGROUP` of linux/sched.h; libc has it as an `int`, which it does not fit.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Ends this process at once: no destructors, no atexit handlers, which belong to the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` only makes the system call.
    unsafe { libc::_exit(code) }
}

/// What a child could not do: a number the two sides agree on, a position, and errno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Which kind of step failed.
    pub step: u16,
    /// Which one of its kind (an index into the plan).
    pub index: u16,
    /// errno(3).
    pub errno: i32,
}

impl Failure {
    /// The eight bytes that travel.
    pub fn to_bytes(self) -> [u8; 8] {
        let mut frame = [0; 8];
        frame[..2].copy_from_slice(&self.step.to_ne_bytes());
        frame[2..4].copy_from_slice(&self.index.to_ne_bytes());
        frame[4..].copy_from_slice(&self.errno.to_ne_bytes());
        frame
    }

    /// Reads the frame back.
    pub fn from_bytes(frame: [u8; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = frame;
        Self {
            step: u16::from_ne_bytes([a, b]),
            index: u16::from_ne_bytes([c, d]),
            errno: i32::from_ne_bytes([e, f, g, h]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pidfd::ExitStatus;

    #[test]
    fn a_child_in_new_namespaces_exits_with_its_code() {
        let request = CloneRequest {
            flags: (libc::CLONE_NEWPID | libc::CLONE_NEWNS) as u64,
            into_cgroup: None,
        };
        // SAFETY: the child makes two system calls and exits.
        match unsafe { clone3(&request) } {
            Ok(Fork::Child) => {
                let first = rustix::process::getpid().as_raw_nonzero().get();
                exit_now(if first == 1 { 42 } else { 1 })
            }
            Ok(Fork::Parent { child, .. }) => {
                assert_eq!(child.reap().unwrap(), ExitStatus::Code(42));
            }
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                eprintln!("skipped: making namespaces needs root");
            }
            Err(error) => panic!("clone3: {error}"),
        }
    }

    #[test]
    fn a_failure_survives_the_pipe() {
        let failure = Failure {
            step: 3,
            index: 900,
            errno: -libc::EPERM,
        };
        assert_eq!(Failure::from_bytes(failure.to_bytes()), failure);
    }
}
