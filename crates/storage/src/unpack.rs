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
use minke_sys::rooted::{Root, reopen};
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

/// How often a name is tried again that somebody else changes meanwhile.
const SWAP_TRIES: usize = 16;

/// Fewer zeros in a row are written.
const HOLE_BYTES: usize = 4096;

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

/// How [`extract`] puts a tar stream on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtractOptions {
    /// Who gets it all: user and group; `None` leaves it to the stream.
    pub owner: Option<(u32, u32)>,
    /// Make device nodes; otherwise they are passed over.
    pub devices: bool,
    /// Set extended attributes.
    pub attributes: bool,
    /// A directory may take the place of what is none, and the other way round.
    pub replace_kinds: bool,
    /// Zeros become holes.
    pub holes: bool,
    /// The most bytes the stream may have.
    pub max_bytes: u64,
}

impl Default for ExtractOptions {
    /// All as the stream says; no kind replaces the other.
    fn default() -> Self {
        Self {
            owner: None,
            devices: true,
            attributes: true,
            replace_kinds: false,
            holes: false,
            max_bytes: 1 << 40,
        }
    }
}

/// Puts the entries of `stream`, an uncompressed tar, into the directory `place` of `root`, among
/// what is there; gives how many there were.
///
/// Links that are met on the way are followed inside `root`, never out of it, whatever names
/// and links the stream has and whoever changes the tree meanwhile. Directories that exist stay
/// and get the owner, mode and time of their entry; anything else of that name is replaced by
/// a new file. One that cannot be replaced since something is mounted on it is written to as
/// it is. Whiteouts have no meaning here.
///
/// # Errors
/// [`Error::Archive`], [`Error::Unpack`], [`Error::Stream`]; [`Error::KindDiffers`] unless
/// [`ExtractOptions::replace_kinds`] is set. What came before is on disk then.
pub fn extract(
    stream: impl Read,
    root: &Root,
    place: &Path,
    options: &ExtractOptions,
) -> Result<u64> {
    let unpacking = UnpackOptions {
        in_user_namespace: false,
        ignore_chown_errors: false,
        max_bytes: options.max_bytes,
        is_synced: false,
    };
    let mut unpacker = Unpacker::new(root, &unpacking, None);
    unpacker.place = place.strip_prefix("/").unwrap_or(place).to_owned();
    unpacker.extract = Some(options);
    let mut reader = Reader::new(stream, options.max_bytes);
    let mut entries = 0;
    while let Some(mut entry) = reader.next()? {
        if let Some(owner) = options.owner {
            (entry.uid, entry.gid) = owner;
        }
        if !options.attributes {
            entry.xattrs.clear();
        }
        unpacker.entry(&entry, &mut reader)?;
        entries += 1;
    }
    unpacker.finish(reader)?;
    Ok(entries)
}

/// Unpacks `diff` in `root`, recording it in `split`.
pub(crate) fn unpack(
    diff: impl Read,
    root: &Root,
    split: File,
    options: &UnpackOptions,
) -> Result<Unpacked> {
    let split = SplitWriter::new(io::BufWriter::new(split));
    let mut unpacker = Unpacker::new(root, options, Some(split));
    let mut reader = Reader::new(diff, options.max_bytes);
    while let Some(entry) = reader.next()? {
        unpacker.entry(&entry, &mut reader)?;
    }
    unpacker.finish(reader)
}

struct Unpacker<'u> {
    root: &'u Root,
    options: &'u UnpackOptions,
    /// The directory in the root that names are beneath.
    place: PathBuf,
    /// Set where this is no layer.
    extract: Option<&'u ExtractOptions>,
    /// What the stream can be made of again; of layers.
    split: Option<SplitWriter<io::BufWriter<File>>>,
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

impl<'u> Unpacker<'u> {
    fn new(
        root: &'u Root,
        options: &'u UnpackOptions,
        split: Option<SplitWriter<io::BufWriter<File>>>,
    ) -> Self {
        Self {
            root,
            options,
            place: PathBuf::new(),
            extract: None,
            split,
            parent: None,
            directory_times: Vec::new(),
            whiteouts: HashSet::new(),
            made: HashSet::new(),
            uids: BTreeSet::new(),
            gids: BTreeSet::new(),
            is_reproducible: true,
        }
    }

    /// Keeps bytes of the stream that are no file's.
    fn record(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.split {
            Some(split) => split.segment(bytes).map_err(recording),
            None => Ok(()),
        }
    }

