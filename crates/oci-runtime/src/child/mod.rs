//! The container's init, from clone to exec.
//!
//! Runs in the child, on memory owned before the clone: system calls only, no allocation, no
//! locks, no logging. What fails is told to the parent as a [`Failure`] of eight bytes.

mod console; // the terminal, opened inside the container's devpts
mod credentials; // ids, groups, capabilities, limits
mod device; // what is in /dev
mod place; // mount points, resolved beneath the container's root
mod root; // the file tree
mod schedule; // scheduling, I/O priority, personality
mod signals; // dispositions and mask as a new program expects them

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use minke_sys::child::{Failure, exit_now};
use rustix::io::Errno;

use crate::plan::Plan;
use crate::plan::entrance::Entrance;
use crate::plan::namespace::Join;
use crate::step::Step;

/// A result whose error says which step failed.
type Done<T = ()> = Result<T, Failure>;

/// The child's end of the conversation with the runtime process.
#[derive(Debug)]
pub(crate) struct Gate {
    pub socket: OwnedFd,
    /// Whether the parent's go has been read.
    pub open: bool,
}

/// The child is set up and waits to be started.
pub(crate) const READY: u8 = b'R';
/// The child waits for hooks to run in the host's namespaces.
pub(crate) const HOOKS: u8 = b'H';
/// An intermediate process made the child: four bytes of pid follow.
pub(crate) const PID: u8 = b'P';
/// The parent's answer to each. The one to [`READY`] says that the container is on record: a
/// child whose runtime dies before that ends with it.
pub(crate) const GO: u8 = b'G';

/// Becomes the container: sets everything up, waits at `fifo` for the start, executes.
pub(crate) fn run(plan: &Plan, gate: &mut Gate, fifo: Option<BorrowedFd<'_>>) -> ! {
    let command = match set_up(plan, gate) {
        Ok(command) => command,
        Err(failure) => {
            report(gate, failure);
            exit_now(1)
        }
    };
    let failure = match start(plan, gate, fifo) {
        Err(failure) => failure,
        Ok(()) => Step::Exec.failure(0, plan.process.command.execute(command)),
    };
    // With no fifo (exec) the parent still listens; a started container has nobody left to
    // tell but its own standard error and the exit code.
    match fifo {
        None => report(gate, failure),
        Some(_) => complain(plan, failure),
    }
    exit_now(match failure.errno {
        libc::ENOENT => 127,
        _ => 126,
    })
}

/// Joins the namespaces listed and makes the child in them, as a child of our parent.
pub(crate) fn run_intermediate(plan: &Plan, gate: &mut Gate, fifo: Option<BorrowedFd<'_>>) -> ! {
    use minke_sys::child::{CloneRequest, Fork, clone3};
    hide(plan);
    let result = join(plan).and_then(|()| {
        let request = CloneRequest {
            flags: plan.namespaces.new | libc::CLONE_PARENT as u64,
            into_cgroup: None,
        };
        // SAFETY: this process is a fork of a single-threaded one.
        unsafe { clone3(&request) }
            .map_err(|error| Step::Clone.failure(0, error.raw_os_error().unwrap_or(libc::EIO)))
    });
    match result {
        Ok(Fork::Child) => run(plan, gate, fifo),
        Ok(Fork::Parent { pid, .. }) => {
            let [a, b, c, d] = pid.to_ne_bytes();
            let _ = rustix::io::write(&gate.socket, &[PID, a, b, c, d]);
            exit_now(0)
        }
        Err(failure) => {
            report(gate, failure);
            exit_now(1)
        }
    }
}

