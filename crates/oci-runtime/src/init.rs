//! A small init for containers: process 1 starts the command, passes signals on to it, and
//! reaps whatever else ends.
//!
//! It is a role of the binary, mounted read-only into the container as `/run/podman-init` and
//! run as `podman-init -- COMMAND [ARG...]`, as catatonit is by Podman. It ends with the
//! command's code, 128 and the signal's number if one ended it; the kernel then ends the rest.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

/// The command cannot be executed, or is not there.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Runs the words after the first `--`, or all of them; gives the exit code.
pub fn run(arguments: Vec<OsString>) -> i32 {
    let words = match arguments.iter().position(|word| word == "--") {
        Some(at) => &arguments[at + 1..],
        None => &arguments[..],
    };
    let Some((program, rest)) = words.split_first() else {
        eprintln!("usage: init -- COMMAND [ARG...]");
        return NOT_EXECUTABLE;
    };
    let all = block_signals();
    let mut command = Command::new(program);
    command.args(rest);
    // SAFETY: the closure makes system calls on its own memory only.
    unsafe {
        command.pre_exec(move || {
            become_foreground_group();
            restore_signals(&all)
        });
    }
    let child = match command.spawn() {
        Ok(child) => child.id().cast_signed(),
        Err(error) => {
            eprintln!(
                "init: cannot execute {}: {error}",
                program.to_string_lossy()
            );
            return match error.kind() {
                io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            };
        }
    };
    attend(child)
}

/// Serves signals until `child` has ended.
fn attend(child: i32) -> i32 {
    loop {
        match next_signal() {
            libc::SIGCHLD => {
                if let Some(status) = reap(child) {
                    let signal = status.signal().map(|number| 128 + number);
                    return status.code().or(signal).unwrap_or(NOT_EXECUTABLE);
                }
            }
            // Those of a terminal that is not ours any more would stop the container's init.
            libc::SIGTTIN | libc::SIGTTOU => {}
            signal => {
                // SAFETY: plain system call; the child is ours and not reaped yet.
                unsafe { libc::kill(child, signal) };
            }
        }
    }
}

/// Reaps everybody who has ended; gives the child's end if it is among them.
fn reap(child: i32) -> Option<ExitStatus> {
    let mut ended = None;
    loop {
        let mut status = 0;
        // SAFETY: `status` is a live integer.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match pid {
            0 | -1 => return ended,
            pid if pid == child => ended = Some(ExitStatus::from_raw(status)),
            _ => {}
        }
    }
}

/// Keeps every signal for [`next_signal`]; gives the mask as it was.
fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets are written by the calls before they are read.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(mask: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `mask` is a live set; the old one is not asked for.
    match unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn next_signal() -> i32 {
    loop {
        // SAFETY: the set is written before it is read; no details are asked for.
        let signal = unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::sigwaitinfo(&raw const all, std::ptr::null_mut())
        };
        if signal > 0 {
            return signal;
        }
    }
}

/// The command gets a group of its own and, where there is a terminal, that terminal: what is
/// typed there is its affair. Without one there is nothing to do.
fn become_foreground_group() {
    // SAFETY: plain system calls. SIGTTOU, which tcsetpgrp(3) raises from the background, is
    // blocked here.
    unsafe {
        if libc::setpgid(0, 0) == 0 && libc::isatty(0) == 1 {
            libc::tcsetpgrp(0, libc::getpid());
        }
    }
}
