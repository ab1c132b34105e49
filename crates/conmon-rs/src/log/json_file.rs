use super::{Limits, LogFile, LogSink, Stream, Timestamp};
use crate::error::Result;
use crate::json_text;
use std::io::{self, Write};
use std::path::PathBuf;

/// A chunk in which every byte is escaped, and what surrounds it.
const BUFFER: usize = 64 * 1024;

/// Docker's log format: one JSON object a line, with `log`, `stream` and `time` in UTC. A part of
/// a line is one whose `log` has no newline at its end.
///
/// A character that is cut by the end of a chunk is logged as U+FFFD.
pub struct JsonFile {
    file: LogFile,
    record: Vec<u8>,
}

impl JsonFile {
    /// Opens the log at `path`.
    ///
    /// # Errors
    /// [`Error::Path`](crate::Error::Path) if it cannot be opened.
    pub fn open(path: PathBuf, limits: Limits) -> Result<JsonFile> {
        Ok(JsonFile {
            file: LogFile::open(path, limits, BUFFER)?,
            record: Vec::with_capacity(BUFFER),
        })
    }
}

impl LogSink for JsonFile {
    fn write(&mut self, stream: Stream, chunk: &[u8], at: Timestamp) -> io::Result<()> {
        for line in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.record.clear();
            self.record.extend_from_slice(b"{\"log\":\"");
            json_text::escape(&mut self.record, line);
            let name = stream.name();
            writeln!(self.record, "\",\"stream\":\"{name}\",\"time\":\"{at}\"}}")?;
            self.file.append(&[&self.record])?;
        }
        self.file.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file.reopen()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_dockers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = JsonFile::open(path.clone(), Limits::default()).unwrap();
        let at = "2026-02-03T04:05:06.7Z".parse().unwrap();
        log.write(Stream::Stdout, b"a \"b\"\npart", at).unwrap();
        log.write(Stream::Stderr, &[0; 8192], at).unwrap();
        log.finish().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            r#"{"log":"a \"b\"\n","stream":"stdout","time":"2026-02-03T04:05:06.7Z"}"#
        );
        assert_eq!(
            lines[1],
            r#"{"log":"part","stream":"stdout","time":"2026-02-03T04:05:06.7Z"}"#
        );
        let third: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
        assert_eq!(third["log"].as_str().map(str::len), Some(8192));
        assert_eq!(third["stream"], "stderr");
    }
}
