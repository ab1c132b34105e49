//! Tar entries onto disk, inside one directory whatever they say.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use minke_sys::atomic::start_writeback;
use minke_sys::rooted::Root;
use minke_sys::xattr;
use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::tar::reader::{Entry, Kind, Reader};
use crate::tar::split::{CRC, SplitWriter};
use crate::{Digest, Error, Result};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Marks of the older aufs driver, which mean nothing here.
const AUFS: &[u8] = b".wh..wh.";

/// How much of a large file is handed to the disk at a time.
const WRITEBACK_BYTES: u64 = 8 << 20;

/// How entries are put on disk.
#[derive(Debug, Clone)]
pub(crate) struct UnpackOptions {
    pub(crate) in_user_namespace: bool,
    pub(crate) ignore_chown_errors: bool,
    pub(crate) max_bytes: u64,
    /// Whether a sync follows: the disk then begins with large files while they come.
    pub(crate) is_synced: bool,
}

/// What was unpacked.
pub(crate) struct Unpacked {
    pub(crate) diff_id: Digest,
    pub(crate) size: u64,
    pub(crate) uids: BTreeSet<u32>,
    pub(crate) gids: BTreeSet<u32>,
    /// Whether the recording and the files give the stream again: not if the stream held the
    /// same file twice.
    pub(crate) is_reproducible: bool,
}

/// Unpacks `diff` in `root`, recording it in `split`.
pub(crate) fn unpack(
    diff: impl Read,
    root: &Root,
    split: File,
    options: &UnpackOptions,
) -> Result<Unpacked> {
    let mut unpacker = Unpacker {
        root,
        options,
        split: SplitWriter::new(io::BufWriter::new(split)),
        parent: None,
        directory_times: Vec::new(),
        whiteouts: HashSet::new(),
        made: HashSet::new(),
        uids: BTreeSet::new(),
        gids: BTreeSet::new(),
        is_reproducible: true,
    };
    let mut reader = Reader::new(diff, options.max_bytes);
    while let Some(entry) = reader.next()? {
        unpacker.entry(&entry, &mut reader)?;
    }
    unpacker.finish(reader)
}

struct Unpacker<'u> {
    root: &'u Root,
    options: &'u UnpackOptions,
    split: SplitWriter<io::BufWriter<File>>,
    /// The directory of the entry before, since entries come by directory.
    parent: Option<(PathBuf, OwnedFd)>,
    directory_times: Vec<(PathBuf, (i64, u32))>,
    whiteouts: HashSet<PathBuf>,
    /// What whiteouts must not touch: they count for the layers below.
    made: HashSet<PathBuf>,
    uids: BTreeSet<u32>,
    gids: BTreeSet<u32>,
    is_reproducible: bool,
}

