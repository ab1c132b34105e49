//! The unsafe corner: descriptors named by number, fork, and exec.
//!
//! Between fork and exec the child makes system calls on memory that was ready before, and does
//! nothing else.
#![allow(unsafe_code)]

use crate::environment::Environment;
use crate::oom::OomScore;
use rustix::process::Pid;
use std::ffi::{CString, OsStr, OsString, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;
use std::time::Duration;

/// Which side of a fork is running.
pub(crate) enum Side {
    /// The process that called, with the new one's PID.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Takes over a descriptor that the caller of this program passed by number.
///
/// It becomes close-on-exec. To be called once for a number, before anything else is opened.
pub(crate) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_SETFD touches no memory; a number that is not open gives EBADF.
    if fd < 3 || unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number is open (above), and the contract of the variables that name it makes
    // it ours alone: nothing in this process owns it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The descriptors above standard error that this process was started with.
pub(crate) fn inherited_descriptors() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let numbers: Vec<RawFd> = names
        .filter_map(|name| name.to_str().and_then(|name| name.parse().ok()))
        .filter(|fd| *fd > 2)
        .collect();
    // The directory was open while it was read and is not any more.
    numbers.into_iter().filter(|fd| is_open(*fd)).collect()
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: fcntl with F_GETFD touches no memory.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Closes descriptors that the caller passed for us to hold and that nothing here owns.
pub(crate) fn close_held(fds: &[RawFd]) {
    for fd in fds {
        // SAFETY: the numbers come from `inherited_descriptors`, less those adopted, so no
        // `OwnedFd` of ours holds them.
        unsafe { libc::close(*fd) };
    }
}

/// Lets writes to a closed pipe fail with EPIPE.
pub(crate) fn ignore_sigpipe() {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Forks the monitor off from the process its caller waits for.
pub(crate) fn split() -> io::Result<Side> {
    // SAFETY: a monitor has one thread, so the child may run any code.
    let pid = unsafe { libc::fork() };
    side(pid)
}

fn side(pid: libc::pid_t) -> io::Result<Side> {
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(
            Pid::from_raw(pid).expect("the PID of a child is above 0"),
        )),
    }
}

/// A program with its arguments and environment, laid out for execve.
pub(crate) struct Program {
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    listen: Option<ListenPid>,
    /// What `argv` and `envp` point into.
    _texts: Vec<CString>,
}

/// `LISTEN_PID` must hold the PID of the process after the fork.
struct ListenPid {
    slot: usize,
    text: Box<[u8; 32]>,
}

const LISTEN_PID: &[u8] = b"LISTEN_PID=";

impl Program {
    /// Lays out `path` with `args` (without the program itself) and all of `environment`.
    ///
    /// # Errors
    /// `InvalidInput` if a text holds a null byte.
    pub(crate) fn new(
        path: &Path,
        args: &[OsString],
        environment: &Environment,
    ) -> io::Result<Program> {
        let mut texts = Vec::new();
        texts.push(text(path.as_os_str())?);
        for arg in args {
            texts.push(text(arg)?);
        }
        let split = texts.len();
        for (key, value) in &environment.vars {
            let mut line = key.clone();
            line.push("=");
            line.push(value);
            texts.push(CString::new(line.into_vec())?);
        }
        Ok(Program {
            argv: pointers(&texts[..split]),
            envp: pointers(&texts[split..]),
            listen: None,
            _texts: texts,
        })
    }

    /// Has `LISTEN_PID` replaced, where the environment holds it, by the child's own PID.
    pub(crate) fn replace_listen_pid(&mut self) {
        let is_listen_pid = |pointer: &*const c_char| {
            // SAFETY: each non-null entry points to a null-terminated text in `_texts`.
            !pointer.is_null()
                && unsafe { std::ffi::CStr::from_ptr(*pointer) }
                    .to_bytes()
                    .starts_with(LISTEN_PID)
        };
        let Some(slot) = self.envp.iter().position(is_listen_pid) else {
            return;
        };
        let mut bytes = Box::new([0; 32]);
        bytes[..LISTEN_PID.len()].copy_from_slice(LISTEN_PID);
        self.envp[slot] = bytes.as_ptr().cast();
        self.listen = Some(ListenPid { slot, text: bytes });
    }
}

fn text(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let ends = [ptr::null()];
    texts.iter().map(|text| text.as_ptr()).chain(ends).collect()
}

/// What a child does before it becomes the program.
pub(crate) struct Setup<'a> {
    /// What becomes stdin, stdout and stderr; `None` keeps ours.
    pub(crate) stdio: Option<[BorrowedFd<'a>; 3]>,
    /// Descriptors from this number on are closed by exec.
    pub(crate) close_from: u32,
    /// The score it gets back, instead of the monitor's.
    pub(crate) oom_score: &'a OomScore,
    /// Die when the monitor dies.
    pub(crate) die_with_monitor: bool,
    /// Sleep this long first.
    pub(crate) delay: Duration,
}

/// Starts `program` in a child. That it cannot be executed shows as exit status 127 and as a line
/// on the child's stderr.
pub(crate) fn spawn(program: &mut Program, setup: &Setup<'_>) -> io::Result<Pid> {
    // SAFETY: the child runs `child`, which keeps to system calls and never returns.
    let pid = unsafe { libc::fork() };
    match side(pid)? {
        Side::Parent(pid) => Ok(pid),
        Side::Child => child(program, setup),
    }
}

/// Runs in the child: system calls on memory owned before the fork, and nothing else.
fn child(program: &mut Program, setup: &Setup<'_>) -> ! {
    if prepare(program, setup) {
        let path = program.argv[0];
        // SAFETY: `argv` and `envp` are null-terminated arrays of null-terminated texts.
        unsafe { libc::execve(path, program.argv.as_ptr(), program.envp.as_ptr()) };
    }
    report(io::Error::last_os_error().raw_os_error().unwrap_or(0));
    // SAFETY: `_exit` runs none of the parent's destructors or exit handlers.
    unsafe { libc::_exit(127) }
}

fn prepare(program: &mut Program, setup: &Setup<'_>) -> bool {
    setup.oom_score.restore();
    // SAFETY: plain system calls; the only memory is the local, initialized signal set.
    unsafe {
        if setup.die_with_monitor
            && libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) == -1
        {
            return false;
        }
        if let Some(stdio) = &setup.stdio {
            for (target, fd) in stdio.iter().enumerate() {
                if libc::dup2(fd.as_raw_fd(), target as c_int) == -1 {
                    return false;
                }
            }
        }
        libc::syscall(
            libc::SYS_close_range,
            setup.close_from,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
    write_listen_pid(program);
    pause_for(setup.delay);
    true
}

fn write_listen_pid(program: &mut Program) {
    if let Some(listen) = &mut program.listen {
        let pid = std::process::id();
        let tail = &mut listen.text[LISTEN_PID.len()..];
        let length = decimal(pid, tail);
        tail[length] = 0;
        program.envp[listen.slot] = listen.text.as_ptr().cast();
    }
}

fn pause_for(delay: Duration) {
    if delay.is_zero() {
        return;
    }
    let time = libc::timespec {
        tv_sec: delay.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: 0,
    };
    // SAFETY: `time` is initialized, and the remainder is not asked for.
    unsafe { libc::nanosleep(&time, ptr::null_mut()) };
}

/// Says on stderr, which is the pipe the monitor reads, that exec failed.
fn report(errno: i32) {
    const TEXT: &[u8] = b"cannot execute the program: error ";
    let mut line = [0; TEXT.len() + 12];
    line[..TEXT.len()].copy_from_slice(TEXT);
    let length = TEXT.len() + decimal(errno.unsigned_abs(), &mut line[TEXT.len()..]);
    line[length] = b'\n';
    // SAFETY: the pointer and length are those of initialized bytes of `line`.
    unsafe { libc::write(2, line.as_ptr().cast(), length + 1) };
}

/// Writes `number` at the start of `out`, which has room for ten digits; returns how many.
fn decimal(mut number: u32, out: &mut [u8]) -> usize {
    let mut digits = [0; 10];
    let mut count = 0;
    loop {
        digits[count] = b'0' + (number % 10) as u8;
        number /= 10;
        count += 1;
        if number == 0 {
            break;
        }
    }
    for at in 0..count {
        out[at] = digits[count - 1 - at];
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_allocating() {
        for number in [0, 7, 10, 4_194_304, u32::MAX] {
            let mut out = [0; 12];
            let length = decimal(number, &mut out);
            assert_eq!(
                std::str::from_utf8(&out[..length]),
                Ok(&*number.to_string())
            );
        }
    }

    #[test]
    fn a_number_that_is_not_open_is_not_adopted() {
        assert!(adopt(2).is_err());
        assert!(adopt(1_000_000).is_err());
    }
}
