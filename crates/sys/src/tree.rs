//! Whole directories copied and given to somebody, by descriptor: no symlink is followed.
//!
//! Both sides may be hostile: what is looked at is opened beneath its directory and acted on by
//! that descriptor, so that a tree which changes meanwhile leads nowhere else.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    self, AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid,
};
use rustix::io::Errno;

use crate::idmap::IdMap;
use crate::xattr;

/// Directories nested deeper than this are refused: the walk recurses.
pub const MAX_DEPTH: usize = 256;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Copies what is in the directory `from` into the directory `to`: files with their owners,
/// modes, times, extended attributes and hard links. What `to` has under the same name and is no
/// directory is replaced, so that a copy that was killed can be repeated. Sockets are left out.
///
/// The attributes of `from` itself are copied by [`copy_attributes`].
///
/// # Errors
/// As the file calls; nesting deeper than [`MAX_DEPTH`].
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    Copy::default().directory(from, to, 0)
}

/// As [`copy`], the directory itself too, each owner mapped: `owners` tells whose id outside
/// one inside is.
///
/// # Errors
/// As [`copy`]; an owner that is not mapped.
pub fn copy_mapped(from: BorrowedFd<'_>, to: BorrowedFd<'_>, owners: &IdMap) -> io::Result<()> {
    let mut copy = Copy {
        owners: Some(owners),
        ..Copy::default()
    };
    copy.directory(from, to, 0)?;
    let stat = fs::fstat(from)?;
    copy.give(from, to, &stat)?;
    Ok(fs::futimens(to, &times(&stat))?)
}

/// Gives `to` the owner, mode and extended attributes of `from`.
///
/// # Errors
/// As the file calls.
pub fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let stat = fs::fstat(from)?;
    Copy::default().give(from, to, &stat)
}

/// Whether the directory is empty.
///
/// # Errors
/// As getdents(2).
pub fn is_empty(dir: BorrowedFd<'_>) -> io::Result<bool> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives the directory and everything beneath it to `uid` and `gid`; what they own already is
/// not touched. Set-id bits survive, as the content is the same.
///
/// # Errors
/// As the file calls; nesting deeper than [`MAX_DEPTH`].
pub fn chown(dir: BorrowedFd<'_>, uid: u32, gid: u32) -> io::Result<()> {
    chown_one(dir, c"", uid, gid)?;
    chown_below(dir, uid, gid, 0)
}

fn chown_below(dir: BorrowedFd<'_>, uid: u32, gid: u32, depth: usize) -> io::Result<()> {
    check_depth(depth)?;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let found = match fs::openat(
            dir,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Err(Errno::NOENT) => continue,
            found => found?,
        };
        chown_one(found.as_fd(), c"", uid, gid)?;
        if file_type(&fs::fstat(&found)?) == FileType::Directory {
            let below = fs::openat(&found, c".", DIRECTORY, Mode::empty())?;
            chown_below(below.as_fd(), uid, gid, depth + 1)?;
        }
    }
    Ok(())
}

fn chown_one(dir: BorrowedFd<'_>, name: &CStr, uid: u32, gid: u32) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let stat = fs::statat(dir, name, flags)?;
    if (stat.st_uid, stat.st_gid) == (uid, gid) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    fs::chownat(dir, name, Some(uid), Some(gid), flags)?;
    let set_id = stat.st_mode & 0o6000 != 0 && file_type(&stat) == FileType::RegularFile;
    if set_id {
        // chown(2) clears them. A path descriptor takes no fchmod(2).
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
        fs::chmod(path, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    }
    Ok(())
}

fn check_depth(depth: usize) -> io::Result<()> {
    if depth > MAX_DEPTH {
        let text = format!("directories are nested deeper than {MAX_DEPTH}");
        return Err(io::Error::other(text));
    }
    Ok(())
}

fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

#[derive(Default)]
struct Copy<'m> {
    /// Files with several names, by device and inode: the copy of the first name.
    links: HashMap<(u64, u64), OwnedFd>,
    /// Whose the copies are; the same where nothing is mapped.
    owners: Option<&'m IdMap>,
}

