//! Hooks of config.json that run in the host's namespaces: the state on stdin, a deadline.

use std::io::Write;
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
        run_one(hook, state).map_err(|what| Error::Hook {
            path: hook.path().clone(),
            what,
        })?;
    }
    Ok(())
}

/// Runs hooks whose failure changes nothing any more: it is logged.
pub(crate) fn run_logged(hooks: Option<&Vec<Hook>>, state: &[u8]) {
    for hook in hooks.into_iter().flatten() {
        if let Err(what) = run_one(hook, state) {
            tracing::warn!(hook = %hook.path().display(), %what, "hook failed");
        }
    }
}

fn run_one(hook: &Hook, state: &[u8]) -> std::result::Result<(), String> {
    let mut command = Command::new(hook.path());
    if let Some([name, args @ ..]) = hook.args().as_deref() {
        use std::os::unix::process::CommandExt;
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
