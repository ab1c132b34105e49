//! A container's files as it sees them, its mounts among them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use minke_runtime_spec::container::{Mount, MountKind, Rootfs};
use minke_storage::{LayerId, MountRequest, Store};
use minke_sys::mount::{self, Depth, MountAttrFlags, MountAttributes, Propagation};
use minke_sys::rooted::Root;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// The files of a container, to read and to write, for as long as this lives.
///
/// Of one that runs they are those of its own mount namespace. Of one that does not they are
/// its layer with its volumes and binds on it, in a mount namespace that only this holds: no
/// process is in it, and nothing is mounted where a container or the host could see it. Every
/// path is resolved by [`Root`], so that none leads out of the container either way.
#[derive(Debug)]
pub(crate) struct Tree {
    pub root: Root,
    /// Keeps the mounts upon each other.
    _namespace: Option<OwnedFd>,
    _mounted: Option<Mounted>,
}

/// A mount of a layer that is counted, until this is dropped.
#[derive(Debug)]
struct Mounted {
    store: Store,
    layer: LayerId,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = self.store.unmount(&self.layer) {
            tracing::warn!(%error, "a container's layer stays mounted");
        }
    }
}

/// A path of the host to be seen at a place in the container.
#[derive(Debug)]
struct Bind {
    source: PathBuf,
    /// A part of the source, looked up beneath it.
    part: Option<String>,
    place: PathBuf,
    read_only: bool,
}

impl Engine {
    /// The files of a container.
    ///
    /// # Errors
    /// They cannot be mounted or opened.
    pub(crate) fn tree(&self, record: &Record) -> Result<Tree> {
        if self.status(record).0.is_alive()
            && let Some(init) = record.state.init
        {
            let path = format!("/proc/{}/root", init.pid);
            let root = Root::open_dir(path.as_ref()).map_err(Error::path("open", &path))?;
            // The number may have gone to somebody else: then it was not the container's root.
            if init.is_alive() {
                return Ok(Tree {
                    root,
                    _namespace: None,
                    _mounted: None,
                });
            }
        }
        self.stopped_tree(record)
    }

    fn stopped_tree(&self, record: &Record) -> Result<Tree> {
        if let Some(rootfs) = &record.config.spec.rootfs {
            return self.stopped_directory(record, rootfs);
        }
        let layer: LayerId = record.config.layer.parse()?;
        let store = self.store()?.clone();
        let path = store.mount(&layer, &MountRequest::default())?;
        let mounted = Mounted { store, layer };
        let binds = self.binds(record)?;
        let (root, namespace) = if binds.is_empty() {
            let root = Root::open_dir(&path).map_err(Error::path("open", &path))?;
            (root, None)
        } else {
            let (root, namespace) = apart(&path, &binds)
                .map_err(Error::path("put the container's mounts on", &path))?;
            (root, Some(namespace))
        };
        Ok(Tree {
            root,
            _namespace: namespace,
            _mounted: Some(mounted),
        })
    }

    /// As [`Engine::stopped_tree`], of one on a directory of the host.
    fn stopped_directory(&self, record: &Record, rootfs: &Rootfs) -> Result<Tree> {
        let binds = self.binds(record)?;
        let (root, namespace) = if binds.is_empty() || rootfs.overlay {
            (Self::resting_root(rootfs)?, None)
        } else {
            let path = &rootfs.path;
            let (root, namespace) =
                apart(path, &binds).map_err(Error::path("put the container's mounts on", path))?;
            (root, Some(namespace))
        };
        Ok(Tree {
            root,
            _namespace: namespace,
            _mounted: None,
        })
    }

    /// What lies in the container at all times: memory and what goes with a run is not there.
    fn binds(&self, record: &Record) -> Result<Vec<Bind>> {
        let mut binds = Vec::new();
        for mount in &record.config.spec.mounts {
            if let Some(source) = self.lasting_source(mount)? {
                binds.push(Bind {
                    source,
                    part: mount.options.subpath.clone(),
                    place: PathBuf::from(&mount.destination),
                    read_only: mount.options.read_only == Some(true),
                });
            }
        }
        // Those that others lie in come first.
        binds.sort_by_key(|bind| bind.place.components().count());
        Ok(binds)
    }

    fn lasting_source(&self, mount: &Mount) -> Result<Option<PathBuf>> {
        if mount.options.overlay {
            return Ok(None);
        }
        Ok(match &mount.kind {
            MountKind::Bind { source } => Some(PathBuf::from(source)),
            MountKind::Volume { name: Some(name) } => {
                self.read_volume(name)?.map(|volume| volume.mountpoint)
            }
            _ => None,
        })
    }
}

/// Puts `binds` on the tree at `path` in a mount namespace of its own; gives the root of the
/// tree in there, and the namespace.
fn apart(path: &Path, binds: &[Bind]) -> io::Result<(Root, OwnedFd)> {
    std::thread::scope(|scope| {
        // A thread that has changed its namespace does nothing else any more.
        let worker = scope.spawn(|| {
            unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
            let own = MountAttributes {
                propagation: Some(Propagation::Private),
                ..MountAttributes::default()
            };
            let top = File::open("/")?;
            mount::set_attributes(&top, Depth::Recursive, &own)?;
            let root = Root::open_dir(path)?;
            for bind in binds {
                put(bind, &root)?;
            }
            let namespace = File::open("/proc/thread-self/ns/mnt")?;
            Ok((root, OwnedFd::from(namespace)))
        });
        worker
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that mounts failed")))
    })
}

fn put(bind: &Bind, root: &Root) -> io::Result<()> {
    let clone = match &bind.part {
        Some(part) => {
            let found = Root::open_dir(&bind.source)?.open(Path::new(part), OFlags::PATH)?;
            mount::clone_tree(&found, Path::new(""), Depth::Recursive)?
        }
        None => mount::clone_tree(CWD, &bind.source, Depth::Recursive)?,
    };
    if bind.read_only {
        let read_only = MountAttributes {
            set: Some(MountAttrFlags::MOUNT_ATTR_RDONLY),
            ..MountAttributes::default()
        };
        mount::set_attributes(&clone, Depth::Single, &read_only)?;
    }
    let stat = rustix::fs::fstat(&clone)?;
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    mount::attach(clone, mount_point(root, &bind.place, is_directory)?.as_fd())
}

/// The place of a mount, made as the runtime makes it where it is missing.
fn mount_point(root: &Root, place: &Path, is_directory: bool) -> io::Result<OwnedFd> {
    match root.open(place, OFlags::PATH) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    if is_directory {
        root.mkdir_all(place, Mode::from(0o755))?;
    } else {
        root.mkdir_all(place.parent().unwrap_or(Path::new("/")), Mode::from(0o755))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        root.open_mode(place, flags, Mode::from(0o644))?;
    }
    root.open(place, OFlags::PATH)
}
