//! What one tree has changed of another, as a list of paths.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use minke_sys::rooted::Root;
use minke_sys::xattr;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::pack::names_in;
use crate::{Error, Layer, LayerId, Record, Result, Store};

/// Directories are not deeper than what a path can name.
const MAX_DEPTH: usize = 2048;

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Both have it, and not alike.
    Modified,
    /// Only the new one has it.
    Added,
    /// Only the old one has it.
    Deleted,
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The absolute path in the tree.
    pub path: PathBuf,
}

impl Store {
    /// What a layer changes of `base`, or of the layer below it where that is `None`, in the
    /// order of a walk.
    ///
    /// Against the layer below it is read from the layer's own directory, by the rules of
    /// containers/storage: a directory counts as changed if its mode, size or time differ or if
    /// something was put into it or taken from it; of a directory that was removed, or removed
    /// and made again, only itself is named. Against any other layer both trees are compared.
    ///
    /// # Errors
    /// [`Error::LayerUnknown`], [`Error::Mount`], [`Error::Io`].
    pub fn changes(&self, id: &LayerId, base: Option<&LayerId>) -> Result<Vec<Change>> {
        let layers = self.layers()?;
        let layer = layers.get(id).ok_or_else(|| Layer::unknown(id.as_str()))?;
        match base {
            Some(base) if layer.parent.as_ref() != Some(base) => self.compare(id, base),
            _ => self.own_changes(id, layer.parent.as_ref()),
        }
    }

    fn own_changes(&self, id: &LayerId, parent: Option<&LayerId>) -> Result<Vec<Change>> {
        let directory = self.changes_directory(id);
        let own = Root::open_dir(&directory).map_err(Error::io("open", &directory))?;
        let below = parent.map(|parent| self.view(parent)).transpose()?;
        let opaque = if self.options().in_user_namespace {
            "user.overlay.opaque"
        } else {
            "trusted.overlay.opaque"
        };
        let mut walk = OwnWalk {
            below,
            opaque,
            touched: HashSet::new(),
            changes: Vec::new(),
        };
        walk.directory(own.as_fd(), Path::new("/"), 0)
            .map_err(Error::io("read", directory))?;
        Ok(walk.changes)
    }

    fn compare(&self, id: &LayerId, base: &LayerId) -> Result<Vec<Change>> {
        let (new, old) = (self.view(id)?, self.view(base)?);
        let mut changes = Vec::new();
        compare(new.as_fd(), old.as_fd(), Path::new("/"), 0, &mut changes)
            .map_err(Error::io("read", self.changes_directory(id)))?;
        Ok(changes)
    }
}

/// A walk through a layer's own directory.
struct OwnWalk {
    below: Option<Root>,
    opaque: &'static str,
    /// Directories that are named already.
    touched: HashSet<PathBuf>,
    changes: Vec<Change>,
}

