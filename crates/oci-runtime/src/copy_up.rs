//! Fills a new tmpfs with what the image has at its mount point (`tmpcopyup`).
//!
//! Both trees are walked by descriptor and no symlink is followed: the image is hostile.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use minke_sys::rooted::Root;
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat};

/// Directories nested deeper than this are refused: the walk recurses.
const MAX_DEPTH: usize = 64;

/// Copies the directory at `path` of the image into `tmpfs`. Nothing there is nothing to do.
///
/// With `keep_mode` the tmpfs takes the image directory's owner and mode too.
pub(crate) fn copy_up(
    image: &Root,
    path: &Path,
    tmpfs: &OwnedFd,
    keep_mode: bool,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let source = match image.open(path, flags) {
        Ok(source) => source,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    // A mount descriptor is a path only; files are made through an opened directory.
    let here = fs::openat(
        tmpfs,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if keep_mode {
        take_attributes(here.as_fd(), &fs::fstat(&source)?)?;
    }
    copy_directory(source.as_fd(), here.as_fd(), 0)
}

fn copy_directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!(
            "directories are nested deeper than {MAX_DEPTH}"
        )));
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                fs::mkdirat(to, name, Mode::from_raw_mode(0o700))?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = fs::openat(from, name, flags, Mode::empty())?;
                let made = fs::openat(to, name, flags, Mode::empty())?;
                copy_directory(below.as_fd(), made.as_fd(), depth + 1)?;
                take_attributes(made.as_fd(), &stat)?;
            }
            FileType::RegularFile => copy_file(from, to, name, &stat)?,
            FileType::Symlink => {
                let target = fs::readlinkat(from, name, Vec::new())?;
                fs::symlinkat(target, to, name)?;
                let (uid, gid) = owner(&stat);
                fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            // Sockets, FIFOs and devices of an image have no use in a fresh tmpfs.
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    stat: &Stat,
) -> io::Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source = File::from(fs::openat(from, name, read, Mode::empty())?);
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut made = File::from(fs::openat(to, name, write, Mode::from_raw_mode(0o600))?);
    io::copy(&mut source, &mut made)?;
    take_attributes(made.as_fd(), stat)
}

fn take_attributes(file: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    fs::fchown(file, uid, gid)?;
    Ok(fs::fchmod(
        file,
        Mode::from_raw_mode(stat.st_mode & 0o7777),
    )?)
}

fn owner(stat: &Stat) -> (Option<fs::Uid>, Option<fs::Gid>) {
    (
        Some(fs::Uid::from_raw(stat.st_uid)),
        Some(fs::Gid::from_raw(stat.st_gid)),
    )
}
