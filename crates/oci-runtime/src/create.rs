//! `create`: a container set up to the point where its command would run.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use minke_sys::cgroup::{Cgroups, Group, Mode};
use minke_sys::proc::{ProcessId, boot_id};
use oci_spec::runtime::Spec;

use crate::config::Bundle;
use crate::error::{Error, Result};
use crate::launch::{Launch, Launched};
use crate::prepare::{self, Extras};
use crate::state::{self, OCI_VERSION, Record, StateRoot};
use crate::{hooks, resources};

/// How to create a container.
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// The bundle: the directory of config.json.
    pub bundle: PathBuf,
    /// Write init's pid here.
    pub pid_file: Option<PathBuf>,
    /// Send the terminal's master to this Unix socket.
    pub console_socket: Option<PathBuf>,
    /// Send it over this connected socket instead.
    pub terminal: Option<Arc<OwnedFd>>,
    /// Keep descriptors 3..3+n open in the container.
    pub preserve_fds: u32,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// Whether it gets a cgroup.
    pub cgroup: CgroupUse,
}

/// Whether a container gets a cgroup of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupUse {
    /// It does, or is not created.
    #[default]
    Required,
    /// Where one can be made.
    Optional,
    /// It stays in the caller's: no limits, no device rules, nothing that freezes it.
    Disabled,
}

/// Creates the container `id`.
///
/// # Errors
/// [`Error::Exists`], a configuration error, or what init could not do. Nothing of the
/// container is left behind.
pub fn create(root: &StateRoot, id: &str, request: &CreateRequest) -> Result<Launched> {
    let bundle = Bundle::open(&request.bundle)?;
    let cgroups = Cgroups::detect().map_err(Error::system("find the control groups"))?;
    let cgroup_path = cgroup_path(&bundle.spec, id);
    let extras = Extras {
        console_socket: request.console_socket.clone(),
        terminal: request.terminal.clone(),
        preserved_fds: request.preserve_fds,
        keyring: (!request.no_new_keyring).then(|| format!("_ses.{id}")),
        filter_cache: root.filter_cache(),
    };
    let claim = root.claim(id)?;
    let mut undo = Undo {
        dir: Some(claim.dir()),
        group: None,
    };
    // Before anything outside is changed: whoever finds the record can undo the rest.
    let mut record = Record {
        id: id.to_owned(),
        init: None,
        rootfs: bundle.rootfs()?,
        bundle: bundle.dir.clone(),
        cgroup: (request.cgroup != CgroupUse::Disabled).then(|| cgroup_path.clone()),
        created: jiff::Timestamp::now().to_string(),
        boot_id: boot_id().map_err(Error::system("read the boot id"))?,
        annotations: bundle.spec.annotations().clone().unwrap_or_default(),
    };
    if let Some(left) = claim.left_behind() {
        crate::delete::clear(left)?;
    }
    if request.cgroup != CgroupUse::Disabled {
        require_unused(&find_group(&cgroups, &cgroup_path)?, &cgroup_path)?;
    }
    state::write(claim.dir(), &record)?;
    let group = make_group(&cgroups, &cgroup_path, &bundle.spec, request.cgroup)?;
    if group.is_none() {
        record.cgroup = None;
    }
    undo.group = group.clone();
    let shown = group.as_ref().map(|_| &*cgroup_path);
    let plan = prepare::plan(&bundle, &extras, &cgroups, shown, group.as_ref())?;
    let fifo = state::make_fifo(claim.dir())?;
    let linux = prepare::linux(&bundle.spec)?;
    let launch = Launch {
        plan: &plan,
        fifo: Some(fifo.as_fd()),
        group: group.as_ref(),
        lock: Some(claim.lock()),
        linux: Some(linux),
    };
    let hooked = record.clone();
    let launched = launch.run(
        |pid| early_hooks(&bundle, &hooked, pid),
        |pid| {
            let init = ProcessId::of(pid);
            record.init = Some(init.map_err(Error::system("identify the container's init"))?);
            state::write(claim.dir(), &record)?;
            match &request.pid_file {
                Some(path) => write_pid(path, pid),
                None => Ok(()),
            }
        },
    )?;
    undo.dir = None;
    Ok(launched)
}

