//! How /sys/fs/cgroup looks from inside, as on the host: one v2 tree, or a directory of v1
//! hierarchies (with the v2 tree beside them on a hybrid host).

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use minke_sys::cgroup::{Hierarchy, Mode};
use minke_sys::mount::MountAttrFlags;

use super::c_string;
use super::mount::Context;
use crate::error::Result;

/// The plan of one cgroup mount.
#[derive(Debug)]
pub(crate) struct CgroupMount {
    /// Attributes of every mount made; read-only among them if asked for.
    pub attributes: MountAttrFlags,
    pub layout: Layout,
}

/// What is mounted.
#[derive(Debug)]
pub(crate) enum Layout {
    /// The v2 tree itself.
    Unified(Tree),
    /// A tmpfs holding one directory a hierarchy, and links for combined controllers.
    Split {
        trees: Vec<(CString, Tree)>,
        /// `(name, target)`.
        links: Vec<(CString, CString)>,
    },
}

/// One hierarchy.
#[derive(Debug)]
pub(crate) enum Tree {
    /// Mounted anew: a new cgroup namespace shows our group as its root.
    Mounted {
        kind: CString,
        options: Vec<(CString, Option<CString>)>,
    },
    /// The host's directory of our group.
    Bound(CString),
}

impl CgroupMount {
    pub fn plan(context: &Context<'_>, attributes: MountAttrFlags) -> Result<Self> {
        let cgroups = context.cgroups;
        let layout = match (cgroups.mode(), cgroups.unified()) {
            (Mode::V2, Some(unified)) => Layout::Unified(tree(unified, context)?),
            _ => split(cgroups.hierarchies(), context)?,
        };
        Ok(Self { attributes, layout })
    }
}

fn split(hierarchies: &[Hierarchy], context: &Context<'_>) -> Result<Layout> {
    let mut trees = Vec::new();
    let mut links = Vec::new();
    for hierarchy in hierarchies {
        let Some(name) = hierarchy.mount.file_name() else {
            continue;
        };
        trees.push((c_string(name.as_bytes())?, tree(hierarchy, context)?));
        if hierarchy.controllers.len() > 1 {
            for controller in &hierarchy.controllers {
                if controller.as_bytes() != name.as_bytes() {
                    links.push((c_string(controller.as_bytes())?, c_string(name.as_bytes())?));
                }
            }
        }
    }
    Ok(Layout::Split { trees, links })
}

fn tree(hierarchy: &Hierarchy, context: &Context<'_>) -> Result<Tree> {
    if context.new_cgroup_namespace {
        let kind = if hierarchy.is_unified() {
            c"cgroup2"
        } else {
            c"cgroup"
        };
        return Ok(Tree::Mounted {
            kind: kind.to_owned(),
            options: options(hierarchy)?,
        });
    }
    let group = context.cgroup_path.unwrap_or(Path::new("/"));
    let dir = hierarchy
        .mount
        .join(group.strip_prefix("/").unwrap_or(group));
    Ok(Tree::Bound(c_string(dir.as_os_str().as_bytes())?))
}

fn options(hierarchy: &Hierarchy) -> Result<Vec<(CString, Option<CString>)>> {
    let mut options = Vec::new();
    for controller in &hierarchy.controllers {
        match controller.strip_prefix("name=") {
            Some(name) => {
                options.push((c"none".to_owned(), None));
                options.push((c"name".to_owned(), Some(c_string(name.as_bytes())?)));
            }
            None => options.push((c_string(controller.as_bytes())?, None)),
        }
    }
    Ok(options)
}
