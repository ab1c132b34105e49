//! The facts of one process, as procfs has them on the host.

use std::fs;
use std::io;
use std::time::Duration;

use jiff::Timestamp;

/// One process.
#[derive(Debug, Clone, Default)]
pub struct Process {
    /// Its number on the host.
    pub pid: i32,
    /// proc_pid_stat(5), from the third field on.
    stat: Vec<String>,
    /// proc_pid_status(5).
    status: String,
    /// proc_pid_cmdline(5).
    arguments: Vec<String>,
    uid_map: Vec<Range>,
    gid_map: Vec<Range>,
}

/// A line of a mapping: `inside outside length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    inside: u32,
    outside: u32,
    length: u32,
}

/// Of real, effective, saved and file-system ids, the one wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Who started it.
    Real,
    /// As whom it acts.
    Effective,
}

impl Process {
    /// Reads what is needed, once.
    ///
    /// # Errors
    /// When it is gone.
    pub fn read(pid: i32) -> io::Result<Self> {
        let text = |file: &str| fs::read(format!("/proc/{pid}/{file}"));
        let map = |file: &str| ranges(&String::from_utf8_lossy(&text(file).unwrap_or_default()));
        Ok(Self {
            pid,
            stat: stat_fields(&text("stat")?),
            status: String::from_utf8_lossy(&text("status")?).into_owned(),
            arguments: arguments(&text("cmdline")?),
            uid_map: map("uid_map"),
            gid_map: map("gid_map"),
        })
    }

    /// Its number in its own process namespace.
    pub fn inner_pid(&self) -> i32 {
        self.innermost("NSpid").unwrap_or(self.pid)
    }

    /// Its process group, as it is numbered there.
    pub fn inner_group(&self) -> i32 {
        self.innermost("NSpgid").unwrap_or(0)
    }

    /// Its parent, as it is numbered there; 0 for one outside.
    pub fn inner_parent(&self) -> i32 {
        let parent: i32 = self.field(4).parse().unwrap_or(0);
        let depth = |status: &str| numbers(status, "NSpid").len();
        let of_parent = fs::read_to_string(format!("/proc/{parent}/status")).unwrap_or_default();
        if depth(&of_parent) < depth(&self.status) {
            return 0;
        }
        let numbers = numbers(&of_parent, "NSpid");
        numbers
            .get(depth(&self.status).saturating_sub(1))
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    }

    fn innermost(&self, key: &str) -> Option<i32> {
        numbers(&self.status, key).last()?.parse().ok()
    }

    /// A field of proc_pid_stat(5), counted from 1 as there; empty where there is none.
    pub fn field(&self, number: usize) -> &str {
        self.stat.get(number - 3).map_or("", String::as_str)
    }

    fn number(&self, field: usize) -> u64 {
        self.field(field).parse().unwrap_or(0)
    }

    /// A line of proc_pid_status(5).
    pub fn status(&self, key: &str) -> &str {
        line(&self.status, key)
    }

    /// Its user on the host.
    pub fn host_user(&self, which: Which) -> u32 {
        id(&self.status, "Uid", which)
    }

    /// Its group on the host.
    pub fn host_group(&self, which: Which) -> u32 {
        id(&self.status, "Gid", which)
    }

    /// Its user in the container.
    pub fn user(&self, which: Which) -> u32 {
        inside(&self.uid_map, self.host_user(which))
    }

    /// Its group in the container.
    pub fn group(&self, which: Which) -> u32 {
        inside(&self.gid_map, self.host_group(which))
    }

    /// Its further groups on the host.
    pub fn host_groups(&self) -> Vec<u32> {
        let groups = self.status("Groups").split_ascii_whitespace();
        groups.filter_map(|group| group.parse().ok()).collect()
    }

    /// Its further groups in the container.
    pub fn groups(&self) -> Vec<u32> {
        let groups = self.host_groups().into_iter();
        groups.map(|group| inside(&self.gid_map, group)).collect()
    }

