//! What a start mounts for a container before the runtime does: volumes, images, throw-away
//! layers. Each becomes a path of the host that the runtime binds.
//!
//! A part of a volume or of an image is looked up beneath it by descriptor and that is what is
//! mounted, below the bundle: the path has no part of theirs in it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use minke_runtime_spec::container::{Mount, MountKind, NamespaceMode};
use minke_runtime_spec::host::IdMapping;
use minke_storage::LayerId;
use minke_sys::mount::{self, Depth, FsContext, MountAttrFlags};
use minke_sys::rooted::Root;
use minke_sys::tree;
use rustix::fs::{FileType, Mode, OFlags};

use super::cleanup::remove_tree;
use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};
use crate::volume::Filling;

/// The directory of mounts in a bundle.
pub(super) const STAGE: &str = "mounts";

/// The directory of throw-away layers in a container's own directory.
const LAYERS: &str = "overlay-mounts";

/// The memory of `/dev/shm` among the mounts.
const SHM: &str = "shm";

/// Its size where none is asked for (Podman's default).
const SHM_SIZE_BYTES: u64 = 65_536_000;

fn shm(size_bytes: u64, root: Owner) -> io::Result<OwnedFd> {
    let context = FsContext::open("tmpfs")?;
    for (key, value) in [
        ("source", "shm".to_owned()),
        ("mode", "1777".to_owned()),
        ("size", size_bytes.to_string()),
        ("uid", root.uid.to_string()),
        ("gid", root.gid.to_string()),
    ] {
        context.set_string(key, value.as_str())?;
    }
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    context.mount(attributes)
}

/// Who a container's process is, outside: as seen from this namespace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// The id outside of an id inside; itself where nothing is mapped.
pub(crate) fn outside(id: u32, mappings: &[IdMapping]) -> u32 {
    let within = |map: &&IdMapping| id >= map.container_id && id - map.container_id < map.size;
    let mapped = mappings.iter().find(within);
    mapped.map_or(id, |map| map.host_id + (id - map.container_id))
}

/// Makes the mounts of one start.
struct Stage<'a> {
    engine: &'a Engine,
    record: &'a Record,
    root: &'a Root,
    owner: Owner,
    dir: PathBuf,
    layers: PathBuf,
    count: usize,
}

impl Engine {
    /// The mounts of `record` as the runtime can make them.
    pub(crate) fn stage_mounts(
        &self,
        record: &Record,
        root: &Root,
        owner: Owner,
        bundle: &Path,
    ) -> Result<Vec<Mount>> {
        let mut stage = Stage {
            engine: self,
            record,
            root,
            owner,
            dir: bundle.join(STAGE),
            layers: self.throw_away_layers(record)?,
            count: 0,
        };
        let mounts = &record.config.spec.mounts;
        mounts.iter().map(|mount| stage.place(mount)).collect()
    }

    /// The memory at `/dev/shm` of a container that others may join, kept on the host so that
    /// they can; that of the container joined; or none, and the runtime makes it.
    pub(crate) fn stage_shm(
        &self,
        record: &Record,
        owner: Owner,
        bundle: &Path,
    ) -> Result<Option<PathBuf>> {
        let spec = &record.config.spec;
        let spaces = &spec.namespaces;
        match &spaces.ipc {
            NamespaceMode::Container(name) => {
                let other = self.find(name)?;
                let path = self.bundle(&other)?.join(STAGE).join(SHM);
                return Ok(path.exists().then_some(path));
            }
            NamespaceMode::Private if !spaces.private_shm && !spaces.no_shm => {}
            _ => return Ok(None),
        }
        let size = spec.shm_size_bytes.unwrap_or(SHM_SIZE_BYTES);
        let failed = |source| Error::System {
            act: "make the memory for /dev/shm",
            source,
        };
        let mount = shm(size, owner).map_err(failed)?;
        let dir = bundle.join(STAGE);
        crate::engine::make_private_dir(&dir)?;
        let path = dir.join(SHM);
        fs::create_dir(&path).map_err(Error::path("create", &path))?;
        mount::attach_to_path(mount, &path).map_err(Error::path("mount on", &path))?;
        Ok(Some(path))
    }

    pub(crate) fn throw_away_layers(&self, record: &Record) -> Result<PathBuf> {
        let own = self.store()?.container_directory(&record.id.parse()?);
        Ok(own.join(LAYERS))
    }

