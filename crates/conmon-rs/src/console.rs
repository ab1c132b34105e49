//! The terminal, which the runtime makes and sends over a socket.

use crate::error::{Error, Result, at, doing};
use rustix::fs::OFlags;
use rustix::io::{Errno, IoSliceMut};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use rustix::termios::{OptionalActions, OutputModes};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a runtime that has connected may take to send the terminal.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket in a private directory, gone when dropped.
pub(crate) struct ConsoleSocket {
    listener: OwnedFd,
    directory: PathBuf,
}

impl ConsoleSocket {
    /// Listens below `parent`.
    pub(crate) fn bind(parent: &Path) -> Result<ConsoleSocket> {
        let directory = private_directory(parent)?;
        let path = directory.join("s");
        listen(&path)
            .map_err(|error| {
                let _ = fs::remove_dir_all(&directory);
                at("listen on", &path)(error)
            })
            .map(|listener| ConsoleSocket {
                listener,
                directory,
            })
    }

    /// The path to tell the runtime.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("s")
    }

    /// The descriptor to wait on.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Takes the terminal, ready for non-blocking use; `None` if nobody has connected.
    pub(crate) fn receive(&self) -> Result<Option<OwnedFd>> {
        let connection = match rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC) {
            Ok(connection) => connection,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
            Err(error) => return Err(doing("accept the console connection")(error)),
        };
        set_socket_timeout(&connection, Timeout::Recv, Some(PATIENCE))
            .map_err(doing("limit the wait for the terminal"))?;
        let terminal = receive_descriptor(&connection)?;
        translate_newlines(&terminal);
        let flags = rustix::fs::fcntl_getfl(&terminal).map_err(doing("use the terminal"))?;
        rustix::fs::fcntl_setfl(&terminal, flags | OFlags::NONBLOCK)
            .map_err(doing("use the terminal"))?;
        Ok(Some(terminal))
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, path = %self.directory.display(), "cannot remove");
        }
    }
}

fn private_directory(parent: &Path) -> Result<PathBuf> {
    let mut last = None;
    for _ in 0..16 {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let name = format!("conmon-{}-{:x}", std::process::id(), now.as_nanos());
        let path = parent.join(name);
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| Errno::EXIST.into());
    Err(at("create a directory in", parent)(error))
}

fn listen(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, 1)?;
    Ok(socket)
}

fn receive_descriptor(connection: &OwnedFd) -> Result<OwnedFd> {
    let mut name = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(
        connection,
        &mut [IoSliceMut::new(&mut name)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(doing("receive the terminal"))?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message
            && let Some(terminal) = descriptors.next()
        {
            return Ok(terminal);
        }
    }
    Err(Error::NoTerminal)
}

/// Has the terminal turn a newline into carriage return and newline, as CRI wants it.
fn translate_newlines(terminal: &OwnedFd) {
    let result = rustix::termios::tcgetattr(terminal).and_then(|mut settings| {
        settings.output_modes |= OutputModes::ONLCR;
        rustix::termios::tcsetattr(terminal, OptionalActions::Now, &settings)
    });
    if let Err(error) = result {
        tracing::warn!(%error, "cannot set up the terminal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    use rustix::pty::{OpenptFlags, openpt};
    use std::io::IoSlice;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_terminal_sent_over_the_socket_arrives() {
        let parent = tempfile::tempdir().unwrap();
        let socket = ConsoleSocket::bind(parent.path()).unwrap();
        assert!(socket.receive().unwrap().is_none());

        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let runtime = UnixStream::connect(socket.path()).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [master.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let name = [IoSlice::new(b"/dev/ptmx")];
        rustix::net::sendmsg(&runtime, &name, &mut control, SendFlags::empty()).unwrap();

        let received = socket
            .receive()
            .unwrap()
            .expect("the runtime has connected");
        assert!(rustix::termios::isatty(&received));
        drop(socket);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_connection_without_a_descriptor_is_no_terminal() {
        let parent = tempfile::tempdir().unwrap();
        let socket = ConsoleSocket::bind(parent.path()).unwrap();
        drop(UnixStream::connect(socket.path()).unwrap());
        assert!(matches!(socket.receive(), Err(Error::NoTerminal)));
    }
}
