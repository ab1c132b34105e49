//! Items that are too large for a record, each a file in the directory of its object.

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use minke_sys::atomic::{self, Durability, ReplaceOptions};

use crate::{Error, Result};

/// The most that an item may hold.
const MAX_ITEM_BYTES: u64 = 256 << 20;

/// The file name of an item: itself where it is plain, else `=` and base64.
pub(crate) fn file_name(key: &str) -> String {
    let plain = |byte: u8| matches!(byte, b'.' | b'0'..=b'9' | b'a'..=b'z');
    if key.bytes().all(plain) {
        return key.to_owned();
    }
    format!("={}", BASE64.encode(key))
}

fn path_of(directory: &Path, key: &str) -> Result<PathBuf> {
    if matches!(key, "" | "." | "..") {
        return Err(Error::invalid("data item name", key, "it is no file name"));
    }
    let name = file_name(key);
    if name.len() > 255 || name.contains('/') {
        return Err(Error::invalid(
            "data item name",
            key,
            "it makes no file name",
        ));
    }
    Ok(directory.join(name))
}

pub(crate) fn write(
    directory: &Path,
    key: &str,
    bytes: &[u8],
    durability: Durability,
) -> Result<()> {
    let path = path_of(directory, key)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(Error::io("create", directory))?;
    let options = ReplaceOptions {
        mode: 0o600,
        durability,
    };
    atomic::replace(&path, bytes, &options).map_err(Error::io("write", &path))
}

/// The bytes of an item, or `None` if there is no such file.
pub(crate) fn read(directory: &Path, key: &str) -> Result<Option<Vec<u8>>> {
    let path = path_of(directory, key)?;
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_ITEM_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", &path))?;
    if bytes.len() as u64 > MAX_ITEM_BYTES {
        return Err(Error::io("read", path)(io::Error::from(
            io::ErrorKind::FileTooLarge,
        )));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_as_others_do() {
        assert_eq!(file_name("manifest"), "manifest");
        assert_eq!(file_name("a.b9"), "a.b9");
        assert_eq!(file_name("sha256:ab"), "=c2hhMjU2OmFi");
        assert_eq!(file_name("Upper"), "=VXBwZXI=");
    }

    #[test]
    fn no_name_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        for key in ["..", ".", "", &"long".repeat(100)] {
            assert!(
                write(dir.path(), key, b"", Durability::Cached).is_err(),
                "{key}"
            );
        }
        write(dir.path(), "../up", b"x", Durability::Cached).unwrap();
        assert_eq!(read(dir.path(), "../up").unwrap().unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(read(dir.path(), "missing").unwrap(), None);
    }
}
