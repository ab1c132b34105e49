//! Commands that ask to be run again: what they say, and the wait until then.
//!
//! Such a command writes a line `again MILLISECONDS` on its stdout. So a monitor, which is small
//! and there anyway, waits in place of the command.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::WaitOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a command may say.
const LIMIT: usize = 64;

/// A command's stdout, and nothing for its other streams.
pub(crate) struct Voice {
    ours: OwnedFd,
    theirs: OwnedFd,
    null: OwnedFd,
}

impl Voice {
    /// Makes the pipe.
    pub(crate) fn new() -> io::Result<Voice> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let null = rustix::fs::open(Path::new("/dev/null"), flags, Mode::empty())?;
        Ok(Voice { ours, theirs, null })
    }

    /// What the command gets as its stdin, stdout and stderr.
    pub(crate) fn stdio(&self) -> [BorrowedFd<'_>; 3] {
        [self.null.as_fd(), self.theirs.as_fd(), self.null.as_fd()]
    }

    /// When it wants to be run again; it has ended.
    pub(crate) fn heard(self) -> Option<Duration> {
        let mut said = [0; LIMIT];
        let length = rustix::io::read(&self.ours, &mut said).ok()?;
        parse(&said[..length])
    }
}

fn parse(said: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(said).ok()?.strip_suffix('\n')?;
    let milliseconds = text.strip_prefix("again ")?.parse().ok()?;
    Some(Duration::from_millis(milliseconds))
}

/// Waits so long; returns whether it is to go on, which a signal to end denies. The signals are
/// blocked already, since the monitor has watched them.
pub(crate) fn pause(duration: Duration) -> io::Result<bool> {
    let mut ends = SigSet::empty();
    ends.extend([Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT]);
    let mut mask = ends;
    mask.add(Signal::SIGCHLD);
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let deadline = Instant::now().checked_add(duration);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(&signals, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Ok(Some(info)) = signals.read_signal() {
            let signal = Signal::try_from(info.ssi_signo.cast_signed()).ok();
            if signal.is_some_and(|signal| ends.contains(signal)) {
                return Ok(false);
            }
        }
        // Whoever the container has left to us.
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_one_line() {
        for (said, expected) in [
            ("again 1500\n", Some(Duration::from_millis(1500))),
            ("again 1500", None),
            ("again -1\n", None),
            ("error\n", None),
            ("", None),
        ] {
            assert_eq!(parse(said.as_bytes()), expected, "{said:?}");
        }
    }

    #[test]
    fn what_is_written_is_heard() {
        let voice = Voice::new().unwrap();
        rustix::io::write(voice.stdio()[1], b"again 7\n").unwrap();
        assert_eq!(voice.heard(), Some(Duration::from_millis(7)));
        assert_eq!(Voice::new().unwrap().heard(), None);
    }
}
