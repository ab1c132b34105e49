//! The parent's side of making a container process: clone, id maps, limits, conversation.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Command;

use minke_sys::cgroup::Group;
use minke_sys::child::{CloneRequest, Failure, Fork, clone3};
use minke_sys::pidfd::PidFd;
use oci_spec::runtime::{Linux, LinuxIdMapping};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};

use crate::child::{self, GO, Gate, HOOKS, PID, READY};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::plan::entrance::Entrance;
use crate::plan::process::Limit;
use crate::step;

/// What the child needs from its parent before it can finish.
pub(crate) struct Launch<'a> {
    pub plan: &'a Plan,
    /// The fifo of a container; `None` for a process that enters one.
    pub fifo: Option<BorrowedFd<'a>>,
    /// Where the process belongs.
    pub group: Option<&'a Group>,
    /// The lock held on the container, which the child must not hold on to when we are gone.
    pub lock: Option<BorrowedFd<'a>>,
    /// Id maps of a new user namespace.
    pub linux: Option<&'a Linux>,
}

/// A process that is set up.
#[derive(Debug)]
pub struct Launched {
    /// Its number in our pid namespace.
    pub pid: i32,
    /// The process, held. It is our child.
    pub process: PidFd,
}

/// How the conversation with the child ended.
enum Ending {
    Ready,
    Failed(Failure),
    Gone,
}

