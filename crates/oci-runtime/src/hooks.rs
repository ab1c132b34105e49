//! Hooks of config.json: the state on stdin, a deadline. They run in the host's namespaces, save
//! those that are asked to run in the container's.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oci_spec::runtime::Hook;

use crate::error::{Error, Result};

/// Runs hooks in order; the first that fails ends the row.
///
/// # Errors
/// [`Error::Hook`].
pub(crate) fn run(hooks: Option<&Vec<Hook>>, state: &[u8]) -> Result<()> {
    for hook in hooks.into_iter().flatten() {
        run_one(hook, state, Vec::new()).map_err(|what| Error::Hook {
            path: hook.path().clone(),
            what,
        })?;
    }
    Ok(())
}

/// Runs hooks in the namespaces of `pid`, whose root is still the host's: the paths are too.
///
/// # Errors
/// [`Error::Hook`].
pub(crate) fn run_inside(hooks: Option<&Vec<Hook>>, state: &[u8], pid: i32) -> Result<()> {
    for hook in hooks.into_iter().flatten() {
        let namespaces = foreign_namespaces(pid)?;
        run_one(hook, state, namespaces).map_err(|what| Error::Hook {
            path: hook.path().clone(),
            what,
        })?;
    }
    Ok(())
}

/// The namespaces of `pid` that are not ours, the user namespace first: it gives the rights to
/// join the others.
fn foreign_namespaces(pid: i32) -> Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    for name in ["user", "mnt", "uts", "ipc", "net", "pid"] {
        let theirs = crate::prepare::open_namespace(pid, name)?;
        let path = format!("/proc/self/ns/{name}");
        let ours = std::fs::metadata(&path).map_err(Error::path("examine", path))?;
        let meta = theirs
            .metadata()
            .map_err(Error::system("examine a namespace"))?;
        if (meta.dev(), meta.ino()) != (ours.dev(), ours.ino()) {
            found.push(theirs.into());
        }
    }
    Ok(found)
}

/// Runs hooks whose failure changes nothing any more: it is logged.
pub(crate) fn run_logged(hooks: Option<&Vec<Hook>>, state: &[u8]) {
    for hook in hooks.into_iter().flatten() {
        if let Err(what) = run_one(hook, state, Vec::new()) {
            tracing::warn!(hook = %hook.path().display(), %what, "hook failed");
        }
    }
}

fn run_one(hook: &Hook, state: &[u8], namespaces: Vec<OwnedFd>) -> std::result::Result<(), String> {
    let mut command = Command::new(hook.path());
    // SAFETY: the closure makes system calls on descriptors that it owns.
    unsafe {
        command.pre_exec(move || {
            for namespace in &namespaces {
                rustix::thread::move_into_link_name_space(namespace.as_fd(), None)?;
            }
            Ok(())
        });
    }
    if let Some([name, args @ ..]) = hook.args().as_deref() {
        command.arg0(name).args(args);
    }
    command.env_clear();
    for entry in hook.env().iter().flatten() {
        if let Some((key, value)) = entry.split_once('=') {
            command.env(key, value);
        }
    }
    command.stdin(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that does not read its state is within its rights.
        let _ = stdin.write_all(state);
    }
    let timeout = hook.timeout().filter(|&seconds| seconds > 0);
    wait(
        &mut child,
        timeout.map(|seconds| Duration::from_secs(seconds as u64)),
    )
}

fn wait(child: &mut Child, timeout: Option<Duration>) -> std::result::Result<(), String> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let status = loop {
        let Some(deadline) = deadline else {
            break child.wait().map_err(|error| error.to_string())?;
        };
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err("timed out".to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string())
    }
}
