//! `attach`: a client's streams and a container's, over the monitor's socket.
//!
//! The socket carries packets (conmon's contract): from the monitor a byte that names the
//! stream, then data; to the monitor the data alone.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
};

use super::record::Record;
use super::wait::WaitRequest;
use crate::Engine;
use crate::error::{Error, Result};

/// A client's side of an attachment.
#[derive(Default)]
pub struct AttachRequest<'a> {
    /// Read from here and given to the container.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Where the container's output goes.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Where its errors go; with a terminal all is output.
    pub stderr: Option<BorrowedFd<'a>>,
    /// This sequence of bytes ends the attachment and not the container; empty for none.
    pub detach_keys: Vec<u8>,
    /// Tells rows and columns; asked at the beginning and after each SIGWINCH.
    pub resize: Option<&'a dyn Fn() -> Option<(u16, u16)>>,
    /// Pass our signals on to the container.
    pub sig_proxy: bool,
}

/// How an attachment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachEnd {
    /// The container ended with this code.
    Exited(i32),
    /// The client left by its detach keys.
    Detached,
}

/// A connection to a monitor.
#[derive(Debug)]
pub(crate) struct Attached {
    socket: OwnedFd,
}

/// The log driver that gives the container the streams of who starts it.
pub(crate) const PASSTHROUGH: &str = "passthrough";

/// The monitor's packets hold at most this much data, and one byte before it.
const PACKET: usize = 8192;
const STDERR: u8 = 3;

impl Engine {
    /// Attaches to a running container and stays until it ends or the client leaves.
    ///
    /// # Errors
    /// [`Error::AttachStopped`] unless it runs.
    pub fn attach(&self, name: &str, request: AttachRequest<'_>) -> Result<AttachEnd> {
        let record = self.find(name)?;
        if !self.status(&record).0.is_alive() {
            return Err(Error::AttachStopped);
        }
        if record.config.log_driver == PASSTHROUGH {
            return Err(Error::NoLogs {
                driver: PASSTHROUGH.into(),
                act: "attach",
            });
        }
        let attached = Attached::connect(&self.bundle(&record)?).map_err(|error| {
            // It ended between the two looks.
            if self.is_running(&record.state) {
                error
            } else {
                Error::AttachStopped
            }
        })?;
        self.stay_attached(&record, attached, request)
    }

    pub(crate) fn stay_attached(
        &self,
        record: &Record,
        attached: Attached,
        request: AttachRequest<'_>,
    ) -> Result<AttachEnd> {
        let bundle = self.bundle(record)?;
        let resize = |size| resize(&bundle, size);
        let signal = |number| {
            if let Err(error) = self.kill(&record.id, number) {
                tracing::debug!(error = %error.chain(), number, "signal not passed on");
            }
        };
        let relay = Relay {
            request: &request,
            resize: &resize,
            signal: &signal,
        };
        if relay.run_socket(&attached.socket)? {
            return Ok(AttachEnd::Detached);
        }
        self.attach_end(record)
    }

    /// Stays with a container that has our own streams: only signals are passed on.
    pub(crate) fn stay_beside(
        &self,
        record: &Record,
        request: AttachRequest<'_>,
    ) -> Result<AttachEnd> {
        let init = record.state.init.and_then(|init| init.open().ok());
        if let Some(init) = init {
            let signal = |number| {
                if let Err(error) = init.signal(number) {
                    tracing::debug!(%error, number, "signal not passed on");
                }
            };
            let relay = Relay {
                request: &AttachRequest {
                    sig_proxy: request.sig_proxy,
                    ..AttachRequest::default()
                },
                resize: &|_| {},
                signal: &signal,
            };
            let ended = &mut || Ok(Step::Done);
            relay.run(init.as_fd(), &mut |_| Ok(()), ended, &|| {})?;
        }
        self.attach_end(record)
    }

    fn attach_end(&self, record: &Record) -> Result<AttachEnd> {
        // Facts may have changed since the record was read: the init is what tells.
        let record = self.database()?.get(&record.id)?.unwrap_or(record.clone());
        let code = self.exit_code(&record, &WaitRequest::default())?;
        Ok(AttachEnd::Exited(code))
    }
}

