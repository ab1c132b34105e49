use super::{Clock, Limits, LogFile, LogSink, Stream, Timestamp};
use crate::error::Result;
use std::io;
use std::path::PathBuf;

const BUFFER: usize = 16 * 1024;

/// CRI's log format: `TIME STREAM TAG TEXT`, where the tag is `F` for a line and `P` for a part
/// of one that goes on in the next record of the stream.
pub struct K8sFile {
    file: LogFile,
    clock: Clock,
    prefix: Vec<u8>,
}

impl K8sFile {
    /// Opens the log at `path`.
    ///
    /// # Errors
    /// [`Error::Path`](crate::Error::Path) if it cannot be opened.
    pub fn open(path: PathBuf, limits: Limits, clock: Clock) -> Result<K8sFile> {
        Ok(K8sFile {
            file: LogFile::open(path, limits, BUFFER)?,
            clock,
            prefix: Vec::with_capacity(64),
        })
    }
}

impl LogSink for K8sFile {
    fn write(&mut self, stream: Stream, chunk: &[u8], at: Timestamp) -> io::Result<()> {
        self.prefix.clear();
        self.clock.write(at, &mut self.prefix);
        self.prefix.push(b' ');
        self.prefix.extend_from_slice(stream.name().as_bytes());
        for line in chunk.split_inclusive(|byte| *byte == b'\n') {
            let parts: [&[u8]; 4] = match line.ends_with(b"\n") {
                true => [&self.prefix, b" F ", line, b""],
                false => [&self.prefix, b" P ", line, b"\n"],
            };
            self.file.append(&parts)?;
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

    fn written(chunks: &[(Stream, &[u8])], limits: Limits) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = K8sFile::open(path.clone(), limits, Clock::utc()).unwrap();
        let at = "2026-02-03T04:05:06.7Z".parse().unwrap();
        for (stream, chunk) in chunks {
            log.write(*stream, chunk, at).unwrap();
        }
        log.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    const AT: &str = "2026-02-03T04:05:06.700000000+00:00";

    #[test]
    fn lines_and_parts_are_tagged() {
        let chunks: &[(Stream, &[u8])] = &[
            (Stream::Stdout, b"one\ntwo\nthr"),
            (Stream::Stderr, b"err\n"),
            (Stream::Stdout, b"ee\n\n"),
        ];
        let expected = [
            "stdout F one",
            "stdout F two",
            "stdout P thr",
            "stderr F err",
            "stdout F ee",
            "stdout F ",
        ];
        let expected: String = expected.map(|rest| format!("{AT} {rest}\n")).concat();
        let text = String::from_utf8(written(chunks, Limits::default())).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn bytes_are_kept_as_they_are() {
        let bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
        let log = written(&[(Stream::Stdout, &bytes)], Limits::default());
        let prefix = format!("{AT} stdout P ");
        assert_eq!(&log[..prefix.len()], prefix.as_bytes());
        assert_eq!(&log[prefix.len()..log.len() - 1], bytes);
    }

    #[test]
    fn a_chunk_of_empty_lines_fits_the_buffer() {
        let chunk = [b'\n'; 8192];
        let log = written(&[(Stream::Stdout, &chunk)], Limits::default());
        assert_eq!(log.len(), 8192 * (AT.len() + " stdout F \n".len()));
    }

    #[test]
    fn a_new_file_starts_with_a_whole_record() {
        let limits = Limits {
            file_bytes: Some(100),
            ..Limits::default()
        };
        let log = written(&[(Stream::Stdout, b"1\n2\n3\n")], limits);
        assert_eq!(log, format!("{AT} stdout F 3\n").as_bytes());
    }
}
