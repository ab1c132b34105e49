//! One container's directory in the state root, and what is true of it now.
//!
//! ```text
//! ROOT/ID/state.json   what was made: process, cgroup, bundle (written once, replaced whole)
//! ROOT/ID/start.fifo   there until the container is started
//! ROOT/ID/lock         held while the container is changed
//! ```
//!
//! The status is never stored: it follows from the process, the fifo and the freezer.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use minke_sys::atomic::{self, Durability, ReplaceOptions};
use minke_sys::cgroup::{Cgroups, Group};
use minke_sys::lock::{Lock, LockKind};
use minke_sys::proc::{ProcessId, boot_id};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The runtime specification this runtime implements.
pub const OCI_VERSION: &str = "1.2.0";

/// Where the containers of one user or test are.
#[derive(Debug, Clone)]
pub struct StateRoot {
    path: PathBuf,
}

/// What a container is doing (runtime.md § State).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being set up.
    Creating,
    /// Set up, waiting for its start.
    Created,
    /// Its process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its process has ended.
    Stopped,
}

impl Status {
    /// The specification's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// The record of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its id.
    pub id: String,
    /// Its init, once there is one.
    pub init: Option<ProcessId>,
    /// The bundle it was made from.
    pub bundle: PathBuf,
    /// Its root file system on the host.
    pub rootfs: PathBuf,
    /// Its cgroup, in every hierarchy; `None` where none could be made.
    pub cgroup: Option<PathBuf>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// The boot it belongs to.
    pub boot_id: String,
    /// From config.json.
    #[serde(default)]
    pub annotations: HashMap<String, String>,
}

/// The `state` command's answer (runtime.md § State, with runc's additions).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateReport<'a> {
    oci_version: &'static str,
    id: &'a str,
    pid: i32,
    status: Status,
    bundle: &'a Path,
    rootfs: &'a Path,
    created: &'a str,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    annotations: &'a HashMap<String, String>,
    owner: &'static str,
}

impl StateReport<'_> {
    /// Init's number, 0 once it has ended.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What the container is doing.
    pub fn status(&self) -> Status {
        self.status
    }
}

/// A container of a state root, held by nobody yet.
#[derive(Debug)]
pub struct Container {
    dir: PathBuf,
    /// Its record as last read.
    pub record: Record,
}

impl StateRoot {
    /// Names the directory; it is made when the first container is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where compiled seccomp filters are kept: beside the containers, under a name that is
    /// no id.
    pub(crate) fn filter_cache(&self) -> PathBuf {
        self.path.join("@seccomp")
    }

    /// The directory of a container, whether it exists or not.
    ///
    /// # Errors
    /// [`Error::InvalidId`].
    pub fn dir(&self, id: &str) -> Result<PathBuf> {
        Ok(self.path.join(checked(id)?))
    }

    /// Claims `id`: makes its directory and locks it. What a create that was killed left of the
    /// same id is the new owner's to clear.
    ///
    /// # Errors
    /// [`Error::Exists`] when it is taken by a container, or by another create at work.
    pub(crate) fn claim(&self, id: &str) -> Result<Claim> {
        let dir = self.dir(id)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(Error::path("create", &self.path))?;
        let exists = || Error::Exists { id: id.to_owned() };
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::path("create", dir)(source));
            }
            _ => {}
        }
        let path = dir.join(LOCK);
        let lock = match Lock::try_open(&path, LockKind::Exclusive) {
            Ok(Some(lock)) if is_current(&lock, &path) => lock,
            // Held by one who creates or deletes it, or deleted under our hands.
            Ok(_) => return Err(exists()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(exists()),
            Err(source) => return Err(Error::path("lock", path)(source)),
        };
        let left = match self.load(id) {
            // What cannot be read any more is nobody's: a power loss empties unsynced files.
            Err(Error::UnknownContainer { .. } | Error::Parse { .. }) => None,
            Ok(container) if container.record.init.is_none() => Some(container),
            _ => return Err(exists()),
        };
        Ok(Claim { dir, left, lock })
    }

    /// Reads a container.
    ///
    /// # Errors
    /// [`Error::UnknownContainer`]; [`Error::Parse`] when its record is damaged.
    pub fn load(&self, id: &str) -> Result<Container> {
        let dir = self.dir(id)?;
        let path = dir.join(RECORD);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::UnknownContainer { id: id.to_owned() });
            }
            Err(source) => return Err(Error::path("read", path)(source)),
        };
        let record = serde_json::from_slice(&bytes).map_err(|source| Error::Parse {
            path: path.clone(),
            source,
        })?;
        Ok(Container { dir, record })
    }

    /// Removes the directory of an id with no readable record; none is success.
    pub(crate) fn sweep(&self, id: &str) -> Result<()> {
        let dir = self.dir(id)?;
        if !dir.is_dir() {
            return Ok(());
        }
        let Some(_lock) = lock(&dir)? else {
            return Ok(());
        };
        if self.load(id).is_ok() {
            return Ok(());
        }
        fs::remove_dir_all(&dir).map_err(Error::path("remove", dir))
    }

    /// Every container with a readable record, by id.
    ///
    /// # Errors
    /// As readdir(3); a missing root has none.
    pub fn list(&self) -> Result<Vec<Container>> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::path("list", &self.path)(source)),
        };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            match name.to_str().map(|id| self.load(id)) {
                Some(Ok(container)) => found.push(container),
                Some(Err(error)) => {
                    tracing::debug!(?name, error = %error.chain(), "not listed");
                }
                None => {}
            }
        }
        found.sort_by(|a, b| a.record.id.cmp(&b.record.id));
        Ok(found)
    }
}

