//! Readiness: what the container says to its notify socket, passed on to the host's.
//!
//! Only lines that cannot harm are passed on; the container must not, for one, name another
//! process as the service's main one.

use crate::attach::bind_in;
use crate::error::{Result, at};
use rustix::net::SocketType;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

const LINES: [&[u8]; 5] = [
    b"READY=1",
    b"RELOADING=1",
    b"STOPPING=1",
    b"WATCHDOG=1",
    b"WATCHDOG=trigger",
];

const PREFIXES: [&[u8]; 4] = [b"STATUS=", b"ERRNO=", b"BUSERROR=", b"MONOTONIC_USEC="];

/// The longest message that is passed on.
const LIMIT: usize = 4096;

/// The socket `notify/notify.sock` in the bundle, and where its messages go.
pub(crate) struct NotifyRelay {
    inside: UnixDatagram,
    host: UnixDatagram,
    host_path: PathBuf,
}

impl NotifyRelay {
    /// Listens in the bundle for the sake of `host`.
    pub(crate) fn bind(bundle: &Path, host: &Path) -> Result<NotifyRelay> {
        let name = Path::new("notify/notify.sock");
        let _ = std::fs::remove_file(bundle.join(name));
        let inside = bind_in(bundle, name, SocketType::DGRAM, 0o777)?;
        let socket = UnixDatagram::unbound().map_err(at("open a socket for", host))?;
        socket
            .set_nonblocking(true)
            .map_err(at("open a socket for", host))?;
        Ok(NotifyRelay {
            inside: inside.into(),
            host: socket,
            host_path: host.to_path_buf(),
        })
    }

    /// The descriptor to wait on.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }

    /// Passes one message on.
    pub(crate) fn relay(&mut self) {
        let mut message = [0; LIMIT];
        let Ok(length) = self.inside.recv(&mut message) else {
            return;
        };
        let passed = filter(&message[..length]);
        if !passed.is_empty()
            && let Err(error) = self.host.send_to(&passed, &self.host_path)
        {
            tracing::warn!(%error, "cannot pass readiness on");
        }
    }
}

/// The lines of `message` that may be passed on.
fn filter(message: &[u8]) -> Vec<u8> {
    let lines = message.split(|byte| matches!(byte, b'\n' | b'\r'));
    let allowed = lines.filter(|line| {
        LINES.contains(line) || PREFIXES.iter().any(|prefix| line.starts_with(prefix))
    });
    allowed.collect::<Vec<_>>().join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_lines_pass() {
        assert_eq!(
            filter(b"READY=1\nMAINPID=1\r\nSTATUS=up\nREADY=12\n"),
            b"READY=1\nSTATUS=up"
        );
        assert_eq!(filter(b"FDSTORE=1"), b"");
    }

    #[test]
    fn messages_reach_the_host() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("notify")).unwrap();
        let host_path = directory.path().join("host");
        let host = UnixDatagram::bind(&host_path).unwrap();
        let mut relay = NotifyRelay::bind(directory.path(), &host_path).unwrap();
        let container = UnixDatagram::unbound().unwrap();
        let inside = directory.path().join("notify/notify.sock");
        container.send_to(b"READY=1\nMAINPID=7", inside).unwrap();
        relay.relay();
        let mut buffer = [0; 64];
        let length = host.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
    }
}
