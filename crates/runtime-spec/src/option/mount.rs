//! `--mount type=TYPE,KEY=VALUE,...`.

use crate::container::{Mount, MountKind, MountOptions, Propagation};
use crate::{Error, Result};

/// Parses the option. Without a type it is a volume.
///
/// # Errors
/// [`Error::ContainerPathRelative`], [`Error::Syntax`].
pub fn parse(text: &str) -> Result<Mount> {
    let mut fields = Fields::default();
    let typed = text
        .split(',')
        .find_map(|field| field.strip_prefix("type="));
    fields.tmpfs = matches!(typed, Some("tmpfs" | "ramfs"));
    for field in text.split(',') {
        fields.take(field)?;
    }
    fields.into_mount(typed.unwrap_or("volume"))
}

#[derive(Default)]
struct Fields {
    tmpfs: bool,
    source: Option<String>,
    target: Option<String>,
    options: MountOptions,
}

impl Fields {
    fn take(&mut self, field: &str) -> Result<()> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        match key {
            "type" => Ok(()),
            "src" | "source" => set(&mut self.source, key, value),
            "target" | "dst" | "destination" => set(&mut self.target, key, value),
            "ro" | "readonly" | "rw" => {
                let on = boolean(key, value)?;
                self.options
                    .add(if (key == "rw") == on { "rw" } else { "ro" }, self.tmpfs)
            }
            "bind-propagation" => self.propagation(value),
            "bind-nonrecursive" => {
                self.options.recursive = Some(!boolean(key, value)?);
                Ok(())
            }
            "tmpfs-size" => self.with("size", value),
            "tmpfs-mode" => self.with("mode", value),
            "relabel" => match value {
                Some("shared") => self.options.add("z", self.tmpfs),
                Some("private") => self.options.add("Z", self.tmpfs),
                _ => Err(refuse(format!(
                    "{field:?}: relabel is `shared` or `private`"
                ))),
            },
            "U" | "chown" => {
                self.options.chown = boolean(key, value)?;
                Ok(())
            }
            "volume-nocopy" => {
                self.options.copy = Some(!boolean(key, value)?);
                Ok(())
            }
            "volume-subpath" => self.with("subpath", value),
            "no-dereference" => {
                self.options.no_dereference = boolean(key, value)?;
                Ok(())
            }
            _ => self.options.add(field, self.tmpfs),
        }
    }

    fn with(&mut self, word: &str, value: Option<&str>) -> Result<()> {
        let value = value.ok_or_else(|| refuse(format!("{word}: must set a value")))?;
        self.options.add(&format!("{word}={value}"), self.tmpfs)
    }

    fn propagation(&mut self, value: Option<&str>) -> Result<()> {
        let mode = value.and_then(Propagation::parse).ok_or_else(|| {
            refuse(format!(
                "invalid bind-propagation {:?}",
                value.unwrap_or_default()
            ))
        })?;
        self.options.propagation = Some(mode);
        Ok(())
    }

    /// Without a target everything is where it is on the host.
    fn glob(self) -> Result<Mount> {
        let pattern = self
            .source
            .ok_or_else(|| refuse("must set source volume for glob mount".into()))?;
        let target = self.target.unwrap_or_else(|| {
            let parent = pattern.rfind('/').map_or("", |slash| &pattern[..slash]);
            format!("{parent}/")
        });
        Ok(Mount {
            kind: MountKind::Glob { pattern },
            destination: super::container_path(&target)?,
            options: self.options,
        })
    }

    fn into_mount(self, kind: &str) -> Result<Mount> {
        if kind == "glob" {
            return self.glob();
        }
        let target = self
            .target
            .ok_or_else(|| refuse("must set volume destination".into()))?;
        let need = |source: Option<String>| {
            source.ok_or_else(|| refuse(format!("must set source volume for {kind} mount")))
        };
        let none = |source: Option<String>, of: MountKind| match source {
            Some(_) => Err(refuse(format!(
                "\"source\" option not supported for {kind:?} mount types"
            ))),
            None => Ok(of),
        };
        let kind = match kind {
            "bind" if self.options.overlay => MountKind::Overlay {
                source: need(self.source)?,
            },
            "bind" => MountKind::Bind {
                source: need(self.source)?,
            },
            "volume" => MountKind::Volume { name: self.source },
            "image" => MountKind::Image {
                source: need(self.source)?,
            },
            "tmpfs" => none(self.source, MountKind::Tmpfs)?,
            "ramfs" => none(self.source, MountKind::Ramfs)?,
            "devpts" => none(self.source, MountKind::Devpts)?,
            other => return Err(refuse(format!("invalid filesystem type {other:?}"))),
        };
        Ok(Mount {
            kind,
            destination: super::container_path(&target)?,
            options: self.options,
        })
    }
}

