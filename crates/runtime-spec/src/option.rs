//! The texts of user-facing options, each parsed once, at the edge.

pub mod capability; // --cap-add
pub mod device; // --device
pub mod duration; // Go's durations
pub mod env; // -e
pub mod health; // --health-cmd
pub mod idmap; // --uidmap
pub mod log; // --log-opt
pub mod mount; // --mount
pub mod port; // -p
pub mod rate; // --device-read-bps
pub mod restart; // --restart
pub mod security; // --security-opt
pub mod signal; // --stop-signal
pub mod size; // --memory
pub mod tmpfs; // --tmpfs
pub mod ulimit; // --ulimit
pub mod volume; // -v
pub mod volumes_from; // --volumes-from

use crate::{Error, Result};

/// Takes a path that a mount can have as its target.
fn container_path(path: &str) -> Result<String> {
    if path.starts_with('/') {
        Ok(path.to_owned())
    } else {
        Err(Error::ContainerPathRelative {
            path: path.to_owned(),
        })
    }
}

/// Go's `strconv.ParseBool`; `None` for what it refuses.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
