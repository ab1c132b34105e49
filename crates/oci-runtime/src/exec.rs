//! `exec`: one more process in a running container.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use oci_spec::runtime::Process;

use crate::config::Bundle;
use crate::error::{Error, Result};
use crate::launch::{Launch, Launched};
use crate::plan::namespace::{Join, Namespaces};
use crate::prepare::{self, Extras};
use crate::state::{StateRoot, Status};

/// How to run a process in a container.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// Write the process's pid here.
    pub pid_file: Option<PathBuf>,
    /// Send the terminal's master to this Unix socket.
    pub console_socket: Option<PathBuf>,
    /// Send it over this connected socket instead.
    pub terminal: Option<Arc<OwnedFd>>,
    /// Keep descriptors 3..3+n open in the process.
    pub preserve_fds: u32,
}

/// Executes `process` in the container `id`.
///
/// # Errors
/// [`Error::WrongState`] unless the container runs; what the process could not do.
pub fn exec(
    root: &StateRoot,
    id: &str,
    process: &Process,
    request: &ExecRequest,
) -> Result<Launched> {
    let container = root.load(id)?;
    let status = container.status();
    let wrong = || Error::WrongState {
        id: id.to_owned(),
        state: status.as_str(),
        wanted: "running",
    };
    if !matches!(status, Status::Running | Status::Created) {
        return Err(wrong());
    }
    let init = container.record.init.ok_or_else(wrong)?;
    // Held while its namespaces are opened: a reused pid would open a stranger's.
    let held = init.open().map_err(|_| wrong())?;
    let namespaces = namespaces_of(init.pid)?;
    if held
        .has_ended()
        .map_err(Error::system("examine the container"))?
    {
        return Err(wrong());
    }
    let bundle = Bundle::open(&container.record.bundle)?;
    let linux = prepare::linux(&bundle.spec)?;
    let extras = Extras {
        console_socket: request.console_socket.clone(),
        terminal: request.terminal.clone(),
        preserved_fds: request.preserve_fds,
        keyring: None,
        filter_cache: root.filter_cache(),
    };
    let group = container.cgroup().filter(|group| group.exists());
    let plan = prepare::plan_exec(
        process,
        linux.seccomp().as_ref(),
        namespaces,
        &extras,
        group.as_ref(),
    )?;
    let launch = Launch {
        plan: &plan,
        fifo: None,
        group: group.as_ref(),
        lock: None,
        linux: None,
    };
    let pid_file = request.pid_file.as_deref();
    launch.run(
        |_| Ok(()),
        |pid| pid_file.map_or(Ok(()), |path| crate::create::write_pid(path, pid)),
    )
}

/// Every namespace in which `pid` is and we are not.
fn namespaces_of(pid: i32) -> Result<Namespaces> {
    const KINDS: &[(&str, i32)] = &[
        ("user", libc::CLONE_NEWUSER),
        ("cgroup", libc::CLONE_NEWCGROUP),
        ("ipc", libc::CLONE_NEWIPC),
        ("uts", libc::CLONE_NEWUTS),
        ("net", libc::CLONE_NEWNET),
        ("pid", libc::CLONE_NEWPID),
        ("mnt", libc::CLONE_NEWNS),
    ];
    let mut namespaces = Namespaces::default();
    for &(name, kind) in KINDS {
        let theirs = prepare::open_namespace(pid, name)?;
        let ours = prepare::open_namespace(std::process::id() as i32, name)?;
        let inode = |file: &std::fs::File| file.metadata().map(|meta| meta.ino());
        let differ = inode(&theirs).ok() != inode(&ours).ok();
        if differ {
            namespaces.joins.push(Join {
                kind,
                fd: theirs.into(),
            });
        }
    }
    Ok(namespaces)
}
