//! `kill`: a signal to a container's init, or to all of its processes.

use crate::error::{Error, Result};
use crate::signal;
use crate::state::{StateRoot, Status};

/// Sends `signal` (a name or a number) to init; with `all` to every process of the cgroup.
///
/// # Errors
/// [`Error::WrongState`] when the container has ended, unless `all` is set.
pub fn kill(root: &StateRoot, id: &str, signal: &str, all: bool) -> Result<()> {
    let number = signal::parse(signal)?;
    let container = root.load(id)?;
    let status = container.status();
    if all {
        return kill_all(&container, number);
    }
    let wrong = || Error::WrongState {
        id: id.to_owned(),
        state: status.as_str(),
        wanted: "running",
    };
    let Some(init) = container.record.init.filter(|_| status != Status::Stopped) else {
        return Err(wrong());
    };
    let process = init.open().map_err(|_| wrong())?;
    process
        .signal(number)
        .map_err(Error::system("signal the container"))?;
    // A frozen process takes its signal when it is thawed; one that is to die must be.
    if number == libc::SIGKILL
        && status == Status::Paused
        && let Some(group) = container.cgroup()
    {
        group.thaw().map_err(Error::system("thaw the container"))?;
    }
    Ok(())
}

/// Signals every process of a container's cgroup.
pub(crate) fn kill_all(container: &crate::state::Container, number: i32) -> Result<()> {
    let Some(group) = container.cgroup() else {
        if let Some(Ok(process)) = container.record.init.map(|init| init.open()) {
            let _ = process.signal(number);
        }
        return Ok(());
    };
    if number == libc::SIGKILL && group.kill() && !group.is_frozen() {
        return Ok(());
    }
    let processes = group
        .processes()
        .map_err(Error::system("list the container's processes"))?;
    for pid in processes {
        // Held before it is signalled; gone meanwhile is what was wanted.
        if let Ok(process) = minke_sys::pidfd::PidFd::open(pid) {
            let _ = process.signal(number);
        }
    }
    if number == libc::SIGKILL && group.is_frozen() {
        group.thaw().map_err(Error::system("thaw the container"))?;
    }
    Ok(())
}
