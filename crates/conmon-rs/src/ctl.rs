//! Orders from outside: the fifos `ctl` and `winsz` in the bundle.
//!
//! On `ctl` each line holds three numbers: `1 HEIGHT WIDTH` sets the terminal's size,
//! `2 0 0` reopens the logs, `3 0 0` runs the periodic command now. On `winsz` a line holds `HEIGHT WIDTH`.

use crate::error::{Result, at};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::Winsize;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// An order that was read from a fifo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Give the terminal this many rows and columns.
    Resize {
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
    },
    /// Close and open the log files, which somebody has moved away.
    ReopenLogs,
    /// Run the periodic command now.
    RunPeriodic,
}

impl Order {
    /// Reads a line of `ctl`.
    pub fn from_control(line: &[u8]) -> Option<Order> {
        let [kind, height, width] = numbers(line)?;
        match kind {
            1 => resize(height, width),
            2 => Some(Order::ReopenLogs),
            3 => Some(Order::RunPeriodic),
            _ => None,
        }
    }

    /// Reads a line of `winsz`.
    pub fn from_window_size(line: &[u8]) -> Option<Order> {
        let [height, width] = numbers(line)?;
        resize(height, width)
    }
}

fn resize(height: i64, width: i64) -> Option<Order> {
    Some(Order::Resize {
        height: u16::try_from(height).ok()?,
        width: u16::try_from(width).ok()?,
    })
}

/// The first `N` words of a line, all numbers.
fn numbers<const N: usize>(line: &[u8]) -> Option<[i64; N]> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut found = [0; N];
    for number in &mut found {
        *number = words.next()?.parse().ok()?;
    }
    Some(found)
}

/// The kernel's form of a size.
pub(crate) fn window(height: u16, width: u16) -> Winsize {
    Winsize {
        ws_row: height,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// The longest line that is understood.
const LINE: usize = 200;

/// A fifo that is read line by line.
pub(crate) struct Fifo {
    reader: OwnedFd,
    /// Held so that the reader sees no end when the last writer leaves.
    _writer: OwnedFd,
    buffer: [u8; LINE],
    length: usize,
}

impl Fifo {
    /// Makes the fifo `name` in `bundle`, replacing what has that name.
    pub(crate) fn create(bundle: &Path, name: &str) -> Result<Fifo> {
        let path = bundle.join(name);
        let mode = Mode::from_raw_mode(0o660);
        match rustix::fs::mkfifoat(CWD, &path, mode) {
            Err(Errno::EXIST) => {
                fs::remove_file(&path).map_err(at("replace", &path))?;
                rustix::fs::mkfifoat(CWD, &path, mode)
            }
            result => result,
        }
        .map_err(at("create", &path))?;
        let open = |access| rustix::fs::open(&path, access | OFlags::CLOEXEC, Mode::empty());
        Ok(Fifo {
            reader: open(OFlags::RDONLY | OFlags::NONBLOCK).map_err(at("open", &path))?,
            _writer: open(OFlags::WRONLY).map_err(at("open", &path))?,
            buffer: [0; LINE],
            length: 0,
        })
    }

    /// The descriptor to wait on.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Reads once what is there and hands over each whole line, without its newline.
    pub(crate) fn read_lines(&mut self, mut each: impl FnMut(&[u8])) {
        let Ok(read) = rustix::io::read(&self.reader, &mut self.buffer[self.length..]) else {
            return;
        };
        let end = self.length + read;
        let mut start = 0;
        while let Some(length) = self.buffer[start..end].iter().position(|b| *b == b'\n') {
            each(&self.buffer[start..start + length]);
            start += length + 1;
        }
        if start == 0 && end == LINE {
            tracing::warn!("a line on a control fifo is too long");
            start = end;
        }
        self.buffer.copy_within(start..end, 0);
        self.length = end - start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn orders_are_read() {
        let size = |height, width| Some(Order::Resize { height, width });
        let control = [
            ("1 24 80", size(24, 80)),
            (" 1  24\t80 rest", size(24, 80)),
            ("2 0 0", Some(Order::ReopenLogs)),
            ("0 1 1", None),
            ("3 0 0", Some(Order::RunPeriodic)),
            ("4 1 1", None),
            ("1 24", None),
            ("1 -1 80", None),
            ("1 70000 80", None),
            ("", None),
            ("one two three", None),
        ];
        for (line, order) in control {
            assert_eq!(Order::from_control(line.as_bytes()), order, "{line}");
        }
        assert_eq!(Order::from_window_size(b"40 100"), size(40, 100));
        assert_eq!(Order::from_window_size(b"40"), None);
    }

    #[test]
    fn lines_survive_being_cut_and_overlong() {
        let bundle = tempfile::tempdir().unwrap();
        fs::write(bundle.path().join("ctl"), "in the way").unwrap();
        let mut fifo = Fifo::create(bundle.path(), "ctl").unwrap();
        let path = bundle.path().join("ctl");
        let mut writer = fs::OpenOptions::new().write(true).open(path).unwrap();
        let mut lines = Vec::new();
        for part in ["1 2", "4 80\n2 0 0\n1 ", "5 5\n"] {
            writer.write_all(part.as_bytes()).unwrap();
            fifo.read_lines(|line| lines.push(String::from_utf8_lossy(line).into_owned()));
        }
        assert_eq!(lines, ["1 24 80", "2 0 0", "1 5 5"]);
        writer.write_all(&[b'x'; LINE]).unwrap();
        fifo.read_lines(|_| panic!("no newline was written"));
        writer.write_all(b"2 0 0\n").unwrap();
        fifo.read_lines(|line| lines.push(String::from_utf8_lossy(line).into_owned()));
        assert_eq!(lines.len(), 4);
    }
}
