//! Extended attributes by descriptor.
//!
//! The plain functions take a descriptor opened for reading or writing. The `_at` ones take a
//! directory and a single name in it, and never follow it: they are the way to a symlink, a
//! device node or a FIFO, none of which is opened. They go through `/proc/self/fd`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::fs::{self, XattrFlags};
use rustix::io::Errno;

/// The largest value the kernel stores (`XATTR_SIZE_MAX`).
pub const MAX_VALUE_BYTES: usize = 65536;

/// The largest name list the kernel returns (`XATTR_LIST_MAX`).
pub const MAX_LIST_BYTES: usize = 65536;

/// The value of `name`, or `None` if the file has none or its file system knows none.
///
/// # Errors
/// As fgetxattr(2).
pub fn get(fd: impl AsFd, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    value(|buffer| fs::fgetxattr(&fd, name, buffer))
}

/// As [`get`], for the file `file` in `dir`.
///
/// # Errors
/// As lgetxattr(2); `EINVAL` if `file` is not a single name.
pub fn get_at(dir: impl AsFd, file: &OsStr, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    let path = beneath(dir.as_fd(), file)?;
    value(|buffer| fs::lgetxattr(&path, name, buffer))
}

/// Sets `name` to `value`, making or replacing it.
///
/// # Errors
/// As fsetxattr(2); `E2BIG` for more than [`MAX_VALUE_BYTES`].
pub fn set(fd: impl AsFd, name: &OsStr, value: &[u8]) -> io::Result<()> {
    bounded(value)?;
    Ok(fs::fsetxattr(fd, name, value, XattrFlags::empty())?)
}

/// As [`set`], for the file `file` in `dir`.
///
/// # Errors
/// As lsetxattr(2); `EINVAL` if `file` is not a single name.
pub fn set_at(dir: impl AsFd, file: &OsStr, name: &OsStr, value: &[u8]) -> io::Result<()> {
    bounded(value)?;
    Ok(fs::lsetxattr(
        beneath(dir.as_fd(), file)?,
        name,
        value,
        XattrFlags::empty(),
    )?)
}

/// The names of all attributes; none where the file system knows none.
///
/// # Errors
/// As flistxattr(2).
pub fn list(fd: impl AsFd) -> io::Result<Vec<OsString>> {
    names(|buffer| fs::flistxattr(&fd, buffer))
}

/// As [`list`], for the file `file` in `dir`.
///
/// # Errors
/// As llistxattr(2); `EINVAL` if `file` is not a single name.
pub fn list_at(dir: impl AsFd, file: &OsStr) -> io::Result<Vec<OsString>> {
    let path = beneath(dir.as_fd(), file)?;
    names(|buffer| fs::llistxattr(&path, buffer))
}

/// Removes `name`; that it is not there is success.
///
/// # Errors
/// As fremovexattr(2).
pub fn remove(fd: impl AsFd, name: &OsStr) -> io::Result<()> {
    match fs::fremovexattr(fd, name) {
        Ok(()) | Err(Errno::NODATA) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn bounded(value: &[u8]) -> io::Result<()> {
    if value.len() > MAX_VALUE_BYTES {
        Err(Errno::TOOBIG.into())
    } else {
        Ok(())
    }
}

fn beneath(dir: BorrowedFd<'_>, file: &OsStr) -> io::Result<PathBuf> {
    let plain = !matches!(file.as_bytes(), b"" | b"." | b"..") && !file.as_bytes().contains(&b'/');
    if !plain {
        return Err(Errno::INVAL.into());
    }
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    path.push(file);
    Ok(path)
}

fn value(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Option<Vec<u8>>> {
    match grown(read, MAX_VALUE_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn names(read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<OsString>> {
    let bytes = match grown(read, MAX_LIST_BYTES) {
        Ok(bytes) => bytes,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
    };
    let parts = bytes
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(parts
        .map(|name| OsString::from_vec(name.to_vec()))
        .collect())
}

/// Tries a small buffer first: nearly all values and lists fit.
fn grown(
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    limit: usize,
) -> rustix::io::Result<Vec<u8>> {
    let mut small = [0; 256];
    match read(&mut small) {
        Err(Errno::RANGE) => {}
        result => return result.map(|length| small[..length].to_vec()),
    }
    let mut large = vec![0; limit];
    let length = read(&mut large)?;
    large.truncate(length);
    Ok(large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn sets_gets_lists_and_removes() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("f")).unwrap();
        let name = OsStr::new("user.minke");
        assert_eq!(get(&file, name).unwrap(), None);
        if let Err(error) = set(&file, name, b"one") {
            eprintln!("skipped: no user attributes on the temporary directory: {error}");
            return;
        }
        let handle = File::open(dir.path()).unwrap();
        assert_eq!(
            get_at(&handle, OsStr::new("f"), name).unwrap().unwrap(),
            b"one"
        );
        set_at(&handle, OsStr::new("f"), name, &[7; 1000]).unwrap();
        assert_eq!(get(&file, name).unwrap().unwrap(), [7; 1000]);
        assert!(list(&file).unwrap().contains(&name.to_owned()));
        assert!(
            list_at(&handle, OsStr::new("f"))
                .unwrap()
                .contains(&name.to_owned())
        );
        remove(&file, name).unwrap();
        remove(&file, name).unwrap();
        assert_eq!(get(&file, name).unwrap(), None);
    }

    #[test]
    fn refuses_paths_and_huge_values() {
        let dir = tempfile::tempdir().unwrap();
        let handle = File::open(dir.path()).unwrap();
        for file in ["", ".", "..", "a/b", "/etc/passwd"] {
            let error = list_at(&handle, OsStr::new(file)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{file:?}");
        }
        let file = File::create(dir.path().join("f")).unwrap();
        let error = set(&file, OsStr::new("user.x"), &[0; 65537]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::E2BIG));
    }
}
