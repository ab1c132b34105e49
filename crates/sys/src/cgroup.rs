//! Where control groups are, and access to their files: v1, v2, hybrid or none (cgroups(7)).
//!
//! [`Cgroups`] says which hierarchies are mounted; a [`Group`] is one path in all of them.
//! On a hybrid host (v1 controllers beside a v2 tree) a group exists in the v2 tree as well.

mod usage; // what a group has used

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

pub use usage::Usage;

/// How the host mounts control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No hierarchy is mounted.
    None,
    /// Only v1 hierarchies.
    V1,
    /// Only the unified hierarchy.
    V2,
    /// v1 hierarchies that hold controllers, and a v2 tree beside them.
    Hybrid,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Its v1 controllers or `name=NAME`; empty for the v2 tree.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// Whether this is the v2 tree.
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }
}

/// The control group hierarchies of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
}

impl Cgroups {
    /// Reads what is mounted from /proc/self/mountinfo.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn detect() -> io::Result<Self> {
        Ok(Self::from_mountinfo(&fs::read_to_string(
            "/proc/self/mountinfo",
        )?))
    }

    /// Takes the cgroup mounts from a mountinfo text (proc_pid_mountinfo(5)).
    pub fn from_mountinfo(text: &str) -> Self {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        for line in text.lines() {
            let Some(found) = parse_mount(line) else {
                continue;
            };
            if !hierarchies
                .iter()
                .any(|known| known.controllers == found.controllers)
            {
                hierarchies.push(found);
            }
        }
        Self { hierarchies }
    }

    /// Every hierarchy, in mount order.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// What kind of host this is.
    pub fn mode(&self) -> Mode {
        let v2 = self.hierarchies.iter().any(Hierarchy::is_unified);
        let v1 = self.hierarchies.iter().any(|each| !each.is_unified());
        match (v1, v2) {
            (false, false) => Mode::None,
            (true, false) => Mode::V1,
            (false, true) => Mode::V2,
            (true, true) => Mode::Hybrid,
        }
    }

    /// The hierarchy that holds a controller: v1's own, else the v2 tree if it lists it.
    pub fn of_controller(&self, controller: &str) -> Option<&Hierarchy> {
        let v1 = self
            .hierarchies
            .iter()
            .find(|each| each.controllers.iter().any(|name| name == controller));
        v1.or_else(|| {
            let unified = self.unified()?;
            let listed = fs::read_to_string(unified.mount.join("cgroup.controllers")).ok()?;
            listed
                .split_ascii_whitespace()
                .any(|name| name == controller)
                .then_some(unified)
        })
    }

    /// The v2 tree, if there is one.
    pub fn unified(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|each| each.is_unified())
    }

    /// The group at `path` in every hierarchy; nothing is created.
    ///
    /// # Errors
    /// `InvalidInput` when `path` is not absolute, is the root, or holds `..`.
    pub fn group(&self, path: &Path) -> io::Result<Group> {
        let relative = relative(path)?;
        let places = self
            .hierarchies
            .iter()
            .map(|hierarchy| Place {
                hierarchy: hierarchy.clone(),
                dir: hierarchy.mount.join(&relative),
            })
            .collect();
        Ok(Group { places })
    }
}

/// `/a/b` as `a/b`, refusing what would leave the hierarchy.
fn relative(path: &Path) -> io::Result<PathBuf> {
    let invalid = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("cgroup path {} is not usable", path.display()),
        )
    };
    let mut clean = PathBuf::new();
    for part in path.strip_prefix("/").map_err(|_| invalid())?.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return Err(invalid()),
        }
    }
    if clean.as_os_str().is_empty() {
        return Err(invalid());
    }
    Ok(clean)
}

fn parse_mount(line: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mount = PathBuf::from(before.split(' ').nth(4)?);
    let mut after = after.split(' ');
    let kind = after.next()?;
    let options = after.nth(1)?;
    match kind {
        "cgroup2" => Some(Hierarchy {
            mount,
            controllers: Vec::new(),
        }),
        "cgroup" => {
            let flags = ["rw", "ro", "xattr", "clone_children", "noprefix"];
            let controllers: Vec<String> = options
                .split(',')
                .filter(|option| !flags.contains(option) && !option.starts_with("release_agent="))
                .map(str::to_owned)
                .collect();
            (!controllers.is_empty()).then_some(Hierarchy { mount, controllers })
        }
        _ => None,
    }
}

