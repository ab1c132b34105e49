//! The mounts of config.json, prepared as far as they can be outside the container.
//!
//! A bind mount's source is a host path: it is opened and cloned here, in the host's mount
//! namespace, and travels to the child as a detached mount. A file system whose content
//! depends on the namespaces (proc, sysfs, mqueue) is made by the child.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use minke_sys::cgroup::Cgroups;
use minke_sys::idmap::{IdMap, Range};
use minke_sys::mount::{self as sys_mount, FsContext, MountAttrFlags};
use minke_sys::rooted::Root;
use oci_spec::runtime::{LinuxIdMapping, Mount};
use rustix::fs::{FileType, OFlags};

use super::cgroup_mount::CgroupMount;
use super::options::{Depth, MountOptions};
use super::{Target, c_string};
use crate::error::{Error, Result};

/// One mount for the child to put in place.
#[derive(Debug)]
pub(crate) struct MountStep {
    pub target: Target,
    pub source: Source,
    /// Make a file, not a directory, where the mount point is missing.
    pub onto_file: bool,
    /// The mount point must be a directory of the image and no link to one.
    pub ordinary: bool,
    /// Make it read-only when everything beneath it is in place.
    pub seal: bool,
    /// MS_* propagation to set on the mount, with MS_REC for the tree.
    pub propagation: Option<u64>,
}

/// Where a mount comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Ready to be attached.
    Ready(OwnedFd),
    /// A host path that only the child may clone (it owns the mount namespace, we do not).
    Path {
        path: CString,
        depth: Depth,
        attributes: Attributes,
    },
    /// A file system the child makes.
    Fs(NewFs),
    /// The control group tree.
    Cgroup(CgroupMount),
}

/// Attribute changes of one mount and of its tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub set: MountAttrFlags,
    pub clear: MountAttrFlags,
    pub set_recursive: MountAttrFlags,
    pub clear_recursive: MountAttrFlags,
}

/// A file system to be made.
#[derive(Debug)]
pub(crate) struct NewFs {
    pub kind: CString,
    pub source: CString,
    pub data: Vec<(CString, Option<CString>)>,
    pub attributes: MountAttrFlags,
}

/// What planning needs to know of the container.
pub(crate) struct Context<'a> {
    pub rootfs: &'a Root,
    pub bundle: &'a Path,
    pub cgroups: &'a Cgroups,
    pub cgroup_path: Option<&'a Path>,
    pub new_cgroup_namespace: bool,
}

/// Plans every mount, in the order of config.json.
pub(crate) fn plan(mounts: &[Mount], context: &Context<'_>) -> Result<Vec<MountStep>> {
    mounts.iter().map(|mount| step(mount, context)).collect()
}

fn step(mount: &Mount, context: &Context<'_>) -> Result<MountStep> {
    let destination = mount.destination();
    if !destination.is_absolute() {
        return Err(Error::config(format!(
            "mount destination {} must be absolute",
            destination.display()
        )));
    }
    let id_map = id_map(mount)?;
    let words = mount.options().as_deref().unwrap_or_default();
    let mut options = MountOptions::parse(words);
    let kind = mount.typ().as_deref().unwrap_or("none");
    // As runc: what is mounted in memory and made in /dev comes before it is sealed.
    let seal = kind == "tmpfs"
        && options.bind.is_none()
        && options.set.contains(MountAttrFlags::MOUNT_ATTR_RDONLY);
    if seal {
        options.set &= !MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let target = Target::new(destination)?;
    let (source, onto_file) = if options.bind.is_some() || kind == "bind" {
        bind(mount, &options, id_map.as_ref(), context)?
    } else if id_map.is_some() {
        return Err(Error::Unsupported {
            what: format!("an idmapped {kind} on {}", destination.display()),
        });
    } else if kind == "cgroup" || kind == "cgroup2" {
        let planned = CgroupMount::plan(context, options.set)?;
        (Source::Cgroup(planned), false)
    } else if kind == "tmpfs" && options.copy_up {
        let filled = filled_tmpfs(destination, &options, context.rootfs)?;
        (Source::Ready(filled), false)
    } else {
        (Source::Fs(new_fs(kind, mount, &options)?), false)
    };
    Ok(MountStep {
        target,
        source,
        onto_file,
        // Security depends on what is seen there (CVE-2019-19921, CVE-2023-27561).
        ordinary: matches!(kind, "proc" | "sysfs"),
        seal,
        propagation: options.propagation,
    })
}

/// The mapping of an idmapped mount (config.md § Mounts): only a bind mount has one here.
fn id_map(mount: &Mount) -> Result<Option<IdMap>> {
    let ranges = |list: &Option<Vec<LinuxIdMapping>>| -> Vec<Range> {
        let ranges = list.iter().flatten().map(|map| Range {
            inside: map.container_id(),
            outside: map.host_id(),
            size: map.size(),
        });
        ranges.collect()
    };
    let map = IdMap {
        users: ranges(mount.uid_mappings()),
        groups: ranges(mount.gid_mappings()),
    };
    match (map.users.is_empty(), map.groups.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(map)),
        _ => Err(Error::config(format!(
            "the mount on {} needs both uidMappings and gidMappings",
            mount.destination().display()
        ))),
    }
}

