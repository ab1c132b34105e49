//! The user namespace of a normal user.
//!
//! Everything a normal user's engine does, it does as root of a user namespace that maps the
//! user's subordinate ids, in a mount namespace of its own. All commands of a user share one:
//! a small process, the keeper, keeps it, and later commands join it, so that mounts are seen
//! by all of them.
//!
//! ```text
//! RUNTIME_DIR/minke-rootless/keeper   the keeper's pid and start time, JSON
//! RUNTIME_DIR/minke-rootless/lock     held while one is made
//! ```

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use minke_sys::atomic::{self, Durability, ReplaceOptions};
use minke_sys::lock::{Lock, LockKind};
use minke_sys::proc::ProcessId;
use nix::sched::{CloneFlags, setns, unshare};

use crate::error::{Error, Result};
use crate::options::{EngineOptions, Surroundings};

/// The user's id outside, for processes inside (Podman's name for it).
pub const UID_VARIABLE: &str = "_CONTAINERS_ROOTLESS_UID";
/// The group's id outside.
pub const GID_VARIABLE: &str = "_CONTAINERS_ROOTLESS_GID";
/// The first argument of a keeper.
pub const KEEPER_ROLE: &str = "rootless-keeper";

/// The user and group ids on the host: ours, or those we had before we entered.
pub fn host_ids(surroundings: &Surroundings) -> (u32, u32) {
    let own = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let number = |name| surroundings.variable(name)?.parse::<u32>().ok();
    match (own.0, number(UID_VARIABLE), number(GID_VARIABLE)) {
        // Only root of a namespace can have been somebody else.
        (0, Some(uid), Some(gid)) if uid != 0 => (uid, gid),
        _ => own,
    }
}

/// Goes on inside the user's namespace: joins it, making it first where it is missing, and
/// executes this program again with the same arguments. Returns at once for root, and when
/// inside already.
///
/// # Errors
/// No runtime directory; no subordinate ids that newuidmap(1) grants; a kernel without user
/// namespaces. Must be called from a process with one thread.
pub fn enter(options: &EngineOptions) -> Result<()> {
    let around = &options.surroundings;
    if !options.is_rootless() || rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let dir = around.runtime_dir().join("minke-rootless");
    crate::engine::make_private_dir(&dir).map_err(|error| {
        Error::invalid(format!(
            "{}: set XDG_RUNTIME_DIR to a directory of your own",
            error.chain()
        ))
    })?;
    let keeper = {
        let path = dir.join("lock");
        let _lock = Lock::open(&path, LockKind::Exclusive).map_err(Error::path("lock", path))?;
        match living_keeper(&dir) {
            Some(keeper) => keeper,
            None => make_keeper(&dir, options)?,
        }
    };
    join(keeper)?;
    let failed = Command::new(&options.self_exe)
        .args(std::env::args_os().skip(1))
        .env(UID_VARIABLE, around.uid.to_string())
        .env(GID_VARIABLE, around.gid.to_string())
        .exec();
    Err(Error::path("execute", &options.self_exe)(failed))
}

fn living_keeper(dir: &Path) -> Option<ProcessId> {
    let text = fs::read(dir.join("keeper")).ok()?;
    let keeper: ProcessId = serde_json::from_slice(&text).ok()?;
    keeper.is_alive().then_some(keeper)
}

/// Starts a keeper, maps its ids, and waits until its mounts are its own.
fn make_keeper(dir: &Path, options: &EngineOptions) -> Result<ProcessId> {
    let around = &options.surroundings;
    let mut child = Command::new(&options.self_exe)
        .arg(KEEPER_ROLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .map_err(Error::path("run", &options.self_exe))?;
    let pid = child.id();
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::invalid("the keeper has no pipes"));
    };
    let mut stdout = BufReader::new(stdout);
    let made = hear(&mut stdout)
        .and_then(|()| map_ids(pid, around))
        .and_then(|()| {
            stdin
                .write_all(b"mapped\n")
                .map_err(Error::system("talk to the keeper"))
        })
        .and_then(|()| hear(&mut stdout));
    if let Err(error) = made {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    let keeper = ProcessId::of(pid as i32).map_err(Error::system("identify the keeper"))?;
    let text = serde_json::to_vec(&keeper).map_err(|source| Error::Record {
        object: "the keeper".into(),
        source,
    })?;
    let options = ReplaceOptions {
        mode: 0o600,
        durability: Durability::Ordered,
    };
    let path = dir.join("keeper");
    atomic::replace(&path, &text, &options).map_err(Error::path("write", path))?;
    Ok(keeper)
}

/// Reads one line: `ready`, or why not.
fn hear(stdout: &mut impl BufRead) -> Result<()> {
    let mut line = String::new();
    stdout
        .read_line(&mut line)
        .map_err(Error::system("hear the keeper"))?;
    match line.trim() {
        "ready" => Ok(()),
        "" => Err(Error::invalid(
            "the keeper of the user namespace ended early",
        )),
        other => Err(Error::invalid(format!(
            "cannot make a user namespace: {other}"
        ))),
    }
}

