//! Which mounts a container has, decided once when it is created.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use minke_runtime_spec::container::{ImageVolumes, Mount, MountKind, MountOptions, VolumesFrom};
use minke_runtime_spec::{ContainerSpec, ImageConfig};
use minke_storage::ContainerId;

use crate::Engine;
use crate::error::{Error, Result};

/// More directories than this no image may want as volumes.
const MAX_IMAGE_VOLUMES: usize = 1000;

/// More paths than this no pattern may match.
const MAX_MATCHES: usize = 10_000;

impl Engine {
    /// Decides the mounts of `spec`: what was asked, then those of other containers, then what
    /// the image wants. Gives the names of the volumes that were made up.
    pub(crate) fn decide_mounts(
        &self,
        spec: &mut ContainerSpec,
        image: &ImageConfig,
    ) -> Result<Vec<String>> {
        let mut mounts = Vec::new();
        for mount in std::mem::take(&mut spec.mounts) {
            match &mount.kind {
                MountKind::Glob { pattern } => mounts.extend(matches(pattern, &mount)?),
                _ => mounts.push(mount),
            }
        }
        mounts.iter_mut().for_each(clean_destination);
        mounts.iter().try_for_each(check_source)?;
        for from in &spec.volumes_from {
            let taken_over = self.mounts_of(from)?;
            add_missing(&mut mounts, taken_over);
        }
        add_missing(&mut mounts, image_volumes(spec.image_volumes, image)?);
        let mut made_up = Vec::new();
        for mount in &mut mounts {
            if let MountKind::Volume { name } = &mut mount.kind {
                match name {
                    Some(name) => crate::volume::check_name(name)?,
                    None => {
                        let random = ContainerId::random()?.to_string();
                        made_up.push(random.clone());
                        *name = Some(random);
                    }
                }
            }
            if let MountKind::Image { source } = &mount.kind {
                self.find_image(source)?;
            }
        }
        spec.mounts = mounts;
        Ok(made_up)
    }

    /// What another container has mounted, memory and terminals left out.
    fn mounts_of(&self, from: &VolumesFrom) -> Result<Vec<Mount>> {
        let other = self.find(&from.container)?;
        let mut mounts = other.config.spec.mounts;
        mounts.retain(|mount| {
            !matches!(
                mount.kind,
                MountKind::Tmpfs | MountKind::Ramfs | MountKind::Devpts
            )
        });
        for mount in &mut mounts {
            mount.options.read_only = from.read_only.or(mount.options.read_only);
            // Its owner is the other container's affair.
            mount.options.chown = false;
        }
        Ok(mounts)
    }
}

fn add_missing(mounts: &mut Vec<Mount>, more: Vec<Mount>) {
    let there: BTreeSet<String> = mounts
        .iter()
        .map(|mount| mount.destination.clone())
        .collect();
    mounts.extend(
        more.into_iter()
            .filter(|mount| !there.contains(&mount.destination)),
    );
}

/// A directory that an image wants stays inside the container whatever its name is, and is
/// not the root itself.
fn image_volumes(mode: ImageVolumes, image: &ImageConfig) -> Result<Vec<Mount>> {
    if mode == ImageVolumes::Ignore {
        return Ok(Vec::new());
    }
    if image.volumes.len() > MAX_IMAGE_VOLUMES {
        return Err(Error::invalid(format!(
            "the image wants {} volumes, more than {MAX_IMAGE_VOLUMES}",
            image.volumes.len()
        )));
    }
    let mut mounts: Vec<Mount> = Vec::new();
    for path in image.volumes.keys() {
        let destination = clean(path);
        if destination == "/" {
            return Err(Error::invalid(format!(
                "the image wants a volume at {path:?}, which is its root"
            )));
        }
        let kind = match mode {
            ImageVolumes::Tmpfs => MountKind::Tmpfs,
            _ => MountKind::Volume { name: None },
        };
        let mount = Mount {
            kind,
            destination,
            options: MountOptions {
                exec: Some(true),
                ..MountOptions::default()
            },
        };
        add_missing(&mut mounts, vec![mount]);
    }
    Ok(mounts)
}

/// The path without `.`, `..` and double slashes, from the root: what leads above it stays.
fn clean(path: &str) -> String {
    let mut parts: Vec<&OsStr> = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    let mut clean = PathBuf::from("/");
    clean.extend(parts);
    clean.to_string_lossy().into_owned()
}

