//! The kernel's overlay, in the directory form that containers/storage gives it.
//!
//! `overlay/<id>/diff` holds what a layer changes; `link` names a short symlink
//! `overlay/l/<name>` to it; `lower` lists the short names of the layers below, nearest first;
//! `merged` and `work` serve mounts, and a layer without a parent has an `empty` directory to
//! stand for what is below.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use minke_sys::idmap::IdMap;
use minke_sys::mount::{self, FsContext, MountAttrFlags, MountFlags};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::{Driver, MountRequest};
use crate::id::random_bytes;
use crate::tempdir::TempDir;
use crate::{Error, LayerId, Result, StoreOptions};

/// As many layers as the kernel stacks.
const MAX_DEPTH: usize = 500;

/// The mode of the root of a layer that has no parent to take it from.
const ROOT_MODE: u32 = 0o555;

const LINK_LENGTH: usize = 26;

/// The prepared layer within a temporary directory.
const PREPARED: &str = "layer";

/// fsconfig(2) takes strings up to this length.
const MAX_STRING: usize = 255;

#[derive(Debug)]
pub(crate) struct Overlay {
    home: PathBuf,
    temporary: PathBuf,
    mount_options: Vec<String>,
    private_home: bool,
    user_xattr: bool,
    allow_volatile: bool,
}

impl Overlay {
    pub(crate) fn open(options: &StoreOptions) -> Result<Self> {
        if let Some(program) = &options.overlay.mount_program {
            let what = format!("mounting by {}", program.display());
            return Err(Error::Unsupported { what });
        }
        let home = options.graph_root.join("overlay");
        for (path, mode) in [(home.clone(), 0o700), (home.join("l"), 0o755)] {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(mode).create(&path);
            made.map_err(Error::io("create", &path))?;
        }
        Ok(Self {
            temporary: home.join("tempdirs"),
            mount_options: options.overlay.mount_options.clone(),
            private_home: !options.overlay.skip_mount_home,
            user_xattr: options.in_user_namespace,
            allow_volatile: !options.disable_volatile,
            home,
        })
    }

    fn directory(&self, id: &LayerId) -> PathBuf {
        self.home.join(id)
    }

    /// What the `lower` file of a child of `parent` says.
    fn lower_of_child(&self, parent: &LayerId) -> Result<String> {
        let link = self.link_of(parent)?;
        let path = self.directory(parent).join("lower");
        let below = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let lower = if below.is_empty() {
            format!("l/{link}")
        } else {
            format!("l/{link}:{below}")
        };
        if lower.split(':').count() > MAX_DEPTH {
            return Err(Error::Unsupported {
                what: format!("more than {MAX_DEPTH} layers"),
            });
        }
        Ok(lower)
    }

    /// The short name of a layer, given anew if it was lost.
    fn link_of(&self, id: &LayerId) -> Result<String> {
        let path = self.directory(id).join("link");
        match fs::read_to_string(&path) {
            Ok(link) if is_link_name(&link) => return Ok(link),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", path)(error)),
        }
        let link = random_link()?;
        fs::write(&path, &link).map_err(Error::io("write", &path))?;
        self.restore_link(id, &link)?;
        Ok(link)
    }