fn bind(
    mount: &Mount,
    options: &MountOptions,
    id_map: Option<&IdMap>,
    context: &Context<'_>,
) -> Result<(Source, bool)> {
    let source = mount.source().as_deref().ok_or_else(|| {
        Error::config(format!(
            "bind mount on {} has no source",
            mount.destination().display()
        ))
    })?;
    // A relative source counts from the bundle (config.md § Mounts).
    let source = context.bundle.join(source);
    let attributes = Attributes {
        set: options.set,
        clear: options.clear,
        set_recursive: options.set_recursive,
        clear_recursive: options.clear_recursive,
    };
    let depth = options.bind.unwrap_or(Depth::Single);
    let found = rustix::fs::open(
        &source,
        OFlags::PATH | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|errno| Error::path("open bind source", &source)(errno.into()))?;
    let stat =
        rustix::fs::fstat(&found).map_err(|errno| Error::path("examine", &source)(errno.into()))?;
    let onto_file = FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
    match clone_with(&found, depth, &attributes, options.propagation) {
        Ok(tree) => {
            if let Some(map) = id_map {
                apply_id_map(&tree, depth, map)
                    .map_err(Error::path("map the ids of", mount.destination()))?;
            }
            Ok((Source::Ready(tree), onto_file))
        }
        // Not ours to mount in: the child owns its namespace and can.
        Err(error) if id_map.is_none() && error.kind() == std::io::ErrorKind::PermissionDenied => {
            let path = c_string(source.as_os_str().as_bytes())?;
            Ok((
                Source::Path {
                    path,
                    depth,
                    attributes,
                },
                onto_file,
            ))
        }
        Err(source_error) => Err(Error::path("bind", source)(source_error)),
    }
}

fn apply_id_map(tree: &OwnedFd, depth: Depth, map: &IdMap) -> std::io::Result<()> {
    let namespace = map.namespace()?;
    let change = sys_mount::MountAttributes {
        idmap: Some(namespace.as_fd()),
        ..sys_mount::MountAttributes::default()
    };
    sys_mount::set_attributes(tree, depth.into(), &change)
}

fn clone_with(
    source: &OwnedFd,
    depth: Depth,
    attributes: &Attributes,
    propagation: Option<u64>,
) -> std::io::Result<OwnedFd> {
    let tree = sys_mount::clone_tree(source, Path::new(""), depth.into())?;
    attributes.apply(tree.as_fd())?;
    // A clone is its source's peer: what the container mounts beneath would show on the host.
    if propagation.is_none_or(|flags| flags & libc::MS_SHARED == 0) {
        let slave = sys_mount::MountAttributes {
            propagation: Some(sys_mount::Propagation::Slave),
            ..sys_mount::MountAttributes::default()
        };
        sys_mount::set_attributes(&tree, sys_mount::Depth::Recursive, &slave)?;
    }
    Ok(tree)
}

impl From<Depth> for sys_mount::Depth {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Single => sys_mount::Depth::Single,
            Depth::Recursive => sys_mount::Depth::Recursive,
        }
    }
}

impl Attributes {
    /// Changes the mount, then its tree. Makes system calls only.
    pub fn apply(&self, mount: std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
        set(mount, sys_mount::Depth::Single, self.set, self.clear)?;
        set(
            mount,
            sys_mount::Depth::Recursive,
            self.set_recursive,
            self.clear_recursive,
        )
    }
}

fn set(
    mount: std::os::fd::BorrowedFd<'_>,
    depth: sys_mount::Depth,
    set: MountAttrFlags,
    clear: MountAttrFlags,
) -> std::io::Result<()> {
    if set.is_empty() && clear.is_empty() {
        return Ok(());
    }
    let change = sys_mount::MountAttributes {
        set: Some(set),
        clear: Some(clear),
        ..sys_mount::MountAttributes::default()
    };
    sys_mount::set_attributes(mount, depth, &change)
}

fn new_fs(kind: &str, mount: &Mount, options: &MountOptions) -> Result<NewFs> {
    let data = options
        .data
        .iter()
        .map(|(key, value)| {
            let value = value.as_ref().map(|text| c_string(text.as_bytes()));
            Ok((c_string(key.as_bytes())?, value.transpose()?))
        })
        .collect::<Result<_>>()?;
    let source = mount
        .source()
        .as_ref()
        .map_or(kind.as_bytes(), |source| source.as_os_str().as_bytes());
    Ok(NewFs {
        kind: c_string(kind.as_bytes())?,
        source: c_string(source)?,
        data,
        attributes: options.set,
    })
}

/// A tmpfs that starts with what the image has at the mount point.
fn filled_tmpfs(destination: &Path, options: &MountOptions, rootfs: &Root) -> Result<OwnedFd> {
    let failed = |source| Error::path("make a tmpfs for", destination)(source);
    let context = FsContext::open("tmpfs").map_err(failed)?;
    context
        .set_string("source", "tmpfs")
        .map_err(|source| Error::path("make a tmpfs for", destination)(source))?;
    for (key, value) in &options.data {
        match value {
            Some(value) => context.set_string(key, value.as_str()),
            None => context.set_flag(key),
        }
        .map_err(|source| Error::path("make a tmpfs for", destination)(source))?;
    }
    let read_only = options.set & MountAttrFlags::MOUNT_ATTR_RDONLY;
    let tmpfs = context
        .mount(options.set & !MountAttrFlags::MOUNT_ATTR_RDONLY)
        .map_err(|source| Error::path("make a tmpfs for", destination)(source))?;
    let mode_given = options.data.iter().any(|(key, _)| key == "mode");
    crate::copy_up::copy_up(rootfs, destination, &tmpfs, !mode_given)
        .map_err(|source| Error::path("copy the image's", destination)(source))?;
    set(
        tmpfs.as_fd(),
        sys_mount::Depth::Single,
        read_only,
        MountAttrFlags::empty(),
    )
    .map_err(|source| Error::path("make read-only", destination)(source))?;
    Ok(tmpfs)
}
