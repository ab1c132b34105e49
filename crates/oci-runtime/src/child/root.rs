//! The container's file tree: mounts, devices, masks, and the change of root.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use minke_sys::mount::{Depth, MountAttrFlags, MountAttributes, Propagation, set_attributes};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change,
    move_mount, open_tree, unmount,
};

use super::{At, Done, Gate, HOOKS, console, device, new_cgroup_namespace, place};
use crate::plan::cgroup_mount::{CgroupMount, Layout, Tree};
use crate::plan::mount::{MountStep, NewFs, Source};
use crate::plan::{Plan, RootPlan, Target};
use crate::step::Step;

/// Builds the tree and makes it our root. Gives the terminal, if one is wanted.
pub(super) fn enter(plan: &Plan, root: &RootPlan, gate: &mut Gate) -> Done<Option<OwnedFd>> {
    let before = if root.propagation & libc::MS_PRIVATE != 0 {
        MountPropagationFlags::PRIVATE
    } else {
        MountPropagationFlags::DOWNSTREAM
    };
    mount_change(c"/", before | MountPropagationFlags::REC).at(Step::Propagation)?;
    let made;
    let tree_fd = match &root.tree {
        Some(tree) => {
            // Onto the root, where everybody may go; what is beneath "/" stays what it was, as
            // a process's root is not looked up.
            attach_at(tree.as_fd(), c"/").at(Step::Root)?;
            tree.as_fd()
        }
        None => {
            made = own_tree(&root.path).at(Step::Root)?;
            made.as_fd()
        }
    };
    let mut cgroup_namespace_wanted = plan.namespaces.new_cgroup;
    for (index, step) in root.mounts.iter().enumerate() {
        if cgroup_namespace_wanted && matches!(step.source, Source::Cgroup(_)) {
            new_cgroup_namespace(gate)?;
            cgroup_namespace_wanted = false;
        }
        put(tree_fd, step, index)?;
    }
    if cgroup_namespace_wanted {
        new_cgroup_namespace(gate)?;
    }
    device::make_all(tree_fd, root)?;
    let terminal = console::open(tree_fd, plan.console.as_ref())?;
    set_sysctls(plan)?;
    if plan.waits_for_hooks {
        gate.wait()?;
        gate.send(HOOKS)?;
        gate.wait_again()?;
    }
    seal(tree_fd, &root.mounts)?;
    read_only_paths(tree_fd, &root.read_only_paths)?;
    mask(tree_fd, root)?;
    change_root(tree_fd).at(Step::Pivot)?;
    if root.read_only {
        read_only(tree_fd, Depth::Single).at(Step::ReadOnlyRoot)?;
    }
    after_pivot_propagation(root.propagation).at(Step::Propagation)?;
    Ok(terminal)
}

/// Mounts a copy of the tree at `path` onto itself: pivot_root(2) wants a mount.
fn own_tree(path: &CStr) -> Result<OwnedFd> {
    let tree = open_tree(CWD, path, clone_flags(true))?;
    attach_at(tree.as_fd(), path)?;
    Ok(tree)
}

fn attach_at(tree: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree, c"", CWD, path, flags)
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags | OpenTreeFlags::AT_RECURSIVE
    } else {
        flags
    }
}

fn put(root: BorrowedFd<'_>, step: &MountStep, index: usize) -> Done {
    let onto = place::open_or_make(root, &step.target, step.onto_file)
        .at_index(Step::MountPoint, index)?;
    if step.ordinary {
        place::open_ordinary(root, step.target.whole(), OFlags::PATH | OFlags::DIRECTORY)
            .at_index(Step::MountPoint, index)?;
    }
    let made;
    let mount = match &step.source {
        Source::Ready(mount) => mount.as_fd(),
        Source::Path {
            path,
            depth,
            attributes,
        } => {
            let recursive = *depth == crate::plan::options::Depth::Recursive;
            made = open_tree(CWD, path, clone_flags(recursive)).at_index(Step::Mount, index)?;
            attributes
                .apply(made.as_fd())
                .at_index(Step::Mount, index)?;
            made.as_fd()
        }
        Source::Fs(fs) => {
            made = new_fs(fs).at_index(Step::Mount, index)?;
            made.as_fd()
        }
        Source::Cgroup(cgroup) => {
            return put_cgroup(onto.as_fd(), cgroup).at_index(Step::Mount, index);
        }
    };
    attach(mount, onto.as_fd()).at_index(Step::Mount, index)?;
    match step.propagation {
        Some(flags) => propagate(mount, flags).at_index(Step::Mount, index),
        None => Ok(()),
    }
}