    fn restore_link(&self, id: &LayerId, link: &str) -> Result<()> {
        let path = self.home.join("l").join(link);
        match symlink(Path::new("..").join(id).join("diff"), &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::io("create", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Makes again the links that a power loss took, from the `link` files of the layers.
    fn restore_links(&self) -> Result<()> {
        let entries = fs::read_dir(&self.home).map_err(Error::io("read", &self.home))?;
        for entry in entries.filter_map(io::Result::ok) {
            let name = entry.file_name();
            let Some(Ok(id)) = name.to_str().map(str::parse::<LayerId>) else {
                continue;
            };
            if let Ok(link) = fs::read_to_string(self.directory(&id).join("link"))
                && is_link_name(&link)
            {
                self.restore_link(&id, &link)?;
            }
        }
        Ok(())
    }

    /// The directories below a layer, nearest first.
    fn lowers(&self, id: &LayerId) -> Result<Vec<PathBuf>> {
        let path = self.directory(id).join("lower");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(vec![self.directory(id).join("empty")]);
            }
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let mut lowers = Vec::new();
        for part in text.split(':').filter(|part| !part.is_empty()) {
            let link = part.strip_prefix("l/").filter(|link| is_link_name(link));
            let link = link.ok_or_else(|| Error::invalid("lower layer", part, "it is no link"))?;
            let path = self.home.join("l").join(link);
            if !path.exists() {
                self.restore_links()?;
            }
            lowers.push(path);
        }
        Ok(lowers)
    }

    /// Makes the driver's directory a private mount, as every user of the store does, so that
    /// nobody's private mount comes to lie over the mounts of another.
    fn make_private(&self) -> io::Result<()> {
        if !self.private_home || is_mount(&self.home) {
            return Ok(());
        }
        let clone = mount::clone_tree(CWD, &self.home, mount::Depth::Single)?;
        let private = mount::MountAttributes {
            propagation: Some(mount::Propagation::Private),
            ..Default::default()
        };
        mount::set_attributes(&clone, mount::Depth::Single, &private)?;
        mount::attach_to_path(&clone, &self.home)
    }

    fn assemble(&self, id: &LayerId, request: &MountRequest, label: Option<&str>) -> Result<Plan> {
        let directory = self.directory(id);
        let mut plan = Plan {
            lowers: self.lowers(id)?,
            ..Plan::default()
        };
        let options = request.options.as_ref().unwrap_or(&self.mount_options);
        for option in options {
            plan.option(option);
        }
        if request.read_only || options.iter().any(|option| option == "ro") {
            plan.lowers.insert(0, directory.join("diff"));
            plan.own = 1;
        } else {
            plan.upper = Some((directory.join("diff"), directory.join("work")));
            if request.volatile && self.allow_volatile {
                plan.options.push(("volatile".to_owned(), None));
            }
        }
        plan.id_map.clone_from(&request.id_map);
        if self.user_xattr {
            plan.options.push(("userxattr".to_owned(), None));
        }
        if let Some(label) = label.filter(|label| !label.is_empty()) {
            plan.options
                .push(("context".to_owned(), Some(label.to_owned())));
        }
        Ok(plan)
    }
}

impl Driver for Overlay {
    fn temporary_root(&self) -> &Path {
        &self.temporary
    }

    fn prepare(&self, temporary: &Path) -> Result<PathBuf> {
        let layer = temporary.join(PREPARED);
        let diff = layer.join("diff");
        for (path, mode) in [
            (layer.clone(), 0o700),
            (diff.clone(), ROOT_MODE),
            (layer.join("work"), 0o700),
            (layer.join("merged"), 0o700),
        ] {
            DirBuilder::new()
                .mode(mode)
                .create(&path)
                .map_err(Error::io("create", &path))?;
        }
        fs::set_permissions(&diff, Permissions::from_mode(ROOT_MODE))
            .map_err(Error::io("change", &diff))?;
        let link = layer.join("link");
        fs::write(&link, random_link()?).map_err(Error::io("write", &link))?;
        Ok(diff)
    }

    fn install(
        &self,
        temporary: &mut TempDir,
        id: &LayerId,
        parent: Option<&LayerId>,
    ) -> Result<()> {
        let layer = temporary.path().join(PREPARED);
        if let Some(parent) = parent {
            let lower = layer.join("lower");
            fs::write(&lower, self.lower_of_child(parent)?).map_err(Error::io("write", &lower))?;
            copy_root(&self.changes(parent), &layer.join("diff"))?;
        } else {
            let empty = layer.join("empty");
            DirBuilder::new()
                .mode(0o700)
                .create(&empty)
                .map_err(Error::io("create", &empty))?;
        }
        let path = layer.join("link");
        let link = fs::read_to_string(&path).map_err(Error::io("read", path))?;
        if self.directory(id).exists() {
            tracing::warn!(layer = %id, "removing what an unfinished layer left");
            self.remove(id, temporary)?;
        }
        let place = self.directory(id);
        fs::rename(&layer, &place).map_err(Error::io("move a layer to", &place))?;
        self.restore_link(id, &link)
    }

    fn sync(&self) -> Result<()> {
        for path in [&self.home, &self.home.join("l")] {
            minke_sys::atomic::sync_dir(path).map_err(Error::io("sync", path))?;
        }
        Ok(())
    }

    fn remove(&self, id: &LayerId, temporary: &mut TempDir) -> Result<()> {
        let directory = self.directory(id);
        let merged = directory.join("merged");
        mount::detach(&merged).map_err(Error::io("unmount", &merged))?;
        if let Ok(link) = fs::read_to_string(directory.join("link"))
            && is_link_name(&link)
        {
            let path = self.home.join("l").join(link);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", path)(error));
                }
                _ => {}
            }
        }
        temporary.take_in(&directory)?;
        Ok(())
    }

    fn changes(&self, id: &LayerId) -> PathBuf {
        self.directory(id).join("diff")
    }

