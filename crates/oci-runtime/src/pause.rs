//! `pause` and `resume`: the freezer.

use crate::error::{Error, Result};
use crate::state::{Container, StateRoot, Status};

/// Freezes every process of the container.
///
/// # Errors
/// [`Error::WrongState`] unless it runs; [`Error::Unsupported`] without a cgroup.
pub fn pause(root: &StateRoot, id: &str) -> Result<()> {
    let (container, _lock) = in_state(root, id, Status::Running)?;
    group(&container)?
        .freeze()
        .map_err(Error::system("freeze the container"))
}

/// Lets them go on.
///
/// # Errors
/// [`Error::WrongState`] unless it is paused.
pub fn resume(root: &StateRoot, id: &str) -> Result<()> {
    let (container, _lock) = in_state(root, id, Status::Paused)?;
    group(&container)?
        .thaw()
        .map_err(Error::system("thaw the container"))
}

fn in_state(
    root: &StateRoot,
    id: &str,
    wanted: Status,
) -> Result<(Container, minke_sys::lock::Lock)> {
    let mut container = root.load(id)?;
    let lock = container.locked(root)?;
    let status = container.status();
    if status != wanted {
        return Err(Error::WrongState {
            id: id.to_owned(),
            state: status.as_str(),
            wanted: wanted.as_str(),
        });
    }
    Ok((container, lock))
}

fn group(container: &Container) -> Result<minke_sys::cgroup::Group> {
    container.cgroup().ok_or_else(|| Error::Unsupported {
        what: "pausing a container without a cgroup".into(),
    })
}
