//! A directory of the host as a container's root, in place of an image.
//!
//! In the store such a container has a record without an image and an empty layer, as Podman
//! makes them: its own directories are the store's like any other's. What it sees as its root is
//! the directory itself, or a mount below the bundle where it is not used as it stands: a
//! throw-away layer upon it (`:O`), or its owners mapped (`:idmap`).

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use minke_runtime_spec::container::Rootfs;
use minke_runtime_spec::host::IdMapping;
use minke_runtime_spec::option::idmap;
use minke_storage::LayerId;
use minke_sys::mount::{self, Depth, MountAttrFlags, MountAttributes};
use minke_sys::rooted::{Root, reopen};
use rustix::fs::{CWD, OFlags};

use super::record::Record;
use super::stage::{STAGE, new_layer, overlay};
use super::users::id_map;
use crate::Engine;
use crate::error::{Error, Result};

/// The root among the mounts of a bundle, and its layer among the throw-away ones.
const ROOT: &str = "root";

/// Whether the root is a mount of its own and not the directory as it stands.
fn is_staged(rootfs: &Rootfs) -> bool {
    rootfs.overlay || rootfs.idmap.is_some()
}

/// Refuses a directory that is not there, in Podman's words.
pub(crate) fn check(rootfs: &Rootfs, users: &[IdMapping]) -> Result<()> {
    let path = &rootfs.path;
    let refuse = |why: &str| {
        Err(Error::invalid(format!(
            "running container create option: stat {}: {why}",
            path.display()
        )))
    };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return refuse("not a directory"),
        Err(_) => return refuse("no such file or directory"),
    }
    mappings(rootfs, users, &[]).map(drop)
}

/// The ids on disk and those they are seen as; `None` where they stay.
fn mappings(
    rootfs: &Rootfs,
    users: &[IdMapping],
    groups: &[IdMapping],
) -> Result<Option<(Vec<IdMapping>, Vec<IdMapping>)>> {
    match rootfs.idmap.as_deref() {
        None => Ok(None),
        Some("") if users.is_empty() => Err(Error::invalid(
            "--rootfs: idmap without a mapping needs a user namespace of the container's own",
        )),
        Some("") => Ok(Some((users.to_vec(), groups.to_vec()))),
        Some(text) => Ok(Some(idmap::of_mount("--rootfs", text)?)),
    }
}

impl Engine {
    /// Where a container's root is while it is mounted.
    pub(crate) fn root_path(&self, record: &Record) -> Result<PathBuf> {
        match &record.config.spec.rootfs {
            None => Ok(self.store()?.mount_point(&record.config.layer.parse()?)),
            Some(rootfs) if is_staged(rootfs) => Ok(self.bundle(record)?.join(STAGE).join(ROOT)),
            Some(rootfs) => Ok(rootfs.path.clone()),
        }
    }

    /// Makes the root of a start; [`Engine::unstage_mounts`] undoes it.
    pub(crate) fn mount_directory(&self, record: &Record, rootfs: &Rootfs) -> Result<PathBuf> {
        let config = &record.config;
        if !is_staged(rootfs) {
            return Ok(rootfs.path.clone());
        }
        let path = &rootfs.path;
        let mapped = mappings(rootfs, &config.uid_mappings, &config.gid_mappings)?;
        let made = match mapped {
            Some((users, groups)) => mapped_clone(path, &users, &groups)?,
            None => {
                let above = new_layer(&self.throw_away_layers(record)?.join(ROOT), path)?;
                overlay(
                    std::slice::from_ref(path),
                    Some(&above),
                    self.places.rootless,
                )
                .map_err(Error::path("put an overlay on", path))?
            }
        };
        let place = self.root_path(record)?;
        let stage = self.bundle(record)?.join(STAGE);
        crate::engine::make_private_dir(&stage)?;
        fs::create_dir(&place).map_err(Error::path("create", &place))?;
        mount::attach_to_path(made, &place).map_err(Error::path("mount on", &place))?;
        Ok(place)
    }

    /// The files of a container's root to read, without what is mounted in it.
    pub(crate) fn view_root(&self, record: &Record) -> Result<Root> {
        let Some(rootfs) = &record.config.spec.rootfs else {
            let layer: LayerId = record.config.layer.parse()?;
            return Ok(self.store()?.view(&layer)?);
        };
        let path = match self.status(record).0.is_alive() {
            true => self.root_path(record)?,
            false => rootfs.path.clone(),
        };
        let clone = mount::clone_tree(CWD, &path, Depth::Single)
            .and_then(|clone| reopen(&clone, OFlags::RDONLY | OFlags::DIRECTORY));
        clone.map(Root::from_fd).map_err(Error::path("open", path))
    }

    /// The directory of a container that does not run. Upon one whose changes are thrown away
    /// nothing is written: there is no layer for it.
    pub(crate) fn resting_root(rootfs: &Rootfs) -> Result<Root> {
        let path = &rootfs.path;
        if !rootfs.overlay {
            return Root::open_dir(path).map_err(Error::path("open", path));
        }
        let read_only = MountAttributes {
            set: Some(MountAttrFlags::MOUNT_ATTR_RDONLY),
            ..MountAttributes::default()
        };
        let clone = mount::clone_tree(CWD, path, Depth::Single).and_then(|clone| {
            mount::set_attributes(&clone, Depth::Single, &read_only)?;
            reopen(&clone, OFlags::RDONLY | OFlags::DIRECTORY)
        });
        clone.map(Root::from_fd).map_err(Error::path("open", path))
    }
}

fn mapped_clone(path: &Path, users: &[IdMapping], groups: &[IdMapping]) -> Result<OwnedFd> {
    let made = || {
        let clone = mount::clone_tree(CWD, path, Depth::Single)?;
        if let Some(map) = id_map(users, groups) {
            let namespace = map.namespace()?;
            let attributes = MountAttributes {
                idmap: Some(namespace.as_fd()),
                ..MountAttributes::default()
            };
            mount::set_attributes(&clone, Depth::Single, &attributes)?;
        }
        Ok(clone)
    };
    made().map_err(Error::path("map the owners of", path))
}
