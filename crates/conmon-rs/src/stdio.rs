//! The container's stdin, stdout and stderr, as seen from outside.

use crate::error::{Result, doing};
use crate::log::Stream;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most that is read from the container at once.
pub(crate) const CHUNK: usize = 8192;

/// The most that is taken from a client at once.
pub(crate) const INPUT: usize = 32 * 1024;

/// The container's ends of the pipes, to be given to the runtime and then closed.
pub(crate) struct ContainerEnds {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: OwnedFd,
}

/// Where input goes.
enum Sink {
    /// The terminal has not come yet.
    Awaited,
    Open(OwnedFd),
    Closed,
}

/// Our ends, and what is on its way between them and the clients.
pub(crate) struct Stdio {
    stdin: Sink,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    is_terminal: bool,
    /// Input the container has not taken yet: `input[taken..filled]`.
    input: Box<[u8]>,
    taken: usize,
    filled: usize,
    /// The stream's mark and what was read from it.
    packet: Box<[u8]>,
    packed: usize,
}

/// What reading from a stream brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Chunk,
    Nothing,
    End,
}

/// What writing to stdin came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    All,
    /// The container takes no more for now.
    Blocked,
}

impl Stdio {
    /// Makes pipes for a container without a terminal; with one, only for what the runtime says
    /// before the terminal is there.
    pub(crate) fn new(is_terminal: bool, with_stdin: bool) -> Result<(Stdio, ContainerEnds)> {
        let mut stdio = Stdio {
            stdin: if is_terminal {
                Sink::Awaited
            } else {
                Sink::Closed
            },
            stdout: None,
            stderr: None,
            is_terminal,
            input: vec![0; INPUT].into_boxed_slice(),
            taken: 0,
            filled: 0,
            packet: vec![0; CHUNK + 1].into_boxed_slice(),
            packed: 0,
        };
        let (ours, stderr) = pipe()?;
        set_nonblocking(&ours)?;
        stdio.stderr = Some(ours);
        let mut ends = ContainerEnds {
            stdin: None,
            stdout: None,
            stderr,
        };
        if !is_terminal {
            let (ours, theirs) = pipe()?;
            set_nonblocking(&ours)?;
            stdio.stdout = Some(ours);
            ends.stdout = Some(theirs);
            if with_stdin {
                let (theirs, ours) = pipe()?;
                set_nonblocking(&ours)?;
                stdio.stdin = Sink::Open(ours);
                ends.stdin = Some(theirs);
            }
        }
        Ok((stdio, ends))
    }

    /// Uses `terminal`, which is non-blocking, for stdin and stdout.
    pub(crate) fn set_terminal(&mut self, terminal: OwnedFd) -> Result<()> {
        let copy = rustix::io::fcntl_dupfd_cloexec(&terminal, 3);
        self.stdin = Sink::Open(copy.map_err(doing("copy the terminal's descriptor"))?);
        self.stdout = Some(terminal);
        Ok(())
    }

    /// The descriptor to read `stream` from, while it is open.
    pub(crate) fn output(&self, stream: Stream) -> Option<&OwnedFd> {
        match stream {
            Stream::Stdout => self.stdout.as_ref(),
            Stream::Stderr => self.stderr.as_ref(),
        }
    }