/// One hierarchy's directory of a group.
#[derive(Debug, Clone)]
struct Place {
    hierarchy: Hierarchy,
    dir: PathBuf,
}

/// One control group path, in every hierarchy of the host.
#[derive(Debug, Clone)]
pub struct Group {
    places: Vec<Place>,
}

impl Group {
    /// Makes the group's directories. Existing ones are kept as they are.
    ///
    /// # Errors
    /// As mkdir(2); `PermissionDenied` and `ReadOnlyFilesystem` are what an unprivileged user
    /// without delegation meets. What was made before the failure is removed again.
    pub fn create(&self) -> io::Result<()> {
        for (index, place) in self.places.iter().enumerate() {
            if let Err(error) = place.create() {
                for made in &self.places[..index] {
                    let _ = fs::remove_dir(&made.dir);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether it exists in any hierarchy.
    pub fn exists(&self) -> bool {
        self.places.iter().any(|place| place.dir.is_dir())
    }

    /// Moves a process (0: the calling one) into the group, in every hierarchy.
    ///
    /// # Errors
    /// As writing cgroup.procs.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        self.places
            .iter()
            .try_for_each(|place| write_existing(&place.dir.join("cgroup.procs"), &pid.to_string()))
    }

    /// Moves a process (0: the calling one) into the group of the v2 tree, if there is one.
    ///
    /// # Errors
    /// As writing cgroup.procs.
    pub fn add_unified(&self, pid: i32) -> io::Result<()> {
        self.unified_dir().map_or(Ok(()), |dir| {
            write_existing(&dir.join("cgroup.procs"), &pid.to_string())
        })
    }

    /// Every hierarchy with the group's directory in it.
    pub fn dirs(&self) -> impl Iterator<Item = (&Hierarchy, &Path)> {
        self.places
            .iter()
            .map(|place| (&place.hierarchy, &*place.dir))
    }

    /// The group's directory in the hierarchy that holds `controller` (v1), or in the v2 tree.
    pub fn dir(&self, controller: &str) -> Option<&Path> {
        let v1 = self.places.iter().find(|place| {
            place
                .hierarchy
                .controllers
                .iter()
                .any(|name| name == controller)
        });
        v1.map(|place| &*place.dir).or_else(|| self.unified_dir())
    }

    /// The group's directory in the v2 tree.
    pub fn unified_dir(&self) -> Option<&Path> {
        let unified = self
            .places
            .iter()
            .find(|place| place.hierarchy.is_unified())?;
        Some(&unified.dir)
    }

    /// Whether `controller` is a v1 hierarchy of its own here.
    pub fn is_v1(&self, controller: &str) -> bool {
        self.places.iter().any(|place| {
            place
                .hierarchy
                .controllers
                .iter()
                .any(|name| name == controller)
        })
    }

    /// Writes one control file, for example `("memory", "memory.limit_in_bytes", "4096")`.
    ///
    /// # Errors
    /// `NotFound` when the controller is not there; as write(2) otherwise.
    pub fn write(&self, controller: &str, file: &str, value: &str) -> io::Result<()> {
        let dir = self.dir(controller).ok_or(io::ErrorKind::NotFound)?;
        write_existing(&dir.join(file), value)
    }

    /// Reads one control file.
    ///
    /// # Errors
    /// `NotFound` when the controller is not there; as read(2) otherwise.
    pub fn read(&self, controller: &str, file: &str) -> io::Result<String> {
        let dir = self.dir(controller).ok_or(io::ErrorKind::NotFound)?;
        fs::read_to_string(dir.join(file))
    }

    /// The processes of the group and of groups below it.
    ///
    /// # Errors
    /// As reading cgroup.procs; a group that is gone has none.
    pub fn processes(&self) -> io::Result<BTreeSet<i32>> {
        let mut found = BTreeSet::new();
        for place in &self.places {
            collect_processes(&place.dir, &mut found)?;
        }
        Ok(found)
    }

    /// Stops every process of the group until [`Group::thaw`]. Waits until all have stopped.
    ///
    /// # Errors
    /// `TimedOut` when they did not stop in ten seconds; `Unsupported` with no freezer.
    pub fn freeze(&self) -> io::Result<()> {
        self.set_frozen(true)
    }

    /// Lets the processes run again.
    ///
    /// # Errors
    /// As [`Group::freeze`].
    pub fn thaw(&self) -> io::Result<()> {
        self.set_frozen(false)
    }

    /// Whether the group is frozen now.
    pub fn is_frozen(&self) -> bool {
        if self.is_v1("freezer") {
            let state = self
                .dir("freezer")
                .map(|dir| word(&dir.join("freezer.state")));
            return state.is_some_and(|state| state.is_ok_and(|state| &state[..] != b"THAWED"));
        }
        let state = self
            .unified_dir()
            .map(|dir| word(&dir.join("cgroup.freeze")));
        state.is_some_and(|state| state.is_ok_and(|state| &state[..] == b"1"))
    }

    fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        let (file, value, done) = match (self.is_v1("freezer"), self.unified_dir()) {
            (true, _) => {
                let dir = self.dir("freezer").ok_or(io::ErrorKind::Unsupported)?;
                let state = if frozen { "FROZEN" } else { "THAWED" };
                (dir.join("freezer.state"), state, state.to_owned())
            }
            (false, Some(dir)) => {
                let state = if frozen { "1" } else { "0" };
                (dir.join("cgroup.freeze"), state, state.to_owned())
            }
            (false, None) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            // Writing again makes a v1 freezer catch processes forked meanwhile.
            fs::write(&file, value)?;
            if fs::read_to_string(&file)?.trim() == done {
                return Ok(());
            }
            if Instant::now() > deadline {
                if frozen {
                    // Half frozen is neither: what has stopped goes on.
                    let _ = self.set_frozen(false);
                }
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills every process of the group at once, those it makes meanwhile included. Tells
    /// whether the kernel could: it takes a v2 tree, and Linux 5.14.
    pub fn kill(&self) -> bool {
        self.unified_dir()
            .is_some_and(|dir| write_existing(&dir.join("cgroup.kill"), "1").is_ok())
    }

    /// Removes the group and the groups below it. What is already gone is success.
    ///
    /// # Errors
    /// `ResourceBusy` while processes are in it: an exiting process leaves a moment after it
    /// was reaped, so the removal is tried for `patience`.
    pub fn remove(&self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        let mut result = Ok(());
        for place in &self.places {
            loop {
                match remove_tree(&place.dir) {
                    Err(error)
                        if error.kind() == io::ErrorKind::ResourceBusy
                            && Instant::now() < deadline =>
                    {
                        std::thread::sleep(Duration::from_micros(500));
                    }
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                    Ok(()) => break,
                }
            }
        }
        result
    }
}

impl Place {
    fn create(&self) -> io::Result<()> {
        match fs::create_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.dir)?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        if self.hierarchy.is_unified() {
            enable_controllers(&self.hierarchy.mount, &self.dir);
        }
        if self
            .hierarchy
            .controllers
            .iter()
            .any(|name| name == "cpuset")
        {
            fill_cpuset(&self.hierarchy.mount, &self.dir)?;
        }
        Ok(())
    }
}

/// Passes every controller down from the top of the v2 tree to the parent of `dir`. What a
/// level cannot pass on (it has processes, or is not ours) is simply not there below.
fn enable_controllers(mount: &Path, dir: &Path) {
    let Ok(relative) = dir.strip_prefix(mount) else {
        return;
    };
    let mut level = mount.to_owned();
    for part in relative.components() {
        if let Ok(available) = fs::read_to_string(level.join("cgroup.controllers")) {
            for controller in available.split_ascii_whitespace() {
                let file = level.join("cgroup.subtree_control");
                if let Err(error) = fs::write(&file, format!("+{controller}")) {
                    tracing::debug!(controller, file = %file.display(), %error, "not passed down");
                }
            }
        }
        level.push(part);
    }
}

/// A new v1 cpuset is empty and holds no process until it has processors and memory nodes.
fn fill_cpuset(mount: &Path, dir: &Path) -> io::Result<()> {
    let Ok(relative) = dir.strip_prefix(mount) else {
        return Ok(());
    };
    let mut parent = mount.to_owned();
    for part in relative.components() {
        let level = parent.join(part);
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if fs::read_to_string(level.join(file))?.trim().is_empty() {
                fs::write(level.join(file), fs::read_to_string(parent.join(file))?)?;
            }
        }
        parent = level;
    }
    Ok(())
}

/// A control file is never made: one that is missing is `NotFound`, not a refused creation.
fn write_existing(path: &Path, value: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    io::Write::write_all(&mut file, value.as_bytes())
}

fn collect_processes(dir: &Path, found: &mut BTreeSet<i32>) -> io::Result<()> {
    match fs::read_to_string(dir.join("cgroup.procs")) {
        Ok(text) => found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // A threaded v2 group refuses to list processes; its domain lists them.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) => return Err(error),
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect_processes(&entry.path(), found)?;
        }
    }
    Ok(())
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
        Err(error) => return Err(error),
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The v1 or v2 path of a process in each hierarchy: `(controllers, path)` as
/// /proc/PID/cgroup lists them; the controllers are empty for v2.
///
/// # Errors
/// When the process is gone.
pub fn paths_of(pid: i32) -> io::Result<Vec<(String, PathBuf)>> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    Ok(text.lines().filter_map(parse_membership).collect())
}

fn parse_membership(line: &str) -> Option<(String, PathBuf)> {
    let mut parts = line.splitn(3, ':').skip(1);
    Some((parts.next()?.to_owned(), PathBuf::from(parts.next()?)))
}

/// The one short word of a control file, by one read: lists of containers look at one each.
fn word(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = [0; 32];
    let length = File::open(path)?.read(&mut text)?;
    Ok(text[..length].trim_ascii().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:28 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup systemd rw,xattr,release_agent=/x,name=systemd
34 31 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn hosts_are_told_apart() {
        let hybrid = Cgroups::from_mountinfo(HYBRID);
        assert_eq!(hybrid.mode(), Mode::Hybrid);
        assert_eq!(hybrid.hierarchies()[1].controllers, ["name=systemd"]);
        let lines = |wanted: &[usize]| {
            let lines: Vec<&str> = HYBRID.lines().collect();
            let text: Vec<&str> = wanted.iter().map(|&index| lines[index]).collect();
            Cgroups::from_mountinfo(&text.join("\n")).mode()
        };
        assert_eq!(lines(&[0, 1]), Mode::V1);
        assert_eq!(lines(&[3]), Mode::V2);
        assert_eq!(lines(&[]), Mode::None);
    }

    #[test]
    fn a_path_cannot_leave_the_hierarchy() {
        let cgroups = Cgroups::from_mountinfo(HYBRID);
        for bad in ["/", "a", "/a/../..", "/.."] {
            assert!(cgroups.group(Path::new(bad)).is_err(), "{bad}");
        }
        assert!(cgroups.group(Path::new("/a/./b")).is_ok());
    }

    #[test]
    fn a_group_holds_a_process_and_goes_away() {
        let cgroups = Cgroups::detect().unwrap();
        let path = format!("/minke-sys-test-{}", std::process::id());
        let group = cgroups.group(Path::new(&path)).unwrap();
        if cgroups.mode() == Mode::None || group.create().is_err() {
            eprintln!("skipped: no cgroup hierarchy is writable here");
            return;
        }
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = child.id() as i32;
        group.add(pid).unwrap();
        assert!(group.processes().unwrap().contains(&pid));
        group.freeze().unwrap();
        assert!(group.is_frozen());
        group.thaw().unwrap();
        assert!(!group.is_frozen());
        assert!(group.remove(Duration::ZERO).is_err());
        child.kill().unwrap();
        child.wait().unwrap();
        group.remove(Duration::from_secs(10)).unwrap();
        assert!(!group.exists());
        group.remove(Duration::ZERO).unwrap();
    }
}
