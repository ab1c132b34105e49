//! `cp`: files between the host, containers and tar streams.
//!
//! Whatever the direction, one thread packs and another unpacks, both by descriptors beneath
//! the root of their side: nothing of a container's is executed or loaded, and a container that
//! changes its files meanwhile leads neither of them out of its own tree.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use minke_image::copy::{Inflate, InflateLimits};
use minke_storage::{ExtractOptions, Packer, extract};
use minke_sys::rooted::Root;
use rustix::fs::{FileType, OFlags, Stat};

use super::host::resolve_user;
use super::pipe::piped;
use super::record::Record;
use super::tree::Tree;
use crate::Engine;
use crate::error::{Error, Result};

/// As many symlinks as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// Directories are not deeper than what a path can name.
const MAX_DEPTH: usize = 2048;

/// One side of a copy. A path that ends in `/.` means what is in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyEnd {
    /// On the host.
    Host {
        /// As typed.
        path: String,
        /// What it is relative to.
        directory: PathBuf,
    },
    /// In a container.
    Container {
        /// Its name or id.
        name: String,
        /// As typed; relative to the container's working directory.
        path: String,
    },
}

/// How to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyRequest {
    /// What comes into a container is its user's; otherwise owners stay the numbers they are.
    /// What comes to the host is always the caller's.
    pub chown: bool,
    /// A directory may take the place of a file, and the other way round.
    pub overwrite: bool,
}

impl Default for CopyRequest {
    /// Gives files to the container's user and lets nothing change its kind.
    fn default() -> Self {
        Self {
            chown: true,
            overwrite: false,
        }
    }
}

impl Engine {
    /// Copies a file, a link's target, or a directory with all beneath.
    ///
    /// # Errors
    /// [`Error::CopyContainerUnknown`], [`Error::CopyMissing`]; a directory onto a file; what the
    /// system refuses, by when part of it may be there.
    pub fn copy(&self, from: &CopyEnd, to: &CopyEnd, request: &CopyRequest) -> Result<()> {
        let source = self.side(from)?;
        let destination = self.side(to)?;
        let found = source.existing()?;
        let target = destination.target()?;
        if found.is_directory() && !target.is_directory {
            return Err(Error::invalid(
                "destination must be a directory when copying a directory",
            ));
        }
        destination.refuse_kind(&source, &found)?;
        let place = match target.name {
            Some(name) => Some(name),
            None if found.is_directory() && source.only_contents => None,
            None => Some(source.name_of(&found)),
        };
        if found.is_directory() {
            refuse_within(&found, destination.root(), &target.directory)?;
        }
        let options = destination.options(request)?;
        let (from, to) = (source.root(), destination.root());
        piped(
            |stream| Ok(extract(stream, to, &target.directory, &options).map(drop)?),
            |output| {
                pack(from, &found, place.as_deref(), output)
                    .map_err(Error::path("copy", source.typed.as_str()))
            },
        )
    }

    /// Writes a file, a link's target or a directory of a container as a tar stream.
    ///
    /// # Errors
    /// As [`Engine::copy`]; `output`'s own.
    pub fn copy_to_archive(&self, name: &str, path: &str, output: &mut dyn Write) -> Result<()> {
        let source = self.side(&container_end(name, path))?;
        let found = source.existing()?;
        let name = found.name();
        let whole = !(found.is_directory() && source.only_contents);
        pack(source.root(), &found, whole.then_some(&*name), output)
            .map_err(Error::path("copy", source.typed.as_str()))
    }

    /// Unpacks a tar stream, plain or compressed with gzip or zstd, into a directory of a
    /// container.
    ///
    /// # Errors
    /// As [`Engine::copy`]; a stream that is no such archive.
    pub fn copy_from_archive(
        &self,
        input: impl Read + Send,
        name: &str,
        path: &str,
        request: &CopyRequest,
    ) -> Result<()> {
        let destination = self.side(&container_end(name, path))?;
        let directory = match destination.find()? {
            Ok(found) if found.is_directory() => found.path,
            _ => {
                return Err(Error::invalid(
                    "destination must be a directory when copying from stdin",
                ));
            }
        };
        let limits = InflateLimits::default();
        let plain =
            Inflate::new(Box::new(input), "the archive", limits).map_err(|_| not_an_archive())?;
        let options = destination.options(request)?;
        match extract(plain, destination.root(), &directory, &options) {
            Ok(0) => Err(not_an_archive()),
            Err(minke_storage::Error::Archive { offset: ..=512, .. }) => Err(not_an_archive()),
            result => Ok(result.map(drop)?),
        }
    }