fn set_up<'p>(plan: &'p Plan, gate: &mut Gate) -> Done<&'p CStr> {
    if let Some(entrance) = &plan.entrance {
        enter_cgroup(entrance)?;
    }
    signals::reset();
    credentials::close_descriptors(plan.process.preserved_fds)?;
    // A user namespace has no ids, and so no rights, before the parent has mapped some.
    if plan.namespaces.makes(libc::CLONE_NEWUSER) {
        gate.wait()?;
        become_root_of_namespace()?;
    }
    if !plan.namespaces.need_intermediate() {
        hide(plan);
        join(plan)?;
    }
    rustix::process::setsid().at(Step::Session)?;
    if let Some(keyring) = &plan.process.keyring {
        credentials::join_keyring(keyring);
    }
    let terminal = match &plan.root {
        Some(root) => root::enter(plan, root, gate)?,
        None => {
            if plan.namespaces.new_cgroup {
                new_cgroup_namespace(gate)?;
            }
            console::open_in_current_root(plan.console.as_ref())?
        }
    };
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.to_bytes()).at(Step::Hostname)?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.to_bytes()).at(Step::Hostname)?;
    }
    if let Some(terminal) = terminal {
        console::take(&terminal, plan.process.uid)?;
    } else {
        console::give_stdio_to(plan.process.uid);
    }
    gate.wait()?;
    schedule::apply(&plan.process)?;
    credentials::become_user(&plan.process)?;
    choose_command(plan)
}

/// Moves into the cgroup and forgets the way: limits hold from here on, and what is executed
/// later must not find the host's tree. An intermediate process leaves this to its child, as
/// two may be more than the group has room for.
fn enter_cgroup(entrance: &Entrance) -> Done {
    for (index, door) in entrance.doors.iter().enumerate() {
        rustix::io::write(&door.tasks, b"0").at_index(Step::Cgroup, index)?;
    }
    for descriptor in entrance.descriptors() {
        // SAFETY: this process's copies; their owner never drops here, as the process execs or
        // exits without running destructors.
        unsafe { libc::close(descriptor.as_raw_fd()) };
    }
    Ok(())
}

/// Says that all is set up, waits for the start, and closes the last door.
fn start(plan: &Plan, gate: &mut Gate, fifo: Option<BorrowedFd<'_>>) -> Done {
    if let Some(fifo) = fifo {
        gate.send(READY)?;
        gate.wait_again()?;
        wait_for_start(fifo)?;
    }
    credentials::load_late_filter(&plan.process)
}

/// Blocks until `start` writes a byte.
fn wait_for_start(fifo: BorrowedFd<'_>) -> Done {
    let mut byte = [0];
    loop {
        match rustix::io::read(fifo, &mut byte) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).at(Step::Start),
            Ok(_) => return Ok(()),
        }
    }
}

/// Joins what is to be joined. Root has the right to all of them outside the user namespace
/// and perhaps not inside; a normal user has it only inside. So the user namespace comes
/// between two tries.
fn join(plan: &Plan) -> Done {
    let joins = &plan.namespaces.joins;
    let is_user = |join: &Join| join.kind & libc::CLONE_NEWUSER != 0;
    let user = joins.iter().position(is_user);
    let mut left: u32 = 0;
    for (index, join) in joins.iter().enumerate().filter(|(_, join)| !is_user(join)) {
        match enter(join) {
            Err(Errno::PERM) if user.is_some() => left |= 1 << index,
            result => result.at_index(Step::JoinNamespace, index)?,
        }
    }
    if let Some(index) = user {
        enter(&joins[index]).at_index(Step::JoinNamespace, index)?;
        become_root_of_namespace()?;
    }
    for (index, join) in joins.iter().enumerate() {
        if left & 1 << index != 0 {
            enter(join).at_index(Step::JoinNamespace, index)?;
        }
    }
    Ok(())
}

fn enter(join: &Join) -> Result<(), Errno> {
    // SAFETY: a valid descriptor and a plain integer.
    check(unsafe { libc::setns(join.fd.as_raw_fd(), join.kind) })
}

