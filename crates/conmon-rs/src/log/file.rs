use crate::error::{Result, at};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How large logs may grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one file; the record that would exceed it starts a new file.
    pub file_bytes: Option<u64>,
    /// Bytes in all; further output is dropped.
    pub total_bytes: Option<u64>,
    /// How many full files are kept as `PATH.1` (the newest), `PATH.2` and so on.
    pub backups: u32,
}

/// A file of whole records, written through a buffer of fixed size.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    path: PathBuf,
    limits: Limits,
    file_bytes: u64,
    total_bytes: u64,
    buffer: Vec<u8>,
}

impl LogFile {
    /// Opens `path` to append to it, creating it with mode 0640.
    ///
    /// # Errors
    /// [`Error::Path`](crate::Error::Path) if it cannot be opened.
    pub fn open(path: PathBuf, limits: Limits, buffer_bytes: usize) -> Result<LogFile> {
        let open = || {
            let file = append_to(&path)?;
            let length = file.metadata()?.len();
            Ok::<_, io::Error>((file, length))
        };
        let (file, length) = open().map_err(at("open the log", &path))?;
        Ok(LogFile {
            file,
            path,
            limits,
            file_bytes: length,
            total_bytes: length,
            buffer: Vec::with_capacity(buffer_bytes),
        })
    }

    /// Appends one record, given in parts.
    ///
    /// # Errors
    /// As write(2). What was buffered is lost then.
    pub fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if reached(self.limits.total_bytes, self.total_bytes) {
            return Ok(());
        }
        if exceeds(self.limits.file_bytes, self.file_bytes + length as u64) && self.file_bytes > 0 {
            self.flush()?;
            self.turn_over()?;
        }
        if self.buffer.len() + length > self.buffer.capacity() {
            self.flush()?;
        }
        if length > self.buffer.capacity() {
            for part in parts {
                self.file.write_all(part)?;
            }
        } else {
            for part in parts {
                self.buffer.extend_from_slice(part);
            }
        }
        self.file_bytes += length as u64;
        self.total_bytes += length as u64;
        Ok(())
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// As write(2). What was buffered is lost then.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let result = self.file.write_all(&self.buffer);
        self.buffer.clear();
        result
    }

    /// Opens the path again and appends there: a file that was moved away is left alone, one
    /// that was not is continued.
    ///
    /// # Errors
    /// As open(2); the old file stays in use then.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.flush()?;
        let file = append_to(&self.path)?;
        self.file_bytes = file.metadata()?.len();
        self.file = file;
        Ok(())
    }

    /// Waits until the file is on disk.
    ///
    /// # Errors
    /// As fsync(2).
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Starts an empty file: the full one is kept if backups are, else it is replaced at once,
    /// so that a reader by name always finds one.
    fn turn_over(&mut self) -> io::Result<()> {
        if self.limits.backups > 0 {
            self.keep()?;
            self.file = append_to(&self.path)?;
        } else {
            let temporary = suffixed(&self.path, "tmp");
            let _ = fs::remove_file(&temporary);
            self.file = append_to(&temporary)?;
            fs::rename(&temporary, &self.path)?;
        }
        self.file_bytes = 0;
        Ok(())
    }

    fn keep(&self) -> io::Result<()> {
        for number in (1..self.limits.backups).rev() {
            let older = suffixed(&self.path, &(number + 1).to_string());
            match fs::rename(suffixed(&self.path, &number.to_string()), older) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, suffixed(&self.path, "1"))
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).open(path)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn reached(limit: Option<u64>, bytes: u64) -> bool {
    limit.is_some_and(|limit| bytes >= limit)
}

fn exceeds(limit: Option<u64>, bytes: u64) -> bool {
    limit.is_some_and(|limit| bytes > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(limits: Limits) -> (tempfile::TempDir, LogFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let file = LogFile::open(path, limits, 16).unwrap();
        (directory, file)
    }

    fn read(directory: &tempfile::TempDir, name: &str) -> String {
        fs::read_to_string(directory.path().join(name)).unwrap_or_else(|_| "absent".into())
    }

    #[test]
    fn records_of_any_size_arrive_in_order() {
        let (directory, mut file) = log(Limits::default());
        for record in ["one\n", "two\n", "a record larger than the buffer\n", "x\n"] {
            file.append(&[record.as_bytes()]).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(
            read(&directory, "log"),
            "one\ntwo\na record larger than the buffer\nx\n"
        );
    }

    #[test]
    fn a_full_file_is_replaced() {
        let (directory, mut file) = log(Limits {
            file_bytes: Some(8),
            ..Limits::default()
        });
        for record in ["111\n", "222\n", "333\n"] {
            file.append(&[record.as_bytes()]).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(read(&directory, "log"), "333\n");
        assert_eq!(read(&directory, "log.tmp"), "absent");
    }

    #[test]
    fn full_files_are_kept_by_count() {
        let (directory, mut file) = log(Limits {
            file_bytes: Some(4),
            backups: 2,
            ..Limits::default()
        });
        for record in ["111\n", "222\n", "333\n", "444\n"] {
            file.append(&[record.as_bytes()]).unwrap();
        }
        file.flush().unwrap();
        let names = ["log", "log.1", "log.2", "log.3"];
        let found = names.map(|name| read(&directory, name));
        assert_eq!(found, ["444\n", "333\n", "222\n", "absent"]);
    }

    #[test]
    fn nothing_is_written_past_the_total() {
        let (directory, mut file) = log(Limits {
            total_bytes: Some(4),
            ..Limits::default()
        });
        for record in ["111\n", "222\n"] {
            file.append(&[record.as_bytes()]).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(read(&directory, "log"), "111\n");
    }

    #[test]
    fn reopening_follows_the_name() {
        let (directory, mut file) = log(Limits::default());
        file.append(&[b"old\n"]).unwrap();
        fs::rename(directory.path().join("log"), directory.path().join("moved")).unwrap();
        file.reopen().unwrap();
        file.append(&[b"new\n"]).unwrap();
        file.flush().unwrap();
        assert_eq!(read(&directory, "moved"), "old\n");
        assert_eq!(read(&directory, "log"), "new\n");
    }
}
