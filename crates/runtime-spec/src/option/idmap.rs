//! `--uidmap [FLAGS]CONTAINER:HOST[:SIZE]`, and the words after `--userns auto:` and `keep-id:`.

use serde::{Deserialize, Serialize};

use crate::host::IdMapping;
use crate::{Error, Result};

/// A range of ids as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first id in the container.
    pub container: u32,
    /// The first one it is outside.
    pub host: u32,
    /// How many.
    pub size: u32,
    /// `+`: on top of the default mapping, in place of what it says of these ids.
    #[serde(default)]
    pub extends: bool,
    /// `@`: the host's ids are meant, whatever a normal user's namespace makes of them.
    #[serde(default)]
    pub absolute: bool,
}

/// Parses one option for users (`u`) or groups (`g`).
///
/// Gives `None` for a range that is only for the others.
///
/// # Errors
/// [`Error::Syntax`].
pub fn parse(text: &str, kind: char) -> Result<Option<IdRange>> {
    let refuse = || {
        let message =
            format!("could not parse id mapping {text:?}: it is [+|u|g]CONTAINER:[@]HOST[:SIZE]");
        Error::syntax("--uidmap", message)
    };
    let digits = text.find(|c: char| c.is_ascii_digit()).ok_or_else(refuse)?;
    let (flags, rest) = text.split_at(digits);
    if !flags.chars().all(|flag| "+ug".contains(flag)) {
        return Err(refuse());
    }
    let names_kinds = flags.contains(['u', 'g']);
    let parts: Vec<&str> = rest.split(':').collect();
    let (container, host, size) = match parts[..] {
        [container, host] => (container, host, "1"),
        [container, host, size] => (container, host, size),
        _ => return Err(refuse()),
    };
    let (absolute, host) = match host.strip_prefix('@') {
        Some(host) => (true, host),
        None => (false, host),
    };
    let number = |text: &str| text.parse::<u32>().map_err(|_| refuse());
    let range = IdRange {
        container: number(container)?,
        host: number(host)?,
        size: number(size)?,
        extends: flags.contains('+'),
        absolute,
    };
    let fits = |start: u32| start.checked_add(range.size).is_some();
    if range.size == 0 || !fits(range.container) || !fits(range.host) {
        return Err(refuse());
    }
    Ok((!names_kinds || flags.contains(kind)).then_some(range))
}

/// Parses the words after `idmap=` of a mount: `uids=DISK-MOUNT-SIZE#...;gids=...`. Gives the
/// mappings of users and of groups, in which `container_id` is the id on disk.
///
/// # Errors
/// [`Error::Syntax`], which names `option`.
pub fn of_mount(option: &'static str, text: &str) -> Result<(Vec<IdMapping>, Vec<IdMapping>)> {
    let refuse = || {
        let message =
            format!("invalid idmap {text:?}: it is uids=FROM-TO-SIZE#...;gids=FROM-TO-SIZE#...");
        Error::syntax(option, message)
    };
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for list in text.split(';') {
        let (kind, ranges) = list.split_once('=').ok_or_else(refuse)?;
        let target = match kind {
            "uids" => &mut users,
            "gids" => &mut groups,
            _ => return Err(refuse()),
        };
        for range in ranges.split('#') {
            let numbers: Vec<u32> = range.split('-').filter_map(|n| n.parse().ok()).collect();
            let [container_id, host_id, size] = numbers[..] else {
                return Err(refuse());
            };
            target.push(IdMapping {
                container_id,
                host_id,
                size,
            });
        }
    }
    if users.is_empty() || groups.is_empty() {
        return Err(refuse());
    }
    Ok((users, groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, kind, expected) in [
            ("0:1000", 'u', Some(Some((0, 1000, 1)))),
            ("0:100000:65536", 'g', Some(Some((0, 100_000, 65536)))),
            ("u0:5", 'g', Some(None)),
            ("+g7:@8:2", 'g', Some(Some((7, 8, 2)))),
            ("0", 'u', None),
            ("x0:1", 'u', None),
            ("0:1:0", 'u', None),
            ("4294967295:0:2", 'u', None),
            ("0:-1", 'u', None),
        ] {
            let read = parse(text, kind).ok();
            let read =
                read.map(|range| range.map(|range| (range.container, range.host, range.size)));
            assert_eq!(read, expected, "{text}");
        }
    }
}
