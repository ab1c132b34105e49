//! Ids of a normal user's namespace, of which those of his containers' own namespaces are made.
//!
//! Everything here counts in intermediate ids: those of the namespace that the engine is in,
//! where 0 is the user and what follows are his subordinate ids.

use std::fs;

use minke_runtime_spec::host::IdMapping;
use minke_runtime_spec::option::idmap::IdRange;

use super::users::Mappings;
use crate::error::{Error, Result};

/// A mapping of the kernel's: the first id here, the first outside, how many.
type Line = (u32, u32, u32);

/// What the engine's own namespace maps.
pub(super) struct Intermediate {
    users: Vec<Line>,
    groups: Vec<Line>,
}

/// What `keep-id` may say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeepId {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u32>,
}

impl Intermediate {
    /// Of this process.
    pub(super) fn own() -> Result<Self> {
        let read = |path: &str| -> Result<Vec<Line>> {
            let text = fs::read_to_string(path).map_err(Error::path("read", path))?;
            Ok(lines(&text))
        };
        Ok(Self {
            users: read("/proc/self/uid_map")?,
            groups: read("/proc/self/gid_map")?,
        })
    }

    /// How many subordinate users and groups there are.
    pub(super) fn subordinate(&self) -> (u32, u32) {
        let count = |lines: &[Line]| {
            let all = lines
                .iter()
                .fold(0u32, |sum, line| sum.saturating_add(line.2));
            all.saturating_sub(1)
        };
        (count(&self.users), count(&self.groups))
    }

    /// The user, outside `own`, keeps these ids inside, or has those that are asked for; the
    /// others get the subordinate ids in order, as Podman deals them.
    pub(super) fn keep(&self, own: (u32, u32), asked: KeepId) -> (Mappings, (u32, u32)) {
        let (users, groups) = self.subordinate();
        let limit = |count: u32| asked.size.map_or(count, |size| count.min(size));
        let inside = (asked.uid.unwrap_or(own.0), asked.gid.unwrap_or(own.1));
        let mappings = (
            around(inside.0, limit(users)),
            around(inside.1, limit(groups)),
        );
        (mappings, inside)
    }

    /// All but the user.
    pub(super) fn without_user(&self) -> Mappings {
        let (users, groups) = self.subordinate();
        let all = |size| {
            vec![IdMapping {
                container_id: 0,
                host_id: 1,
                size,
            }]
        };
        (all(users), all(groups))
    }

    /// `ranges` of users with the host's ids that they name (`@`) as they are here.
    pub(super) fn users(&self, ranges: &[IdRange]) -> Result<Vec<IdRange>> {
        ranges
            .iter()
            .map(|range| here(&self.users, range))
            .collect()
    }

    /// As [`Intermediate::users`], of groups.
    pub(super) fn groups(&self, ranges: &[IdRange]) -> Result<Vec<IdRange>> {
        ranges
            .iter()
            .map(|range| here(&self.groups, range))
            .collect()
    }

    /// The same mappings in ranges that lie within one range of the engine's own namespace each,
    /// as the kernel wants them.
    pub(super) fn split(&self, users: &[IdMapping], groups: &[IdMapping]) -> Mappings {
        (split(&self.users, users), split(&self.groups, groups))
    }

    /// Everybody to himself: what `+` adds to.
    pub(super) fn everybody(&self) -> (u32, u32) {
        let (users, groups) = self.subordinate();
        (users.saturating_add(1), groups.saturating_add(1))
    }
}

fn lines(text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        Some((next()?, next()?, next()?))
    };
    text.lines().filter_map(line).collect()
}

fn around(id: u32, count: u32) -> Vec<IdMapping> {
    let mapping = |container_id, host_id, size| IdMapping {
        container_id,
        host_id,
        size,
    };
    let mut all = Vec::new();
    let below = id.min(count);
    if below > 0 {
        all.push(mapping(0, 1, below));
    }
    all.push(mapping(id, 0, 1));
    if count > id {
        all.push(mapping(id + 1, id + 1, count - id));
    }
    all
}

