//! Where a container's output is kept.
//!
//! Each `--log-path` is one [`LogSink`]; every chunk read from the container goes to all of them.
//! Sinks hold fixed buffers: once open, none allocates for a line.

mod clock;
mod file;
mod journald;
mod json_file;
mod k8s_file;

use crate::args::Options;
use crate::environment::Environment;
use crate::error::{Error, Result};
pub use clock::Clock;
pub use file::{Limits, LogFile};
pub use jiff::Timestamp;
pub use journald::Journal;
pub use json_file::JsonFile;
pub use k8s_file::K8sFile;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Which of a container's streams a chunk came from. The number marks packets on the attach
/// socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// Standard output, and all output of a terminal.
    Stdout = 2,
    /// Standard error.
    Stderr = 3,
}

impl Stream {
    /// The stream's name in log files.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// A log that takes a container's output.
pub trait LogSink {
    /// Takes one chunk, read from `stream` at time `at`. What does not end in a newline is a
    /// partial line. Output that cannot be written is lost; the error says so.
    fn write(&mut self, stream: Stream, chunk: &[u8], at: Timestamp) -> io::Result<()>;

    /// Writes what is held back; the container has ended.
    fn finish(&mut self) -> io::Result<()>;

    /// Opens its file again by name, after somebody has moved it away.
    fn reopen(&mut self) -> io::Result<()>;

    /// Waits until all is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// A value of `--log-path`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// Keep nothing.
    None,
    /// Give the container the monitor's own stdio.
    Passthrough,
    /// The format of CRI, in this file.
    K8sFile(PathBuf),
    /// Docker's format, in this file.
    JsonFile(PathBuf),
    /// systemd's journal.
    Journald,
}

impl Driver {
    /// Reads `DRIVER`, `DRIVER:PATH`, `:PATH` or `PATH`; a path alone is a `k8s-file`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a driver that is not known or lacks its path.
    pub fn parse(text: &OsStr) -> Result<Driver> {
        let bytes = text.as_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':');
        let (driver, path) = match colon {
            Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
            None => (bytes, None),
        };
        let path = path.filter(|path| !path.is_empty());
        let path = path.map(|path| PathBuf::from(OsStr::from_bytes(path)));
        let refused = |why: &str| {
            Err(Error::usage(format!(
                "--log-path {}: {why}",
                text.display()
            )))
        };
        match (driver, path) {
            (b"none" | b"off" | b"null", _) => Ok(Driver::None),
            (b"passthrough", _) => Ok(Driver::Passthrough),
            (b"journald", _) => Ok(Driver::Journald),
            (b"k8s-file" | b"", Some(path)) => Ok(Driver::K8sFile(path)),
            (b"json-file", Some(path)) => Ok(Driver::JsonFile(path)),
            (b"k8s-file" | b"json-file" | b"", None) => refused("a file name is needed"),
            (path, None) if colon.is_none() => {
                Ok(Driver::K8sFile(PathBuf::from(OsStr::from_bytes(path))))
            }
            _ => refused("no such log driver"),
        }
    }
}

/// All logs of a container.
pub struct Logs {
    sinks: Vec<Box<dyn LogSink>>,
    passthrough: bool,
}

impl Logs {
    /// Opens the logs that `options` asks for.
    ///
    /// # Errors
    /// [`Error::Usage`] for a driver that is unknown or refuses an option, [`Error::Path`] if a
    /// log cannot be opened.
    pub fn open(options: &Options, environment: &Environment) -> Result<Logs> {
        let mut logs = Logs {
            sinks: Vec::new(),
            passthrough: false,
        };
        let drivers = options.log_paths.iter().map(|text| Driver::parse(text));
        let drivers = drivers.collect::<Result<Vec<_>>>()?;
        refuse_journal_options(options, &drivers)?;
        let limits = Limits {
            file_bytes: options.log_size_max,
            total_bytes: options.log_global_size_max,
            backups: if options.log_rotate {
                options.log_max_files
            } else {
                0
            },
        };
        for driver in drivers {
            match driver {
                Driver::None => {}
                Driver::Passthrough => logs.passthrough = true,
                Driver::K8sFile(path) => {
                    let clock = Clock::new(environment.get("TZ"));
                    logs.sinks
                        .push(Box::new(K8sFile::open(path, limits, clock)?));
                }
                Driver::JsonFile(path) => {
                    logs.sinks.push(Box::new(JsonFile::open(path, limits)?));
                }
                Driver::Journald => logs.sinks.push(Box::new(Journal::open(options)?)),
            }
        }
        Ok(logs)
    }

    /// Whether the container has the monitor's own stdio.
    pub(crate) fn is_passthrough(&self) -> bool {
        self.passthrough
    }

    /// Hands a chunk to every log. A log that fails does not keep it from the others.
    pub(crate) fn write(&mut self, stream: Stream, chunk: &[u8]) {
        if self.sinks.is_empty() {
            return;
        }
        let now = Timestamp::now();
        self.each("write", |sink| sink.write(stream, chunk, now));
    }

    pub(crate) fn reopen(&mut self) {
        self.each("reopen", |sink| sink.reopen());
    }

    pub(crate) fn finish(&mut self, sync: bool) {
        self.each("finish", |sink| sink.finish());
        if sync {
            self.each("sync", |sink| sink.sync());
        }
    }

    fn each(&mut self, what: &str, mut act: impl FnMut(&mut dyn LogSink) -> io::Result<()>) {
        for sink in &mut self.sinks {
            if let Err(error) = act(sink.as_mut()) {
                tracing::warn!(%error, what, "a container log failed");
            }
        }
    }
}

fn refuse_journal_options(options: &Options, drivers: &[Driver]) -> Result<()> {
    let is_file = |driver: &Driver| matches!(driver, Driver::K8sFile(_) | Driver::JsonFile(_));
    if drivers.contains(&Driver::Journald) || !drivers.iter().any(is_file) {
        return Ok(());
    }
    if options.log_tag.is_some() {
        return Err(Error::usage("k8s-file doesn't support --log-tag"));
    }
    if !options.log_labels.is_empty() {
        return Err(Error::usage("k8s-file doesn't support --log-label"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_read_as_conmon_reads_them() {
        let parse = |text: &str| Driver::parse(OsStr::new(text));
        let k8s = |path: &str| Driver::K8sFile(path.into());
        let cases = [
            ("none", Driver::None),
            ("off", Driver::None),
            ("null:x", Driver::None),
            ("passthrough", Driver::Passthrough),
            ("journald", Driver::Journald),
            ("journald:ignored", Driver::Journald),
            ("k8s-file:/a:b", k8s("/a:b")),
            (":/a", k8s("/a")),
            ("/a", k8s("/a")),
            (":none", k8s("none")),
            ("json-file:/a", Driver::JsonFile("/a".into())),
        ];
        for (text, driver) in cases {
            assert_eq!(parse(text).unwrap(), driver, "{text}");
        }
        for bad in ["", ":", "k8s-file", "k8s-file:", "syslog:/x", "json-file"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_takes_no_journal_options() {
        let options = Options {
            log_tag: Some("t".into()),
            ..Options::default()
        };
        let file = [Driver::K8sFile("/a".into())];
        assert!(refuse_journal_options(&options, &file).is_err());
        assert!(refuse_journal_options(&options, &[Driver::None]).is_ok());
        let both = [Driver::K8sFile("/a".into()), Driver::Journald];
        assert!(refuse_journal_options(&options, &both).is_ok());
    }
}
