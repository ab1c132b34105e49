//! `delete`: forgets a container and takes away its cgroup.

use std::fs;
use std::time::Duration;

use crate::config::Bundle;
use crate::create::hook_state;
use crate::error::{Error, Result};
use crate::hooks;
use crate::kill::kill_all;
use crate::state::{Container, StateRoot, Status};

/// How long processes are given to be gone after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deletes the container `id`. With `force` one that still runs is killed first, and one
/// that does not exist is success.
///
/// # Errors
/// [`Error::WrongState`] when it runs and `force` is not set.
pub fn delete(root: &StateRoot, id: &str, force: bool) -> Result<()> {
    let mut container = match root.load(id) {
        Err(Error::UnknownContainer { .. } | Error::Parse { .. }) if force => {
            return root.sweep(id);
        }
        loaded => loaded?,
    };
    let _lock = container.locked(root)?;
    let status = container.status();
    match status {
        // Locked by us, one that is being set up has lost the process that did it.
        Status::Stopped | Status::Creating => {}
        _ if force => end(&container)?,
        _ => {
            return Err(Error::WrongState {
                id: id.to_owned(),
                state: status.as_str(),
                wanted: "stopped",
            });
        }
    }
    forget(&container)
}

fn end(container: &Container) -> Result<()> {
    kill_all(container, libc::SIGKILL)?;
    if let Some(Ok(init)) = container.record.init.map(|init| init.open()) {
        let _ = init.signal(libc::SIGKILL);
        // A zombie counts as ended: reaping is its parent's affair.
        init.wait_ended(Some(PATIENCE))
            .map_err(Error::system("wait for the container to end"))?;
    }
    Ok(())
}

fn forget(container: &Container) -> Result<()> {
    clear(container)?;
    let dir = container.dir();
    fs::remove_dir_all(dir).map_err(Error::path("remove", dir))?;
    if let Ok(bundle) = Bundle::open(&container.record.bundle)
        && let Some(listed) = bundle.spec.hooks()
    {
        let state = hook_state(&container.record, "stopped", 0);
        hooks::run_logged(listed.poststop().as_ref(), &state);
    }
    Ok(())
}

/// Ends what is left of a container's processes and takes away its cgroup.
pub(crate) fn clear(container: &Container) -> Result<()> {
    if let Some(group) = container.cgroup() {
        // What outlived init in a shared pid namespace goes with the container.
        if group.processes().is_ok_and(|left| !left.is_empty()) {
            kill_all(container, libc::SIGKILL)?;
        }
        group
            .remove(PATIENCE)
            .map_err(Error::system("remove the container's cgroup"))?;
    }
    Ok(())
}