    /// Undoes [`Engine::stage_mounts`]; done already is success. What is mounted is not emptied:
    /// each mount point is removed alone, and stays an error while something is on it.
    pub(crate) fn unstage_mounts(&self, record: &Record, bundle: &Path) -> Result<()> {
        let dir = bundle.join(STAGE);
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            mount::detach(&path).map_err(Error::path("unmount", &path))?;
            let removed = match entry.file_type() {
                Ok(kind) if kind.is_dir() => fs::remove_dir(&path),
                _ => fs::remove_file(&path),
            };
            removed.map_err(Error::path("remove", &path))?;
        }
        remove_tree(&self.throw_away_layers(record)?)
    }
}

impl Stage<'_> {
    fn place(&mut self, mount: &Mount) -> Result<Mount> {
        let mut placed = mount.clone();
        let options = &mut placed.options;
        let throw_away = options.overlay || matches!(mount.kind, MountKind::Overlay { .. });
        let source = match &mount.kind {
            MountKind::Bind { source } | MountKind::Overlay { source } => PathBuf::from(source),
            MountKind::Volume { name: Some(name) } => {
                options.suid.get_or_insert(false);
                options.dev.get_or_insert(false);
                self.volume(name, mount)?
            }
            MountKind::Image { source } => {
                let writable = options.read_only == Some(false);
                options.read_only = Some(!writable);
                self.image(source, writable)?
            }
            _ => return Ok(placed),
        };
        let source = match options.subpath.take() {
            Some(part) => self.part(&source, &part)?,
            None => source,
        };
        if options.chown {
            self.chown(&source)?;
        }
        let source = if throw_away {
            self.overlay_on(&source, options.overlay_dirs.as_ref())?
        } else {
            source
        };
        let source = source.to_str().ok_or_else(|| {
            Error::invalid(format!("mount source {} is not UTF-8", source.display()))
        })?;
        placed.kind = MountKind::Bind {
            source: source.to_owned(),
        };
        Ok(placed)
    }

    fn volume(&self, name: &str, mount: &Mount) -> Result<PathBuf> {
        let anonymous = self.record.config.anonymous_volumes.iter();
        let filling = Filling {
            root: self.root,
            destination: Path::new(&mount.destination),
            copy: mount.options.copy.unwrap_or(true),
            owner: (self.owner.uid, self.owner.gid),
        };
        let is_anonymous = anonymous.into_iter().any(|own| own == name);
        let volume = self.engine.ready_volume(name, is_anonymous, &filling)?;
        Ok(volume.mountpoint)
    }

    /// A directory or file beneath `source`, wherever its links point.
    fn part(&mut self, source: &Path, part: &str) -> Result<PathBuf> {
        let root = Root::open_dir(source).map_err(Error::path("open", source))?;
        let found = root
            .open(Path::new(part), OFlags::PATH)
            .map_err(Error::path("open the subpath", part))?;
        let clone = mount::clone_tree(&found, Path::new(""), Depth::Recursive)
            .map_err(Error::path("bind the subpath", part))?;
        self.attach(&clone)
    }

    fn chown(&self, source: &Path) -> Result<()> {
        let Owner { uid, gid } = self.owner;
        let failed = Error::path("give to the container's user", source);
        let meta = fs::symlink_metadata(source).map_err(Error::path("examine", source))?;
        if !meta.is_dir() {
            return std::os::unix::fs::lchown(source, Some(uid), Some(gid)).map_err(failed);
        }
        check_chown(source)?;
        let dir = File::open(source).map_err(Error::path("open", source))?;
        tree::chown(dir.as_fd(), uid, gid).map_err(failed)
    }

    /// The image's file tree; what is written goes with the container's end.
    fn image(&mut self, name: &str, writable: bool) -> Result<PathBuf> {
        let image = self.engine.find_image(name)?;
        let layer: LayerId = image.record.top_layer.ok_or_else(|| {
            Error::invalid(format!("image {name} has no layer that could be mounted"))
        })?;
        let stack = self.engine.store()?.layer_stack(&layer)?;
        let above = if writable {
            Some(self.new_layer(&stack[0])?)
        } else {
            None
        };
        let made = overlay(&stack, above.as_ref(), self.engine.places.rootless)
            .map_err(Error::path("mount the image", name))?;
        self.attach(&made)
    }

    fn overlay_on(&mut self, source: &Path, given: Option<&(String, String)>) -> Result<PathBuf> {
        let above = match given {
            Some((upper, work)) => (PathBuf::from(upper), PathBuf::from(work)),
            None => self.new_layer(source)?,
        };
        let below = [source.to_owned()];
        let made = overlay(&below, Some(&above), self.engine.places.rootless)
            .map_err(Error::path("put an overlay on", source))?;
        self.attach(&made)
    }

    fn new_layer(&self, below: &Path) -> Result<(PathBuf, PathBuf)> {
        new_layer(&self.layers.join(self.count.to_string()), below)
    }

    /// Puts a mount in the bundle.
    fn attach(&mut self, made: &OwnedFd) -> Result<PathBuf> {
        crate::engine::make_private_dir(&self.dir)?;
        let path = self.dir.join(self.count.to_string());
        self.count += 1;
        let stat = rustix::fs::fstat(made).map_err(Error::system("examine a mount"))?;
        let point = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            fs::create_dir(&path)
        } else {
            File::create(&path).map(drop)
        };
        point.map_err(Error::path("create", &path))?;
        mount::attach_to_path(made, &path).map_err(Error::path("mount on", &path))?;
        Ok(path)
    }
}