    /// Its command line; the name in brackets where it has none.
    pub fn command_line(&self) -> String {
        if self.arguments.is_empty() {
            format!("[{}]", self.name())
        } else {
            self.arguments.join(" ")
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        printable(self.status("Name"))
    }

    /// CPU time it has used.
    pub fn cpu_time(&self) -> Duration {
        ticks(self.number(14).saturating_add(self.number(15)))
    }

    /// When it was started.
    pub fn started(&self) -> Timestamp {
        let boot = boot_time();
        boot.saturating_add(ticks(self.number(22))).unwrap_or(boot)
    }

    /// How long ago that was.
    pub fn age(&self) -> Duration {
        Timestamp::now()
            .duration_since(self.started())
            .unsigned_abs()
    }

    /// Virtual memory in KiB.
    pub fn virtual_kib(&self) -> u64 {
        self.number(23) / 1024
    }

    /// Memory that is there in KiB.
    pub fn resident_kib(&self) -> u64 {
        let page = rustix::param::page_size() as u64;
        self.number(24).saturating_mul(page) / 1024
    }

    /// `pts/0`; `?` for none.
    pub fn terminal(&self) -> String {
        let device = self.number(7);
        let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
        match major {
            0 => "?".to_owned(),
            4 => format!("tty{minor}"),
            136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
            _ => format!("{major}:{minor}"),
        }
    }

    /// The label a security module gave it.
    pub fn label(&self) -> String {
        let text = fs::read_to_string(format!("/proc/{}/attr/current", self.pid));
        let text = text.unwrap_or_default();
        match text.trim_end_matches(['\0', '\n']) {
            "" => "?".to_owned(),
            label => printable(label),
        }
    }
}

/// The processes that are in the process namespace of another.
pub fn in_namespace_of(pid: i32) -> Vec<i32> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = namespace(&pid.to_string()) else {
        return Vec::new();
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let pid = name.parse().ok()?;
            (namespace(&name)? == wanted).then_some(pid)
        })
        .collect()
}

fn ticks(number: u64) -> Duration {
    let hertz = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(number.saturating_mul(1000) / hertz)
}

fn boot_time() -> Timestamp {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "));
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds.trim().parse().ok()?).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The fields behind the name, which may hold anything.
fn stat_fields(bytes: &[u8]) -> Vec<String> {
    let end = bytes.iter().rposition(|&byte| byte == b')');
    let rest = end.and_then(|end| bytes.get(end + 1..)).unwrap_or_default();
    String::from_utf8_lossy(rest)
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect()
}

fn arguments(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\0');
    if text.is_empty() {
        return Vec::new();
    }
    text.split('\0').map(printable).collect()
}

/// The text without what a terminal would act on: it is the container's.
fn printable(text: &str) -> String {
    let shown = |letter: char| if letter.is_control() { '?' } else { letter };
    text.chars().map(shown).collect()
}

fn line<'a>(status: &'a str, key: &str) -> &'a str {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(name, _)| *name == key)
        .map_or("", |(_, value)| value.trim())
}

fn numbers<'a>(status: &'a str, key: &str) -> Vec<&'a str> {
    line(status, key).split_ascii_whitespace().collect()
}

fn id(status: &str, key: &str, which: Which) -> u32 {
    let index = match which {
        Which::Real => 0,
        Which::Effective => 1,
    };
    let numbers = numbers(status, key);
    numbers
        .get(index)
        .and_then(|number| number.parse().ok())
        .unwrap_or(u32::MAX)
}

fn ranges(text: &str) -> Vec<Range> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse);
            Some(Range {
                inside: numbers.next()?.ok()?,
                outside: numbers.next()?.ok()?,
                length: numbers.next()?.ok()?,
            })
        })
        .collect()
}

/// An id of the host as the container has it; 65534 for one it does not know.
fn inside(map: &[Range], id: u32) -> u32 {
    const UNKNOWN: u32 = 65534;
    if map.is_empty() {
        return id;
    }
    map.iter()
        .find_map(|range| {
            let offset = id.checked_sub(range.outside)?;
            (offset < range.length).then(|| range.inside.saturating_add(offset))
        })
        .unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_translated() {
        let map = ranges("0 1000 1\n1 100000 65536\n");
        for (outside, expected) in [(1000, 0), (100_000, 1), (100_004, 5), (7, 65534)] {
            assert_eq!(inside(&map, outside), expected);
        }
        assert_eq!(inside(&[], 7), 7);
    }

    #[test]
    fn a_hostile_name_shifts_no_field_and_reaches_no_terminal() {
        let process = Process {
            stat: stat_fields(b"1 (a) Z 9 (b) R 2 3 4 34816 5"),
            status: "Name:\tx\x1b[2J\nUid:\t1\t2\t3\t4\n".to_owned(),
            ..Process::default()
        };
        assert_eq!(process.field(3), "R");
        assert_eq!(process.terminal(), "pts/0");
        assert_eq!(process.name(), "x?[2J");
        assert_eq!(process.command_line(), "[x?[2J]");
        assert_eq!(process.host_user(Which::Effective), 2);
    }

    #[test]
    fn we_are_there() {
        let us = Process::read(std::process::id().cast_signed()).unwrap();
        assert!(us.inner_pid() > 0 && us.resident_kib() > 0 && us.virtual_kib() > 0);
        assert!(us.age() < Duration::from_secs(3600));
    }
}