fn set(slot: &mut Option<String>, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) if !value.is_empty() => {
            *slot = Some(value.to_owned());
            Ok(())
        }
        _ => Err(refuse(format!("{key}: must set a value"))),
    }
}

fn boolean(key: &str, value: Option<&str>) -> Result<bool> {
    let Some(text) = value else { return Ok(true) };
    super::parse_bool(text).ok_or_else(|| {
        refuse(format!(
            "{key}: invalid value {text:?}, expected true or false"
        ))
    })
}

fn refuse(message: String) -> Error {
    Error::syntax("--mount", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let named = |name: &str| MountKind::Volume {
            name: Some(name.into()),
        };
        let bind = |source: &str| MountKind::Bind {
            source: source.into(),
        };
        for (text, kind, words) in [
            (
                "type=bind,src=/a,target=/b",
                bind("/a"),
                "rw,rprivate,rbind",
            ),
            (
                "type=bind,source=/a,dst=/b,ro",
                bind("/a"),
                "ro,rprivate,rbind",
            ),
            (
                "type=bind,source=/a,dst=/b,readonly=false",
                bind("/a"),
                "rw,rprivate,rbind",
            ),
            (
                "dst=/b,type=bind,src=/a,bind-propagation=shared",
                bind("/a"),
                "rw,shared,rbind",
            ),
            ("type=volume,src=v,dst=/b", named("v"), "rw,rprivate,rbind"),
            ("src=v,dst=/b", named("v"), "rw,rprivate,rbind"),
            (
                "type=bind,src=/a,dst=/b,bind-nonrecursive",
                bind("/a"),
                "rw,private,bind",
            ),
        ] {
            let mount = parse(text).unwrap();
            assert_eq!(mount.kind, kind, "{text}");
            assert_eq!(mount.destination, "/b", "{text}");
            assert_eq!(mount.options.to_words(false).join(","), words, "{text}");
        }
        let tmpfs = parse("type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=1777").unwrap();
        assert_eq!(tmpfs.kind, MountKind::Tmpfs);
        assert_eq!(
            tmpfs.options.to_words(true).join(","),
            "rw,nosuid,nodev,rprivate,size=1m,mode=1777,tmpcopyup"
        );
    }

    #[test]
    fn wrong_mounts_are_refused() {
        for (text, fragment) in [
            ("type=bind,src=/a", "must set volume destination"),
            ("type=bind,dst=/b", "must set source"),
            ("type=nfs,dst=/b", "invalid filesystem type \"nfs\""),
            ("type=tmpfs,src=/a,dst=/b", "not supported"),
            ("type=bind,src=/a,dst=b", "must be an absolute path"),
            ("type=bind,src=/a,dst=/b,ro=perhaps", "invalid value"),
            ("type=bind,src=/a,dst=/b,what", "unknown mount option"),
        ] {
            let refusal = parse(text).unwrap_err().to_string();
            assert!(refusal.contains(fragment), "{text}: {refusal}");
        }
    }
}