    /// The descriptor input is written to, while it is open.
    pub(crate) fn input(&self) -> Option<BorrowedFd<'_>> {
        match &self.stdin {
            Sink::Open(stdin) => Some(stdin.as_fd()),
            Sink::Awaited | Sink::Closed => None,
        }
    }

    /// Whether hanging up on `stream` may be undone: a terminal can be opened again.
    pub(crate) fn can_return(&self, stream: Stream) -> bool {
        self.is_terminal && stream == Stream::Stdout
    }

    /// Reads the next chunk of `stream` into the packet.
    pub(crate) fn read(&mut self, stream: Stream) -> Output {
        let fd = match stream {
            Stream::Stdout => self.stdout.as_ref(),
            Stream::Stderr => self.stderr.as_ref(),
        };
        let Some(fd) = fd else { return Output::End };
        self.packet[0] = stream as u8;
        match rustix::io::read(fd, &mut self.packet[1..]) {
            Ok(0) => Output::End,
            Ok(length) => {
                self.packed = length + 1;
                Output::Chunk
            }
            Err(Errno::AGAIN | Errno::INTR) => Output::Nothing,
            Err(Errno::IO) if self.is_terminal => Output::End,
            Err(error) => {
                tracing::warn!(%error, stream = stream.name(), "cannot read container output");
                Output::End
            }
        }
    }

    /// The last packet read: the stream's mark, then the chunk.
    pub(crate) fn packet(&self) -> &[u8] {
        &self.packet[..self.packed]
    }

    /// The chunk of the last packet.
    pub(crate) fn chunk(&self) -> &[u8] {
        &self.packet[1..self.packed.max(1)]
    }

    /// The packet, and room for a client's input.
    pub(crate) fn packet_and_room(&mut self) -> (&[u8], &mut [u8]) {
        (&self.packet[..self.packed], &mut self.input[..])
    }

    /// Closes our end of `stream`.
    pub(crate) fn close_output(&mut self, stream: Stream) {
        match stream {
            Stream::Stdout => self.stdout = None,
            Stream::Stderr => self.stderr = None,
        }
    }

    /// Closes the container's stdin, where it is a pipe.
    pub(crate) fn close_input(&mut self) {
        if !self.is_terminal {
            self.stdin = Sink::Closed;
        }
    }

    /// Says that `length` bytes of input are in the room; writes what the container takes.
    pub(crate) fn feed(&mut self, length: usize) -> Written {
        self.taken = 0;
        self.filled = length;
        self.push_input()
    }

    /// Writes on. Input to a stdin that is closed is discarded.
    pub(crate) fn push_input(&mut self) -> Written {
        while self.taken < self.filled {
            let stdin = match &self.stdin {
                Sink::Open(stdin) => stdin,
                Sink::Awaited => return Written::Blocked,
                Sink::Closed => break,
            };
            match rustix::io::write(stdin, &self.input[self.taken..self.filled]) {
                Ok(written) => self.taken += written,
                Err(Errno::AGAIN) => return Written::Blocked,
                Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::debug!(%error, "the container's stdin is closed");
                    self.stdin = Sink::Closed;
                }
            }
        }
        self.taken = self.filled;
        Written::All
    }
}

/// A pipe whose file anybody may open again, as `/dev/stdout` in a container is: (reader, writer).
fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(doing("create a pipe"))?;
    rustix::fs::fchmod(&reader, Mode::from_raw_mode(0o777)).map_err(doing("open a pipe to all"))?;
    Ok((reader, writer))
}

fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    rustix::fs::fcntl_getfl(fd)
        .and_then(|flags| rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK))
        .map_err(doing("make a pipe non-blocking"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_marked_with_its_stream() {
        let (mut stdio, ends) = Stdio::new(false, false).unwrap();
        rustix::io::write(ends.stdout.as_ref().unwrap(), b"out").unwrap();
        rustix::io::write(&ends.stderr, b"err").unwrap();
        assert_eq!(stdio.read(Stream::Stdout), Output::Chunk);
        assert_eq!(stdio.packet(), b"\x02out");
        assert_eq!(stdio.read(Stream::Stderr), Output::Chunk);
        assert_eq!(stdio.packet(), b"\x03err");
        assert_eq!(stdio.chunk(), b"err");
        assert_eq!(stdio.read(Stream::Stderr), Output::Nothing);
        drop(ends);
        assert_eq!(stdio.read(Stream::Stderr), Output::End);
    }

    #[test]
    fn input_waits_while_the_container_does_not_read() {
        let (mut stdio, ends) = Stdio::new(false, true).unwrap();
        let mut sent = 0;
        while stdio.feed(INPUT) == Written::All {
            sent += INPUT;
        }
        let mut received = 0;
        let mut buffer = vec![0; 1 << 20];
        let stdin = ends.stdin.as_ref().unwrap();
        while received < sent + INPUT {
            received += rustix::io::read(stdin, &mut buffer[..]).unwrap();
            stdio.push_input();
        }
        assert_eq!(stdio.push_input(), Written::All);
        assert_eq!(received, sent + INPUT);
    }

    #[test]
    fn input_for_nobody_is_discarded_and_for_a_terminal_kept() {
        let (mut without, _ends) = Stdio::new(false, false).unwrap();
        assert_eq!(without.feed(5), Written::All);
        let (mut terminal, _ends) = Stdio::new(true, false).unwrap();
        assert_eq!(terminal.feed(5), Written::Blocked);
    }
}
