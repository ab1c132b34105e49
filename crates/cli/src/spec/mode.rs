//! Whose namespaces a container has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use minke_runtime_spec::container::{
    Attachment, AutoIds, IdMappings, NamespaceMode, NetworkMode, UserMode,
};
use minke_runtime_spec::option;

use super::flags::PlaceFlags;

use crate::error::{Error, Result};

/// Reads `--pid`, `--ipc`, `--uts` or `--cgroupns`; nothing for no text.
///
/// # Errors
/// If there is no such mode.
pub fn namespace(kind: &str, text: Option<&str>) -> Result<Option<NamespaceMode>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let mode = match (text, text.split_once(':')) {
        ("private", _) => NamespaceMode::Private,
        ("none" | "shareable", _) if kind == "ipc" => NamespaceMode::Private,
        ("host", _) => NamespaceMode::Host,
        (_, Some(("container", name))) if !name.is_empty() => {
            NamespaceMode::Container(name.to_owned())
        }
        (_, Some(("ns", path))) if !path.is_empty() => NamespaceMode::Path(PathBuf::from(path)),
        _ => {
            return Err(Error::refused(format!(
                "unrecognized or unsupported {kind} namespace mode {text:?}: invalid argument"
            )));
        }
    };
    Ok(Some(mode))
}

/// Reads all of `--network`: the mode, and what is asked of each network by its name.
///
/// # Errors
/// If a mode is not supported, or several exclude each other.
pub fn network(texts: &[String]) -> Result<(NetworkMode, BTreeMap<String, Attachment>)> {
    let mut networks = Vec::new();
    let mut attachments = BTreeMap::new();
    for text in texts {
        let (mode, asked) = single(text)?;
        match mode {
            NetworkMode::Bridge(names) => {
                let name = names.first().cloned().unwrap_or_default();
                if asked != Attachment::default() {
                    attachments.insert(
                        if name.is_empty() {
                            DEFAULT.into()
                        } else {
                            name
                        },
                        asked,
                    );
                }
                networks.extend(names);
            }
            mode if texts.len() == 1 => return Ok((mode, attachments)),
            _ => {
                return Err(Error::refused(format!(
                    "cannot set multiple networks without bridge network mode, selected mode {text}: invalid argument"
                )));
            }
        }
    }
    if texts.is_empty() {
        return Ok((NetworkMode::Default, attachments));
    }
    Ok((NetworkMode::Bridge(networks), attachments))
}

/// The network that `bridge` means.
const DEFAULT: &str = "podman";

fn single(text: &str) -> Result<(NetworkMode, Attachment)> {
    let (word, rest) = match text.split_once(':') {
        Some((word, rest)) => (word, Some(rest)),
        None => (text, None),
    };
    let mode = match (word, rest) {
        ("" | "default" | "private", None) => NetworkMode::Default,
        ("none", None) => NetworkMode::None,
        ("host", None) => NetworkMode::Host,
        ("bridge", _) => NetworkMode::Bridge(Vec::new()),
        ("container", Some(name)) if !name.is_empty() => NetworkMode::Container(name.to_owned()),
        ("ns", Some(path)) if !path.is_empty() => NetworkMode::Path(PathBuf::from(path)),
        ("pasta", options) => NetworkMode::Pasta(between_commas(options)),
        ("slirp4netns", options) => NetworkMode::Slirp4netns(between_commas(options)),
        ("none" | "host" | "container" | "ns" | "", _) => {
            return Err(Error::refused(format!(
                "network mode {text:?} is not supported"
            )));
        }
        (name, _) => NetworkMode::Bridge(vec![name.to_owned()]),
    };
    let asked = match (&mode, rest) {
        (NetworkMode::Bridge(_), Some(words)) => super::files::attachment(words)?,
        _ => Attachment::default(),
    };
    Ok((mode, asked))
}

fn between_commas(options: Option<&str>) -> Vec<String> {
    let options = options.unwrap_or_default().split(',');
    let options = options.filter(|option| !option.is_empty());
    options.map(str::to_owned).collect()
}

/// Reads `--userns`.
///
/// # Errors
/// If there is no such mode.
pub fn user(text: Option<&str>) -> Result<UserMode> {
    let text = text.unwrap_or_default();
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    Ok(match (word, rest) {
        ("" | "host", "") => UserMode::Host,
        ("private", "") => UserMode::Private,
        ("nomap", "") => UserMode::NoMap,
        ("auto", words) => UserMode::Auto(auto(words)?),
        ("keep-id", words) => keep_id(words)?,
        ("container", name) if !name.is_empty() => UserMode::Container(name.to_owned()),
        ("ns", path) if !path.is_empty() => UserMode::Path(PathBuf::from(path)),
        _ => {
            return Err(Error::refused(format!(
                "unrecognized user namespace mode {text:?}: invalid argument"
            )));
        }
    })
}