    fn stack(&self, id: &LayerId) -> Result<Vec<PathBuf>> {
        let mut stack = vec![self.changes(id)];
        stack.extend(self.lowers(id)?);
        Ok(stack)
    }

    fn mount_point(&self, id: &LayerId) -> PathBuf {
        self.directory(id).join("merged")
    }

    fn mount(&self, id: &LayerId, request: &MountRequest, label: Option<&str>) -> Result<()> {
        let failed = |source| Error::Mount {
            id: id.clone(),
            source,
        };
        let plan = self.assemble(id, request, label)?;
        self.make_private().map_err(failed)?;
        let target = self.mount_point(id);
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&target)
            .map_err(Error::io("create", &target))?;
        if let (Some((upper, _)), Some(map)) = (&plan.upper, &plan.id_map) {
            give_root(upper, &plan.lowers, map).map_err(failed)?;
        }
        if plan.upper.is_some() {
            let volatile = self.directory(id).join("work/work/incompat/volatile");
            crate::tempdir::remove_tree(&volatile).map_err(Error::io("remove", volatile))?;
        }
        match plan.mount(&target) {
            Err(error) if plan.is_refused_by_old_kernels(&error) => {
                plan.mount_classic(&target, &self.home).map_err(failed)
            }
            result => result.map_err(failed),
        }
    }

    fn view(&self, id: &LayerId, id_map: Option<&IdMap>) -> Result<OwnedFd> {
        let failed = |source| Error::Mount {
            id: id.clone(),
            source,
        };
        let request = MountRequest {
            read_only: true,
            id_map: id_map.cloned(),
            ..MountRequest::default()
        };
        let plan = self.assemble(id, &request, None)?;
        match plan.mount_nowhere() {
            Err(error) if plan.is_refused_by_old_kernels(&error) => {
                let place = TempDir::new(&self.temporary)?;
                plan.view_classic(place.path(), &self.home).map_err(failed)
            }
            result => result.and_then(openable).map_err(failed),
        }
    }

    fn unmount(&self, id: &LayerId) -> Result<()> {
        let target = self.mount_point(id);
        mount::detach(&target).map_err(Error::io("unmount", target))
    }

    fn last_unmounted(&self) {
        // Only a mount of ours: the directory itself may be a file system of its own.
        if self.private_home && is_bind_mount(&self.home) {
            match mount::unmount(&self.home, mount::UnmountFlags::NOFOLLOW) {
                Err(error) if error.raw_os_error() != Some(libc::EBUSY) => {
                    tracing::warn!(%error, "cannot unmount the driver's directory");
                }
                _ => {}
            }
        }
    }
}

/// A directory as it is seen through the mapping of a user namespace.
fn mapped(path: &Path, namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let clone = mount::clone_tree(CWD, path, mount::Depth::Single)?;
    let change = mount::MountAttributes {
        idmap: Some(namespace),
        ..Default::default()
    };
    mount::set_attributes(&clone, mount::Depth::Single, &change)?;
    Ok(clone)
}

/// What an overlay mount is made of.
#[derive(Debug, Default)]
struct Plan {
    lowers: Vec<PathBuf>,
    /// How many of them are the layer's own, which no mapping is for.
    own: usize,
    upper: Option<(PathBuf, PathBuf)>,
    options: Vec<(String, Option<String>)>,
    attributes: Option<MountAttrFlags>,
    id_map: Option<IdMap>,
}

/// The root of a mapped mount is that of the upper directory, which has been made like the one
/// below: it gets the mapped owner, once.
fn give_root(upper: &Path, lowers: &[PathBuf], map: &IdMap) -> io::Result<()> {
    let Some(lower) = lowers.first() else {
        return Ok(());
    };
    let (below, own) = (fs::metadata(lower)?, fs::metadata(upper)?);
    let is_unmapped = (below.uid(), below.gid()) == (own.uid(), own.gid());
    match (map.user(below.uid()), map.group(below.gid())) {
        (Some(uid), Some(gid)) if is_unmapped => chown(upper, Some(uid), Some(gid)),
        _ => Ok(()),
    }
}