/// Keeps processes of the namespaces we enter from tracing us and from taking our descriptors
/// through /proc (CVE-2016-9962). Not for a new user namespace, where nobody is yet: its id
/// maps could not be written.
fn hide(plan: &Plan) {
    if !plan.namespaces.makes(libc::CLONE_NEWUSER) && !plan.namespaces.joins.is_empty() {
        // SAFETY: plain integers. It cannot fail with these.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    }
}

/// Takes id 0 of the user namespace just entered, with which everything is set up.
fn become_root_of_namespace() -> Done {
    credentials::set_ids(0, 0)
}

/// Makes the cgroup namespace once we are in our cgroup.
fn new_cgroup_namespace(gate: &mut Gate) -> Done {
    gate.wait()?;
    // SAFETY: a plain integer; only the calling thread's namespace changes, and it is the
    // only thread.
    check(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) }).at(Step::CgroupNamespace)
}

/// Finds the command as the container's user sees it.
fn choose_command(plan: &Plan) -> Done<&CStr> {
    let mut failure = Step::CommandNotFound.failure(0, libc::ENOENT);
    for candidate in &plan.process.command.candidates {
        let stat = match rustix::fs::stat(candidate) {
            Ok(stat) => stat,
            Err(Errno::ACCESS) => {
                failure = Step::CommandNotExecutable.failure(0, libc::EACCES);
                continue;
            }
            Err(_) => continue,
        };
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
            failure = Step::CommandNotRegular.failure(0, libc::EACCES);
        } else if rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_err() {
            failure = Step::CommandNotExecutable.failure(0, libc::EACCES);
        } else {
            return Ok(candidate);
        }
    }
    Err(failure)
}

impl Gate {
    /// Waits until the parent has done what only it can: id maps, cgroup, limits.
    fn wait(&mut self) -> Done {
        if self.open {
            return Ok(());
        }
        self.wait_again()?;
        self.open = true;
        Ok(())
    }

    /// Waits for one more go.
    fn wait_again(&self) -> Done {
        let mut byte = [0];
        loop {
            match rustix::io::read(&self.socket, &mut byte) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).at(Step::Gate),
                // The runtime is gone: so are we.
                Ok(0) => exit_now(1),
                Ok(_) => return Ok(()),
            }
        }
    }

    fn send(&self, message: u8) -> Done {
        rustix::io::write(&self.socket, &[message])
            .map(drop)
            .at(Step::Gate)
    }
}

fn report(gate: &Gate, failure: Failure) {
    // Failing, the parent sees the end of the conversation instead.
    let _ = rustix::net::send(
        &gate.socket,
        &failure.to_bytes(),
        rustix::net::SendFlags::NOSIGNAL,
    );
}

/// Says on the container's standard error why its command could not be executed.
fn complain(plan: &Plan, failure: Failure) {
    let reason: &[u8] = match failure.errno {
        libc::ENOEXEC => b"exec format error (is it for another architecture?)\n",
        libc::ENOENT => b"no such file or directory (is its interpreter missing?)\n",
        libc::EACCES => b"permission denied\n",
        _ => b"cannot be executed\n",
    };
    for part in [
        b"exec ",
        plan.process.command.name.as_bytes(),
        b": ",
        reason,
    ] {
        // Failing, the exit code still tells.
        let _ = rustix::io::write(rustix::stdio::stderr(), part);
    }
}

/// errno as a result.
fn check(result: i32) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    Err(last_errno())
}

fn last_errno() -> Errno {
    // SAFETY: points to this thread's errno.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// Names the step that an errno belongs to.
trait At<T> {
    fn at(self, step: Step) -> Done<T>;
    fn at_index(self, step: Step, index: usize) -> Done<T>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: Step) -> Done<T> {
        self.at_index(step, 0)
    }

    fn at_index(self, step: Step, index: usize) -> Done<T> {
        self.map_err(|errno| step.failure(index, errno.raw_os_error()))
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, step: Step) -> Done<T> {
        self.at_index(step, 0)
    }

    fn at_index(self, step: Step, index: usize) -> Done<T> {
        self.map_err(|error| step.failure(index, error.raw_os_error().unwrap_or(libc::EIO)))
    }
}

/// The file tree seen through the process's own root.
fn current_root() -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(
        c"/",
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
}

impl AsFd for Gate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