/// Tells the monitor the size of the client's terminal (conmon's `winsz` fifo).
fn resize(bundle: &Path, (rows, columns): (u16, u16)) {
    use std::os::unix::fs::OpenOptionsExt;
    let fifo = std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(bundle.join("winsz"));
    if let Ok(mut fifo) = fifo {
        let _ = fifo.write_all(format!("{rows} {columns}\n").as_bytes());
    }
}

impl Attached {
    /// Connects to the socket in a bundle, however long its path is.
    pub fn connect(bundle: &Path) -> Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let failed = |errno: rustix::io::Errno| {
            Error::path("attach to the monitor at", bundle.join("attach"))(errno.into())
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(bundle, flags, Mode::empty()).map_err(failed)?;
        let short = format!("/proc/self/fd/{}/attach", dir.as_raw_fd());
        let address = SocketAddrUnix::new(short.as_str()).map_err(failed)?;
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed)?;
        rustix::net::connect(&socket, &address).map_err(failed)?;
        Ok(Self { socket })
    }
}

/// Moves bytes between a client and a container until one of them is done.
pub(crate) struct Relay<'a, 'b> {
    pub request: &'a AttachRequest<'b>,
    pub resize: &'a dyn Fn((u16, u16)),
    pub signal: &'a dyn Fn(i32),
}

/// What one readable descriptor brought.
enum Step {
    Go,
    InputEnded,
    Done,
    Detached,
}

/// Signals that are about ourselves and not for the container.
const OURS: &[Signal] = &[
    Signal::SIGCHLD,
    Signal::SIGPIPE,
    Signal::SIGURG,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

impl Relay<'_, '_> {
    /// Relays over an attach socket. True when the client detached.
    pub fn run_socket(&self, socket: &OwnedFd) -> Result<bool> {
        let end_input = || {
            // The container sees the end of its input.
            let _ = rustix::net::shutdown(socket, Shutdown::Write);
        };
        self.run(
            socket.as_fd(),
            &mut |data| send_all(socket, data),
            &mut || self.receive(socket),
            &end_input,
        )
    }

    /// Relays over a terminal's master. True when the client detached.
    pub fn run_terminal(&self, master: &OwnedFd) -> Result<bool> {
        let mut buffer = vec![0; PACKET];
        self.run(
            master.as_fd(),
            &mut |data| write_all(master.as_fd(), data),
            &mut || match rustix::io::read(master, &mut buffer) {
                // EIO: nobody has the terminal open any more.
                Err(rustix::io::Errno::IO) | Ok(0) => Ok(Step::Done),
                Err(rustix::io::Errno::INTR) => Ok(Step::Go),
                Err(errno) => Err(errno.into()),
                Ok(length) => {
                    self.show(self.request.stdout, &buffer[..length])?;
                    Ok(Step::Go)
                }
            },
            &|| {},
        )
    }

    fn run(
        &self,
        container: BorrowedFd<'_>,
        give: &mut dyn FnMut(&[u8]) -> io::Result<()>,
        take: &mut dyn FnMut() -> io::Result<Step>,
        end_input: &dyn Fn(),
    ) -> Result<bool> {
        let failed = Error::system::<io::Error>;
        let signals = Signals::block(self.request.sig_proxy).map_err(failed("catch signals"))?;
        self.tell_size();
        let mut keys = DetachKeys::new(&self.request.detach_keys);
        let mut input = self.request.stdin;
        loop {
            let mut fds = vec![
                PollFd::new(container, PollFlags::POLLIN),
                PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN),
            ];
            fds.extend(input.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(failed("wait for the container")(errno.into())),
                Ok(_) => {}
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            drop(fds);
            if ready[0]
                && let Step::Done = take().map_err(failed("read from the container"))?
            {
                return Ok(false);
            }
            if ready[1] {
                self.hear(&signals);
            }
            if let (Some(fd), Some(true)) = (input, ready.get(2)) {
                match read_input(fd, &mut keys, give).map_err(failed("read the input"))? {
                    Step::Detached => return Ok(true),
                    Step::InputEnded => {
                        input = None;
                        end_input();
                    }
                    Step::Go | Step::Done => {}
                }
            }
        }
    }

    fn receive(&self, socket: &OwnedFd) -> io::Result<Step> {
        let mut packet = [0u8; PACKET + 1];
        let length = match rustix::net::recv(socket, packet.as_mut_slice(), RecvFlags::empty()) {
            Err(rustix::io::Errno::INTR) => return Ok(Step::Go),
            Err(rustix::io::Errno::CONNRESET) => return Ok(Step::Done),
            Err(errno) => return Err(errno.into()),
            Ok((length, _)) => length,
        };
        match packet.get(..length) {
            Some([stream, data @ ..]) => {
                let target = if *stream == STDERR {
                    self.request.stderr
                } else {
                    self.request.stdout
                };
                self.show(target, data)?;
                Ok(Step::Go)
            }
            _ => Ok(Step::Done),
        }
    }

    fn show(&self, target: Option<BorrowedFd<'_>>, data: &[u8]) -> io::Result<()> {
        match target {
            Some(target) => write_all(target, data),
            None => Ok(()),
        }
    }

    fn hear(&self, signals: &Signals) {
        while let Ok(Some(signal)) = signals.fd.read_signal() {
            let number = signal.ssi_signo as i32;
            if number == libc::SIGWINCH {
                self.tell_size();
            } else if self.request.sig_proxy {
                (self.signal)(number);
            }
        }
    }

    fn tell_size(&self) {
        if let Some(size) = self.request.resize.and_then(|ask| ask()) {
            (self.resize)(size);
        }
    }
}

/// Signals taken as data while the relay runs; as before afterwards.
struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    fn block(all: bool) -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGWINCH);
        if all {
            set = SigSet::all();
            for &signal in OURS {
                set.remove(signal);
            }
        }
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { fd, before })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}