fn split(lines: &[Line], mappings: &[IdMapping]) -> Vec<IdMapping> {
    let mut all = Vec::new();
    for map in mappings {
        let mut rest = *map;
        while rest.size > 0 {
            let room = lines.iter().find_map(|&(first, _, size)| {
                let offset = rest.host_id.checked_sub(first)?;
                size.checked_sub(offset).filter(|&room| room > 0)
            });
            // What is not ours is left whole, for the kernel to refuse.
            let size = room.unwrap_or(rest.size).min(rest.size);
            all.push(IdMapping { size, ..rest });
            rest = IdMapping {
                container_id: rest.container_id.saturating_add(size),
                host_id: rest.host_id.saturating_add(size),
                size: rest.size - size,
            };
        }
    }
    all
}

fn here(lines: &[Line], range: &IdRange) -> Result<IdRange> {
    if !range.absolute {
        return Ok(*range);
    }
    let found = lines.iter().find_map(|&(inside, outside, size)| {
        let offset = range.host.checked_sub(outside)?;
        let end = offset.checked_add(range.size)?;
        (end <= size).then(|| inside + offset)
    });
    let host = found.ok_or_else(|| {
        Error::invalid(format!(
            "the host's ids from {} on, {} of them, are not all yours: see /etc/subuid and /etc/subgid",
            range.host, range.size
        ))
    })?;
    Ok(IdRange {
        host,
        absolute: false,
        ..*range
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Intermediate {
        let text = "         0       1000          1\n         1     200000      65536\n";
        Intermediate {
            users: lines(text),
            groups: lines(text),
        }
    }

    fn triples(mappings: &[IdMapping]) -> Vec<(u32, u32, u32)> {
        let triple = |map: &IdMapping| (map.container_id, map.host_id, map.size);
        mappings.iter().map(triple).collect()
    }

    #[test]
    fn the_user_keeps_his_id_as_with_podman() {
        let ((users, groups), inside) = own().keep((1000, 100), KeepId::default());
        assert_eq!(
            triples(&users),
            [(0, 1, 1000), (1000, 0, 1), (1001, 1001, 64536)]
        );
        assert_eq!(
            triples(&groups),
            [(0, 1, 100), (100, 0, 1), (101, 101, 65436)]
        );
        assert_eq!(inside, (1000, 100));
        let asked = KeepId {
            uid: Some(0),
            gid: Some(70_000),
            size: Some(10),
        };
        let ((users, groups), inside) = own().keep((1000, 100), asked);
        assert_eq!(triples(&users), [(0, 0, 1), (1, 1, 10)]);
        assert_eq!(triples(&groups), [(0, 1, 10), (70_000, 0, 1)]);
        assert_eq!(inside, (0, 70_000));
    }

    #[test]
    fn ranges_are_split_where_the_namespace_is() {
        let whole = [IdMapping {
            container_id: 5,
            host_id: 0,
            size: 3000,
        }];
        let (users, _) = own().split(&whole, &[]);
        assert_eq!(triples(&users), [(5, 0, 1), (6, 1, 2999)]);
        let (users, _) = own().split(&users, &[]);
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn ids_of_the_host_are_found_here() {
        let range = |host, size, absolute| IdRange {
            container: 0,
            host,
            size,
            extends: false,
            absolute,
        };
        for (given, expected) in [
            (range(5, 1, false), Some(5)),
            (range(1000, 1, true), Some(0)),
            (range(200_010, 20, true), Some(11)),
            (range(200_010, 65_536, true), None),
            (range(1, 1, true), None),
        ] {
            let found = here(&own().users, &given).ok().map(|range| range.host);
            assert_eq!(found, expected, "{given:?}");
        }
    }
}