    fn side(&self, end: &CopyEnd) -> Result<Side> {
        match end {
            CopyEnd::Host { path, directory } => {
                let root = Root::open_dir(Path::new("/")).map_err(Error::path("open", "/"))?;
                Ok(Side::new(path, directory, On::Host(root)))
            }
            CopyEnd::Container { name, path } => {
                let record = self.find(name).map_err(|error| match error {
                    Error::ContainerUnknown { name } => Error::CopyContainerUnknown { name },
                    error => error,
                })?;
                let tree = self.tree(&record)?;
                let directory = working_directory(&record);
                let on = On::Container {
                    name: name.clone(),
                    tree,
                    record: Box::new(record),
                    may_make_devices: !self.places.rootless,
                };
                Ok(Side::new(path, &directory, on))
            }
        }
    }
}

fn container_end(name: &str, path: &str) -> CopyEnd {
    CopyEnd::Container {
        name: name.to_owned(),
        path: path.to_owned(),
    }
}

fn not_an_archive() -> Error {
    Error::invalid("source must be a (compressed) tar archive when copying from stdin")
}

fn working_directory(record: &Record) -> PathBuf {
    let config = &record.config;
    let own = config.spec.workdir.as_deref();
    Path::new("/").join(own.unwrap_or(&config.image.working_dir))
}

/// One side, opened.
struct Side {
    typed: String,
    /// Absolute, as it will be resolved.
    path: PathBuf,
    only_contents: bool,
    must_be_directory: bool,
    on: On,
}

enum On {
    Host(Root),
    Container {
        name: String,
        tree: Tree,
        record: Box<Record>,
        may_make_devices: bool,
    },
}

impl Side {
    fn new(typed: &str, directory: &Path, on: On) -> Self {
        let trimmed = typed.trim_end_matches('/');
        let only_contents = trimmed.ends_with("/.") || trimmed.is_empty();
        let joined = Path::new("/").join(directory).join(typed);
        Self {
            typed: typed.to_owned(),
            // Podman takes `..` by the words, wherever links lead.
            path: Path::new("/").join(clean(&joined)),
            only_contents,
            must_be_directory: typed.ends_with('/'),
            on,
        }
    }

    fn root(&self) -> &Root {
        match &self.on {
            On::Host(root) => root,
            On::Container { tree, .. } => &tree.root,
        }
    }

    /// How messages name this side.
    fn place(&self) -> String {
        match &self.on {
            On::Host(_) => "the host".to_owned(),
            On::Container { name, .. } => format!("container {name}"),
        }
    }

    fn missing(&self, source: io::Error) -> Error {
        Error::CopyMissing {
            path: self.typed.clone(),
            place: self.place(),
            source,
        }
    }

    /// Where nothing would be copied that is said.
    fn refuse_kind(&self, from: &Side, found: &Found) -> Result<()> {
        let kind = FileType::from_raw_mode(found.stat.st_mode);
        let is_device = kind.is_char_device() || kind.is_block_device();
        if kind.is_socket() || (is_device && matches!(self.on, On::Host(_))) {
            return Err(Error::invalid(format!(
                "cannot copy {:?} to {}: it is a device or a socket",
                from.typed,
                self.place()
            )));
        }
        Ok(())
    }

    /// What a thing found here is called where it goes: a link of the host's keeps its name, one
    /// of a container's takes on its target's, as with Podman.
    fn name_of(&self, found: &Found) -> OsString {
        match &self.on {
            On::Host(_) => name(&self.path),
            On::Container { .. } => found.name(),
        }
    }

    fn find(&self) -> Result<Sought> {
        resolve(self.root(), &self.path)
            .map_err(|source| self.missing(source))
            .map(|found| match found {
                Ok(found) if self.must_be_directory && !found.is_directory() => Err(Absent {
                    path: found.path,
                    source: io::Error::from_raw_os_error(libc::ENOTDIR),
                }),
                found => found,
            })
    }

    fn existing(&self) -> Result<Found> {
        self.find()?.map_err(|absent| self.missing(absent.source))
    }