fn read_input(
    fd: BorrowedFd<'_>,
    keys: &mut DetachKeys<'_>,
    give: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Step> {
    let mut buffer = [0u8; PACKET];
    let length = match rustix::io::read(fd, &mut buffer) {
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(Step::Go),
        // A terminal that was hung up.
        Err(rustix::io::Errno::IO) => 0,
        Err(errno) => return Err(errno.into()),
        Ok(length) => length,
    };
    if length == 0 {
        return Ok(Step::InputEnded);
    }
    let (passed, detached) = keys.filter(&buffer[..length]);
    if !passed.is_empty() {
        match give(&passed) {
            // The container has closed its input, or ended: its output tells the rest.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                return Ok(Step::InputEnded);
            }
            result => result?,
        }
    }
    Ok(if detached { Step::Detached } else { Step::Go })
}

fn send_all(socket: &OwnedFd, data: &[u8]) -> io::Result<()> {
    for chunk in data.chunks(PACKET) {
        rustix::io::retry_on_intr(|| rustix::net::send(socket, chunk, SendFlags::NOSIGNAL))?;
    }
    Ok(())
}

fn write_all(fd: BorrowedFd<'_>, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match rustix::io::write(fd, data) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
                let _ = poll(&mut fds, PollTimeout::NONE);
            }
            Err(errno) => return Err(errno.into()),
            Ok(written) => data = &data[written..],
        }
    }
    Ok(())
}

/// Watches input for the detach sequence, which never reaches the container.
struct DetachKeys<'a> {
    keys: &'a [u8],
    matched: usize,
}

impl<'a> DetachKeys<'a> {
    fn new(keys: &'a [u8]) -> Self {
        Self { keys, matched: 0 }
    }

    /// What of `data` goes on to the container, and whether the sequence is complete.
    fn filter(&mut self, data: &[u8]) -> (Vec<u8>, bool) {
        if self.keys.is_empty() {
            return (data.to_vec(), false);
        }
        let mut passed = Vec::with_capacity(data.len());
        for &byte in data {
            if byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (passed, true);
                }
                continue;
            }
            // What was held back as a beginning was none.
            passed.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(byte == self.keys[0]);
            if self.matched == 0 {
                passed.push(byte);
            } else if self.keys.len() == 1 {
                return (passed, true);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_found_across_reads_and_kept_from_the_container() {
        let mut keys = DetachKeys::new(&[16, 17]);
        assert_eq!(keys.filter(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.filter(&[b'c', 16]), (b"c".to_vec(), false));
        assert_eq!(keys.filter(b"d"), (vec![16, b'd'], false));
        assert_eq!(keys.filter(&[16, 16]), (vec![16], false));
        assert_eq!(keys.filter(&[17, b'x']), (vec![], true));
    }

    #[test]
    fn without_keys_everything_passes() {
        let mut keys = DetachKeys::new(&[]);
        assert_eq!(keys.filter(&[16, 17]), (vec![16, 17], false));
    }
}
