//! Which ids a container's user namespace has, decided once when it is created.

use std::fs;
use std::path::Path;

use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::container::{AutoIds, IdMappings, UserMode};
use minke_runtime_spec::host::IdMapping;
use minke_runtime_spec::option::idmap::IdRange;
use minke_runtime_spec::user::MAX_FILE_BYTES;
use minke_sys::idmap::{IdMap, Range};
use minke_sys::lock::{Lock, LockKind};
use minke_sys::rooted::Root;

use super::intermediate::{Intermediate, KeepId};
use crate::Engine;
use crate::error::{Error, Result};
use crate::image::lookup::Found;
use crate::rootless::host_ids;

/// Mappings of users and groups.
pub(crate) type Mappings = (Vec<IdMapping>, Vec<IdMapping>);

/// Whose ranges automatic namespaces are cut from (containers/storage's name).
const AUTO_USER: &str = "containers";

/// An automatic namespace has at least so many ids, and at most (containers/storage's numbers).
const AUTO_MIN: u32 = 1024;
const AUTO_MAX: u32 = 65536;

impl Engine {
    /// The mappings of a container's own user namespace; none where it has none. A mapping
    /// that is given by itself asks for one.
    pub(crate) fn decide_ids(
        &self,
        spec: &mut ContainerSpec,
        image: Option<&Found>,
    ) -> Result<Mappings> {
        let asked = spec.namespaces.mappings.clone();
        if spec.namespaces.user == UserMode::Host && asked != IdMappings::default() {
            spec.namespaces.user = UserMode::Private;
        }
        let decided = match &spec.namespaces.user {
            UserMode::Host | UserMode::Path(_) => return Ok(Mappings::default()),
            UserMode::Container(name) => {
                let other = self.find(name)?;
                return Ok((other.config.uid_mappings, other.config.gid_mappings));
            }
            UserMode::KeepId { .. } if !self.places.rootless => {
                return Err(only_rootless("keep-id"));
            }
            UserMode::NoMap if !self.places.rootless => return Err(only_rootless("nomap")),
            &UserMode::KeepId { uid, gid, size } => {
                let own = host_ids(&self.options.surroundings);
                let asked = KeepId { uid, gid, size };
                let (mappings, inside) = Intermediate::own()?.keep(own, asked);
                // Whatever the image says: the user is who it runs as.
                spec.user
                    .get_or_insert_with(|| format!("{}:{}", inside.0, inside.1));
                mappings
            }
            UserMode::NoMap => Intermediate::own()?.without_user(),
            UserMode::Auto(ids) => self.pick(ids, spec, image)?,
            UserMode::Private => self.private(&asked)?,
        };
        if decided.0.is_empty() || decided.1.is_empty() {
            return Err(Error::invalid(
                "must provide at least one UID or GID mapping to configure a user namespace",
            ));
        }
        Ok(decided)
    }

    /// Held from the choice of ids until they are on record: two containers get the same
    /// otherwise. Nothing to hold where none are chosen.
    pub(crate) fn lock_ids(&self, spec: &ContainerSpec) -> Result<Option<Lock>> {
        if !matches!(spec.namespaces.user, UserMode::Auto(_)) {
            return Ok(None);
        }
        let path = self.runtime_dir("locks")?.join("user-namespaces");
        let lock = Lock::open(&path, LockKind::Exclusive).map_err(Error::path("lock", path))?;
        Ok(Some(lock))
    }

    /// Ids nobody else has, of the ranges that are set apart for this.
    fn pick(&self, ids: &AutoIds, spec: &ContainerSpec, image: Option<&Found>) -> Result<Mappings> {
        let size = match ids.size {
            Some(size) => size,
            None => self.ids_named(spec, image)?.clamp(AUTO_MIN, AUTO_MAX),
        };
        let taken = self.database()?.list(|_| Some(()))?;
        let of_users = taken
            .iter()
            .flat_map(|(other, ())| &other.config.uid_mappings);
        let of_groups = taken
            .iter()
            .flat_map(|(other, ())| &other.config.gid_mappings);
        if self.places.rootless {
            let own = Intermediate::own()?;
            let (users, groups) = own.subordinate();
            let users = free(&[(1, users)], of_users, size)
                .ok_or_else(|| none_free(size, "your subordinate users"))?;
            let groups = free(&[(1, groups)], of_groups, size)
                .ok_or_else(|| none_free(size, "your subordinate groups"))?;
            return Ok((
                overlay(users, &own.users(&ids.users)?),
                overlay(groups, &own.groups(&ids.groups)?),
            ));
        }
        let cut = |file: &str, taken: &mut dyn Iterator<Item = &IdMapping>| {
            free(&subordinate(file, AUTO_USER)?, taken, size).ok_or_else(|| {
                let whose = format!("those that {file} gives to the user {AUTO_USER:?}");
                none_free(size, &whose)
            })
        };
        let users = cut("/etc/subuid", &mut of_users.into_iter())?;
        let groups = cut("/etc/subgid", &mut of_groups.into_iter())?;
        Ok((overlay(users, &ids.users), overlay(groups, &ids.groups)))
    }