impl Plan {
    /// Sorts an option of mount(8): some are the mount's, the others overlay's.
    fn option(&mut self, option: &str) {
        let attribute = match option {
            "ro" => MountAttrFlags::MOUNT_ATTR_RDONLY,
            "nodev" => MountAttrFlags::MOUNT_ATTR_NODEV,
            "nosuid" => MountAttrFlags::MOUNT_ATTR_NOSUID,
            "noexec" => MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "noatime" => MountAttrFlags::MOUNT_ATTR_NOATIME,
            "nodiratime" => MountAttrFlags::MOUNT_ATTR_NODIRATIME,
            "rw" | "dev" | "suid" | "exec" | "relatime" | "" => return,
            _ => {
                let (key, value) = match option.split_once('=') {
                    Some((key, value)) => (key, Some(value.to_owned())),
                    None => (option, None),
                };
                return self.options.push((key.to_owned(), value));
            }
        };
        self.attributes = Some(self.attributes.unwrap_or(MountAttrFlags::empty()) | attribute);
    }

    fn attributes(&self) -> MountAttrFlags {
        self.attributes.unwrap_or(MountAttrFlags::empty())
    }

    fn mount(&self, target: &Path) -> io::Result<()> {
        mount::attach_to_path(self.mount_nowhere()?, target)
    }

    fn mount_nowhere(&self) -> io::Result<OwnedFd> {
        let context = FsContext::open("overlay")?;
        context.set_string("source", "overlay")?;
        let mut open = Vec::new();
        let namespace = self.id_map.as_ref().map(IdMap::namespace).transpose()?;
        for (place, lower) in self.lowers.iter().enumerate() {
            match &namespace {
                Some(namespace) if place >= self.own => {
                    let mapped = mapped(lower, namespace.as_fd())?;
                    context.set_fd("lowerdir+", &mapped)?;
                    open.push(File::from(mapped));
                }
                _ => set_path(&context, "lowerdir+", lower, &mut open)?,
            }
        }
        if let Some((upper, work)) = &self.upper {
            set_path(&context, "upperdir", upper, &mut open)?;
            set_path(&context, "workdir", work, &mut open)?;
        }
        for (key, value) in &self.options {
            match value {
                Some(value) => context.set_string(key, value.as_str())?,
                None => context.set_flag(key)?,
            }
        }
        context.mount(self.attributes())
    }

    /// A mount that is taken off its place again at once.
    fn view_classic(&self, place: &Path, home: &Path) -> io::Result<OwnedFd> {
        self.mount_classic(place, home)?;
        let opened = File::open(place);
        mount::detach(place)?;
        Ok(opened?.into())
    }

    /// Before Linux 6.8 there is no `lowerdir+`, before 5.2 no fsopen.
    fn is_refused_by_old_kernels(&self, error: &io::Error) -> bool {
        match mount::errno_of(error) {
            Some(Errno::NOSYS) => true,
            Some(Errno::INVAL) => error.to_string().contains("lowerdir+"),
            _ => false,
        }
    }

    /// By mount(2), whose options must fit in a page: paths go by way of a descriptor of the
    /// driver's directory, which also keeps separators out of them.
    fn mount_classic(&self, target: &Path, home: &Path) -> io::Result<()> {
        let handle = File::open(home)?;
        let short = |path: &Path| match path.strip_prefix(home) {
            Ok(rest) => format!("/proc/self/fd/{}/{}", handle.as_raw_fd(), rest.display()),
            Err(_) => path.display().to_string(),
        };
        let lowers: Vec<_> = self.lowers.iter().map(|path| short(path)).collect();
        let mut data = format!("lowerdir={}", lowers.join(":"));
        if let Some((upper, work)) = &self.upper {
            data.push_str(&format!(
                ",upperdir={},workdir={}",
                short(upper),
                short(work)
            ));
        }
        for (key, value) in &self.options {
            data.push(',');
            data.push_str(key);
            if let Some(value) = value {
                let quote = if key == "context" { "\"" } else { "" };
                data.push_str(&format!("={quote}{value}{quote}"));
            }
        }
        let data = std::ffi::CString::new(data)?;
        mount::mount_classic(c"overlay", target, c"overlay", self.classic_flags(), &data)
    }

