//! Time zones of the host.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

const ZONES: &str = "/usr/share/zoneinfo";

/// The file of a zone: `local` is the host's own, no zone is no file.
///
/// # Errors
/// A name that is none, or leads out of the zones.
pub(super) fn find(zone: Option<&str>) -> Result<Option<PathBuf>> {
    let Some(zone) = zone.filter(|zone| !zone.is_empty()) else {
        return Ok(None);
    };
    let unknown = || Error::invalid(format!("finding timezone: unknown time zone {zone}"));
    if zone == "local" {
        // Where the host has none it is UTC, as in a container.
        return Ok(std::fs::canonicalize("/etc/localtime").ok());
    }
    let name = Path::new(zone);
    let plain = name
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let path = Path::new(ZONES).join(name);
    if !plain || !path.is_file() {
        return Err(unknown());
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_stay_among_the_zones() {
        for zone in ["../../../etc/passwd", "/etc/passwd", "No/Where", "."] {
            assert!(find(Some(zone)).is_err(), "{zone}");
        }
        assert_eq!(find(None).unwrap(), None);
        if Path::new(ZONES).join("UTC").exists() {
            assert!(find(Some("UTC")).unwrap().is_some());
        }
    }
}