impl OwnWalk {
    fn directory(&mut self, dir: BorrowedFd<'_>, path: &Path, depth: usize) -> io::Result<()> {
        refuse_depth(depth)?;
        for name in names_in(dir)? {
            self.entry(dir, &name, &path.join(&name), depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        path: &Path,
        depth: usize,
    ) -> io::Result<()> {
        let Some(stat) = stat_of(dir, name)? else {
            return Ok(());
        };
        let before = self.before(path)?;
        let child = match is_directory(&stat) {
            true => open_directory(dir, name)?,
            false => None,
        };
        if let Some(kind) = self.kind(&stat, before.as_ref(), child.as_ref())? {
            self.note(kind, path, is_directory(&stat));
        }
        match child {
            Some(child) => self.directory(child.as_fd(), path, depth + 1),
            None => Ok(()),
        }
    }

    /// What the layers below have at `path`.
    fn before(&self, path: &Path) -> io::Result<Option<Stat>> {
        let Some(below) = &self.below else {
            return Ok(None);
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        match below.open_no_symlinks(path, flags) {
            Ok(found) => Ok(Some(fs::fstat(found)?)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None` for a directory that only holds changes.
    fn kind(
        &self,
        stat: &Stat,
        before: Option<&Stat>,
        directory: Option<&OwnedFd>,
    ) -> io::Result<Option<ChangeKind>> {
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type == FileType::CharacterDevice && stat.st_rdev == 0 {
            return Ok(Some(ChangeKind::Deleted));
        }
        let Some(before) = before else {
            return Ok(Some(ChangeKind::Added));
        };
        if let Some(directory) = directory {
            let mark = xattr::get(directory, OsStr::new(self.opaque))?;
            if mark.as_deref() == Some(b"y") {
                return Ok(Some(ChangeKind::Deleted));
            }
            let same = (stat.st_mode, stat.st_size) == (before.st_mode, before.st_size)
                && is_same_time(stat, before);
            if same {
                return Ok(None);
            }
        }
        Ok(Some(ChangeKind::Modified))
    }

    /// Names the directory first if something came into it or went, and it is not named yet.
    fn note(&mut self, kind: ChangeKind, path: &Path, is_directory: bool) {
        if is_directory {
            self.touched.insert(path.to_owned());
        }
        if kind != ChangeKind::Modified
            && let Some(parent) = path.parent()
            && parent != Path::new("/")
            && self.touched.insert(parent.to_owned())
        {
            self.changes.push(Change {
                kind: ChangeKind::Modified,
                path: parent.to_owned(),
            });
        }
        self.changes.push(Change {
            kind,
            path: path.to_owned(),
        });
    }
}

/// Compares two directories that both trees have.
fn compare(
    new: BorrowedFd<'_>,
    old: BorrowedFd<'_>,
    path: &Path,
    depth: usize,
    changes: &mut Vec<Change>,
) -> io::Result<()> {
    refuse_depth(depth)?;
    let mut names = names_in(new)?;
    names.extend(names_in(old)?);
    names.sort_unstable();
    names.dedup();
    for name in names {
        let path = path.join(&name);
        match (stat_of(new, &name)?, stat_of(old, &name)?) {
            (Some(_), None) => add_tree(new, &name, &path, depth, changes)?,
            (None, Some(_)) => changes.push(Change {
                kind: ChangeKind::Deleted,
                path,
            }),
            (Some(now), Some(before)) => {
                let at = changes.len();
                let both = is_directory(&now) && is_directory(&before);
                if both
                    && let (Some(new), Some(old)) =
                        (open_directory(new, &name)?, open_directory(old, &name)?)
                {
                    compare(new.as_fd(), old.as_fd(), &path, depth + 1, changes)?;
                }
                if is_changed(&now, &before) || (both && changes.len() > at) {
                    let kind = ChangeKind::Modified;
                    changes.insert(at, Change { kind, path });
                }
            }
            (None, None) => {}
        }
    }
    Ok(())
}

fn add_tree(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
    depth: usize,
    changes: &mut Vec<Change>,
) -> io::Result<()> {
    refuse_depth(depth)?;
    changes.push(Change {
        kind: ChangeKind::Added,
        path: path.to_owned(),
    });
    if let Some(child) = open_directory(dir, name)? {
        for name in names_in(&child)? {
            add_tree(child.as_fd(), &name, &path.join(&name), depth + 1, changes)?;
        }
    }
    Ok(())
}

/// A directory's size and time say nothing of itself.
fn is_changed(now: &Stat, before: &Stat) -> bool {
    let of_both = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    of_both(now) != of_both(before)
        || (!is_directory(now) && (now.st_size != before.st_size || !is_same_time(now, before)))
}

/// Times of archives are whole seconds: such a one equals any time within its second.
fn is_same_time(one: &Stat, other: &Stat) -> bool {
    one.st_mtime == other.st_mtime
        && (one.st_mtime_nsec == other.st_mtime_nsec
            || one.st_mtime_nsec == 0
            || other.st_mtime_nsec == 0)
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn stat_of(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<Stat>> {
    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// `None` where there is none of that name any more, or it is no directory.
fn open_directory(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match fs::openat(dir, name, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)
    )
}

fn refuse_depth(depth: usize) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(Errno::NAMETOOLONG.into());
    }
    Ok(())
}
