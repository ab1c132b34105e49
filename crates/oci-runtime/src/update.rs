//! `update`: other limits for a container that is there.

use oci_spec::runtime::LinuxResources;

use crate::error::{Error, Result};
use crate::resources;
use crate::state::{StateRoot, Status};

/// Gives a container these limits; what they do not name stays. Device rules are passed over, as
/// runc does.
///
/// # Errors
/// [`Error::WrongState`] for one that has ended; [`Error::Unsupported`] without a cgroup; a limit
/// that the kernel refuses, by when those before it hold.
pub fn update(root: &StateRoot, id: &str, limits: &LinuxResources) -> Result<()> {
    let mut container = root.load(id)?;
    let _lock = container.locked(root)?;
    if container.status() == Status::Stopped {
        return Err(Error::WrongState {
            id: id.to_owned(),
            state: Status::Stopped.as_str(),
            wanted: Status::Running.as_str(),
        });
    }
    let group = container.cgroup().ok_or_else(|| Error::Unsupported {
        what: "changing the limits of a container without a cgroup".into(),
    })?;
    resources::apply(&group, limits)
}