fn clean_destination(mount: &mut Mount) {
    // One that is not absolute is refused with the words for it.
    if mount.destination.starts_with('/') {
        mount.destination = clean(&mount.destination);
    }
}

fn check_source(mount: &Mount) -> Result<()> {
    let (MountKind::Bind { source } | MountKind::Overlay { source }) = &mount.kind else {
        return Ok(());
    };
    let follow = !mount.options.no_dereference;
    let found = if follow {
        fs::metadata(source)
    } else {
        fs::symlink_metadata(source)
    };
    if Path::new(source).is_absolute() && found.is_err() {
        return Err(Error::invalid(format!(
            "statfs {source}: no such file or directory"
        )));
    }
    Ok(())
}

/// A bind for every path that matches, at its own name below the target.
fn matches(pattern: &str, mount: &Mount) -> Result<Vec<Mount>> {
    let mut found = vec![PathBuf::from("/")];
    for part in Path::new(pattern).components().skip(1) {
        let part = part.as_os_str().as_bytes();
        let mut next = Vec::new();
        for dir in &found {
            next.extend(expand(dir, part));
            if next.len() > MAX_MATCHES {
                return Err(Error::invalid(format!(
                    "{pattern} matches more than {MAX_MATCHES} paths"
                )));
            }
        }
        found = next;
    }
    if !pattern.starts_with('/') || found.is_empty() {
        return Err(Error::invalid(format!(
            "no file matches the mount's pattern {pattern:?}"
        )));
    }
    found.sort();
    let bind = |path: PathBuf| -> Option<Mount> {
        let name = path.file_name()?.to_str()?;
        Some(Mount {
            kind: MountKind::Bind {
                source: path.to_str()?.to_owned(),
            },
            destination: Path::new(&mount.destination)
                .join(name)
                .to_str()?
                .to_owned(),
            options: mount.options.clone(),
        })
    };
    Ok(found.into_iter().filter_map(bind).collect())
}

fn expand(dir: &Path, part: &[u8]) -> Vec<PathBuf> {
    if !part.iter().any(|byte| b"*?[".contains(byte)) {
        let path = dir.join(OsStr::from_bytes(part));
        return fs::symlink_metadata(&path)
            .map(|_| path)
            .into_iter()
            .collect();
    }
    let hidden = part.first() == Some(&b'.');
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.as_bytes();
            (hidden || name.first() != Some(&b'.'))
                && minke_runtime_spec::pattern::matches(part, name)
        })
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_above_the_root_stays_at_it() {
        for (path, expected) in [
            ("/a/../../etc", "/etc"),
            ("../../etc/passwd", "/etc/passwd"),
            ("/a//b/./c/", "/a/b/c"),
            ("/..", "/"),
            ("", "/"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn the_images_volumes_are_contained_and_the_root_is_none() {
        let image = |paths: &[&str]| ImageConfig {
            volumes: paths
                .iter()
                .map(|&path| (path.to_owned(), serde_json::json!({})))
                .collect(),
            ..ImageConfig::default()
        };
        let mounts = image_volumes(
            ImageVolumes::Anonymous,
            &image(&["/data", "/x/../../data", "/b"]),
        )
        .unwrap();
        let targets: Vec<&str> = mounts.iter().map(|m| &*m.destination).collect();
        assert_eq!(targets, ["/b", "/data"]);
        assert!(image_volumes(ImageVolumes::Tmpfs, &image(&["/a/.."])).is_err());
        assert!(
            image_volumes(ImageVolumes::Ignore, &image(&["/a"]))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn patterns_become_binds() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.so", "b.so", "c.txt", ".d.so"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let pattern = format!("{}/*.so", dir.path().display());
        let mount = Mount {
            kind: MountKind::Glob {
                pattern: pattern.clone(),
            },
            destination: "/lib".into(),
            options: MountOptions::default(),
        };
        let found = matches(&pattern, &mount).unwrap();
        let targets: Vec<&str> = found.iter().map(|m| &*m.destination).collect();
        assert_eq!(targets, ["/lib/a.so", "/lib/b.so"]);
        assert!(matches("/nothing/here*", &mount).is_err());
    }
}
