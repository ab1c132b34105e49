//! Whose namespaces a container has.

use std::path::PathBuf;

use minke_runtime_spec::container::{NamespaceMode, NetworkMode, UserMode};

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
        ("shareable", _) if kind == "ipc" => NamespaceMode::Private,
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

/// Reads all of `--network`.
///
/// # Errors
/// If a mode is not supported, or several exclude each other.
pub fn network(texts: &[String]) -> Result<NetworkMode> {
    let mut networks = Vec::new();
    for text in texts {
        match single(text)? {
            NetworkMode::Bridge(names) => networks.extend(names),
            mode if texts.len() == 1 => return Ok(mode),
            _ => {
                return Err(Error::refused(format!(
                    "cannot set multiple networks without bridge network mode, selected mode {text}: invalid argument"
                )));
            }
        }
    }
    if texts.is_empty() {
        return Ok(NetworkMode::Default);
    }
    Ok(NetworkMode::Bridge(networks))
}

fn single(text: &str) -> Result<NetworkMode> {
    let (word, rest) = match text.split_once(':') {
        Some((word, rest)) => (word, Some(rest)),
        None => (text, None),
    };
    Ok(match (word, rest) {
        ("" | "default" | "private", None) => NetworkMode::Default,
        ("none", None) => NetworkMode::None,
        ("host", None) => NetworkMode::Host,
        ("bridge", None) => NetworkMode::Bridge(Vec::new()),
        ("container", Some(name)) if !name.is_empty() => NetworkMode::Container(name.to_owned()),
        ("ns", Some(path)) if !path.is_empty() => NetworkMode::Path(PathBuf::from(path)),
        ("pasta", options) => {
            let options = options.unwrap_or_default().split(',');
            let options = options.filter(|option| !option.is_empty());
            NetworkMode::Pasta(options.map(str::to_owned).collect())
        }
        ("slirp4netns", _) | (_, Some(_)) => {
            return Err(Error::refused(format!(
                "network mode {text:?} is not supported"
            )));
        }
        (name, None) => NetworkMode::Bridge(vec![name.to_owned()]),
    })
}

/// Reads `--userns`.
///
/// # Errors
/// For every mode but the host's.
pub fn user(text: Option<&str>) -> Result<UserMode> {
    match text {
        None | Some("" | "host") => Ok(UserMode::Host),
        Some(text) => Err(Error::refused(format!(
            "--userns={text} is not supported: only `host` is"
        ))),
    }
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
            ("slirp4netns", None),
            ("container:", None),
            ("bridge:ip=1.2.3.4", None),
        ] {
            let texts: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(network(&texts).ok(), expected, "{line}");
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
    fn only_the_hosts_users_are_supported() {
        assert!(user(Some("host")).is_ok());
        let refusal = user(Some("auto")).unwrap_err().to_string();
        assert!(refusal.contains("not supported"), "{refusal}");
    }
}