    /// Where to put what is copied here.
    fn target(&self) -> Result<Target> {
        let absent = match self.find()? {
            Ok(found) if found.is_directory() => {
                return Ok(Target {
                    directory: found.path,
                    name: None,
                    is_directory: true,
                });
            }
            Ok(found) => {
                // A link of the host's is replaced itself, as by Podman.
                let path = match &self.on {
                    On::Host(_) => &self.path,
                    On::Container { .. } => &found.path,
                };
                let name = Some(name(path));
                let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
                return Ok(Target {
                    directory,
                    name,
                    is_directory: false,
                });
            }
            Err(absent) => absent,
        };
        let (Some(parent), Some(name), false) = (
            absent.path.parent(),
            absent.path.file_name(),
            self.must_be_directory,
        ) else {
            return Err(self.missing(absent.source));
        };
        match resolve(self.root(), parent) {
            Ok(Ok(found)) => Ok(Target {
                is_directory: found.is_directory(),
                directory: found.path,
                name: Some(name.to_owned()),
            }),
            _ => Err(self.missing(absent.source)),
        }
    }

    fn options(&self, request: &CopyRequest) -> Result<ExtractOptions> {
        let mut options = ExtractOptions::default();
        options.replace_kinds = request.overwrite;
        options.holes = true;
        match &self.on {
            On::Host(_) => {
                // Neither devices nor privileges of a container's files come to the host.
                options.devices = false;
                options.attributes = false;
                let own = (
                    rustix::process::geteuid().as_raw(),
                    rustix::process::getegid().as_raw(),
                );
                options.owner = Some(own);
            }
            On::Container {
                tree,
                record,
                may_make_devices,
                ..
            } => {
                options.devices = *may_make_devices;
                if request.chown {
                    let config = &record.config;
                    let user = resolve_user(&tree.root, None, &config.spec, &config.image)?;
                    options.owner = Some((user.uid, user.gid));
                }
            }
        }
        Ok(options)
    }
}

/// What came of looking.
type Sought = std::result::Result<Found, Absent>;

/// What a path leads to.
struct Found {
    /// Not a symlink at its end.
    path: PathBuf,
    stat: Stat,
}

/// A path that leads to nothing.
struct Absent {
    /// The last one, after symlinks.
    path: PathBuf,
    source: io::Error,
}

/// Where a copy goes.
struct Target {
    directory: PathBuf,
    /// What it is called there, where that is not its own name.
    name: Option<OsString>,
    /// Whether a directory can be put there.
    is_directory: bool,
}

impl Found {
    fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }

    /// Its own name; of the root, none that would be written.
    fn name(&self) -> OsString {
        name(&self.path)
    }
}

/// The last name of a path; `.` where it has none.
fn name(path: &Path) -> OsString {
    let path = clean(path);
    path.file_name().unwrap_or(OsStr::new(".")).to_owned()
}

/// Follows the symlinks at the end of `path`, inside `root`; those before are the kernel's.
fn resolve(root: &Root, path: &Path) -> io::Result<Sought> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let held = match root.open(&path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(held) => held,
            Err(source) if is_absent(&source) => {
                return Ok(Err(Absent { path, source }));
            }
            Err(error) => return Err(error),
        };
        let stat = rustix::fs::fstat(held)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(Ok(Found { path, stat }));
        }
        let target = root.read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The path without `.` and `..`, by its words alone, and not absolute.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// Writes what was found; under `name`, or where that is `None` what is in the directory.
fn pack(
    root: &Root,
    found: &Found,
    name: Option<&OsStr>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let mut packer = Packer::new(output);
    if found.is_directory() {
        let directory = root.open(&found.path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        match name.filter(|name| *name != ".") {
            Some(name) => packer.whole(directory, Path::new(name))?,
            None => packer.below(directory, Path::new(""))?,
        }
    } else {
        let (parent, own) = root.open_parent(&found.path)?;
        packer.object(parent, own, Path::new(name.unwrap_or(own)))?;
    }
    packer.finish()
}

/// A directory cannot be copied into itself.
fn refuse_within(found: &Found, to: &Root, directory: &Path) -> Result<()> {
    let looked = |error| Error::path("look at", directory)(error);
    let same = |stat: &Stat| (stat.st_dev, stat.st_ino) == (found.stat.st_dev, found.stat.st_ino);
    let mut at = to
        .open(directory, OFlags::PATH | OFlags::DIRECTORY)
        .map_err(looked)?;
    for _ in 0..MAX_DEPTH {
        let stat = rustix::fs::fstat(&at).map_err(|errno| looked(errno.into()))?;
        if same(&stat) {
            return Err(Error::invalid("cannot copy a directory into itself"));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let up = rustix::fs::openat(&at, "..", flags, rustix::fs::Mode::empty())
            .map_err(|errno| looked(errno.into()))?;
        let above = rustix::fs::fstat(&up).map_err(|errno| looked(errno.into()))?;
        if (above.st_dev, above.st_ino) == (stat.st_dev, stat.st_ino) {
            return Ok(());
        }
        at = up;
    }
    Ok(())
}
