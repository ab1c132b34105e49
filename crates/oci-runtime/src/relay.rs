//! The terminal of a container in the foreground: its bytes pass between our own streams and
//! the pty's master, and our window's size is its size.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// The size of our own terminal, if we have one.
pub(crate) fn window() -> Option<Winsize> {
    tcgetwinsize(stdin())
        .or_else(|_| tcgetwinsize(stdout()))
        .ok()
}

/// Bytes moved at a time.
const CHUNK: usize = 16 << 10;

/// Where the master will arrive.
#[derive(Debug)]
pub(crate) struct Expected {
    ours: OwnedFd,
    theirs: Arc<OwnedFd>,
}

impl Expected {
    pub fn new() -> io::Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self {
            ours,
            theirs: Arc::new(theirs),
        })
    }

    /// The end that the container's process sends the master over.
    pub fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.theirs)
    }

    /// Takes the master once the process is set up: it has been sent by then.
    pub fn terminal(self) -> io::Result<Terminal> {
        let mut received = minke_sys::fdpass::receive(self.ours.as_fd(), &mut [0; 64])?;
        let master = received.fds.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
        Terminal::new(master)
    }
}

/// A terminal whose bytes we pass on. Our own is put back as it was when this is dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    master: OwnedFd,
    before: Option<Termios>,
    /// Typed and not yet taken by the terminal, which may be full.
    pending: Vec<u8>,
    input_open: bool,
    output_open: bool,
}

impl Terminal {
    fn new(master: OwnedFd) -> io::Result<Self> {
        // Waiting for a full terminal to take input would keep us from emptying it.
        fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
        let terminal = Self {
            before: make_raw()?,
            master,
            pending: Vec::new(),
            input_open: true,
            output_open: true,
        };
        terminal.resize();
        Ok(terminal)
    }

    /// Gives the terminal the size of ours, if ours is one.
    pub fn resize(&self) {
        if let Some(size) = window() {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// What to poll for.
    pub fn interests<'fd>(&'fd self, fds: &mut Vec<PollFd<'fd>>) {
        if self.output_open {
            let mut wanted = PollFlags::POLLIN;
            wanted.set(PollFlags::POLLOUT, !self.pending.is_empty());
            fds.push(PollFd::new(self.master.as_fd(), wanted));
        }
        if self.input_open && self.pending.is_empty() {
            fds.push(PollFd::new(stdin(), PollFlags::POLLIN));
        }
    }

    /// Moves what there is, both ways.
    pub fn pump(&mut self) -> io::Result<()> {
        self.take_output()?;
        if self.input_open && self.pending.is_empty() && input_waits() {
            self.take_input()?;
        }
        self.give_input()
    }

    fn take_output(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        while self.output_open {
            match rustix::io::read(&self.master, &mut chunk) {
                Ok(0) | Err(Errno::IO) => self.output_open = false,
                Ok(length) => {
                    let mut out = io::stdout();
                    out.write_all(&chunk[..length])?;
                    out.flush()?;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn take_input(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        match rustix::io::read(stdin(), &mut chunk) {
            Ok(0) | Err(Errno::IO) => self.input_open = false,
            Ok(length) => self.pending.extend(&chunk[..length]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    fn give_input(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match rustix::io::write(&self.master, &self.pending) {
                Ok(length) => drop(self.pending.drain(..length)),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // Nobody is there to read it.
                Err(_) => self.pending.clear(),
            }
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

/// Keys go through as they are: the container's terminal gives them their meaning.
fn make_raw() -> io::Result<Option<Termios>> {
    if !isatty(stdin()) {
        return Ok(None);
    }
    let before = tcgetattr(stdin())?;
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(stdin(), OptionalActions::Now, &raw)?;
    Ok(Some(before))
}

fn input_waits() -> bool {
    let mut fds = [PollFd::new(stdin(), PollFlags::POLLIN)];
    nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