impl Launch<'_> {
    /// Makes the process. `hooks` runs when the child says that its mounts are done, `record`
    /// when it is set up: a child that waits for its start lives on only after that.
    ///
    /// # Errors
    /// [`Error::Init`] with the child's reason. The child is gone then.
    pub fn run(
        &self,
        hooks: impl FnMut(i32) -> Result<()>,
        record: impl FnOnce(i32) -> Result<()>,
    ) -> Result<Launched> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(Error::system("make a socket pair"))?;
        let mut gate = Gate {
            socket: theirs,
            open: false,
        };
        let intermediate = self.plan.namespaces.need_intermediate();
        let flags = if intermediate {
            0
        } else {
            self.plan.namespaces.new
        };
        let (fork, entered) = self.fork(flags)?;
        match fork {
            Fork::Child => {
                // The parent's end must be seen to close when the parent dies.
                drop(ours);
                if let Some(lock) = self.lock {
                    // SAFETY: the child's copy of the descriptor; its owner never drops here, as
                    // the child execs or exits without running destructors.
                    unsafe { libc::close(lock.as_raw_fd()) };
                }
                if intermediate {
                    child::run_intermediate(self.plan, &mut gate, self.fifo)
                }
                child::run(self.plan, &mut gate, self.fifo)
            }
            Fork::Parent { pid, child } => {
                drop(gate);
                if intermediate {
                    self.through_intermediate(&ours, child, entered, hooks, record)
                } else {
                    self.attend(
                        &ours,
                        Launched {
                            pid,
                            process: child,
                        },
                        entered,
                        hooks,
                        record,
                    )
                }
            }
        }
    }

    /// Makes the first process, in the v2 tree's group if it can be born there; tells whether
    /// it was. A full group, one that holds other groups, and one of another owner refuse a
    /// birth where they take a process that is moved, and so do kernels before 5.7.
    fn fork(&self, flags: u64) -> Result<(Fork, bool)> {
        let inside = self.plan.entrance.as_ref().and_then(Entrance::unified);
        let clone = |into_cgroup| {
            // SAFETY: the runtime is single threaded; see the crate's page.
            unsafe { clone3(&CloneRequest { flags, into_cgroup }) }
        };
        if inside.is_some() {
            match clone(inside) {
                Ok(fork) => return Ok((fork, true)),
                Err(error) => tracing::debug!(%error, "not cloned into the cgroup"),
            }
        }
        clone(None)
            .map(|fork| (fork, inside.is_none()))
            .map_err(Error::system("clone the container's process"))
    }

    fn through_intermediate(
        &self,
        socket: &OwnedFd,
        intermediate: PidFd,
        entered: bool,
        hooks: impl FnMut(i32) -> Result<()>,
        record: impl FnOnce(i32) -> Result<()>,
    ) -> Result<Launched> {
        let mut first = receive(socket)?;
        let mut failed = None;
        // A child that is faster than the one who made it may fail before its pid is told.
        if let Message::Failure(failure) = first {
            failed = Some(failure);
            first = receive(socket)?;
        }
        intermediate
            .reap()
            .map_err(Error::system("wait for the intermediate process"))?;
        let launched = match first {
            Message::Pid(pid) => Some(Launched {
                pid,
                // Our own unreaped child: the number is its own.
                process: PidFd::open(pid).map_err(Error::system("hold the container's process"))?,
            }),
            _ => None,
        };
        match (failed, launched) {
            (None, Some(launched)) => self.attend(socket, launched, entered, hooks, record),
            (None, None) => match first {
                Message::Failure(failure) => Err(step::explain(self.plan, failure)),
                _ => Err(gone()),
            },
            (Some(failure), launched) => {
                if let Some(launched) = launched {
                    end(&launched);
                }
                Err(step::explain(self.plan, failure))
            }
        }
    }

    /// Does for the child what only we can, and hears it out. Ends it if anything fails.
    fn attend(
        &self,
        socket: &OwnedFd,
        launched: Launched,
        entered: bool,
        hooks: impl FnMut(i32) -> Result<()>,
        record: impl FnOnce(i32) -> Result<()>,
    ) -> Result<Launched> {
        let result = self
            .provide(launched.pid, entered)
            .and_then(|()| go(socket))
            .and_then(|()| self.hear(socket, launched.pid, hooks));
        let error = match result {
            Ok(Ending::Ready) => match self.commit(socket, launched.pid, record) {
                Ok(()) => return Ok(launched),
                Err(error) => error,
            },
            Ok(Ending::Failed(failure)) => step::explain(self.plan, failure),
            Ok(Ending::Gone) => gone(),
            Err(error) => {
                // It may wait for us; what it has said before stays to be read.
                let _ = launched.process.signal(libc::SIGKILL);
                match receive(socket) {
                    // A child that failed on its own says it better than our write to it.
                    Ok(Message::Failure(failure)) => step::explain(self.plan, failure),
                    _ => error,
                }
            }
        };
        end(&launched);
        Err(error)
    }

    /// Puts the child on record, then lets it wait for its start without us.
    fn commit(
        &self,
        socket: &OwnedFd,
        pid: i32,
        record: impl FnOnce(i32) -> Result<()>,
    ) -> Result<()> {
        record(pid)?;
        match self.fifo {
            Some(_) => go(socket),
            None => Ok(()),
        }
    }

    fn provide(&self, pid: i32, entered: bool) -> Result<()> {
        if self.plan.namespaces.makes(libc::CLONE_NEWUSER)
            && let Some(linux) = self.linux
        {
            map_ids(pid, linux)?;
        }
        raise_limits(pid, &self.plan.process.limits)?;
        if let Some(group) = self.group.filter(|_| !entered) {
            group
                .add_unified(pid)
                .map_err(Error::system("move the process into its cgroup"))?;
        }
        if let Some(adjustment) = self.plan.process.oom_score_adj {
            set_oom_score(pid, adjustment)?;
        }
        Ok(())
    }

    fn hear(
        &self,
        socket: &OwnedFd,
        pid: i32,
        mut hooks: impl FnMut(i32) -> Result<()>,
    ) -> Result<Ending> {
        loop {
            match receive(socket)? {
                Message::Ready => return Ok(Ending::Ready),
                Message::Failure(failure) => return Ok(Ending::Failed(failure)),
                Message::Hooks => {
                    hooks(pid)?;
                    go(socket)?;
                }
                // A process with no fifo executes at once: its end of the socket closes.
                Message::End if self.fifo.is_none() => return Ok(Ending::Ready),
                Message::End | Message::Pid(_) => return Ok(Ending::Gone),
            }
        }
    }
}