/// Is the keeper: makes the namespaces, says so, waits to be mapped, makes the mounts its own
/// and then only waits. Gives the exit code.
pub fn keep() -> i32 {
    let mut stdout = io::stdout();
    let mut say = |text: &str| {
        let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    };
    let _ = rustix::process::setsid();
    if let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS) {
        say(&format!(
            "{errno}: are user namespaces allowed (sysctl user.max_user_namespaces)?"
        ));
        return 1;
    }
    say("ready");
    let mut line = String::new();
    if io::stdin().read_line(&mut line).is_err() || line.trim() != "mapped" {
        return 1;
    }
    // What the host mounts is seen here; what is mounted here stays here.
    let flags = rustix::mount::MountPropagationFlags::DOWNSTREAM
        | rustix::mount::MountPropagationFlags::REC;
    if let Err(errno) = rustix::mount::mount_change("/", flags) {
        say(&errno.to_string());
        return 1;
    }
    say("ready");
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    loop {
        std::thread::park();
    }
}

/// Joins the keeper's namespaces. The working directory stays.
fn join(keeper: ProcessId) -> Result<()> {
    // Held first: afterwards the number cannot be another's.
    let held = keeper.open().map_err(Error::system("hold the keeper"))?;
    let cwd = std::env::current_dir().ok();
    let failed = |errno: nix::errno::Errno| Error::system("join the user namespace")(errno);
    let open = |name: &str| {
        let path = PathBuf::from(format!("/proc/{}/ns/{name}", keeper.pid));
        File::open(&path).map_err(Error::path("open", path))
    };
    let (user, mount) = (open("user")?, open("mnt")?);
    drop(held);
    setns(user, CloneFlags::CLONE_NEWUSER).map_err(failed)?;
    setns(mount, CloneFlags::CLONE_NEWNS).map_err(failed)?;
    if let Some(cwd) = cwd {
        std::env::set_current_dir(&cwd).map_err(Error::path("return to", cwd))?;
    }
    Ok(())
}

/// Maps the user to root, and the subordinate ids to what follows; only the user where there
/// are none.
fn map_ids(pid: u32, around: &Surroundings) -> Result<()> {
    let name = user_name(around.uid);
    let granted = |file: &str| -> Result<Vec<Range>> {
        match fs::read_to_string(file) {
            Ok(text) => Ok(subordinate(&text, name.as_deref(), around.uid)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(Error::path("read", file)(source)),
        }
    };
    let (uids, gids) = (granted("/etc/subuid")?, granted("/etc/subgid")?);
    if uids.is_empty() || gids.is_empty() {
        tracing::warn!(
            "no subordinate ids for user {} in /etc/subuid and /etc/subgid: only one id is mapped",
            around.uid
        );
        return map_one(pid, around);
    }
    run_helper("newuidmap", pid, around.uid, &uids)?;
    run_helper("newgidmap", pid, around.gid, &gids)
}

fn map_one(pid: u32, around: &Surroundings) -> Result<()> {
    let write = |file: &str, text: String| {
        let path = format!("/proc/{pid}/{file}");
        fs::write(&path, text).map_err(Error::path("write", path))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("0 {} 1", around.uid))?;
    write("gid_map", format!("0 {} 1", around.gid))
}

fn run_helper(helper: &'static str, pid: u32, own: u32, ranges: &[Range]) -> Result<()> {
    let mut command = Command::new(helper);
    command.arg(pid.to_string());
    command.args(["0", &own.to_string(), "1"]);
    let mut inside = 1u32;
    for range in ranges {
        command.args([
            inside.to_string(),
            range.start.to_string(),
            range.count.to_string(),
        ]);
        inside = inside.saturating_add(range.count);
    }
    let output = command.output().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::invalid(format!(
            "{helper} is not installed: install the package uidmap"
        )),
        _ => Error::path("run", helper)(source),
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{helper} refused: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

/// A range of subordinate ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: u32,
    count: u32,
}

/// The ranges that a subuid(5) text grants a user, by name or by number.
fn subordinate(text: &str, name: Option<&str>, uid: u32) -> Vec<Range> {
    let number = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut parts = line.trim().splitn(3, ':');
            let owner = parts.next()?;
            if Some(owner) != name && owner != number {
                return None;
            }
            let (start, count) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            (count > 0).then_some(Range { start, count })
        })
        .collect()
}

/// The user's name in /etc/passwd, read as text: a static binary loads no name services.
fn user_name(uid: u32) -> Option<String> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text = "ann:100000:65536\n1000:200000:10\nbob:1:1\nann:bad:1\nann:5:0\n";
        let found = subordinate(text, Some("ann"), 1000);
        assert_eq!(
            found,
            [
                Range {
                    start: 100_000,
                    count: 65_536
                },
                Range {
                    start: 200_000,
                    count: 10
                }
            ]
        );
        assert!(subordinate(text, None, 7).is_empty());
    }

    #[test]
    fn only_root_of_a_namespace_can_have_been_somebody_else() {
        let mut around = Surroundings::default();
        around
            .environment
            .insert(UID_VARIABLE.into(), "1000".into());
        around.environment.insert(GID_VARIABLE.into(), "100".into());
        let expected = if rustix::process::geteuid().is_root() {
            (1000, 100)
        } else {
            let gid = rustix::process::getegid().as_raw();
            (rustix::process::geteuid().as_raw(), gid)
        };
        assert_eq!(host_ids(&around), expected);
    }
}
