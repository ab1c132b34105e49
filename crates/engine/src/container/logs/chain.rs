//! A log as its files: `PATH`, and before it `PATH.1`, `PATH.2` and so on, as the monitor keeps
//! them.
//!
//! The monitor renames under our eyes. A file is therefore known by its inode, and which one comes
//! after it is asked until the answer held while it was asked. The monitor writes to a file only
//! while it has its first name: what has lost it is complete.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::LogLine;
use super::format::Format;

/// The longest line of a log file: a monitor's buffer with room for escapes.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// How often the order of the files is asked for while the monitor renames them.
const ROUNDS: usize = 1000;

/// The files of one log, the oldest first, and how far they are read.
#[derive(Debug)]
pub(super) struct Chain {
    path: PathBuf,
    /// How many files there may be before the one that is written.
    backups: u32,
    format: Format,
    files: VecDeque<BufReader<File>>,
}

impl Chain {
    /// A log of which nothing is read yet. Its files need not be there.
    pub fn new(path: &Path, backups: u32, format: Format) -> Self {
        Self {
            path: path.to_owned(),
            backups,
            format,
            files: VecDeque::new(),
        }
    }

    /// Opens what is there; true once the log is.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(&mut self) -> io::Result<bool> {
        if self.files.is_empty() {
            self.files = self.snapshot()?;
        }
        Ok(!self.files.is_empty())
    }

    /// The files as they are now, each once. A renaming between two looks shows one twice, or a
    /// gap: then it is looked again.
    fn snapshot(&self) -> io::Result<VecDeque<BufReader<File>>> {
        let mut found: VecDeque<BufReader<File>> = VecDeque::new();
        for _ in 0..ROUNDS {
            found.clear();
            let mut seen = Vec::new();
            let mut gap = false;
            let mut torn = false;
            for number in 0..=self.backups {
                let Some(file) = open(&self.name(number))? else {
                    gap = true;
                    continue;
                };
                let key = key(&file.metadata()?);
                torn |= gap || seen.contains(&key);
                seen.push(key);
                found.push_front(BufReader::new(file));
            }
            if !torn {
                break;
            }
        }
        Ok(found)
    }

    fn name(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    /// The next line that is complete; `None` where the newest file has no more for now.
    ///
    /// # Errors
    /// As read(2).
    pub fn next(&mut self) -> io::Result<Option<LogLine>> {
        let mut line = Vec::new();
        while let Some(reader) = self.files.front_mut() {
            line.clear();
            let length = Read::take(&mut *reader, MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') && (length as u64) < MAX_LINE_BYTES {
                // One that the monitor is still writing is left for later.
                reader.seek_relative(-(length as i64))?;
                if self.files.len() == 1 {
                    return Ok(None);
                }
                self.files.pop_front();
                continue;
            }
            line.pop();
            match self.format.parse(&line) {
                Some(parsed) => return Ok(Some(parsed)),
                None => tracing::debug!("a line of the log is not in its format"),
            }
        }
        Ok(None)
    }

    /// Sees whether the newest file we have is still the one that is written, and takes up the
    /// next if not; goes back to the beginning of one that was cut short. True if there may be
    /// more to read.
    ///
    /// # Errors
    /// As open(2) and stat(2).
    pub fn follow(&mut self) -> io::Result<bool> {
        let Some(reader) = self.files.back_mut() else {
            return self.open();
        };
        let ours = reader.get_ref().metadata()?;
        if let Some(next) = self.successor(&ours)? {
            self.files.push_back(BufReader::new(next));
            return Ok(true);
        }
        let Some(reader) = self.files.back_mut() else {
            return Ok(false);
        };
        if ours.len() < reader.stream_position()? {
            reader.seek(SeekFrom::Start(0))?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The file after the one with this metadata, if that is not the newest.
    fn successor(&self, ours: &Metadata) -> io::Result<Option<File>> {
        for _ in 0..ROUNDS {
            let Some(number) = self.number_of(ours)? else {
                if let Some(next) = self.after_lost(ours)? {
                    return Ok(Some(next));
                }
                continue;
            };
            if number == 0 {
                return Ok(None);
            }
            let next = open(&self.name(number - 1))?;
            // It counts if nothing was renamed meanwhile.
            if next.is_some() && self.number_of(ours)? == Some(number) {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// What comes after a file that has no name of ours any more: removed by the rotation, the
    /// oldest that is left; moved away by somebody, the one that is written.
    fn after_lost(&self, ours: &Metadata) -> io::Result<Option<File>> {
        if self.backups == 0 || ours.nlink() > 0 {
            return open(&self.path);
        }
        for number in (0..=self.backups).rev() {
            if let Some(file) = open(&self.name(number))? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    fn number_of(&self, ours: &Metadata) -> io::Result<Option<u32>> {
        for number in 0..=self.backups {
            match std::fs::metadata(self.name(number)) {
                Ok(now) if key(&now) == key(ours) => return Ok(Some(number)),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Leaves only the last `count` lines, with all their pieces.
    ///
    /// # Errors
    /// As read(2).
    pub fn keep_tail(&mut self, count: u64) -> io::Result<()> {
        let mut wanted = count;
        for index in (0..self.files.len()).rev() {
            let reader = &mut self.files[index];
            let ends = line_ends(reader, self.format, wanted)?;
            let whole = ends.len() as u64;
            if whole > wanted {
                reader.seek(SeekFrom::Start(ends[0]))?;
                self.files.drain(..index);
                return Ok(());
            }
            reader.seek(SeekFrom::Start(0))?;
            wanted -= whole;
        }
        Ok(())
    }
}

/// Where the last `count + 1` whole lines of a file end.
fn line_ends(
    reader: &mut BufReader<File>,
    format: Format,
    count: u64,
) -> io::Result<VecDeque<u64>> {
    let mut ends = VecDeque::new();
    let mut offset = 0u64;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = Read::take(&mut *reader, MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        let Some(text) = line.strip_suffix(b"\n") else {
            return Ok(ends);
        };
        offset += length as u64;
        if format.parse(text).is_some_and(|line| !line.partial) {
            ends.push_back(offset);
            if ends.len() as u64 > count.saturating_add(1) {
                ends.pop_front();
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn key(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const T: &str = "2026-01-01T00:00:00Z";

    fn write(dir: &Path, name: &str, lines: &[&str]) {
        let text: String = lines.iter().map(|l| format!("{T} stdout {l}\n")).collect();
        fs::write(dir.join(name), text).unwrap();
    }

    fn read(chain: &mut Chain) -> String {
        let mut texts = Vec::new();
        while let Some(line) = chain.next().unwrap() {
            texts.push(String::from_utf8(line.text).unwrap());
        }
        texts.join(" ")
    }

    fn chain(dir: &Path, backups: u32) -> Chain {
        let mut chain = Chain::new(&dir.join("log"), backups, Format::K8s);
        chain.open().unwrap();
        chain
    }

    #[test]
    fn files_are_read_the_oldest_first_and_the_unfinished_line_waits() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "log.2", &["F a", "P b"]);
        write(dir.path(), "log.1", &["F c"]);
        fs::write(dir.path().join("log"), format!("{T} stderr F d\n{T} std")).unwrap();
        assert_eq!(read(&mut chain(dir.path(), 2)), "a b c d");
        assert_eq!(read(&mut chain(dir.path(), 1)), "c d");
        assert_eq!(read(&mut Chain::new(dir.path(), 0, Format::K8s)), "");
    }

    #[test]
    fn the_tail_counts_lines_over_files_and_not_their_pieces() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "log.1", &["F one", "P tw", "F o", "P thr"]);
        write(dir.path(), "log", &["F ee", "F four"]);
        for (count, expected) in [
            (0, ""),
            (1, "four"),
            (2, "thr ee four"),
            (3, "tw o thr ee four"),
            (99, "one tw o thr ee four"),
        ] {
            let mut chain = chain(dir.path(), 3);
            chain.keep_tail(count).unwrap();
            assert_eq!(read(&mut chain), expected, "{count}");
        }
    }

    #[test]
    fn renamed_files_are_followed_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let move_to = |from: &str, to: &str| fs::rename(dir.path().join(from), dir.path().join(to));
        write(dir.path(), "log", &["F a"]);
        let mut chain = chain(dir.path(), 3);
        assert_eq!(read(&mut chain), "a");
        assert!(!chain.follow().unwrap());
        write(dir.path(), "log", &["F a", "F b"]);
        for text in ["F c", "F d"] {
            move_to("log.1", "log.2").ok();
            move_to("log", "log.1").unwrap();
            write(dir.path(), "log", &[text]);
        }
        let mut all = Vec::new();
        while chain.follow().unwrap() {
            all.push(read(&mut chain));
        }
        // What was written before the first renaming comes first.
        assert_eq!(all.join(" "), "b c d");
    }

    #[test]
    fn a_replaced_and_a_shortened_file_are_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "log", &["F a", "F b"]);
        let mut chain = chain(dir.path(), 0);
        assert_eq!(read(&mut chain), "a b");
        write(dir.path(), "new", &["F c", "F d"]);
        fs::rename(dir.path().join("new"), dir.path().join("log")).unwrap();
        assert!(chain.follow().unwrap());
        assert_eq!(read(&mut chain), "c d");
        write(dir.path(), "log", &["F e"]);
        assert!(chain.follow().unwrap());
        assert_eq!(read(&mut chain), "e");
        assert!(!chain.follow().unwrap());
    }
}
