//! The mounts that every container of a host gets: mounts.conf(5), as `SOURCE[:DESTINATION]` a
//! line. A container gets a copy that goes with its run, so that it cannot change the host's.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use minke_runtime_spec::container::{Mount, MountKind, MountOptions};

use super::cleanup::remove_tree;
use super::stage::Owner;
use crate::Engine;
use crate::error::{Error, Result};

/// Where the files are, the one that counts first. A normal user's own comes before them.
const FILES: &[&str] = &[
    "/etc/containers/mounts.conf",
    "/usr/share/containers/mounts.conf",
];

/// The copies in a bundle.
const COPIES: &str = "subscriptions";

/// Directories deeper than this are not copied: links may go in a ring.
const MAX_DEPTH: usize = 32;

/// One line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    source: PathBuf,
    destination: String,
}

impl Engine {
    /// Copies for one start, with `owner`, what the host gives to every container, and gives the
    /// mounts of the copies. A destination of `taken` stays what it is; a source that is not
    /// there is told of and left out.
    ///
    /// # Errors
    /// A line that is not of its form; a file that cannot be copied.
    pub(crate) fn stage_subscriptions(
        &self,
        taken: &[Mount],
        owner: Owner,
        bundle: &Path,
    ) -> Result<Vec<Mount>> {
        let dir = bundle.join(COPIES);
        remove_tree(&dir)?;
        let mut mounts = Vec::new();
        for line in self.subscriptions()? {
            let is_taken = |mount: &Mount| mount.destination == line.destination;
            if taken.iter().chain(&mounts).any(is_taken) {
                continue;
            }
            if !line.source.exists() {
                tracing::warn!(path = %line.source.display(), "mounts.conf names what is not there");
                continue;
            }
            crate::engine::make_private_dir(&dir)?;
            let copy = dir.join(mounts.len().to_string());
            copy_tree(&line.source, &copy, owner, 0)
                .map_err(Error::path("copy for a container", &line.source))?;
            mounts.push(Mount {
                kind: MountKind::Bind {
                    source: copy.to_string_lossy().into_owned(),
                },
                destination: line.destination,
                options: MountOptions::default(),
            });
        }
        Ok(mounts)
    }

    fn subscriptions(&self) -> Result<Vec<Line>> {
        let mut files: Vec<PathBuf> = Vec::new();
        match &self.options.default_mounts_file {
            Some(path) => files.push(path.clone()),
            None => {
                let around = &self.options.surroundings;
                if self.places.rootless {
                    files.push(around.config_home().join("containers/mounts.conf"));
                }
                files.extend(FILES.iter().map(PathBuf::from));
            }
        }
        for path in files {
            match fs::read_to_string(&path) {
                Ok(text) => return parse(&text).map_err(|what| refuse(&path, &what)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::path("read", path)(source)),
            }
        }
        Ok(Vec::new())
    }
}

fn refuse(path: &Path, what: &str) -> Error {
    Error::invalid(format!("{}: {what}", path.display()))
}

fn parse(text: &str) -> std::result::Result<Vec<Line>, String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (source, destination) = line.split_once(':').unwrap_or((line, line));
            if !source.starts_with('/') || !destination.starts_with('/') {
                return Err(format!(
                    "{line:?} is not SOURCE[:DESTINATION] with absolute paths"
                ));
            }
            Ok(Line {
                source: source.into(),
                destination: destination.to_owned(),
            })
        })
        .collect()
}

/// Copies what is at `from`, wherever links lead: it is the host's own.
fn copy_tree(from: &Path, to: &Path, owner: Owner, depth: usize) -> io::Result<()> {
    let found = fs::metadata(from)?;
    if found.is_dir() {
        if depth == MAX_DEPTH {
            return Err(io::Error::other("directories lie too deep"));
        }
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()), owner, depth + 1)?;
        }
    } else if found.is_file() {
        fs::copy(from, to)?;
    } else {
        return Ok(());
    }
    let mode = found.permissions().mode() & 0o7777;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    lchown(to, Some(owner.uid), Some(owner.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let read = parse("# all\n\n/a:/b\n  /c  \n").unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|line| (line.source.to_str().unwrap(), &*line.destination))
            .collect();
        assert_eq!(read, [("/a", "/b"), ("/c", "/c")]);
        for wrong in ["a:/b", "/a:b", "/a:"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ring_of_links_ends() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir(&from).unwrap();
        std::os::unix::fs::symlink(".", from.join("again")).unwrap();
        let us = Owner {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        };
        assert!(copy_tree(&from, &dir.path().join("to"), us, 0).is_err());
    }
}
