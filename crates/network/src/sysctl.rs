//! Kernel settings below `/proc/sys/net`, which are those of the calling thread's namespace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Gives `/proc/sys/net/<name>` the value `value`; a setting that has it is not written, so
/// that a read-only `/proc/sys` is no obstacle where nothing has to change.
pub(crate) fn set(name: &str, value: &str) -> Result<()> {
    let path = path_of(name);
    write(&path, value).map_err(|source| Error::file("write", path, source))
}

/// As [`set`], but a kernel without the setting (such as one without IPv6) is fine.
pub(crate) fn set_if_present(name: &str, value: &str) -> Result<()> {
    let path = path_of(name);
    match write(&path, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| Error::file("write", path, source)),
    }
}

fn path_of(name: &str) -> PathBuf {
    Path::new("/proc/sys/net").join(name)
}

fn write(path: &Path, value: &str) -> io::Result<()> {
    if fs::read_to_string(path)?.trim_end() == value {
        return Ok(());
    }
    fs::write(path, value)
}
