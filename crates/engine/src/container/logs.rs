//! `logs`: what a container wrote, from the monitor's files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogsRequest {
    /// Go on until the container has ended.
    pub follow: bool,
    /// None older than this.
    pub since: Option<Timestamp>,
    /// None newer than this.
    pub until: Option<Timestamp>,
    /// Only this many from the end.
    pub tail: Option<u64>,
}

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a log, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, RFC 3339 with nanoseconds, as the monitor wrote it.
    pub time: String,
    /// Where.
    pub stream: LogStream,
    /// The line goes on in the next of this stream.
    pub partial: bool,
    /// The text, without its end of line.
    pub text: Vec<u8>,
}

/// The longest line of a log file: a monitor's buffer with room for escapes.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// How often a file is looked at for more while its container runs.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(50);

type Sink<'a> = &'a mut dyn FnMut(&LogLine) -> io::Result<()>;

impl Engine {
    /// Gives the lines of a container's log to `sink`, the oldest first.
    ///
    /// # Errors
    /// No such container; a log driver whose output is not kept; what `sink` returns.
    pub fn logs(&self, name: &str, request: &LogsRequest, sink: Sink<'_>) -> Result<()> {
        let record = self.find(name)?;
        let format = Format::of(&record)?;
        let path = &record.config.log_path;
        let mut reader = match File::open(path) {
            Ok(file) => BufReader::new(file),
            // Never started: nothing written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !request.follow {
                    return Ok(());
                }
                match self.wait_for_log(&record)? {
                    Some(file) => BufReader::new(file),
                    None => return Ok(()),
                }
            }
            Err(source) => return Err(Error::path("open", path)(source)),
        };
        if let Some(count) = request.tail {
            seek_to_tail(&mut reader, count, format).map_err(Error::path("read", path))?;
        }
        let mut ended = false;
        loop {
            read_lines(&mut reader, format, request, sink).map_err(Error::path("read", path))?;
            if !request.follow || ended {
                return Ok(());
            }
            // Looked at before the last read: what comes after the end is seen by one more.
            ended = !self.still_writes(&record)?;
            if !ended {
                std::thread::sleep(FOLLOW_INTERVAL);
                reopen_if_replaced(&mut reader, path).map_err(Error::path("reopen", path))?;
            }
        }
    }

    fn still_writes(&self, record: &Record) -> Result<bool> {
        let Some(now) = self.database()?.get(&record.id)? else {
            return Ok(false);
        };
        let monitored = self.living_monitor(&now.state).is_some();
        Ok(self.status(&now).0.is_alive() || (monitored && self.exit_file(&now).is_none()))
    }

    fn wait_for_log(&self, record: &Record) -> Result<Option<File>> {
        loop {
            match File::open(&record.config.log_path) {
                Ok(file) => return Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(Error::path("open", &record.config.log_path)(source));
                }
            }
            if self.database()?.get(&record.id)?.is_none() {
                return Ok(None);
            }
            std::thread::sleep(FOLLOW_INTERVAL);
        }
    }
}

/// How a log file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `TIME stdout|stderr F|P TEXT`.
    K8s,
    /// Docker's `{"log":...,"stream":...,"time":...}`.
    Json,
}

impl Format {
    fn of(record: &Record) -> Result<Self> {
        match record.config.log_driver.as_str() {
            "k8s-file" => Ok(Self::K8s),
            "json-file" => Ok(Self::Json),
            other => Err(Error::invalid(format!(
                "this container is using the '{other}' log driver, cannot read its logs"
            ))),
        }
    }

    fn parse(self, line: &[u8]) -> Option<LogLine> {
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

/// Reads the lines that are complete. One the monitor is still writing is left for later.
fn read_lines(
    reader: &mut BufReader<File>,
    format: Format,
    request: &LogsRequest,
    sink: Sink<'_>,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = io::Read::take(&mut *reader, MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && (length as u64) < MAX_LINE_BYTES {
            return reader.seek_relative(-(length as i64));
        }
        line.pop();
        let Some(parsed) = format.parse(&line) else {
            tracing::debug!("a line of the log is not in its format");
            continue;
        };
        if wanted(&parsed, request) {
            sink(&parsed)?;
        }
    }
}

fn wanted(line: &LogLine, request: &LogsRequest) -> bool {
    if request.since.is_none() && request.until.is_none() {
        return true;
    }
    let Ok(time) = line.time.parse::<Timestamp>() else {
        return true;
    };
    request.since.is_none_or(|since| time >= since)
        && request.until.is_none_or(|until| time <= until)
}

/// Puts the reader where the last `count` whole lines begin, reading the file once.
fn seek_to_tail(reader: &mut BufReader<File>, count: u64, format: Format) -> io::Result<()> {
    let mut starts = std::collections::VecDeque::new();
    let mut offset = 0u64;
    let mut begins = true;
    let mut line = Vec::new();
    if count > 0 {
        loop {
            line.clear();
            let length =
                io::Read::take(&mut *reader, MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            if begins {
                starts.push_back(offset);
                if starts.len() as u64 > count {
                    starts.pop_front();
                }
            }
            let end = line.strip_suffix(b"\n").unwrap_or(&line);
            begins = format.parse(end).is_none_or(|line| !line.partial);
            offset += length as u64;
        }
    }
    let start = match starts.front() {
        Some(&start) => SeekFrom::Start(start),
        None => SeekFrom::End(0),
    };
    reader.seek(start).map(drop)
}

/// Goes on in a new file once the old one was replaced, and at the beginning of one that was
/// cut short.
fn reopen_if_replaced(reader: &mut BufReader<File>, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let now = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let ours = reader.get_ref().metadata()?;
    if (now.dev(), now.ino()) != (ours.dev(), ours.ino()) {
        *reader = BufReader::new(File::open(path)?);
    } else if now.len() < reader.stream_position()? {
        reader.seek(SeekFrom::Start(0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LOG: &str = "\
2026-01-01T00:00:00.000000001+00:00 stdout F one
2026-01-01T00:00:01.000000000+00:00 stderr P tw
2026-01-01T00:00:01.000000000+00:00 stderr F o
2026-01-01T00:00:02.000000000+00:00 stdout F three
2026-01-01T00:00:03.000000000+00:00 stdout F unfini";

    fn lines(request: &LogsRequest) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(LOG.as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut reader = BufReader::new(file);
        if let Some(count) = request.tail {
            seek_to_tail(&mut reader, count, Format::K8s).unwrap();
        }
        let mut texts = Vec::new();
        read_lines(&mut reader, Format::K8s, request, &mut |line| {
            texts.push(String::from_utf8(line.text.clone()).unwrap());
            Ok(())
        })
        .unwrap();
        texts
    }

    #[test]
    fn whole_lines_come_and_the_unfinished_one_waits() {
        assert_eq!(lines(&LogsRequest::default()), ["one", "tw", "o", "three"]);
    }

    #[test]
    fn the_tail_counts_lines_and_not_their_pieces() {
        let tail = |count| {
            lines(&LogsRequest {
                tail: Some(count),
                ..LogsRequest::default()
            })
        };
        assert_eq!(tail(3), ["tw", "o", "three"]);
        assert_eq!(tail(99).len(), 4);
        assert!(tail(0).is_empty());
    }

    #[test]
    fn times_bound_the_lines() {
        let request = LogsRequest {
            since: Some("2026-01-01T00:00:01Z".parse().unwrap()),
            until: Some("2026-01-01T00:00:01Z".parse().unwrap()),
            ..LogsRequest::default()
        };
        assert_eq!(lines(&request), ["tw", "o"]);
    }

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
