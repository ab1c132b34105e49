//! Files on disk as a tar stream.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use minke_sys::idmap::IdMap;
use minke_sys::rooted::{self, Root};
use minke_sys::xattr;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::tar::reader::{Entry, Kind};
use crate::tar::{BLOCK, padding, writer};

/// Directories are not deeper than what a path can name.
const MAX_DEPTH: usize = 2048;

/// The types of such file systems: proc, sysfs, cgroup, cgroup2, devpts, mqueue, securityfs,
/// debugfs, tracefs, bpf, selinuxfs.
const KERNELS_OWN: &[u64] = &[
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x1cd1,
    0x1980_0202,
    0x7363_6673,
    0x6462_6720,
    0x7472_6163,
    0xcafe_4a11,
    0xf97c_ff8c,
];

/// Writes everything below `root`, a layer's own directory, whiteouts and opaque directories in
/// the form of image-spec `layer.md`, by order of names.
pub(crate) fn write_changes(
    root: &Root,
    in_user_namespace: bool,
    owners: Option<IdMap>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let prefix = if in_user_namespace {
        "user.overlay."
    } else {
        "trusted.overlay."
    };
    let mut packer = Packer {
        marks: Some(prefix),
        whole_seconds: true,
        owners: owners.map(|map| map.inverted()),
        device: None,
        links: HashMap::new(),
        output,
    };
    packer.directory(root.as_fd(), &[], 0)?;
    packer.finish()
}

/// Writes files and directories as a tar stream, in the order of their names.
///
/// The tree may change meanwhile, by hostile hands too: nothing is looked up twice, no symlink is
/// followed, nothing but a regular file is opened for reading, and a file that becomes shorter
/// is filled up with zeros. What vanishes while we look is left out, as are sockets. Of the
/// extended attributes `security.capability` and `user.*` are kept, save overlay's own.
pub struct Packer<'o> {
    /// How overlay's own marks begin, where what is written is a layer's own directory.
    marks: Option<&'static str>,
    /// Times lose what is less than a second.
    whole_seconds: bool,
    /// From the owners on disk to those written.
    owners: Option<IdMap>,
    /// The file system that the walk began on.
    device: Option<u64>,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    output: &'o mut dyn Write,
}

impl<'o> Packer<'o> {
    /// A stream without anything in it yet.
    pub fn new(output: &'o mut dyn Write) -> Self {
        Self {
            marks: None,
            whole_seconds: false,
            owners: None,
            device: None,
            links: HashMap::new(),
            output,
        }
    }

    /// Writes times without their parts of a second, as layers have them: what is less takes an
    /// extended header of a kilobyte for every file.
    #[must_use]
    pub fn whole_seconds(mut self) -> Self {
        self.whole_seconds = true;
        self
    }

    /// Writes the owners that files have inside a user namespace with this mapping; one that is
    /// not mapped stays the number it is.
    #[must_use]
    pub fn inside(mut self, map: Option<&IdMap>) -> Self {
        self.owners = map.map(IdMap::inverted);
        self
    }

    /// Everything below `directory`, each name put after that of `place`. The directory itself
    /// is not written.
    ///
    /// # Errors
    /// As reading the files; `output`'s own.
    pub fn below(&mut self, directory: impl AsFd, place: &Path) -> io::Result<()> {
        self.device = Some(fs::fstat(&directory)?.st_dev);
        let mut path = place.as_os_str().as_bytes().to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        self.directory(directory, &path, 0)
    }

    /// The one thing that is called `name` in `directory`, with all that is beneath, under the
    /// name `place`. It is nothing where there is no such thing.
    ///
    /// # Errors
    /// As [`Packer::below`].
    pub fn object(&mut self, directory: impl AsFd, name: &OsStr, place: &Path) -> io::Result<()> {
        let path = place.as_os_str().as_bytes().to_vec();
        self.entry(directory, name, path, 0)
    }