impl Copy<'_> {
    fn directory(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        depth: usize,
    ) -> io::Result<()> {
        check_depth(depth)?;
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
            self.entry(from, to, name, &stat, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        stat: &Stat,
        depth: usize,
    ) -> io::Result<()> {
        let kind = file_type(stat);
        if kind == FileType::Directory {
            match fs::mkdirat(to, name, Mode::from_raw_mode(0o700)) {
                Err(Errno::EXIST) => {}
                made => made?,
            }
            let below = fs::openat(from, name, DIRECTORY, Mode::empty())?;
            let made = fs::openat(to, name, DIRECTORY, Mode::empty())?;
            self.directory(below.as_fd(), made.as_fd(), depth + 1)?;
            self.give(below.as_fd(), made.as_fd(), stat)?;
            return Ok(fs::futimens(&made, &times(stat))?);
        }
        match fs::unlinkat(to, name, AtFlags::empty()) {
            Err(Errno::NOENT) => {}
            removed => removed?,
        }
        if kind == FileType::RegularFile {
            return self.file(from, to, name, stat);
        }
        self.special(from, to, name, stat)
    }

    fn file(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        stat: &Stat,
    ) -> io::Result<()> {
        let key = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.links.get(&key) {
            return Ok(fs::linkat(first, c"", to, name, AtFlags::EMPTY_PATH)?);
        }
        let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut source = File::from(fs::openat(from, name, read, Mode::empty())?);
        let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut made = File::from(fs::openat(to, name, write, Mode::from_raw_mode(0o600))?);
        io::copy(&mut source, &mut made)?;
        self.give(source.as_fd(), made.as_fd(), stat)?;
        fs::futimens(&made, &times(stat))?;
        if stat.st_nlink > 1 {
            self.links.insert(key, made.into());
        }
        Ok(())
    }

    fn special(
        &self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        stat: &Stat,
    ) -> io::Result<()> {
        let kind = file_type(stat);
        match kind {
            FileType::Symlink => fs::symlinkat(fs::readlinkat(from, name, Vec::new())?, to, name)?,
            FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {
                let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
                match fs::mknodat(to, name, kind, mode, stat.st_rdev) {
                    // In a user namespace no device can be made; a volume is of use without it.
                    Err(Errno::PERM) => return Ok(()),
                    made => made?,
                }
            }
            _ => return Ok(()),
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let (uid, gid) = self.owner(stat)?;
        fs::chownat(to, name, Some(uid), Some(gid), flags)?;
        Ok(fs::utimensat(to, name, &times(stat), flags)?)
    }

    /// Owner, extended attributes and mode, in this order: chown(2) takes capabilities and
    /// set-id bits away.
    fn give(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
        let (uid, gid) = self.owner(stat)?;
        fs::fchown(to, Some(uid), Some(gid))?;
        copy_xattrs(from, to)?;
        Ok(fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?)
    }

    fn owner(&self, stat: &Stat) -> io::Result<(Uid, Gid)> {
        let (uid, gid) = (stat.st_uid, stat.st_gid);
        let mapped = match self.owners {
            Some(owners) => owners.user(uid).zip(owners.group(gid)),
            None => Some((uid, gid)),
        };
        let (uid, gid) = mapped.ok_or_else(|| {
            let text = format!("a file is owned by {uid}:{gid}, which is not mapped");
            io::Error::other(text)
        })?;
        Ok((Uid::from_raw(uid), Gid::from_raw(gid)))
    }
}

fn times(stat: &Stat) -> Timestamps {
    let at = |seconds: i64, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.try_into().unwrap_or(0),
    };
    Timestamps {
        last_access: at(stat.st_atime, stat.st_atime_nsec),
        last_modification: at(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Those of users, and capabilities; what the kernel keeps for itself stays where it is.
fn copy_xattrs(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    for name in xattr::list(from)? {
        let kept = name == OsStr::new("security.capability")
            || name.as_bytes().starts_with(b"user.")
                && !name.as_bytes().starts_with(b"user.overlay.")
            || name.as_bytes().starts_with(b"system.posix_acl_");
        if kept && let Some(value) = xattr::get(from, &name)? {
            match xattr::set(to, &name, &value) {
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
                set => set?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    fn open(path: &Path) -> File {
        File::open(path).unwrap()
    }

    #[test]
    fn a_tree_is_copied_with_its_links_and_modes_and_twice_is_once() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir_all(from.join("a/b")).unwrap();
        std::fs::create_dir(&to).unwrap();
        std::fs::write(from.join("a/one"), "1").unwrap();
        std::fs::hard_link(from.join("a/one"), from.join("a/b/two")).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o4751);
        std::fs::set_permissions(from.join("a/one"), mode).unwrap();
        for _ in 0..2 {
            copy(open(&from).as_fd(), open(&to).as_fd()).unwrap();
        }
        let one = std::fs::metadata(to.join("a/one")).unwrap();
        let two = std::fs::metadata(to.join("a/b/two")).unwrap();
        assert_eq!((one.ino(), one.nlink()), (two.ino(), 2));
        assert_eq!(one.mode() & 0o7777, 0o4751);
        let link = std::fs::read_link(to.join("link")).unwrap();
        assert_eq!(link, Path::new("/etc/passwd"));
        assert!(!is_empty(open(&to).as_fd()).unwrap());
        assert!(is_empty(open(&tempfile::tempdir().unwrap().keep()).as_fd()).unwrap());
    }

    #[test]
    fn a_copy_has_mapped_owners_and_keeps_capabilities() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root gives files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir_all(from.join("below")).unwrap();
        std::fs::create_dir(&to).unwrap();
        std::fs::write(from.join("below/tool"), "").unwrap();
        symlink("tool", from.join("below/link")).unwrap();
        std::os::unix::fs::lchown(from.join("below/link"), Some(3), Some(4)).unwrap();
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let name = OsStr::new("security.capability");
        xattr::set(open(&from.join("below/tool")), name, &capability).unwrap();
        let range = |outside| crate::idmap::Range {
            inside: 0,
            outside,
            size: 10,
        };
        let map = IdMap {
            users: vec![range(100)],
            groups: vec![range(200)],
        };
        copy_mapped(open(&from).as_fd(), open(&to).as_fd(), &map).unwrap();
        let owner = |path: &str| {
            let data = std::fs::symlink_metadata(to.join(path)).unwrap();
            (data.uid(), data.gid())
        };
        assert_eq!(owner(""), (100, 200));
        assert_eq!(owner("below/tool"), (100, 200));
        assert_eq!(owner("below/link"), (103, 204));
        let kept = xattr::get(open(&to.join("below/tool")), name).unwrap();
        assert_eq!(kept.as_deref(), Some(&capability[..]));
        chown(open(&from).as_fd(), 10, 0).unwrap();
        let error = copy_mapped(open(&from).as_fd(), open(&to).as_fd(), &map).unwrap_err();
        assert!(error.to_string().contains("10:0"), "{error}");
    }

    #[test]
    fn a_tree_is_given_away_without_following_links() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root gives files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        std::fs::write(dir.path().join("outside"), "").unwrap();
        let tree = dir.path().join("tree");
        symlink("../outside", tree.join("link")).unwrap();
        std::fs::write(tree.join("tool"), "").unwrap();
        let mode = std::fs::Permissions::from_mode(0o4755);
        std::fs::set_permissions(tree.join("tool"), mode).unwrap();
        chown(open(&tree).as_fd(), 1234, 5678).unwrap();
        let tool = std::fs::metadata(tree.join("tool")).unwrap();
        assert_eq!(
            (tool.uid(), tool.gid(), tool.mode() & 0o7777),
            (1234, 5678, 0o4755)
        );
        assert_eq!(std::fs::metadata(&tree).unwrap().uid(), 1234);
        assert_eq!(
            std::fs::symlink_metadata(tree.join("link")).unwrap().uid(),
            1234
        );
        assert_eq!(
            std::fs::metadata(dir.path().join("outside")).unwrap().uid(),
            0
        );
    }
}