/// Directories below `dir` for what is written upon `below`, of the same owner and mode.
pub(super) fn new_layer(dir: &Path, below: &Path) -> Result<(PathBuf, PathBuf)> {
    remove_tree(dir)?;
    let (upper, work) = (dir.join("upper"), dir.join("work"));
    for path in [&upper, &work] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(Error::path("create", path))?;
    }
    let from = File::open(below).map_err(Error::path("open", below))?;
    let to = File::open(&upper).map_err(Error::path("open", &upper))?;
    tree::copy_attributes(from.as_fd(), to.as_fd())
        .map_err(Error::path("set the owner of", &upper))?;
    Ok((upper, work))
}

/// An overlay, not put anywhere yet.
pub(super) fn overlay(
    lowers: &[PathBuf],
    above: Option<&(PathBuf, PathBuf)>,
    rootless: bool,
) -> io::Result<OwnedFd> {
    let context = FsContext::open("overlay")?;
    for lower in lowers {
        context.set_fd("lowerdir+", open_path(lower)?)?;
    }
    if let [only] = lowers
        && above.is_none()
    {
        // The kernel wants two where nothing is written.
        context.set_fd("lowerdir+", open_path(only)?)?;
    }
    if let Some((upper, work)) = above {
        context.set_fd("upperdir", open_path(upper)?)?;
        context.set_fd("workdir", open_path(work)?)?;
    }
    if rootless {
        context.set_flag("userxattr")?;
    }
    context.mount(MountAttrFlags::empty())
}

fn open_path(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Directories of the system are not given away, whoever asks.
fn check_chown(source: &Path) -> Result<()> {
    const KEPT: &[&str] = &[
        "/",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/etc/passwd",
        "/etc/pki",
        "/etc/shadow",
        "/home",
        "/lib",
        "/lib64",
        "/media",
        "/opt",
        "/proc",
        "/root",
        "/run",
        "/sbin",
        "/srv",
        "/sys",
        "/tmp",
        "/usr",
        "/var",
        "/var/lib",
        "/var/log",
    ];
    let real = fs::canonicalize(source).map_err(Error::path("resolve", source))?;
    if KEPT.iter().any(|kept| real == Path::new(kept)) {
        return Err(Error::invalid(format!(
            "chown on host path {:?} not permitted",
            real.display().to_string()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_seen_from_outside() {
        let maps =
            [(0, 1000, 1), (1, 100_000, 65536)].map(|(container_id, host_id, size)| IdMapping {
                container_id,
                host_id,
                size,
            });
        for (inside, expected) in [(0, 1000), (1, 100_000), (1000, 100_999), (70_000, 70_000)] {
            assert_eq!(outside(inside, &maps), expected, "{inside}");
        }
        assert_eq!(outside(5, &[]), 5);
    }

    #[test]
    fn the_systems_directories_are_not_given_away() {
        for path in ["/", "/etc", "/etc/../usr"] {
            assert!(check_chown(Path::new(path)).is_err(), "{path}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(check_chown(dir.path()).is_ok());
    }
}