impl Unpacker<'_> {
    fn entry<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<()> {
        let raw = reader.take_raw();
        self.split.segment(&raw).map_err(recording)?;
        let path = inner_path(&entry.name).map_err(|why| reader.fault(why))?;
        let name = path.file_name().map_or(&b""[..], OsStr::as_bytes).to_vec();
        if name.starts_with(WHITEOUT) {
            self.mark(entry, &path, &name, reader)?;
            return self.record_content(entry, reader);
        }
        self.uids.insert(entry.uid);
        self.gids.insert(entry.gid);
        if path.as_os_str().is_empty() {
            // The root's own owner and mode are those of the layer below, as with other stores.
            return self.record_content(entry, reader);
        }
        let skipped = self.options.in_user_namespace
            && matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice);
        if skipped {
            tracing::debug!(path = %path.display(), "a device node cannot be made here");
            return self.record_content(entry, reader);
        }
        self.place(entry, &path, reader)?;
        self.made.insert(path);
        Ok(())
    }

    fn place<R: Read>(&mut self, entry: &Entry, path: &Path, reader: &mut Reader<R>) -> Result<()> {
        let refused = |act| move |source: io::Error| unpack_error(entry, act, source);
        let name = path
            .file_name()
            .expect("the root was handled before")
            .to_owned();
        let parent = self
            .take_parent(path)
            .map_err(refused("open its directory"))?;
        match entry.kind {
            Kind::File => self.file(entry, &parent, &name, reader)?,
            Kind::Directory => {
                self.directory(entry, path, &parent, &name)
                    .map_err(refused("create it"))?;
                self.record_content(entry, reader)?;
            }
            _ => {
                self.special(entry, &parent, &name)
                    .map_err(refused("create it"))?;
                self.record_content(entry, reader)?;
            }
        }
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        // A directory or a link may have been replaced: what was resolved before is stale.
        if !matches!(entry.kind, Kind::Symlink | Kind::Directory) {
            self.parent = Some((directory, parent));
        }
        Ok(())
    }

    /// The directory that `path` is in, made if missing.
    fn take_parent(&mut self, path: &Path) -> io::Result<OwnedFd> {
        let directory = path.parent().unwrap_or(Path::new(""));
        match self.parent.take() {
            Some((cached, fd)) if cached == directory => Ok(fd),
            _ => self.root.mkdir_all(directory, Mode::from(0o755)),
        }
    }

    fn file<R: Read>(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &OsStr,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        let refused = |act| move |source: io::Error| unpack_error(entry, act, source);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let open = || fs::openat(parent, name, flags | OFlags::NOFOLLOW, Mode::from(0o600));
        let file = self
            .replacing(parent, name, open)
            .map_err(refused("create it"))?;
        let file = File::from(file);
        if entry.sparse.is_some() {
            self.sparse_content(entry, &file, reader)?;
        } else {
            self.plain_content(entry, &file, reader)?;
        }
        self.own(entry, &file)
            .map_err(refused("set the owner of it"))?;
        fs::fchmod(&file, Mode::from(entry.mode))
            .map_err(|errno| refused("chmod it")(errno.into()))?;
        self.attributes(entry, |key, value| xattr::set(&file, key, value))
            .map_err(refused("set an attribute of it"))?;
        fs::futimens(&file, &timestamps(entry.mtime))
            .map_err(|errno| refused("set the time of it")(errno.into()))
    }

    fn plain_content<R: Read>(
        &mut self,
        entry: &Entry,
        file: &File,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        let mut file = file;
        let mut digest = CRC.digest();
        let (mut written, mut begun) = (0, 0);
        loop {
            let piece = reader.content()?;
            if piece.is_empty() {
                break;
            }
            digest.update(piece);
            file.write_all(piece)
                .map_err(|source| unpack_error(entry, "write it", source))?;
            let length = piece.len();
            reader.consume(length);
            written += length as u64;
            if self.options.is_synced && written - begun >= WRITEBACK_BYTES {
                start_writeback(file, begun, written - begun);
                begun = written;
            }
        }
        let crc = digest.finalize();
        let first = self
            .split
            .file(&entry.name, entry.stored, crc)
            .map_err(recording)?;
        self.is_reproducible &= first;
        Ok(())
    }

    /// Writes the pieces of a file with holes; the stream's form of it is kept in the recording,
    /// from which alone it can be made again.
    fn sparse_content<R: Read>(
        &mut self,
        entry: &Entry,
        file: &File,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        let refused = |source: io::Error| unpack_error(entry, "write it", source);
        let map = entry.sparse.as_ref().expect("the caller looked");
        self.split.segment(&reader.take_raw()).map_err(recording)?;
        for extent in &map.extents {
            let mut written = 0;
            while written < extent.length {
                let piece = reader.content()?;
                let left = usize::try_from(extent.length - written).unwrap_or(usize::MAX);
                let piece = &piece[..piece.len().min(left)];
                file.write_all_at(piece, extent.offset + written)
                    .map_err(refused)?;
                self.split.segment(piece).map_err(recording)?;
                let length = piece.len();
                written += length as u64;
                reader.consume(length);
            }
        }
        file.set_len(map.size).map_err(refused)
    }

    /// Records an entry whose content, if any, has no file: the bytes themselves are kept.
    fn record_content<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<()> {
        if !reader.has_content() {
            // Of the same name twice, one line will do: there is no content to find.
            self.split.file(&entry.name, 0, 0).map_err(recording)?;
        }
        while reader.has_content() {
            let piece = reader.content()?;
            self.split.segment(piece).map_err(recording)?;
            let length = piece.len();
            reader.consume(length);
        }
        Ok(())
    }

    fn directory(
        &mut self,
        entry: &Entry,
        path: &Path,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> io::Result<()> {
        match fs::mkdirat(parent, name, Mode::from(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) if self.is_directory(parent, name) => {}
            Err(Errno::EXIST) => {
                self.remove(parent, name)?;
                fs::mkdirat(parent, name, Mode::from(0o700))?;
            }
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = fs::openat(parent, name, flags, Mode::empty())?;
        self.own(entry, &directory)?;
        fs::fchmod(&directory, Mode::from(entry.mode))?;
        self.attributes(entry, |key, value| xattr::set(&directory, key, value))?;
        // What a whiteout took away must not shine through the directory that replaces it.
        if self.whiteouts.remove(path) {
            xattr::set(&directory, self.opaque_key(), b"y")?;
        }
        self.directory_times.push((path.to_owned(), entry.mtime));
        Ok(())
    }

    fn special(&mut self, entry: &Entry, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        if entry.kind == Kind::HardLink {
            let target = inner_path(&entry.link_name)
                .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
            let (holder, target) = self.root.open_parent(&target)?;
            let link = || fs::linkat(&holder, target, parent, name, AtFlags::empty());
            return self.replacing(parent, name, link);
        }
        if entry.kind == Kind::Symlink {
            let target = OsStr::from_bytes(&entry.link_name);
            self.replacing(parent, name, || fs::symlinkat(target, parent, name))?;
        } else {
            let (kind, device) = match entry.kind {
                Kind::CharDevice => (FileType::CharacterDevice, entry.device),
                Kind::BlockDevice => (FileType::BlockDevice, entry.device),
                _ => (FileType::Fifo, (0, 0)),
            };
            let device = fs::makedev(device.0, device.1);
            let make = || fs::mknodat(parent, name, kind, Mode::from(entry.mode), device);
            self.replacing(parent, name, make)?;
        }
        self.own_at(entry, parent, name)?;
        if entry.kind != Kind::Symlink {
            fs::chmodat(parent, name, Mode::from(entry.mode), AtFlags::empty())?;
        }
        self.attributes(entry, |key, value| xattr::set_at(parent, name, key, value))?;
        fs::utimensat(
            parent,
            name,
            &timestamps(entry.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
        Ok(())
    }

    /// A whiteout or another mark of that name form.
    fn mark<R: Read>(
        &mut self,
        entry: &Entry,
        path: &Path,
        name: &[u8],
        reader: &Reader<R>,
    ) -> Result<()> {
        let refused = |source| unpack_error(entry, "mark what it removes", source);
        let directory = path.parent().unwrap_or(Path::new(""));
        if name == OPAQUE {
            let fd = self
                .root
                .mkdir_all(directory, Mode::from(0o755))
                .map_err(refused)?;
            return xattr::set(&fd, self.opaque_key(), b"y").map_err(refused);
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        let hidden = &name[WHITEOUT.len()..];
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(reader.fault("a whiteout names no file"));
        }
        let target = directory.join(OsStr::from_bytes(hidden));
        if self.made.contains(&target) {
            return Ok(());
        }
        let fd = self.take_parent(path).map_err(refused)?;
        let hidden = OsStr::from_bytes(hidden);
        match fs::mknodat(
            &fd,
            hidden,
            FileType::CharacterDevice,
            Mode::empty(),
            fs::makedev(0, 0),
        ) {
            Ok(()) | Err(Errno::EXIST) => {
                self.whiteouts.insert(target);
                Ok(())
            }
            Err(errno) => Err(refused(errno.into())),
        }
    }

    /// Runs `make`; if the name is taken, takes away what has it and tries once more.
    fn replacing<T>(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.remove(parent, name)?;
                Ok(make()?)
            }
            result => Ok(result?),
        }
    }

    fn remove(&mut self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let stat = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.is_reproducible = false;
                remove_tree(parent, name)
            }
            kind => {
                self.is_reproducible &= kind != FileType::RegularFile;
                Ok(fs::unlinkat(parent, name, AtFlags::empty())?)
            }
        }
    }

    fn is_directory(&self, parent: &OwnedFd, name: &OsStr) -> bool {
        fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    fn own(&self, entry: &Entry, file: impl AsFd) -> io::Result<()> {
        self.chown_result(fs::fchown(file, owner(entry.uid), group(entry.gid)), entry)
    }

    fn own_at(&self, entry: &Entry, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let result = fs::chownat(parent, name, owner(entry.uid), group(entry.gid), flags);
        self.chown_result(result, entry)
    }

    fn chown_result(&self, result: rustix::io::Result<()>, entry: &Entry) -> io::Result<()> {
        match result {
            Ok(()) => Ok(()),
            Err(_) if self.options.ignore_chown_errors => Ok(()),
            Err(Errno::INVAL) if self.options.in_user_namespace => {
                let (uid, gid) = (entry.uid, entry.gid);
                let text = format!("{uid}:{gid} is not among the ids of this user namespace");
                Err(io::Error::new(io::ErrorKind::InvalidInput, text))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn attributes(
        &self,
        entry: &Entry,
        set: impl Fn(&OsStr, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for (key, value) in entry.xattrs.iter().filter(|(key, _)| is_kept(key)) {
            match set(OsStr::from_bytes(key), value) {
                // The file system has no such attributes, or not on such a file.
                Err(error) if is_user(key) && cannot_have_attributes(&error) => {}
                result => result?,
            }
        }
        Ok(())
    }

    fn opaque_key(&self) -> &'static OsStr {
        OsStr::new(if self.options.in_user_namespace {
            "user.overlay.opaque"
        } else {
            "trusted.overlay.opaque"
        })
    }

    fn finish<R: Read>(mut self, mut reader: Reader<R>) -> Result<Unpacked> {
        self.split.segment(&reader.take_raw()).map_err(recording)?;
        loop {
            let trailer = reader.trailer()?;
            if trailer.is_empty() {
                break;
            }
            self.split.segment(&trailer).map_err(recording)?;
        }
        self.set_directory_times()?;
        self.split
            .finish()
            .and_then(|mut output| output.flush())
            .map_err(recording)?;
        let (diff_id, size) = reader.finish();
        Ok(Unpacked {
            diff_id,
            size,
            uids: self.uids,
            gids: self.gids,
            is_reproducible: self.is_reproducible,
        })
    }

    /// Last of all, since every file made changed the time of its directory.
    fn set_directory_times(&self) -> Result<()> {
        for (path, mtime) in &self.directory_times {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let set = match self.root.open(path, flags) {
                Ok(directory) => {
                    fs::futimens(&directory, &timestamps(*mtime)).map_err(io::Error::from)
                }
                // A later entry took its place.
                Err(error) if is_gone(&error) => Ok(()),
                Err(error) => Err(error),
            };
            set.map_err(|source| Error::Unpack {
                entry: path.clone(),
                act: "set the time of it",
                source,
            })?;
        }
        Ok(())
    }
}

/// The path of an entry below the root: no `..`, no `.`, no slash before or behind.
fn inner_path(name: &[u8]) -> std::result::Result<PathBuf, String> {
    let mut path = PathBuf::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let name = String::from_utf8_lossy(name);
                return Err(format!("the name {name:?} leads upwards"));
            }
            part if part.contains(&0) => return Err("a name holds a null byte".to_owned()),
            part => path.push(OsString::from_vec(part.to_vec())),
        }
    }
    Ok(path)
}

