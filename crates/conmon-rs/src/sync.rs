//! The pipes on which a monitor and its caller wait for each other.
//!
//! The caller passes their numbers in `_OCI_STARTPIPE` (it writes a byte when the monitor may go
//! on), `_OCI_SYNCPIPE` (it reads the container's PID, a failure, or an exec session's exit code)
//! and `_OCI_ATTACHPIPE` (it reads that the attach socket of an exec session is there).

use crate::environment::Environment;
use crate::error::{Error, Result, at};
use crate::fork;
use crate::json_text;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

/// The pipes a caller passed.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pub(crate) start: Option<OwnedFd>,
    pub(crate) sync: Option<OwnedFd>,
    pub(crate) attach: Option<OwnedFd>,
}

impl Pipes {
    /// Takes over the descriptors that `environment` names.
    pub(crate) fn adopt(environment: &Environment) -> Result<Pipes> {
        let names = ["_OCI_STARTPIPE", "_OCI_SYNCPIPE", "_OCI_ATTACHPIPE"];
        let mut seen = Vec::new();
        for name in names {
            if let Some(fd) = environment.descriptor(name)? {
                if seen.contains(&fd) {
                    return Err(Error::usage(format!("{name} names a pipe twice")));
                }
                seen.push(fd);
            }
        }
        let take = |name: &'static str| match environment.descriptor(name)? {
            Some(fd) => fork::adopt(fd)
                .map(Some)
                .map_err(at("take over the descriptor of", Path::new(name))),
            None => Ok(None),
        };
        Ok(Pipes {
            start: take("_OCI_STARTPIPE")?,
            sync: take("_OCI_SYNCPIPE")?,
            attach: take("_OCI_ATTACHPIPE")?,
        })
    }

    /// The numbers the pipes have, which are not held for anybody else.
    pub(crate) fn numbers(&self) -> Vec<RawFd> {
        use std::os::fd::AsRawFd;
        let all = [&self.start, &self.sync, &self.attach];
        all.into_iter().flatten().map(AsRawFd::as_raw_fd).collect()
    }
}

/// Waits until the caller has written to `pipe`. One that has gone without a word is an error:
/// it wants nothing made any more.
pub(crate) fn wait_for_start(pipe: &OwnedFd) -> std::io::Result<()> {
    match read_some(pipe)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Waits until the caller has written to `pipe` once more, or has closed it: it has attached.
pub(crate) fn wait_or_end(pipe: &OwnedFd) -> std::io::Result<()> {
    read_some(pipe).map(drop)
}

fn read_some(pipe: &OwnedFd) -> std::io::Result<usize> {
    let mut buffer = [0; 64];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut buffer[..]))?;
    Ok(read)
}

/// The writing end of a pipe that carries JSON objects, one a line.
#[derive(Debug)]
pub struct Reporter {
    pipe: Option<OwnedFd>,
    key: &'static str,
}

impl Reporter {
    /// A reporter on `pipe`; `None` reports to nobody.
    ///
    /// The key of the number is `data` since API version 1; before, `exit_code` of an exec
    /// session and `pid` of a container.
    pub fn new(pipe: Option<OwnedFd>, api_version: u32, exec: bool) -> Reporter {
        let key = match (api_version, exec) {
            (0, true) => "exit_code",
            (0, false) => "pid",
            _ => "data",
        };
        Reporter { pipe, key }
    }

    /// Sends a number and, unless it is empty, a message. A reader that has gone is forgotten.
    pub fn send(&mut self, number: i32, message: &str) {
        let Some(pipe) = &self.pipe else { return };
        let line = encode(self.key, number, message);
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match rustix::io::retry_on_intr(|| rustix::io::write(pipe, rest)) {
                Ok(written) => rest = &rest[written..],
                Err(error) => {
                    tracing::warn!(%error, "cannot report to the caller");
                    self.pipe = None;
                    return;
                }
            }
        }
    }
}

/// One report as it goes over the pipe.
pub fn encode(key: &str, number: i32, message: &str) -> Vec<u8> {
    let mut line = format!("{{\"{key}\": {number}").into_bytes();
    if !message.is_empty() {
        line.extend_from_slice(b", \"message\": \"");
        json_text::escape(&mut line, message.as_bytes());
        line.push(b'"');
    }
    line.extend_from_slice(b"}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn reports_read_as_conmons_do() {
        assert_eq!(encode("data", 42, ""), b"{\"data\": 42}\n");
        assert_eq!(
            encode("pid", -1, "no \"x\"\n"),
            b"{\"pid\": -1, \"message\": \"no \\\"x\\\"\\n\"}\n"
        );
    }

    #[test]
    fn the_key_follows_the_api_version() {
        let key = |version, exec| Reporter::new(None, version, exec).key;
        assert_eq!(key(0, true), "exit_code");
        assert_eq!(key(0, false), "pid");
        assert_eq!(key(1, true), "data");
        assert_eq!(key(1, false), "data");
    }

    #[test]
    fn a_reader_that_has_gone_is_forgotten() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut reporter = Reporter::new(Some(ours.into()), 1, false);
        reporter.send(7, "");
        let mut line = String::new();
        BufReader::new(&theirs).read_line(&mut line).unwrap();
        assert_eq!(line, "{\"data\": 7}\n");
        drop(theirs);
        fork::ignore_sigpipe();
        reporter.send(8, "");
        assert!(reporter.pipe.is_none());
    }
}
