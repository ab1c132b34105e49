//! What a layer changes, as a tar stream made from its directory.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use minke_sys::rooted::Root;
use minke_sys::xattr;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};

use crate::tar::reader::{Entry, Kind};
use crate::tar::{BLOCK, padding, writer};

/// Directories are not deeper than what a path can name.
const MAX_DEPTH: usize = 2048;

/// Writes everything below `root`, whiteouts and opaque directories in the form of image-spec
/// `layer.md`, by order of names.
pub(crate) fn write(
    root: &Root,
    in_user_namespace: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    let prefix = if in_user_namespace {
        "user.overlay."
    } else {
        "trusted.overlay."
    };
    let mut walk = Walk {
        prefix,
        links: HashMap::new(),
        output,
    };
    walk.directory(root.as_fd(), &[], 0)?;
    walk.output.write_all(&[0; 2 * BLOCK])
}

struct Walk<'o> {
    prefix: &'static str,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    output: &'o mut dyn Write,
}

impl Walk<'_> {
    fn directory(&mut self, dir: impl AsFd, path: &[u8], depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&dir)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        for name in names {
            let path = [path, name.as_slice()].concat();
            self.entry(&dir, &OsString::from_vec(name), path, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: impl AsFd,
        name: &OsStr,
        path: Vec<u8>,
        depth: usize,
    ) -> io::Result<()> {
        let stat = fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            return self.mark(&stat, &path, name.as_bytes(), b".wh.");
        }
        let Some(kind) = kind_of(kind) else {
            return Ok(());
        };
        let mut entry = describe(&stat, kind, path);
        let key = (stat.st_dev, stat.st_ino);
        if kind != Kind::Directory && stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&key) {
                entry.kind = Kind::HardLink;
                entry.link_name = first.clone();
                entry.stored = 0;
                return self.output.write_all(&writer::header_blocks(&entry));
            }
            self.links.insert(key, entry.name.clone());
        }
        entry.xattrs = self.attributes(&dir, name)?;
        match kind {
            Kind::File => self.file(dir, name, &entry),
            Kind::Directory => self.subdirectory(dir, name, entry, &stat, depth),
            Kind::Symlink => {
                let target = fs::readlinkat(&dir, name, Vec::new())?;
                entry.link_name = target.into_bytes();
                self.output.write_all(&writer::header_blocks(&entry))
            }
            _ => self.output.write_all(&writer::header_blocks(&entry)),
        }
    }

    fn file(&mut self, dir: impl AsFd, name: &OsStr, entry: &Entry) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(fs::openat(dir, name, flags, Mode::empty())?);
        self.output.write_all(&writer::header_blocks(entry))?;
        let copied = io::copy(&mut file.take(entry.stored), &mut self.output)?;
        // The file became shorter while it was read: its frame must hold nonetheless.
        io::copy(
            &mut io::repeat(0).take(entry.stored - copied),
            &mut self.output,
        )?;
        self.output
            .write_all(&[0; BLOCK][..padding(entry.stored) as usize])
    }

    fn subdirectory(
        &mut self,
        dir: impl AsFd,
        name: &OsStr,
        mut entry: Entry,
        stat: &Stat,
        depth: usize,
    ) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let child = fs::openat(dir, name, flags, Mode::empty())?;
        if xattr::get(&child, OsStr::new(&format!("{}redirect", self.prefix)))?.is_some() {
            let text = format!(
                "{:?} was renamed by overlay, which cannot be exported",
                name
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        entry.name.push(b'/');
        self.output.write_all(&writer::header_blocks(&entry))?;
        let opaque = xattr::get(&child, OsStr::new(&format!("{}opaque", self.prefix)))?;
        if opaque.as_deref() == Some(b"y") {
            let path = [entry.name.as_slice(), b"."].concat();
            self.mark(stat, &path, b".", b".wh..wh..opq")?;
        }
        self.directory(child, &entry.name, depth + 1)
    }

    /// An empty file that stands for a removal: `prefix` before the name at the end of `path`.
    fn mark(&mut self, stat: &Stat, path: &[u8], name: &[u8], prefix: &[u8]) -> io::Result<()> {
        let directory = &path[..path.len() - name.len()];
        let name = if prefix == b".wh." { name } else { b"" };
        let path = [directory, prefix, name].concat();
        let mut entry = describe(stat, Kind::File, path);
        (entry.mode, entry.stored, entry.device) = (0, 0, (0, 0));
        entry.mtime.1 = 0;
        self.output.write_all(&writer::header_blocks(&entry))
    }

    fn attributes(&self, dir: impl AsFd, name: &OsStr) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut attributes = Vec::new();
        for key in xattr::list_at(&dir, name)? {
            let bytes = key.as_bytes();
            let kept = bytes == b"security.capability"
                || (bytes.starts_with(b"user.") && !bytes.starts_with(b"user.overlay."));
            if kept && let Some(value) = xattr::get_at(&dir, name, &key)? {
                attributes.push((bytes.to_vec(), value));
            }
        }
        attributes.sort_unstable();
        Ok(attributes)
    }
}

/// Sockets are not archived.
fn kind_of(kind: FileType) -> Option<Kind> {
    match kind {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Directory),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::CharacterDevice => Some(Kind::CharDevice),
        FileType::BlockDevice => Some(Kind::BlockDevice),
        FileType::Fifo => Some(Kind::Fifo),
        _ => None,
    }
}

fn describe(stat: &Stat, kind: Kind, name: Vec<u8>) -> Entry {
    let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
    let device = (fs::major(stat.st_rdev), fs::minor(stat.st_rdev));
    Entry {
        kind,
        name,
        link_name: Vec::new(),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
        device: if is_device { device } else { (0, 0) },
        xattrs: Vec::new(),
        stored: if kind == Kind::File {
            stat.st_size.cast_unsigned()
        } else {
            0
        },
        sparse: None,
    }
}
