//! The two forms of a line in a log file.

use serde::Deserialize;

use super::{LogLine, LogStream};
use crate::container::record::Record;
use crate::error::{Error, Result};

/// How a log file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `TIME stdout|stderr F|P TEXT`.
    K8s,
    /// Docker's `{"log":...,"stream":...,"time":...}`.
    Json,
}

impl Format {
    /// That of a container's log.
    ///
    /// # Errors
    /// A log driver whose output is not kept, in Podman's words.
    pub fn of(record: &Record) -> Result<Self> {
        match record.config.log_driver.as_str() {
            "k8s-file" => Ok(Self::K8s),
            "json-file" => Ok(Self::Json),
            other => Err(Error::NoLogs {
                driver: other.to_owned(),
                act: "read logs",
            }),
        }
    }

    /// A line without its end; `None` if it is not of this form.
    pub fn parse(self, line: &[u8]) -> Option<LogLine> {
        match self {
            Self::K8s => parse_k8s(line),
            Self::Json => parse_json(line),
        }
    }
}

fn parse_k8s(line: &[u8]) -> Option<LogLine> {
    let mut parts = line.splitn(4, |&byte| byte == b' ');
    let time = str::from_utf8(parts.next()?).ok()?;
    let stream = stream(parts.next()?)?;
    let partial = parts.next()? == b"P";
    Some(LogLine {
        container: 0,
        time: time.to_owned(),
        stream,
        partial,
        text: parts.next().unwrap_or_default().to_vec(),
    })
}

fn parse_json(line: &[u8]) -> Option<LogLine> {
    #[derive(Deserialize)]
    struct Line {
        log: String,
        stream: String,
        time: String,
    }
    let line: Line = serde_json::from_slice(line).ok()?;
    let (text, partial) = match line.log.strip_suffix('\n') {
        Some(text) => (text.to_owned(), false),
        None => (line.log, true),
    };
    Some(LogLine {
        container: 0,
        time: line.time,
        stream: stream(line.stream.as_bytes())?,
        partial,
        text: text.into_bytes(),
    })
}

fn stream(word: &[u8]) -> Option<LogStream> {
    match word {
        b"stdout" => Some(LogStream::Stdout),
        b"stderr" => Some(LogStream::Stderr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_lines_are_read() {
        let line = br#"{"log":"a\n","stream":"stderr","time":"2026-01-01T00:00:00Z"}"#;
        let parsed = parse_json(line).unwrap();
        assert_eq!((parsed.stream, parsed.partial), (LogStream::Stderr, false));
        assert_eq!(parsed.text, b"a");
        assert!(parse_json(b"{").is_none());
        assert!(parse_k8s(b"x").is_none());
    }
}
