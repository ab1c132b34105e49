//! Running out of memory: the monitor's own protection, and news of the container's.

use crate::error::{Result, at, doing};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

const SCORE: &std::ffi::CStr = c"/proc/self/oom_score_adj";
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// The score this process had before it was protected.
#[derive(Debug, Default)]
pub(crate) struct OomScore {
    text: [u8; 16],
    length: usize,
}

impl OomScore {
    /// Makes this process the last the kernel kills, where it may; remembers what it was.
    pub(crate) fn protect() -> OomScore {
        let mut score = OomScore::default();
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::open(SCORE, flags, Mode::empty()) else {
            return score;
        };
        if let Ok(length) = rustix::io::read(&file, &mut score.text[..]) {
            score.length = length;
        }
        if let Err(error) = rustix::io::write(&file, b"-1000") {
            tracing::debug!(%error, "cannot lower oom_score_adj");
        }
        score
    }

    /// Gives this process the old score back. Only makes system calls.
    pub(crate) fn restore(&self) {
        if self.length == 0 {
            return;
        }
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(SCORE, flags, Mode::empty()) {
            let _ = rustix::io::write(&file, &self.text[..self.length]);
        }
    }
}

/// Where a container's memory cgroup is, and which descriptor becomes readable when it ran out.
#[derive(Debug)]
pub(crate) struct OomWatch {
    events: OwnedFd,
    cgroup: PathBuf,
    version: Version,
    seen: u64,
}

#[derive(Debug)]
enum Version {
    /// The eventfd is tied to this open `memory.oom_control`.
    One(#[allow(dead_code, reason = "held open for the kernel")] OwnedFd),
    Two,
}

impl OomWatch {
    /// Watches the memory cgroup of process `pid`; `None` where it has none.
    pub(crate) fn new(pid: i32) -> Result<Option<OomWatch>> {
        let list = PathBuf::from(format!("/proc/{pid}/cgroup"));
        let text = match fs::read_to_string(&list) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("read", &list)(error)),
        };
        if let Some(path) = cgroup_of(&text, "memory") {
            let root = Path::new(CGROUP_ROOT).join("memory");
            return OomWatch::version_one(beneath(&root, path));
        }
        match cgroup_of(&text, "") {
            Some(path) => OomWatch::version_two(beneath(Path::new(CGROUP_ROOT), path)),
            None => Ok(None),
        }
    }

    fn version_one(cgroup: PathBuf) -> Result<Option<OomWatch>> {
        let control = cgroup.join("memory.oom_control");
        let Ok(held) = fs::File::open(&control) else {
            return Ok(None);
        };
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let events = eventfd(0, flags).map_err(doing("create an eventfd"))?;
        let line = format!("{} {}", events.as_raw_fd(), held.as_raw_fd());
        let register = cgroup.join("cgroup.event_control");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(&register, flags, Mode::empty());
        let file = file.map_err(at("open", &register))?;
        rustix::io::write(&file, line.as_bytes()).map_err(at("write", &register))?;
        Ok(Some(OomWatch {
            events,
            cgroup,
            version: Version::One(held.into()),
            seen: 0,
        }))
    }

    fn version_two(cgroup: PathBuf) -> Result<Option<OomWatch>> {
        let events_file = cgroup.join("memory.events");
        if !events_file.exists() {
            return Ok(None);
        }
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let events = inotify::init(flags).map_err(doing("create an inotify descriptor"))?;
        inotify::add_watch(&events, &events_file, WatchFlags::MODIFY)
            .map_err(at("watch", &events_file))?;
        Ok(Some(OomWatch {
            events,
            cgroup,
            version: Version::Two,
            seen: 0,
        }))
    }

    /// The descriptor to wait on.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Whether the container ran out of memory since the last call.
    ///
    /// On version 1 the removal of the cgroup counts as one event, which is not news.
    pub(crate) fn check(&mut self) -> bool {
        let mut buffer = [0; 512];
        let read = rustix::io::read(&self.events, &mut buffer[..]);
        match self.version {
            Version::One(_) => {
                let count = match read {
                    Ok(8) => u64::from_ne_bytes(buffer[..8].try_into().unwrap_or_default()),
                    _ => 0,
                };
                let removed = !self.cgroup.join("cgroup.event_control").exists();
                count > u64::from(removed)
            }
            Version::Two => {
                let text = fs::read_to_string(self.cgroup.join("memory.events"));
                let count = kills(&text.unwrap_or_default());
                let news = count > self.seen;
                self.seen = count.max(self.seen);
                news
            }
        }
    }
}

/// Leaves the file `oom` in each directory.
pub(crate) fn mark(directories: &[Option<&Path>]) {
    for directory in directories.iter().flatten() {
        let path = directory.join("oom");
        if let Err(error) = fs::File::create(&path) {
            tracing::warn!(%error, path = %path.display(), "cannot write the oom file");
        }
    }
}

/// The path after the line of `controller` in the text of `/proc/PID/cgroup`; the controller of
/// version 2 is the empty word.
fn cgroup_of<'text>(text: &'text str, controller: &str) -> Option<&'text str> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_ours = match controller {
            "" => number == "0" && names.is_empty(),
            _ => names.split(',').any(|name| name == controller),
        };
        is_ours.then_some(path)
    })
}

fn beneath(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// How often the kernel met the limit or killed for it, in the text of `memory.events`.
fn kills(text: &str) -> u64 {
    let counts = text.lines().filter_map(|line| {
        let (name, count) = line.split_once(' ')?;
        let counted = name == "oom" || name == "oom_kill";
        counted.then(|| count.trim().parse::<u64>().ok()).flatten()
    });
    counts.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "12:cpu,cpuacct:/a\n5:memory:/machine/c1\n1:name=systemd:/\n0::/v2\n";

    #[test]
    fn the_memory_cgroup_is_found() {
        assert_eq!(cgroup_of(HYBRID, "memory"), Some("/machine/c1"));
        assert_eq!(cgroup_of(HYBRID, "cpuacct"), Some("/a"));
        assert_eq!(cgroup_of(HYBRID, ""), Some("/v2"));
        assert_eq!(cgroup_of("0::/x:y\n", ""), Some("/x:y"));
        assert_eq!(cgroup_of("nonsense\n", "memory"), None);
        assert_eq!(beneath(Path::new("/r"), "/a/b"), PathBuf::from("/r/a/b"));
    }

    #[test]
    fn kills_are_counted() {
        assert_eq!(kills("low 0\nhigh 3\nmax 9\noom 1\noom_kill 2\n"), 3);
        assert_eq!(kills("oom_kill_group 4\noom x\n"), 0);
        assert_eq!(kills(""), 0);
    }
}