fn attach(mount: BorrowedFd<'_>, onto: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", onto, c"", flags)
}

fn propagate(mount: BorrowedFd<'_>, flags: u64) -> std::io::Result<()> {
    let propagation = match flags & !libc::MS_REC {
        libc::MS_SHARED => Propagation::Shared,
        libc::MS_SLAVE => Propagation::Slave,
        libc::MS_UNBINDABLE => Propagation::Unbindable,
        _ => Propagation::Private,
    };
    let depth = if flags & libc::MS_REC == 0 {
        Depth::Single
    } else {
        Depth::Recursive
    };
    let change = MountAttributes {
        propagation: Some(propagation),
        ..MountAttributes::default()
    };
    set_attributes(mount, depth, &change)
}

fn new_fs(fs: &NewFs) -> Result<OwnedFd> {
    make_fs(&fs.kind, Some(&fs.source), &fs.data, fs.attributes)
}

/// Makes a file system as a detached mount.
pub(super) fn make_fs(
    kind: &CStr,
    source: Option<&CStr>,
    data: &[(CString, Option<CString>)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if let Some(source) = source {
        fsconfig_set_string(&context, c"source", source)?;
    }
    for (key, value) in data {
        match value {
            Some(value) => fsconfig_set_string(&context, &**key, &**value)?,
            None => fsconfig_set_flag(&context, &**key)?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn put_cgroup(onto: BorrowedFd<'_>, cgroup: &CgroupMount) -> Result<()> {
    match &cgroup.layout {
        Layout::Unified(tree) => attach(hierarchy(tree, cgroup.attributes)?.as_fd(), onto),
        Layout::Split { trees, links } => {
            let base = make_fs(
                c"tmpfs",
                Some(c"cgroup"),
                &[],
                cgroup.attributes & !MountAttrFlags::MOUNT_ATTR_RDONLY,
            )?;
            attach(base.as_fd(), onto)?;
            rustix::fs::chmodat(
                &base,
                c".",
                Mode::from_raw_mode(0o755),
                rustix::fs::AtFlags::empty(),
            )?;
            for (name, tree) in trees {
                rustix::fs::mkdirat(&base, &**name, Mode::from_raw_mode(0o755))?;
                let below = place::open(base.as_fd(), name, OFlags::PATH)?;
                attach(hierarchy(tree, cgroup.attributes)?.as_fd(), below.as_fd())?;
            }
            for (name, target) in links {
                rustix::fs::symlinkat(&**target, &base, &**name)?;
            }
            if cgroup
                .attributes
                .contains(MountAttrFlags::MOUNT_ATTR_RDONLY)
            {
                read_only(base.as_fd(), Depth::Single).map_err(errno)?;
            }
            Ok(())
        }
    }
}

fn hierarchy(tree: &Tree, attributes: MountAttrFlags) -> Result<OwnedFd> {
    match tree {
        Tree::Mounted { kind, options } => make_fs(kind, Some(c"cgroup"), options, attributes),
        Tree::Bound(path) => {
            let mount = open_tree(CWD, &**path, clone_flags(false))?;
            let change = MountAttributes {
                set: Some(attributes),
                ..MountAttributes::default()
            };
            set_attributes(&mount, Depth::Single, &change).map_err(errno)?;
            Ok(mount)
        }
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Writes kernel settings through a procfs of our own: what the container has at /proc may
/// be anything (CVE-2019-16884 and its kin).
fn set_sysctls(plan: &Plan) -> Done {
    if plan.sysctls.is_empty() {
        return Ok(());
    }
    let proc =
        make_fs(c"proc", None, &[], MountAttrFlags::empty()).at_index(Step::Sysctl, usize::MAX)?;
    for (index, sysctl) in plan.sysctls.iter().enumerate() {
        let file = place::open(proc.as_fd(), &sysctl.path, OFlags::WRONLY)
            .at_index(Step::Sysctl, index)?;
        rustix::io::write(&file, &sysctl.value).at_index(Step::Sysctl, index)?;
    }
    Ok(())
}

fn read_only(mount: BorrowedFd<'_>, depth: Depth) -> std::io::Result<()> {
    let change = MountAttributes {
        set: Some(MountAttrFlags::MOUNT_ATTR_RDONLY),
        ..MountAttributes::default()
    };
    set_attributes(mount, depth, &change)
}

fn read_only_paths(root: BorrowedFd<'_>, targets: &[Target]) -> Done {
    for (index, target) in targets.iter().enumerate() {
        let found = match place::open(root, target.whole(), OFlags::PATH) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            found => found.at_index(Step::ReadOnlyPath, index)?,
        };
        let copy = open_tree(&found, c"", clone_flags(true)).at_index(Step::ReadOnlyPath, index)?;
        read_only(copy.as_fd(), Depth::Recursive).at_index(Step::ReadOnlyPath, index)?;
        attach(copy.as_fd(), found.as_fd()).at_index(Step::ReadOnlyPath, index)?;
    }
    Ok(())
}

/// Makes read-only what had to take mount points and nodes first.
fn seal(root: BorrowedFd<'_>, mounts: &[MountStep]) -> Done {
    for (index, step) in mounts.iter().enumerate().filter(|(_, step)| step.seal) {
        let mount =
            place::open(root, step.target.whole(), OFlags::PATH).at_index(Step::Mount, index)?;
        read_only(mount.as_fd(), Depth::Single).at_index(Step::Mount, index)?;
    }
    Ok(())
}

/// Covers files with the host's /dev/null and directories with one empty read-only tmpfs.
fn mask(root: BorrowedFd<'_>, plan: &RootPlan) -> Done {
    if plan.masked.is_empty() {
        return Ok(());
    }
    let null = host_null().at_index(Step::Mask, usize::MAX)?;
    let mut empty: Option<OwnedFd> = None;
    for (index, target) in plan.masked.iter().enumerate() {
        let found = match place::open(root, target.whole(), OFlags::PATH) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            found => found.at_index(Step::Mask, index)?,
        };
        let stat = rustix::fs::fstat(&found).at_index(Step::Mask, index)?;
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        let cover = if kind != rustix::fs::FileType::Directory {
            open_tree(&null, c"", clone_flags(false))
        } else {
            match &empty {
                // One tmpfs serves every directory: the first use is cloned.
                Some(first) => open_tree(first, c"", clone_flags(false)),
                None => make_fs(
                    c"tmpfs",
                    Some(c"tmpfs"),
                    &[],
                    MountAttrFlags::MOUNT_ATTR_RDONLY,
                ),
            }
        }
        .at_index(Step::Mask, index)?;
        attach(cover.as_fd(), found.as_fd()).at_index(Step::Mask, index)?;
        if kind == rustix::fs::FileType::Directory && empty.is_none() {
            empty = Some(cover);
        }
    }
    Ok(())
}

/// The host's /dev/null, by type and number and not by name only (CVE-2025-31133). It is
/// opened here, before the root changes: a mount of another namespace cannot be cloned.
fn host_null() -> Result<OwnedFd> {
    let null = rustix::fs::open(c"/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&null)?;
    let is_null = rustix::fs::FileType::from_raw_mode(stat.st_mode)
        == rustix::fs::FileType::CharacterDevice
        && stat.st_rdev == rustix::fs::makedev(1, 3);
    if is_null { Ok(null) } else { Err(Errno::NODEV) }
}

/// Makes `tree` the root and lets go of the old one, which is stacked beneath it for a moment.
fn change_root(tree: BorrowedFd<'_>) -> Result<()> {
    let old = super::current_root()?;
    rustix::process::fchdir(tree)?;
    rustix::process::pivot_root(c".", c".")?;
    rustix::process::fchdir(&old)?;
    mount_change(
        c".",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )?;
    unmount(c".", UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")
}

/// What config.json asks of the root's propagation, once there is nothing of the host in it.
fn after_pivot_propagation(flags: u64) -> std::io::Result<()> {
    if flags & (libc::MS_SHARED | libc::MS_SLAVE | libc::MS_UNBINDABLE) == 0 {
        return Ok(());
    }
    propagate(super::current_root()?.as_fd(), flags)
}