/// Refuses a cgroup with processes in it: they would be limited, frozen and killed with ours.
fn require_unused(group: &Group, path: &Path) -> Result<()> {
    if !group.exists() {
        return Ok(());
    }
    match group.processes() {
        Ok(found) if found.is_empty() => Ok(()),
        // Gone meanwhile, or not ours to look into: the creation tells.
        Err(_) => Ok(()),
        Ok(found) => Err(Error::config(format!(
            "linux.cgroupsPath {} is in use: {} processes are in it",
            path.display(),
            found.len()
        ))),
    }
}

/// Takes back the claim and the cgroup unless the creation ends well.
struct Undo<'a> {
    dir: Option<&'a Path>,
    group: Option<Group>,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        let Some(dir) = self.dir else {
            return;
        };
        if let Some(group) = &self.group
            && let Err(error) = group.remove(Duration::from_secs(1))
        {
            tracing::warn!(%error, "cgroup of a failed container is left");
        }
        if let Err(error) = fs::remove_dir_all(dir) {
            tracing::warn!(dir = %dir.display(), %error, "state of a failed container is left");
        }
    }
}

/// Writes a pid as runc does: the number alone, in place at once.
pub(crate) fn write_pid(path: &Path, pid: i32) -> Result<()> {
    let options = minke_sys::atomic::ReplaceOptions {
        mode: 0o644,
        durability: minke_sys::atomic::Durability::Cached,
    };
    minke_sys::atomic::replace(path, pid.to_string().as_bytes(), &options)
        .map_err(Error::path("write", path))
}

fn cgroup_path(spec: &Spec, id: &str) -> PathBuf {
    let given = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.cgroups_path().as_deref())
        .filter(|path| !path.as_os_str().is_empty());
    match given {
        Some(path) => Path::new("/").join(path),
        None => Path::new("/").join(format!("minke-{id}")),
    }
}

fn find_group(cgroups: &Cgroups, path: &Path) -> Result<Group> {
    cgroups.group(path).map_err(Error::path("use cgroup", path))
}

fn make_group(
    cgroups: &Cgroups,
    path: &Path,
    spec: &Spec,
    wanted: CgroupUse,
) -> Result<Option<Group>> {
    if cgroups.mode() == Mode::None || wanted == CgroupUse::Disabled {
        return Ok(None);
    }
    let optional = wanted == CgroupUse::Optional;
    let group = find_group(cgroups, path)?;
    if let Err(source) = group.create() {
        let denied = matches!(
            source.kind(),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
        );
        if optional && denied {
            tracing::debug!(path = %path.display(), "no cgroup: limits are not applied");
            return Ok(None);
        }
        return Err(Error::path("create cgroup", path)(source));
    }
    if let Some(limits) = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.resources().as_ref())
        && let Err(error) = resources::apply(&group, limits).and_then(|()| {
            let rules = limits.devices().as_deref().unwrap_or_default();
            resources::apply_devices(&group, rules, optional)
        })
    {
        let _ = group.remove(Duration::from_secs(1));
        return Err(error);
    }
    Ok(Some(group))
}

fn early_hooks(bundle: &Bundle, record: &Record, pid: i32) -> Result<()> {
    let Some(listed) = bundle.spec.hooks() else {
        return Ok(());
    };
    let state = hook_state(record, "creating", pid);
    #[allow(deprecated)] // deprecated in the specification, and what most hooks still use
    hooks::run(listed.prestart().as_ref(), &state)?;
    hooks::run(listed.create_runtime().as_ref(), &state)?;
    hooks::run_inside(listed.create_container().as_ref(), &state, pid)
}

/// The state that hooks read on their standard input.
pub(crate) fn hook_state(record: &Record, status: &str, pid: i32) -> Vec<u8> {
    serde_json::json!({
        "ociVersion": OCI_VERSION,
        "id": record.id,
        "status": status,
        "pid": pid,
        "bundle": record.bundle,
        "annotations": record.annotations,
    })
    .to_string()
    .into_bytes()
}
