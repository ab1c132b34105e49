//! `--device HOST[:CONTAINER][:rwm]`.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A device of the host, for a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its path on the host.
    pub source: String,
    /// Its path in the container.
    pub destination: String,
    /// Out of `r`, `w` and `m`.
    pub permissions: String,
}

/// Parses the option.
///
/// # Errors
/// [`Error::Syntax`].
pub fn parse(text: &str) -> Result<Device> {
    let refuse = |message: String| Error::syntax("--device", message);
    let bad_mode = |mode: &str| refuse(format!("invalid device mode {mode:?} in device {text:?}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, permissions) = match parts[..] {
        [source] => (source, "", "rwm"),
        [source, mode] if is_mode(mode) => (source, "", mode),
        [source, path] => (source, path, "rwm"),
        [_, _, ""] => {
            return Err(refuse(format!(
                "empty device mode in device specification: {text}"
            )));
        }
        [source, path, mode] if is_mode(mode) => (source, path, mode),
        [_, _, mode] => return Err(bad_mode(mode)),
        _ => return Err(refuse(format!("invalid device specification: {text}"))),
    };
    if !destination.is_empty() && !destination.starts_with('/') {
        return Err(bad_mode(destination));
    }
    if source.is_empty() {
        return Err(refuse(format!("invalid device specification: {text}")));
    }
    let destination = if destination.is_empty() {
        source
    } else {
        destination
    };
    Ok(Device {
        source: source.to_owned(),
        destination: destination.to_owned(),
        permissions: permissions.to_owned(),
    })
}

fn is_mode(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| "rwm".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        for (text, expected) in [
            ("/dev/fuse", Some(("/dev/fuse", "/dev/fuse", "rwm"))),
            ("/dev/sda:r", Some(("/dev/sda", "/dev/sda", "r"))),
            ("/dev/sda:/dev/xvda", Some(("/dev/sda", "/dev/xvda", "rwm"))),
            (
                "/dev/sda:/dev/xvda:rw",
                Some(("/dev/sda", "/dev/xvda", "rw")),
            ),
            ("/dev/sda:x", None),
            ("/dev/sda:/x:", None),
            ("/dev/sda:/x:q", None),
            ("a:b:c:d", None),
            ("", None),
        ] {
            let read = parse(text).ok();
            let read = read
                .as_ref()
                .map(|d| (&*d.source, &*d.destination, &*d.permissions));
            assert_eq!(read, expected, "{text}");
        }
    }
}