    /// The mappings that are given by themselves.
    fn private(&self, asked: &IdMappings) -> Result<Mappings> {
        let names = (asked.subuid_name.as_deref(), asked.subgid_name.as_deref());
        if !self.places.rootless {
            return Ok((
                private("/etc/subuid", &asked.users, names.0, u32::MAX)?,
                private("/etc/subgid", &asked.groups, names.1, u32::MAX)?,
            ));
        }
        let own = Intermediate::own()?;
        let (users, groups) = own.everybody();
        let mut all = (
            private("/etc/subuid", &own.users(&asked.users)?, names.0, users)?,
            private("/etc/subgid", &own.groups(&asked.groups)?, names.1, groups)?,
        );
        // What the files of subordinate ids say is the host's.
        if names.0.is_some() {
            all.0 = from_host(&all.0, |ranges| own.users(ranges))?;
        }
        if names.1.is_some() {
            all.1 = from_host(&all.1, |ranges| own.groups(ranges))?;
        }
        Ok(all)
    }

    /// One more than the highest id in the image's files of users, and than the user asked for.
    fn ids_named(&self, spec: &ContainerSpec, image: Option<&Found>) -> Result<u32> {
        let mut highest = 0;
        let asked = spec.user.as_deref().unwrap_or_default();
        for part in asked.split(':') {
            highest = highest.max(part.parse().unwrap_or(0));
        }
        let stack = match (
            &spec.rootfs,
            image.and_then(|image| image.record.top_layer.as_ref()),
        ) {
            (Some(rootfs), _) => vec![rootfs.path.clone()],
            (None, Some(layer)) => self.store()?.layer_stack(layer)?,
            (None, None) => Vec::new(),
        };
        for path in ["etc/passwd", "etc/group"] {
            let file = stack.iter().find_map(|dir| {
                let root = Root::open_dir(dir).ok()?;
                root.read(Path::new(path), MAX_FILE_BYTES as u64).ok()
            });
            highest = highest.max(highest_id(&file.unwrap_or_default()));
        }
        Ok(highest.saturating_add(1))
    }
}

/// `nobody` and what is above it need not be mapped.
fn highest_id(file: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(file);
    let ids = text
        .lines()
        .filter_map(|line| line.split(':').nth(2)?.parse::<u32>().ok());
    ids.filter(|&id| id < 65534).max().unwrap_or(0)
}

fn none_free(size: u32, whose: &str) -> Error {
    Error::invalid(format!(
        "creating container storage: could not find enough available IDs: {size} are wanted of {whose}"
    ))
}

fn from_host(
    mappings: &[IdMapping],
    here: impl Fn(&[IdRange]) -> Result<Vec<IdRange>>,
) -> Result<Vec<IdMapping>> {
    let ranges: Vec<IdRange> = mappings
        .iter()
        .map(|map| IdRange {
            container: map.container_id,
            host: map.host_id,
            size: map.size,
            extends: false,
            absolute: true,
        })
        .collect();
    Ok(here(&ranges)?.iter().map(mapping).collect())
}

fn only_rootless(mode: &str) -> Error {
    Error::invalid(format!("{mode} is only supported in rootless mode"))
}

/// The mapping of `ranges`, or of what `file` grants to `name`. There are `everybody` ids.
fn private(
    file: &str,
    ranges: &[IdRange],
    name: Option<&str>,
    everybody: u32,
) -> Result<Vec<IdMapping>> {
    if let Some(name) = name {
        if !ranges.is_empty() {
            return Err(Error::invalid(
                "--uidmap and --gidmap cannot be given with --subuidname and --subgidname",
            ));
        }
        let mut next = 0;
        let mut all = Vec::new();
        for (host_id, size) in subordinate(file, name)? {
            all.push(IdMapping {
                container_id: next,
                host_id,
                size,
            });
            next += size;
        }
        if all.is_empty() {
            return Err(Error::invalid(format!(
                "no subuid ranges found for user {name:?} in {file}"
            )));
        }
        return Ok(all);
    }
    let (extending, plain): (Vec<IdRange>, Vec<IdRange>) =
        ranges.iter().partition(|range| range.extends);
    let mut base: Vec<IdMapping> = plain.iter().map(mapping).collect();
    if base.is_empty() && !extending.is_empty() {
        // The default mapping is everybody to himself.
        base.push(IdMapping {
            container_id: 0,
            host_id: 0,
            size: everybody,
        });
    }
    check(overlay(base, &extending))
}

fn mapping(range: &IdRange) -> IdMapping {
    IdMapping {
        container_id: range.container,
        host_id: range.host,
        size: range.size,
    }
}

/// Ranges that overlap on either side are no mapping.
fn check(mut mappings: Vec<IdMapping>) -> Result<Vec<IdMapping>> {
    mappings.sort_by_key(|map| map.container_id);
    let inside = mappings
        .windows(2)
        .any(|two| two[0].container_id + two[0].size > two[1].container_id);
    let mut by_host = mappings.clone();
    by_host.sort_by_key(|map| map.host_id);
    let outside = by_host
        .windows(2)
        .any(|two| two[0].host_id + two[0].size > two[1].host_id);
    if inside || outside {
        return Err(Error::invalid("the ranges of an id mapping overlap"));
    }
    Ok(mappings)
}