    /// The open directory `directory` and all that is beneath, under the name `place`: for one
    /// that has no name of its own to be found by, as the root.
    ///
    /// # Errors
    /// As [`Packer::below`].
    pub fn whole(&mut self, directory: impl AsFd, place: &Path) -> io::Result<()> {
        let stat = fs::fstat(&directory)?;
        let path = place.as_os_str().as_bytes().to_vec();
        let entry = self.describe(&stat, Kind::Directory, path);
        self.opened_directory(directory, entry, &stat, 0)
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// `output`'s.
    pub fn finish(self) -> io::Result<()> {
        self.output.write_all(&[0; 2 * BLOCK])
    }

    fn describe(&self, stat: &Stat, kind: Kind, name: Vec<u8>) -> Entry {
        let mut entry = describe(stat, kind, name);
        if self.whole_seconds {
            entry.mtime.1 = 0;
        }
        if let Some(owners) = &self.owners {
            entry.uid = owners.user(entry.uid).unwrap_or(entry.uid);
            entry.gid = owners.group(entry.gid).unwrap_or(entry.gid);
        }
        entry
    }

    fn directory(&mut self, dir: impl AsFd, path: &[u8], depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        for name in names_in(&dir)? {
            let path = [path, name.as_bytes()].concat();
            self.entry(&dir, &name, path, depth)?;
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
        let stat = match fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            stat => stat?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.marks.is_some() && kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            return self.mark(&stat, &path, name.as_bytes(), b".wh.");
        }
        let Some(kind) = kind_of(kind) else {
            return Ok(());
        };
        let mut entry = self.describe(&stat, kind, path);
        let opened = match kind {
            Kind::File | Kind::Directory => match open_same(&dir, name, &stat)? {
                Some(opened) => Some(opened),
                None => return Ok(()),
            },
            _ => None,
        };
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
        match (kind, opened) {
            (Kind::File, Some(file)) => self.file(file.into(), entry),
            (Kind::Directory, Some(child)) => self.opened_directory(child, entry, &stat, depth),
            _ => self.unopened(dir, name, entry),
        }
    }

    /// What has no content to read: a link, a device, a pipe.
    fn unopened(&mut self, dir: impl AsFd, name: &OsStr, mut entry: Entry) -> io::Result<()> {
        if entry.kind == Kind::Symlink {
            match fs::readlinkat(&dir, name, Vec::new()) {
                Ok(target) => entry.link_name = target.into_bytes(),
                // It went, or became something else.
                Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
        entry.xattrs = kept(xattr::list_at(&dir, name), |key| {
            xattr::get_at(&dir, name, key)
        })?;
        self.output.write_all(&writer::header_blocks(&entry))
    }

    fn file(&mut self, file: File, mut entry: Entry) -> io::Result<()> {
        entry.xattrs = kept(xattr::list(&file), |key| xattr::get(&file, key))?;
        self.output.write_all(&writer::header_blocks(&entry))?;
        let copied = io::copy(&mut file.take(entry.stored), &mut self.output)?;
        // The file became shorter while it was read: its frame must hold nonetheless.
        io::copy(
            &mut io::repeat(0).take(entry.stored - copied),
            &mut self.output,
        )?;
        self.output
            .write_all(&[0; BLOCK][..padding(entry.stored) as usize])
    }

    fn opened_directory(
        &mut self,
        child: impl AsFd,
        mut entry: Entry,
        stat: &Stat,
        depth: usize,
    ) -> io::Result<()> {
        entry.xattrs = kept(xattr::list(&child), |key| xattr::get(&child, key))?;
        entry.name.push(b'/');
        self.refuse_renamed(&child, &entry)?;
        self.output.write_all(&writer::header_blocks(&entry))?;
        if self.overlay_mark(&child, "opaque")?.as_deref() == Some(b"y") {
            let path = [entry.name.as_slice(), b"."].concat();
            self.mark(stat, &path, b".", b".wh..wh..opq")?;
        }
        if self.is_the_kernels(&child, stat)? {
            return Ok(());
        }
        self.directory(child, &entry.name, depth + 1)
    }

    /// Whether a directory that the walk has come to is the top of a file system that the kernel
    /// makes up: of /proc and its like there is nothing to keep.
    fn is_the_kernels(&mut self, directory: impl AsFd, stat: &Stat) -> io::Result<bool> {
        let began = *self.device.get_or_insert(stat.st_dev);
        if began == stat.st_dev {
            return Ok(false);
        }
        let kind = fs::fstatfs(directory)?.f_type;
        Ok(KERNELS_OWN.contains(&(kind as u64)))
    }

    fn refuse_renamed(&self, child: impl AsFd, entry: &Entry) -> io::Result<()> {
        if self.overlay_mark(child, "redirect")?.is_none() {
            return Ok(());
        }
        let name = String::from_utf8_lossy(&entry.name);
        let text = format!("{name:?} was renamed by overlay, which cannot be exported");
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    /// What overlay noted of a directory; nothing where the tree is not a layer's own.
    fn overlay_mark(&self, directory: impl AsFd, what: &str) -> io::Result<Option<Vec<u8>>> {
        match self.marks {
            Some(prefix) => xattr::get(directory, OsStr::new(&format!("{prefix}{what}"))),
            None => Ok(None),
        }
    }

    /// An empty file that stands for a removal: `prefix` before the name at the end of `path`.
    fn mark(&mut self, stat: &Stat, path: &[u8], name: &[u8], prefix: &[u8]) -> io::Result<()> {
        let directory = &path[..path.len() - name.len()];
        let name = if prefix == b".wh." { name } else { b"" };
        let path = [directory, prefix, name].concat();
        let mut entry = self.describe(stat, Kind::File, path);
        (entry.mode, entry.stored, entry.device) = (0, 0, (0, 0));
        entry.mtime.1 = 0;
        self.output.write_all(&writer::header_blocks(&entry))
    }
}

/// The names in a directory, in order, without `.` and `..`.
pub(crate) fn names_in(dir: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(&dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens what `stat` tells of, a file or directory, for reading; nothing where something else
/// has its name by now.
fn open_same(dir: impl AsFd, name: &OsStr, stat: &Stat) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = match fs::openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        held => held?,
    };
    let now = fs::fstat(&held)?;
    if (now.st_dev, now.st_ino, now.st_mode) != (stat.st_dev, stat.st_ino, stat.st_mode) {
        return Ok(None);
    }
    rooted::reopen(&held, OFlags::RDONLY).map(Some)
}

/// The attributes to write.
fn kept(
    keys: io::Result<Vec<OsString>>,
    get: impl Fn(&OsStr) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let keys = match keys {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Vec::new(),
        keys => keys?,
    };
    let mut attributes = Vec::new();
    for key in keys {
        let bytes = key.as_bytes();
        let kept = bytes == b"security.capability"
            || (bytes.starts_with(b"user.") && !bytes.starts_with(b"user.overlay."));
        if kept && let Some(value) = get(&key)? {
            attributes.push((bytes.to_vec(), value));
        }
    }
    attributes.sort_unstable();
    Ok(attributes)
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