    fn classic_flags(&self) -> MountFlags {
        let pairs = [
            (MountAttrFlags::MOUNT_ATTR_RDONLY, MountFlags::RDONLY),
            (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
            (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
            (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountFlags::NOEXEC),
            (MountAttrFlags::MOUNT_ATTR_NOATIME, MountFlags::NOATIME),
            (
                MountAttrFlags::MOUNT_ATTR_NODIRATIME,
                MountFlags::NODIRATIME,
            ),
        ];
        let set = pairs
            .into_iter()
            .filter(|(new, _)| self.attributes().contains(*new));
        set.fold(MountFlags::empty(), |flags, (_, old)| flags | old)
    }
}

/// The root of a mount as a directory to read; what fsmount(2) gives is only a handle on it.
fn openable(mount: OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(mount, ".", flags, Mode::empty())?)
}

/// Sets a path, by way of a descriptor if it is too long for fsconfig(2).
fn set_path(context: &FsContext, key: &str, path: &Path, open: &mut Vec<File>) -> io::Result<()> {
    if path.as_os_str().as_bytes().len() <= MAX_STRING {
        return context.set_string(key, path);
    }
    let file = File::open(path)?;
    context.set_string(key, format!("/proc/self/fd/{}", file.as_raw_fd()).as_str())?;
    open.push(file);
    Ok(())
}

/// Gives the root of a layer the owner and mode of its parent's.
fn copy_root(parent: &Path, root: &Path) -> Result<()> {
    let like = fs::metadata(parent).map_err(Error::io("read", parent))?;
    chown(root, Some(like.uid()), Some(like.gid())).map_err(Error::io("change", root))?;
    fs::set_permissions(root, Permissions::from_mode(like.mode() & 0o7777))
        .map_err(Error::io("change", root))
}

fn random_link() -> Result<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bytes = random_bytes::<LINK_LENGTH>()?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect())
}

fn is_link_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether `path` is the root of a mount.
pub(crate) fn is_mount(path: &Path) -> bool {
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::statx(CWD, path, flags, StatxFlags::empty())
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether a part of some file system, not the whole of one, is mounted at `path`.
fn is_bind_mount(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let Ok(table) = fs::read("/proc/thread-self/mountinfo") else {
        return false;
    };
    let lines = table.split(|byte| *byte == b'\n');
    let mut fields = lines.map(|line| line.split(|byte| *byte == b' ').skip(3));
    fields.any(|mut field| {
        let root = field.next().unwrap_or_default();
        root != b"/" && field.next() == Some(path.as_os_str().as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::suite;

    /// Runs `body` with its own mount namespace, on a thread that ends with it.
    fn in_mount_namespace(body: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let flags = nix::sched::CloneFlags::CLONE_NEWNS | nix::sched::CloneFlags::CLONE_FS;
                if let Err(error) = nix::sched::unshare(flags) {
                    eprintln!("skipped: no mount namespace: {error}");
                    return;
                }
                let private = mount::MountAttributes {
                    propagation: Some(mount::Propagation::Private),
                    ..Default::default()
                };
                let root = File::open("/").unwrap();
                mount::set_attributes(root, mount::Depth::Recursive, &private).unwrap();
                body();
            });
            worker.join().unwrap();
        });
    }

    fn scratch() -> (tempfile::TempDir, Overlay) {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(dir.path().join("graph"), dir.path().join("run"));
        let driver = Overlay::open(&options).unwrap();
        (dir, driver)
    }

    #[test]
    fn passes_the_suite() {
        let (_dir, driver) = scratch();
        in_mount_namespace(|| suite::run(&driver));
    }

    #[test]
    fn classic_mount_gives_the_same() {
        let (_dir, driver) = scratch();
        in_mount_namespace(|| {
            let id = LayerId::random().unwrap();
            let mut temporary = TempDir::new(driver.temporary_root()).unwrap();
            fs::write(driver.prepare(temporary.path()).unwrap().join("f"), "x").unwrap();
            driver.install(&mut temporary, &id, None).unwrap();
            let plan = driver
                .assemble(&id, &MountRequest::default(), None)
                .unwrap();
            let target = driver.mount_point(&id);
            plan.mount_classic(&target, &driver.home).unwrap();
            assert_eq!(fs::read_to_string(target.join("f")).unwrap(), "x");
            driver.unmount(&id).unwrap();
        });
    }

    #[test]
    fn lost_links_come_back() {
        let (_dir, driver) = scratch();
        in_mount_namespace(|| {
            let mut temporary = TempDir::new(driver.temporary_root()).unwrap();
            let [base, top] = [LayerId::random().unwrap(), LayerId::random().unwrap()];
            driver.prepare(temporary.path()).unwrap();
            driver.install(&mut temporary, &base, None).unwrap();
            driver.prepare(temporary.path()).unwrap();
            driver.install(&mut temporary, &top, Some(&base)).unwrap();
            fs::remove_dir_all(driver.home.join("l")).unwrap();
            fs::create_dir(driver.home.join("l")).unwrap();
            driver.mount(&top, &MountRequest::default(), None).unwrap();
            driver.unmount(&top).unwrap();
            assert_eq!(fs::read_dir(driver.home.join("l")).unwrap().count(), 2);
        });
    }
}