/// `base` with what `ranges` say of their ids, inside and outside, in place of what it says.
fn overlay(base: Vec<IdMapping>, ranges: &[IdRange]) -> Vec<IdMapping> {
    let mut all = base;
    for range in ranges {
        let mut kept = Vec::new();
        for map in all {
            let cut_inside = cut(map, map.container_id, range.container, range.size);
            for part in cut_inside {
                kept.extend(cut(part, part.host_id, range.host, range.size));
            }
        }
        kept.push(mapping(range));
        all = kept;
    }
    all.sort_by_key(|map| map.container_id);
    all
}

/// What is left of `map` without the ids from `first` on, where its own begin with `start`.
fn cut(map: IdMapping, start: u32, first: u32, size: u32) -> Vec<IdMapping> {
    let (start, end) = (u64::from(start), u64::from(start) + u64::from(map.size));
    let (first, last) = (u64::from(first), u64::from(first) + u64::from(size));
    let part = |from: u64, to: u64| {
        let offset = u32::try_from(from - start).ok()?;
        let size = u32::try_from(to.checked_sub(from)?).ok()?;
        (size > 0).then(|| IdMapping {
            container_id: map.container_id + offset,
            host_id: map.host_id + offset,
            size,
        })
    };
    let before = part(start, end.min(first).max(start));
    let after = part(start.max(last).min(end), end);
    before.into_iter().chain(after).collect()
}

/// The ranges of a user in /etc/subuid or /etc/subgid.
fn subordinate(file: &str, name: &str) -> Result<Vec<(u32, u32)>> {
    let text = fs::read_to_string(file).map_err(Error::path("read", file))?;
    let range = |line: &str| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        match fields[..] {
            [owner, first, size] if owner == name => {
                Some((first.parse().ok()?, size.parse().ok()?))
            }
            _ => None,
        }
    };
    Ok(text.lines().filter_map(range).collect())
}

/// The first gap of `size` ids that `taken` leaves in the ranges `apart`: the first id of each,
/// and how many.
fn free<'a>(
    apart: &[(u32, u32)],
    taken: impl Iterator<Item = &'a IdMapping>,
    size: u32,
) -> Option<Vec<IdMapping>> {
    let mut taken: Vec<(u64, u64)> = taken
        .map(|map| {
            (
                u64::from(map.host_id),
                u64::from(map.host_id) + u64::from(map.size),
            )
        })
        .collect();
    taken.sort_unstable();
    for &(first, length) in apart {
        let end = u64::from(first) + u64::from(length);
        let mut start = u64::from(first);
        for &(from, to) in &taken {
            if start + u64::from(size) <= from {
                break;
            }
            if to > start {
                start = to;
            }
        }
        if start + u64::from(size) <= end
            && let Ok(host_id) = u32::try_from(start)
        {
            return Some(vec![IdMapping {
                container_id: 0,
                host_id,
                size,
            }]);
        }
    }
    None
}

/// As the store takes it; none where nothing is mapped.
pub(crate) fn id_map(users: &[IdMapping], groups: &[IdMapping]) -> Option<IdMap> {
    let ranges = |mappings: &[IdMapping]| {
        let ranges = mappings.iter().map(|map| Range {
            inside: map.container_id,
            outside: map.host_id,
            size: map.size,
        });
        ranges.collect()
    };
    (!users.is_empty()).then(|| IdMap {
        users: ranges(users),
        groups: ranges(groups),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(container_id: u32, host_id: u32, size: u32) -> IdMapping {
        IdMapping {
            container_id,
            host_id,
            size,
        }
    }

    fn range(container: u32, host: u32, size: u32) -> IdRange {
        IdRange {
            container,
            host,
            size,
            extends: true,
            absolute: false,
        }
    }

    #[test]
    fn a_range_takes_the_place_of_what_the_mapping_says() {
        let base = vec![map(0, 100_000, 1000)];
        assert_eq!(
            overlay(base, &[range(10, 5, 1)]),
            [map(0, 100_000, 10), map(10, 5, 1), map(11, 100_011, 989)]
        );
        let all = vec![map(0, 0, u32::MAX)];
        assert_eq!(
            overlay(all, &[range(0, 7, 1)])[..2],
            [map(0, 7, 1), map(1, 1, 6)]
        );
    }

    #[test]
    fn overlapping_ranges_are_no_mapping() {
        assert!(check(vec![map(0, 0, 10), map(5, 100, 1)]).is_err());
        assert!(check(vec![map(0, 0, 10), map(10, 9, 1)]).is_err());
        assert!(check(vec![map(0, 1, 10), map(10, 11, 1)]).is_ok());
    }

    #[test]
    fn the_highest_id_is_read() {
        let file = b"root:x:0:0:\nx:x:4000:1:\nnobody:x:65534:1:\nbad\n";
        assert_eq!(highest_id(file), 4000);
    }
}