fn auto(words: &str) -> Result<AutoIds> {
    let mut ids = AutoIds::default();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some(("size", number)) => ids.size = Some(id(word, number)?),
            Some(("uidmapping", range)) => ids.users.extend(option::idmap::parse(range, 'u')?),
            Some(("gidmapping", range)) => ids.groups.extend(option::idmap::parse(range, 'g')?),
            _ => return Err(unknown(word)),
        }
    }
    Ok(ids)
}

fn keep_id(words: &str) -> Result<UserMode> {
    let (mut uid, mut gid, mut size) = (None, None, None);
    for word in words.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some(("uid", number)) => uid = Some(id(word, number)?),
            Some(("gid", number)) => gid = Some(id(word, number)?),
            Some(("size", number)) => size = Some(id(word, number)?),
            _ => return Err(unknown(word)),
        }
    }
    Ok(UserMode::KeepId { uid, gid, size })
}

fn id(word: &str, number: &str) -> Result<u32> {
    let read = number.parse::<u32>();
    read.map_err(|_| Error::refused(format!("invalid user namespace option {word:?}")))
}

fn unknown(word: &str) -> Error {
    Error::refused(format!("unknown option specified: {word:?}"))
}

/// Reads `--uidmap` and its kin. Where only one of users and groups is given it is both.
pub fn mappings(flags: &PlaceFlags) -> Result<IdMappings> {
    let read = |texts: &[String], kind| -> Result<Vec<_>> {
        let ranges = texts.iter().map(|text| option::idmap::parse(text, kind));
        let ranges = ranges.collect::<minke_runtime_spec::Result<Vec<_>>>()?;
        Ok(ranges.into_iter().flatten().collect())
    };
    let (users, groups) = match (flags.uidmap.is_empty(), flags.gidmap.is_empty()) {
        (false, true) => (read(&flags.uidmap, 'u')?, read(&flags.uidmap, 'g')?),
        (true, false) => (read(&flags.gidmap, 'u')?, read(&flags.gidmap, 'g')?),
        _ => (read(&flags.uidmap, 'u')?, read(&flags.gidmap, 'g')?),
    };
    let (subuid, subgid) = (&flags.subuidname, &flags.subgidname);
    Ok(IdMappings {
        users,
        groups,
        subuid_name: subuid.clone().or_else(|| subgid.clone()),
        subgid_name: subgid.clone().or_else(|| subuid.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read() {
        let bridge =
            |names: &[&str]| NetworkMode::Bridge(names.iter().map(|&n| n.to_owned()).collect());
        for (line, expected) in [
            ("", Some(NetworkMode::Default)),
            ("none", Some(NetworkMode::None)),
            ("host", Some(NetworkMode::Host)),
            ("bridge", Some(bridge(&[]))),
            ("one two", Some(bridge(&["one", "two"]))),
            ("container:web", Some(NetworkMode::Container("web".into()))),
            (
                "ns:/run/netns/x",
                Some(NetworkMode::Path("/run/netns/x".into())),
            ),
            ("none host", None),
            ("slirp4netns", Some(NetworkMode::Slirp4netns(Vec::new()))),
            ("container:", None),
            ("bridge:ip=1.2.3.4", Some(bridge(&[]))),
            ("bridge:ip=x", None),
        ] {
            let texts: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let read = network(&texts).ok().map(|(mode, _)| mode);
            assert_eq!(read, expected, "{line}");
        }
    }

    #[test]
    fn namespaces_are_read() {
        for (kind, text, expected) in [
            ("pid", "host", Some(NamespaceMode::Host)),
            ("pid", "private", Some(NamespaceMode::Private)),
            ("ipc", "shareable", Some(NamespaceMode::Private)),
            ("pid", "shareable", None),
            ("uts", "ns:/x", Some(NamespaceMode::Path("/x".into()))),
            (
                "pid",
                "container:a",
                Some(NamespaceMode::Container("a".into())),
            ),
            ("pid", "container:", None),
            ("pid", "bogus", None),
        ] {
            let read = namespace(kind, Some(text)).ok().flatten();
            assert_eq!(read, expected, "{kind} {text}");
        }
        assert_eq!(namespace("pid", None).unwrap(), None);
    }

    #[test]
    fn user_namespaces_are_read() {
        for (text, expected) in [
            ("host", Some(UserMode::Host)),
            ("private", Some(UserMode::Private)),
            ("auto", Some(UserMode::Auto(AutoIds::default()))),
            (
                "auto:size=500",
                Some(UserMode::Auto(AutoIds {
                    size: Some(500),
                    ..AutoIds::default()
                })),
            ),
            (
                "keep-id:uid=7,gid=8",
                Some(UserMode::KeepId {
                    uid: Some(7),
                    gid: Some(8),
                    size: None,
                }),
            ),
            ("container:a", Some(UserMode::Container("a".into()))),
            ("auto:size=x", None),
            ("keep-id:bogus=1", None),
            ("bogus", None),
        ] {
            assert_eq!(user(Some(text)).ok(), expected, "{text}");
        }
    }
}