/// An id that is ours to make a container of. Locked until dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    dir: PathBuf,
    left: Option<Container>,
    lock: Lock,
}

impl Claim {
    /// The container's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The lock that is held.
    pub fn lock(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.lock)
    }

    /// What a create that was killed half way left under this id.
    pub fn left_behind(&self) -> Option<&Container> {
        self.left.as_ref()
    }
}

const RECORD: &str = "state.json";
const FIFO: &str = "start.fifo";
const LOCK: &str = "lock";

/// Ids become directory and cgroup names.
fn checked(id: &str) -> Result<&str> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if id.is_empty() || id.len() > 255 || id == "." || id == ".." || !id.bytes().all(good) {
        return Err(Error::InvalidId { id: id.to_owned() });
    }
    Ok(id)
}

/// Locks a container's directory against other changes; `None` when it is gone.
fn lock(dir: &Path) -> Result<Option<Lock>> {
    let path = dir.join(LOCK);
    loop {
        match Lock::open(&path, LockKind::Exclusive) {
            // The file may have been deleted while we waited for it.
            Ok(lock) if is_current(&lock, &path) => return Ok(Some(lock)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::path("lock", path)(source)),
        }
    }
}

/// Whether the locked file is still the one at `path`.
fn is_current(lock: &Lock, path: &Path) -> bool {
    let held = lock.file().metadata().map(|meta| (meta.dev(), meta.ino()));
    let found = fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    matches!((held, found), (Ok(held), Ok(found)) if held == found)
}

/// Writes a record in place of the old one. It means nothing after a reboot: nothing to sync.
pub(crate) fn write(dir: &Path, record: &Record) -> Result<()> {
    let path = dir.join(RECORD);
    let text = serde_json::to_vec(record).map_err(|source| Error::Parse {
        path: path.clone(),
        source,
    })?;
    let options = ReplaceOptions {
        mode: 0o600,
        durability: Durability::Cached,
    };
    atomic::replace(&path, &text, &options).map_err(Error::path("write", path))
}

/// Makes the fifo at which init waits, and opens both ends: a reader that is also a writer
/// never sees the end of the stream.
pub(crate) fn make_fifo(dir: &Path) -> Result<std::os::fd::OwnedFd> {
    use rustix::fs::{FileType, Mode, OFlags, mknodat, open};
    let path = dir.join(FIFO);
    let failed = |act| {
        let path = path.clone();
        move |errno: rustix::io::Errno| Error::path(act, path)(errno.into())
    };
    match mknodat(
        rustix::fs::CWD,
        &path,
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    ) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => return Err(failed("create")(errno)),
    }
    open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(failed("open"))
}

impl Container {
    /// Locks the container and reads its record again: what was known before is a rumour.
    ///
    /// # Errors
    /// [`Error::UnknownContainer`] when it was deleted meanwhile.
    pub(crate) fn locked(&mut self, root: &StateRoot) -> Result<Lock> {
        let lock = lock(&self.dir)?.ok_or_else(|| Error::UnknownContainer {
            id: self.record.id.clone(),
        })?;
        *self = root.load(&self.record.id)?;
        Ok(lock)
    }