    /// Keeps that a file's content stands here; false if that name was there before.
    fn record_file(&mut self, name: &[u8], size: u64, crc: u64) -> Result<bool> {
        match &mut self.split {
            Some(split) => split.file(name, size, crc).map_err(recording),
            None => Ok(true),
        }
    }

    fn entry<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<()> {
        let raw = reader.take_raw();
        self.record(&raw)?;
        let inner = inner_path(&entry.name).map_err(|why| reader.fault(why))?;
        let path = self.place.join(&inner);
        let name = inner.file_name().map_or(&b""[..], OsStr::as_bytes).to_vec();
        if self.extract.is_none() && name.starts_with(WHITEOUT) {
            self.mark(entry, &path, &name, reader)?;
            return self.record_content(entry, reader);
        }
        self.uids.insert(entry.uid);
        self.gids.insert(entry.gid);
        if inner.as_os_str().is_empty() {
            // The root's own owner and mode are those of the layer below, as with other stores.
            return self.record_content(entry, reader);
        }
        let no_devices =
            self.options.in_user_namespace || self.extract.is_some_and(|options| !options.devices);
        let skipped = no_devices && matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice);
        if skipped {
            tracing::debug!(path = %path.display(), "a device node is not made here");
            return self.record_content(entry, reader);
        }
        self.put(entry, &path, reader)?;
        if self.extract.is_none() {
            self.made.insert(path);
        }
        Ok(())
    }

    fn put<R: Read>(&mut self, entry: &Entry, path: &Path, reader: &mut Reader<R>) -> Result<()> {
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
                self.make_directory(entry, &parent, &name)?;
                self.directory(entry, path, &parent, &name)
                    .map_err(refused("create it"))?;
                self.record_content(entry, reader)?;
            }
            _ => {
                self.make_special(entry, &parent, &name)?;
                self.describe_special(entry, &parent, &name)
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
        let file = match self.replacing(entry, parent, name, open) {
            Err(Error::Unpack { source, .. }) if is_busy(&source) && self.extract.is_some() => {
                open_mounted(parent, name).map_err(refused("write to it"))?
            }
            file => file?,
        };
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
            let put = match self.extract {
                Some(ExtractOptions { holes: true, .. }) => write_data(file, piece, written),
                _ => file.write_all(piece),
            };
            put.map_err(|source| unpack_error(entry, "write it", source))?;
            if self.split.is_some() {
                digest.update(piece);
            }
            let length = piece.len();
            reader.consume(length);
            written += length as u64;
            if self.options.is_synced && written - begun >= WRITEBACK_BYTES {
                start_writeback(file, begun, written - begun);
                begun = written;
            }
        }
        if self.extract.is_some_and(|options| options.holes) {
            file.set_len(written)
                .map_err(|source| unpack_error(entry, "write it", source))?;
        }
        let first = self.record_file(&entry.name, entry.stored, digest.finalize())?;
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
        self.record(&reader.take_raw())?;
        for extent in &map.extents {
            let mut written = 0;
            while written < extent.length {
                let piece = reader.content()?;
                let left = usize::try_from(extent.length - written).unwrap_or(usize::MAX);
                let piece = &piece[..piece.len().min(left)];
                file.write_all_at(piece, extent.offset + written)
                    .map_err(refused)?;
                self.record(piece)?;
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
            self.record_file(&entry.name, 0, 0)?;
        }
        while reader.has_content() {
            let piece = reader.content()?;
            self.record(piece)?;
            let length = piece.len();
            reader.consume(length);
        }
        Ok(())
    }

    fn make_directory(&mut self, entry: &Entry, parent: &OwnedFd, name: &OsStr) -> Result<()> {
        let refused = |source: io::Error| unpack_error(entry, "create it", source);
        for _ in 0..SWAP_TRIES {
            match fs::mkdirat(parent, name, Mode::from(0o700)) {
                Err(Errno::EXIST) if self.is_directory(parent, name) => return Ok(()),
                Err(Errno::EXIST) if !self.replaces_kinds() => return Err(kind_differs(entry)),
                Err(Errno::EXIST) => {}
                result => return result.map_err(|errno| refused(errno.into())),
            }
            match fs::unlinkat(parent, name, AtFlags::empty()) {
                Ok(()) => self.is_reproducible = false,
                // It is a directory by now, or gone.
                Err(Errno::ISDIR | Errno::PERM | Errno::NOENT) => {}
                Err(errno) => return Err(refused(errno.into())),
            }
        }
        Err(refused(Errno::AGAIN.into()))
    }

    /// Gives a directory that is there what the entry says of it.
    fn directory(
        &mut self,
        entry: &Entry,
        path: &Path,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> io::Result<()> {
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

    fn make_special(&mut self, entry: &Entry, parent: &OwnedFd, name: &OsStr) -> Result<()> {
        if entry.kind == Kind::HardLink {
            let refused = |source| unpack_error(entry, "create it", source);
            let target = inner_path(&entry.link_name)
                .map_err(|why| refused(io::Error::new(io::ErrorKind::InvalidInput, why)))?;
            let target = self.place.join(target);
            let (holder, target) = self.root.open_parent(&target).map_err(refused)?;
            let link = || fs::linkat(&holder, target, parent, name, AtFlags::empty());
            return self.replacing(entry, parent, name, link);
        }
        if entry.kind == Kind::Symlink {
            let target = OsStr::from_bytes(&entry.link_name);
            return self.replacing(entry, parent, name, || fs::symlinkat(target, parent, name));
        }
        let (kind, device) = match entry.kind {
            Kind::CharDevice => (FileType::CharacterDevice, entry.device),
            Kind::BlockDevice => (FileType::BlockDevice, entry.device),
            _ => (FileType::Fifo, (0, 0)),
        };
        let device = fs::makedev(device.0, device.1);
        let make = || fs::mknodat(parent, name, kind, Mode::from(entry.mode), device);
        self.replacing(entry, parent, name, make)
    }

    fn describe_special(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> io::Result<()> {
        if entry.kind == Kind::HardLink {
            return Ok(());
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
        entry: &Entry,
        parent: &OwnedFd,
        name: &OsStr,
        make: impl Fn() -> rustix::io::Result<T>,
    ) -> Result<T> {
        let refused = |source: io::Error| unpack_error(entry, "create it", source);
        match make() {
            Err(Errno::EXIST) => {
                if !self.replaces_kinds() && self.is_directory(parent, name) {
                    return Err(kind_differs(entry));
                }
                self.remove(parent, name).map_err(refused)?;
                make().map_err(|errno| refused(errno.into()))
            }
            result => result.map_err(|errno| refused(errno.into())),
        }
    }

    /// Whether a directory and something else may take each other's place.
    fn replaces_kinds(&self) -> bool {
        self.extract.is_none_or(|options| options.replace_kinds)
    }

    fn remove(&mut self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        if !self.replaces_kinds() {
            // Not even where it has just become a directory.
            return Ok(fs::unlinkat(parent, name, AtFlags::empty())?);
        }
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
        self.record(&reader.take_raw())?;
        loop {
            let trailer = reader.trailer()?;
            if trailer.is_empty() {
                break;
            }
            self.record(&trailer)?;
        }
        self.set_directory_times()?;
        if let Some(split) = self.split {
            split
                .finish()
                .and_then(|mut output| output.flush())
                .map_err(recording)?;
        }
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

fn kind_differs(entry: &Entry) -> Error {
    Error::KindDiffers {
        entry: PathBuf::from(OsStr::from_bytes(&entry.name)),
        is_directory: entry.kind == Kind::Directory,
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}

/// A regular file that something holds in its place, emptied.
fn open_mounted(parent: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = fs::openat(parent, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fs::fstat(&held)?.st_mode) != FileType::RegularFile {
        return Err(Errno::BUSY.into());
    }
    reopen(&held, OFlags::WRONLY | OFlags::TRUNC)
}

/// Writes `piece` at `offset`, whole blocks of zeros left out.
fn write_data(file: &File, piece: &[u8], offset: u64) -> io::Result<()> {
    let mut at = 0;
    while at < piece.len() {
        let is_zero = |chunk: &&[u8]| chunk.iter().all(|byte| *byte == 0);
        let rest = || piece[at..].chunks(HOLE_BYTES);
        let zeros: usize = rest().take_while(is_zero).map(<[u8]>::len).sum();
        at += zeros;
        let rest = || piece[at..].chunks(HOLE_BYTES);
        let data: usize = rest()
            .take_while(|chunk| !is_zero(chunk))
            .map(<[u8]>::len)
            .sum();
        file.write_all_at(&piece[at..at + data], offset + at as u64)?;
        at += data;
    }
    Ok(())
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