/// Whether an attribute of an image is set: overlay's own would change what is seen.
fn is_kept(key: &[u8]) -> bool {
    key == b"security.capability" || (is_user(key) && !key.starts_with(b"user.overlay."))
}

fn is_user(key: &[u8]) -> bool {
    key.starts_with(b"user.")
}

fn cannot_have_attributes(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EPERM))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)
    )
}

fn owner(uid: u32) -> Option<Uid> {
    (uid != u32::MAX).then(|| Uid::from_raw(uid))
}

fn group(gid: u32) -> Option<Gid> {
    (gid != u32::MAX).then(|| Gid::from_raw(gid))
}

fn timestamps((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn unpack_error(entry: &Entry, act: &'static str, source: io::Error) -> Error {
    Error::Unpack {
        entry: PathBuf::from(OsString::from_vec(entry.name.clone())),
        act,
        source,
    }
}

fn recording(source: io::Error) -> Error {
    Error::io("write", "tar-split.gz")(source)
}

/// Removes a directory and all beneath it by descriptor, following nothing.
fn remove_tree(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = fs::openat(parent, name, flags, Mode::empty())?;
    for entry in fs::Dir::read_from(&directory)? {
        let entry = entry?;
        let child = OsStr::from_bytes(entry.file_name().to_bytes());
        if child == "." || child == ".." {
            continue;
        }
        match fs::unlinkat(&directory, child, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => remove_tree(&directory, child)?,
            result => result?,
        }
    }
    Ok(fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}
