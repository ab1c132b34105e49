//! `-v [SOURCE:]TARGET[:OPTIONS]`.

use crate::container::{Mount, MountKind, MountOptions};
use crate::{Error, Result};

/// Parses the option. A source that starts with `/` or `.` is a path, another one a volume's
/// name; none is an anonymous volume.
///
/// # Errors
/// [`Error::ContainerPathRelative`], [`Error::Syntax`].
pub fn parse(text: &str) -> Result<Mount> {
    let refuse = |message: String| Error::syntax("--volume", message);
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, list) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, list] => (Some(source), target, list),
        _ => {
            return Err(refuse(format!(
                "{text}: incorrect volume format, should be [host-dir:]ctr-dir[:option]"
            )));
        }
    };
    if source == Some("") {
        return Err(refuse("host directory cannot be empty".to_owned()));
    }
    if target.is_empty() {
        return Err(refuse("container directory cannot be empty".to_owned()));
    }
    let options = MountOptions::parse(list, false)?;
    if options
        .overlay_dirs
        .as_ref()
        .is_some_and(|(upper, work)| upper.is_empty() || work.is_empty())
    {
        return Err(refuse("must set both `upperdir` and `workdir`".to_owned()));
    }
    let kind = kind(source, &options)?;
    Ok(Mount {
        kind,
        destination: super::container_path(target)?,
        options,
    })
}

fn kind(source: Option<&str>, options: &MountOptions) -> Result<MountKind> {
    let Some(source) = source else {
        return Ok(MountKind::Volume { name: None });
    };
    let is_path = source.starts_with(['/', '.']);
    let source = source.to_owned();
    Ok(match (is_path, options.overlay) {
        (true, true) => MountKind::Overlay { source },
        (true, false) => MountKind::Bind { source },
        (false, _) => {
            check_name(&source)?;
            MountKind::Volume { name: Some(source) }
        }
    })
}

/// A volume's name becomes a directory's: nothing that could leave its parent.
fn check_name(name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest {
        return Ok(());
    }
    let message = format!(
        "running volume create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument: {name:?}"
    );
    Err(Error::syntax("--volume", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &str) -> MountKind {
        MountKind::Bind {
            source: source.into(),
        }
    }

    #[test]
    fn volumes_are_read() {
        let named = |name: &str| MountKind::Volume {
            name: Some(name.into()),
        };
        for (text, kind, target, words) in [
            ("/a:/b", bind("/a"), "/b", "rw,rprivate,rbind"),
            ("/a:/b:ro,z", bind("/a"), "/b", "ro,rprivate,rbind"),
            ("./a:/b", bind("./a"), "/b", "rw,rprivate,rbind"),
            ("data:/b:nocopy", named("data"), "/b", "rw,rprivate,rbind"),
            (
                "/b",
                MountKind::Volume { name: None },
                "/b",
                "rw,rprivate,rbind",
            ),
            (
                "/a:/b:O",
                MountKind::Overlay {
                    source: "/a".into(),
                },
                "/b",
                "rw,rprivate,rbind",
            ),
        ] {
            let mount = parse(text).unwrap();
            assert_eq!(mount.kind, kind, "{text}");
            assert_eq!(mount.destination, target, "{text}");
            assert_eq!(mount.options.to_words(false).join(","), words, "{text}");
        }
    }

    #[test]
    fn wrong_volumes_are_refused() {
        for (text, fragment) in [
            (
                "/a:b",
                "invalid container path \"b\", must be an absolute path",
            ),
            (
                "b",
                "invalid container path \"b\", must be an absolute path",
            ),
            (":/b", "host directory cannot be empty"),
            ("/a:", "container directory cannot be empty"),
            ("/a:/b:ro:x", "incorrect volume format"),
            ("/a:/b:sticky", "unknown mount option \"sticky\""),
            ("a/b:/c", "names must match"),
            ("/a:/b:O,upperdir=/x", "must set both"),
        ] {
            let refusal = parse(text).unwrap_err().to_string();
            assert!(refusal.contains(fragment), "{text}: {refusal}");
        }
    }
}
