//! `start`: lets a created container run its command.

use crate::config::Bundle;
use crate::create::hook_state;
use crate::error::{Error, Result};
use crate::hooks;
use crate::state::{StateRoot, Status};

/// Starts the container `id`.
///
/// # Errors
/// [`Error::WrongState`] unless it is created and not started.
pub fn start(root: &StateRoot, id: &str) -> Result<()> {
    let mut container = root.load(id)?;
    let lock = container.locked(root)?;
    let status = container.status();
    if status != Status::Created {
        return Err(Error::WrongState {
            id: id.to_owned(),
            state: status.as_str(),
            wanted: "created",
        });
    }
    container.release()?;
    // A hook may take its time, and may call us.
    drop(lock);
    if let Ok(bundle) = Bundle::open(&container.record.bundle)
        && let Some(listed) = bundle.spec.hooks()
    {
        let pid = container.record.init.map_or(0, |init| init.pid);
        let state = hook_state(&container.record, "running", pid);
        hooks::run_logged(listed.poststart().as_ref(), &state);
    }
    Ok(())
}
