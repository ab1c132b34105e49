//! Facts about processes that survive pid reuse and reboots.

use std::fs::{self, File};
use std::io::{self, Read as _};

use serde::{Deserialize, Serialize};

/// The kernel's id of this boot: a new random UUID at every start.
///
/// # Errors
/// When /proc is not mounted.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// A process and the moment it started, so that a reused pid is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number in our pid namespace.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub start_time: u64,
}

impl ProcessId {
    /// Identifies the process that has `pid` now.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        let stat = Stat::read(pid)?;
        Ok(Self {
            pid,
            start_time: stat.start_time,
        })
    }

    /// Whether this very process still runs. A zombie does not.
    pub fn is_alive(&self) -> bool {
        Stat::read(self.pid)
            .is_ok_and(|stat| stat.start_time == self.start_time && !stat.has_ended())
    }

    /// Holds the process, if it is still the same one.
    ///
    /// # Errors
    /// `ESRCH` when it is gone.
    pub fn open(&self) -> io::Result<crate::pidfd::PidFd> {
        let held = crate::pidfd::PidFd::open(self.pid)?;
        // Looked at after it is held: the number cannot change hands any more.
        if self.is_alive() {
            Ok(held)
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    }
}

/// What /proc/PID/stat says and we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    state: char,
    start_time: u64,
}

impl Stat {
    fn read(pid: i32) -> io::Result<Self> {
        // The kernel gives the whole line, a few hundred bytes, to one read; asking again for the
        // end of the file would make it anew.
        let mut text = [0; 1024];
        let length = File::open(format!("/proc/{pid}/stat"))?.read(&mut text)?;
        Self::parse(&text[..length]).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The command name is in parentheses and may hold anything, parentheses too: fields are
    /// counted after the last one.
    fn parse(text: &[u8]) -> Option<Self> {
        let close = text.iter().rposition(|&byte| byte == b')')?;
        let rest = str::from_utf8(text.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            state: fields.next()?.chars().next()?,
            start_time: fields.nth(18)?.parse().ok()?,
        })
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_command_name_does_not_shift_the_fields() {
        let line = b"17 (a) Z 9 (b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.start_time), ('R', 4242));
    }

    #[test]
    fn we_are_alive_and_another_start_time_is_not_us() {
        let us = ProcessId::of(std::process::id() as i32).unwrap();
        assert!(us.is_alive());
        let other = ProcessId {
            start_time: us.start_time + 1,
            ..us
        };
        assert!(!other.is_alive());
        assert_eq!(other.open().unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn boot_id_is_a_uuid() {
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