    /// What it is doing now.
    pub fn status(&self) -> Status {
        let Some(init) = self.record.init else {
            return Status::Creating;
        };
        if !init.is_alive() || boot_id().is_ok_and(|boot| boot != self.record.boot_id) {
            return Status::Stopped;
        }
        if self.waits_for_start() {
            return Status::Created;
        }
        match self.cgroup() {
            Some(group) if group.is_frozen() => Status::Paused,
            _ => Status::Running,
        }
    }

    /// Whether init is at the fifo. One that executes has let go of it, whether the start that
    /// released it lived to remove it or not.
    fn waits_for_start(&self) -> bool {
        self.open_fifo().is_ok()
    }

    fn open_fifo(&self) -> io::Result<fs::File> {
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(self.dir.join(FIFO))
    }

    /// Its control group, if it has one.
    pub fn cgroup(&self) -> Option<Group> {
        let path = self.record.cgroup.as_ref()?;
        Cgroups::detect().ok()?.group(path).ok()
    }

    /// Lets init go on.
    pub(crate) fn release(&self) -> Result<()> {
        let path = self.dir.join(FIFO);
        match self.open_fifo() {
            Ok(mut fifo) => {
                io::Write::write_all(&mut fifo, b"1").map_err(Error::path("write", &path))?;
            }
            // Nobody reads: it has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {}
            Err(source) => return Err(Error::path("open", path)(source)),
        }
        fs::remove_file(&path).map_err(Error::path("remove", path))
    }

    /// The uid of whoever made it.
    pub fn owner(&self) -> Option<u32> {
        fs::metadata(&self.dir).ok().map(|meta| meta.uid())
    }

    /// The container's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The answer to the `state` command.
    pub fn report(&self) -> StateReport<'_> {
        let status = self.status();
        let pid = match (status, self.record.init) {
            (Status::Stopped, _) | (_, None) => 0,
            (_, Some(init)) => init.pid,
        };
        StateReport {
            oci_version: OCI_VERSION,
            id: &self.record.id,
            pid,
            status,
            bundle: &self.record.bundle,
            rootfs: &self.record.rootfs,
            created: &self.record.created,
            annotations: &self.record.annotations,
            owner: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> Record {
        Record {
            id: id.into(),
            init: None,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            cgroup: None,
            created: String::new(),
            boot_id: boot_id().unwrap(),
            annotations: HashMap::new(),
        }
    }

    #[test]
    fn ids_cannot_be_paths() {
        for bad in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(256)] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        assert!(checked("a_B-1+2.3").is_ok());
    }

    #[test]
    fn an_id_is_claimed_once_and_an_abandoned_claim_again() {
        let scratch = tempfile::tempdir().unwrap();
        let root = StateRoot::new(scratch.path().join("state"));
        let held = root.claim("one").unwrap();
        let dir = held.dir().to_owned();
        assert!(matches!(root.claim("one"), Err(Error::Exists { .. })));
        drop(held);
        assert!(root.claim("one").unwrap().left_behind().is_none());
        write(&dir, &record("one")).unwrap();
        assert!(root.claim("one").unwrap().left_behind().is_some());
        let mut whole = record("one");
        whole.init = ProcessId::of(std::process::id() as i32).ok();
        write(&dir, &whole).unwrap();
        assert!(matches!(root.claim("one"), Err(Error::Exists { .. })));
        write(&dir, &record("one")).unwrap();
        assert_eq!(root.load("one").unwrap().status(), Status::Creating);
        assert_eq!(root.list().unwrap().len(), 1);
        assert!(matches!(
            root.load("two"),
            Err(Error::UnknownContainer { .. })
        ));
    }

    #[test]
    fn a_process_that_is_gone_is_stopped_whatever_the_record_says() {
        let scratch = tempfile::tempdir().unwrap();
        let root = StateRoot::new(scratch.path());
        let dir = root.claim("one").unwrap().dir().to_owned();
        let mut stored = record("one");
        let mut us = ProcessId::of(std::process::id() as i32).unwrap();
        stored.init = Some(us);
        write(&dir, &stored).unwrap();
        assert_eq!(root.load("one").unwrap().status(), Status::Running);
        let fifo = make_fifo(&dir).unwrap();
        assert_eq!(root.load("one").unwrap().status(), Status::Created);
        root.load("one").unwrap().release().unwrap();
        assert_eq!(root.load("one").unwrap().status(), Status::Running);
        drop(fifo);
        us.start_time += 1;
        stored.init = Some(us);
        write(&dir, &stored).unwrap();
        assert_eq!(root.load("one").unwrap().status(), Status::Stopped);
    }
}