/// Raises hard limits while we have the right to: the child may lose it to a user namespace.
/// The exact values are the child's to set, when nothing it needs is limited by them any more.
fn raise_limits(pid: i32, limits: &[Limit]) -> Result<()> {
    for limit in limits {
        let mut now = libc::rlimit64 {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: no new limit is given, and `now` is a live struct for the old one.
        let result = unsafe { libc::prlimit64(0, limit.resource, std::ptr::null(), &raw mut now) };
        if result != 0 || limit.value.rlim_max <= now.rlim_max {
            continue;
        }
        now.rlim_max = limit.value.rlim_max;
        // SAFETY: `now` is a live struct that is only read.
        let result =
            unsafe { libc::prlimit64(pid, limit.resource, &raw const now, std::ptr::null_mut()) };
        if result != 0 {
            let reason = io::Error::last_os_error();
            return Err(Error::Init {
                what: format!(
                    "cannot {}: {}",
                    limit.attempt(),
                    crate::plan::plain(&reason.to_string())
                ),
                class: crate::error::InitFailure::Setup,
            });
        }
    }
    Ok(())
}

fn end(launched: &Launched) {
    let _ = launched.process.signal(libc::SIGKILL);
    let _ = launched.process.reap();
}

fn gone() -> Error {
    Error::Init {
        what: "the container's init ended before it was set up (out of memory?)".into(),
        class: crate::error::InitFailure::Setup,
    }
}

/// One packet of the child.
#[derive(Clone, Copy)]
enum Message {
    Ready,
    Hooks,
    Pid(i32),
    Failure(Failure),
    End,
}

fn receive(socket: &OwnedFd) -> Result<Message> {
    let mut packet = [0u8; 16];
    let length = loop {
        match recv(socket, packet.as_mut_slice(), RecvFlags::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            Ok((length, _)) => break length,
            // A child that failed before it read our answer: told once, ahead of its last words.
            Err(rustix::io::Errno::CONNRESET) => {}
            Err(errno) => return Err(Error::system("hear the container's init")(errno)),
        }
    };
    Ok(match packet.get(..length) {
        Some([READY]) => Message::Ready,
        Some([HOOKS]) => Message::Hooks,
        Some([PID, a, b, c, d]) => Message::Pid(i32::from_ne_bytes([*a, *b, *c, *d])),
        Some(frame) => match <[u8; 8]>::try_from(frame) {
            Ok(frame) => Message::Failure(Failure::from_bytes(frame)),
            Err(_) => Message::End,
        },
        None => Message::End,
    })
}

fn go(socket: &OwnedFd) -> Result<()> {
    send(socket.as_fd(), &[GO], SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(Error::system("answer the container's init"))
}

/// Lower scores need privilege: without it the container keeps ours, as runc does.
fn set_oom_score(pid: i32, adjustment: i32) -> Result<()> {
    let path = format!("/proc/{pid}/oom_score_adj");
    match fs::write(&path, adjustment.to_string()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::debug!(adjustment, "oom_score_adj is not ours to lower");
            Ok(())
        }
        result => result.map_err(Error::path("write", path)),
    }
}

fn map_ids(pid: i32, linux: &Linux) -> Result<()> {
    let empty = Vec::new();
    let gids = linux.gid_mappings().as_ref().unwrap_or(&empty);
    let uids = linux.uid_mappings().as_ref().unwrap_or(&empty);
    if uids.is_empty() || gids.is_empty() {
        return Err(Error::config(
            "a new user namespace needs linux.uidMappings and linux.gidMappings",
        ));
    }
    map(pid, "uid_map", "newuidmap", uids)?;
    // Without privilege, groups are denied before they are mapped (CVE-2014-8989).
    if !has_setgid() && gids.len() == 1 && gids[0].size() == 1 {
        let path = format!("/proc/{pid}/setgroups");
        fs::write(&path, "deny").map_err(Error::path("write", path))?;
    }
    map(pid, "gid_map", "newgidmap", gids)
}

fn has_setgid() -> bool {
    rustix::process::geteuid().is_root()
}

fn map(pid: i32, file: &str, helper: &str, mappings: &[LinuxIdMapping]) -> Result<()> {
    let lines: Vec<String> = mappings
        .iter()
        .map(|map| format!("{} {} {}", map.container_id(), map.host_id(), map.size()))
        .collect();
    let path = format!("/proc/{pid}/{file}");
    match fs::write(&path, lines.join("\n")) {
        Ok(()) => Ok(()),
        // More than our own id: the set-uid helper knows what /etc/subuid grants.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let output = Command::new(helper)
                .arg(pid.to_string())
                .args(lines.iter().flat_map(|line| line.split(' ')))
                .output()
                .map_err(Error::path("run", helper))?;
            if output.status.success() {
                return Ok(());
            }
            Err(Error::config(format!(
                "{helper} refused the mapping: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )))
        }
        Err(source) => Err(Error::path("write", path)(source)),
    }
}
