//! The members of an archive file, found once and read at random.
//!
//! Nothing is unpacked: names are keys, never paths. What is read is checked against digests.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::copy::{Inflate, InflateLimits, detect};
use crate::error::{Error, Result};
use crate::media_type::Compression;

/// The most members that are indexed.
const MAX_MEMBERS: usize = 200_000;
/// How many links lead to a member at most.
const MAX_LINKS: usize = 8;

/// An indexed archive file.
#[derive(Debug)]
pub(crate) struct Members {
    file: Arc<File>,
    path: PathBuf,
    by_name: HashMap<String, Member>,
}

#[derive(Debug, Clone)]
enum Member {
    File { start_bytes: u64, size_bytes: u64 },
    Link(String),
}

impl Members {
    /// Indexes the archive at `path`. A compressed one is expanded into an unnamed file in
    /// `scratch` first.
    pub(crate) fn open(path: &Path, scratch: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::file("open", path))?;
        let mut head = [0; 8];
        let count = read_head(&mut file, &mut head).map_err(Error::file("read", path))?;
        if detect(&head[..count]) != Compression::None {
            file = expand(file, path, scratch)?;
        }
        let by_name = index(&file, path)?;
        Ok(Members {
            file: Arc::new(file),
            path: path.to_owned(),
            by_name,
        })
    }

    /// Where the archive is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the member called `name`, following links within the archive; gives its size too.
    pub(crate) fn open_member(&self, name: &str) -> Result<(Section, u64)> {
        let missing = || Error::NotInPlace {
            what: format!("member {name:?}"),
            path: self.path.clone(),
        };
        let mut name = normalised(name.as_bytes()).ok_or_else(missing)?;
        for _ in 0..MAX_LINKS {
            match self.by_name.get(&name).ok_or_else(missing)? {
                Member::Link(target) => name.clone_from(target),
                Member::File {
                    start_bytes,
                    size_bytes,
                } => {
                    let section = Section {
                        file: self.file.clone(),
                        at: *start_bytes,
                        left: *size_bytes,
                    };
                    return Ok((section, *size_bytes));
                }
            }
        }
        Err(missing())
    }

    /// Reads a whole member of at most `limit` bytes.
    pub(crate) fn read_member(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let (mut section, size_bytes) = self.open_member(name)?;
        if size_bytes > limit {
            return Err(Error::TooLarge {
                what: name.chars().take(160).collect(),
                limit,
            });
        }
        let mut bytes = Vec::new();
        section
            .read_to_end(&mut bytes)
            .map_err(Error::file("read", &self.path))?;
        Ok(bytes)
    }
}

/// A stretch of a file, read without moving the file's own position.
#[derive(Debug)]
pub(crate) struct Section {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Section {
    /// Leaves out the next `count` bytes.
    pub(crate) fn skip(&mut self, count: u64) {
        let count = count.min(self.left);
        self.at += count;
        self.left -= count;
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

fn read_head(file: &mut File, head: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < head.len() {
        match file.read(&mut head[count..])? {
            0 => break,
            more => count += more,
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(count)
}

fn expand(file: File, path: &Path, scratch: &Path) -> Result<File> {
    let what = path.display().to_string();
    let mut inflate = Inflate::new(Box::new(file), &what, InflateLimits::default())?;
    let mut expanded =
        tempfile::tempfile_in(scratch).map_err(Error::file("create a file in", scratch))?;
    io::copy(&mut inflate, &mut expanded).map_err(|error| Error::from_stream(error, &what))?;
    let rewound = expanded.seek(SeekFrom::Start(0));
    rewound.map_err(Error::file("read", path))?;
    Ok(expanded)
}

fn index(file: &File, path: &Path) -> Result<HashMap<String, Member>> {
    let not_an_archive = |source| Error::Stream {
        what: format!("{} as a tar archive", path.display()),
        source,
    };
    let mut archive = tar::Archive::new(file);
    let mut by_name = HashMap::new();
    for entry in archive.entries_with_seek().map_err(not_an_archive)? {
        let entry = entry.map_err(not_an_archive)?;
        let Some(name) = normalised(&entry.path_bytes()) else {
            continue;
        };
        if let Some(member) = member(&entry, &name) {
            by_name.entry(name).or_insert(member);
        }
        if by_name.len() > MAX_MEMBERS {
            return Err(Error::TooLarge {
                what: format!("the member list of {}", path.display()),
                limit: MAX_MEMBERS as u64,
            });
        }
    }
    Ok(by_name)
}

fn member(entry: &tar::Entry<'_, &File>, name: &str) -> Option<Member> {
    let kind = entry.header().entry_type();
    if kind.is_file() || kind.is_contiguous() {
        return Some(Member::File {
            start_bytes: entry.raw_file_position(),
            size_bytes: entry.size(),
        });
    }
    let target = entry.link_name_bytes()?;
    let target = if kind.is_symlink() {
        let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
        [parent.as_bytes(), b"/", &target].concat()
    } else if kind.is_hard_link() {
        target.into_owned()
    } else {
        return None;
    };
    normalised(&target).map(Member::Link)
}

/// The name without `.` and empty components, `..` taken back; nothing if it leads out of the
/// archive, is empty or is not UTF-8.
fn normalised(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/")).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn archive(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        fill(&mut builder);
        builder.into_inner().unwrap()
    }

    fn open(bytes: &[u8]) -> Result<Members> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Members::open(file.path(), file.path().parent().unwrap())
    }

    fn add(builder: &mut tar::Builder<Vec<u8>>, name: &str, data: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        builder.append_data(&mut header, name, data).unwrap();
    }

    fn link(builder: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, to: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_entry_type(kind);
        builder.append_link(&mut header, name, to).unwrap();
    }

    #[test]
    fn members_and_links_are_found() {
        let bytes = archive(|builder| {
            add(builder, "a/layer.tar", b"layer");
            add(builder, "./b", b"bee");
            link(
                builder,
                tar::EntryType::Symlink,
                "c/layer.tar",
                "../a/layer.tar",
            );
            link(builder, tar::EntryType::Link, "d", "b");
            link(builder, tar::EntryType::Symlink, "loop", "loop");
            link(builder, tar::EntryType::Symlink, "out", "../../etc/passwd");
        });
        let zipped = zstd::encode_all(&bytes[..], 1).unwrap();
        for bytes in [bytes, zipped] {
            let members = open(&bytes).unwrap();
            for (name, expected) in [
                ("a/layer.tar", &b"layer"[..]),
                ("c/layer.tar", b"layer"),
                ("b", b"bee"),
                ("./d", b"bee"),
            ] {
                assert_eq!(members.read_member(name, 99).unwrap(), expected);
            }
            for name in ["loop", "out", "../b", "", "none"] {
                assert!(members.read_member(name, 99).is_err(), "{name}");
            }
            assert!(members.read_member("b", 2).is_err());
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert!(open(b"not a tar archive".repeat(99).as_slice()).is_err());
        let cut = archive(|builder| add(builder, "a", &[7; 4096]));
        let members = open(&cut[..1024]);
        assert!(members.is_err() || members.unwrap().read_member("a", 9999).is_err());
    }
}
