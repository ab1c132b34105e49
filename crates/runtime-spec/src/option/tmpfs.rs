//! `--tmpfs PATH[:OPTIONS]`.

use crate::container::{Mount, MountKind, MountOptions};
use crate::{Error, Result};

/// Parses the option. Unless it says otherwise a tmpfs is `rw,nosuid,nodev`.
///
/// # Errors
/// [`Error::ContainerPathRelative`], [`Error::Syntax`].
pub fn parse(text: &str) -> Result<Mount> {
    let (path, list) = text.split_once(':').unwrap_or((text, ""));
    if path.is_empty() {
        return Err(Error::syntax("--tmpfs", "invalid tmpfs: no path"));
    }
    let options = MountOptions::parse(list, true)?;
    Ok(Mount {
        kind: MountKind::Tmpfs,
        destination: super::container_path(path)?,
        options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmpfs_are_read() {
        for (text, expected) in [
            ("/run", Some("rw,nosuid,nodev,rprivate,tmpcopyup")),
            (
                "/run:size=1m,exec",
                Some("rw,exec,nosuid,nodev,rprivate,size=1m,tmpcopyup"),
            ),
            ("run", None),
            ("", None),
            ("/run:rbind", None),
        ] {
            let words = parse(text)
                .ok()
                .map(|mount| mount.options.to_words(true).join(","));
            assert_eq!(words.as_deref(), expected, "{text}");
        }
    }
}
