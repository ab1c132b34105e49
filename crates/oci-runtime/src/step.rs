//! The steps of a container's init, numbered for the pipe and put in words for people.

use minke_sys::child::Failure;

use crate::error::{Error, InitFailure};
use crate::plan::{Plan, plain};

/// What init was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Step {
    Cgroup,
    Clone,
    Gate,
    JoinNamespace,
    CgroupNamespace,
    Session,
    Hostname,
    Propagation,
    Root,
    MountPoint,
    Mount,
    Device,
    DeviceLink,
    Console,
    Sysctl,
    Mask,
    ReadOnlyPath,
    Pivot,
    ReadOnlyRoot,
    Limit,
    Schedule,
    IoPriority,
    Personality,
    Groups,
    Ids,
    Capabilities,
    NoNewPrivileges,
    Seccomp,
    WorkingDirectory,
    CommandNotFound,
    CommandNotExecutable,
    CommandNotRegular,
    Descriptors,
    Start,
    Exec,
}

/// Every step, in the order of its number.
const ALL: [Step; 35] = [
    Step::Cgroup,
    Step::Clone,
    Step::Gate,
    Step::JoinNamespace,
    Step::CgroupNamespace,
    Step::Session,
    Step::Hostname,
    Step::Propagation,
    Step::Root,
    Step::MountPoint,
    Step::Mount,
    Step::Device,
    Step::DeviceLink,
    Step::Console,
    Step::Sysctl,
    Step::Mask,
    Step::ReadOnlyPath,
    Step::Pivot,
    Step::ReadOnlyRoot,
    Step::Limit,
    Step::Schedule,
    Step::IoPriority,
    Step::Personality,
    Step::Groups,
    Step::Ids,
    Step::Capabilities,
    Step::NoNewPrivileges,
    Step::Seccomp,
    Step::WorkingDirectory,
    Step::CommandNotFound,
    Step::CommandNotExecutable,
    Step::CommandNotRegular,
    Step::Descriptors,
    Step::Start,
    Step::Exec,
];

impl Step {
    /// The failure of this step on the `index`-th object of the plan.
    pub fn failure(self, index: usize, errno: i32) -> Failure {
        Failure {
            step: self as u16,
            index: index as u16,
            errno,
        }
    }

    fn from_number(number: u16) -> Option<Self> {
        ALL.get(usize::from(number)).copied()
    }
}

/// Puts a failure in words, with the object it happened on.
pub(crate) fn explain(plan: &Plan, failure: Failure) -> Error {
    let reason = plain(&std::io::Error::from_raw_os_error(failure.errno).to_string());
    let Some(step) = Step::from_number(failure.step) else {
        return setup(format!("the container's init failed: {reason}"));
    };
    let command = &plan.process.command;
    match step {
        Step::CommandNotFound if command.searched => Error::Init {
            what: format!(
                "executable file `{}` not found in $PATH: {reason}",
                command.name
            ),
            class: InitFailure::CommandNotFound,
        },
        Step::CommandNotFound => Error::Init {
            what: format!("executable file `{}` not found: {reason}", command.name),
            class: InitFailure::CommandNotFound,
        },
        Step::CommandNotExecutable => Error::Init {
            what: format!(
                "the path `{}` exists but it is not executable: {reason}",
                command.name
            ),
            class: InitFailure::CommandNotExecutable,
        },
        Step::CommandNotRegular => Error::Init {
            what: format!(
                "the path `{}` is not a regular file: {reason}",
                command.name
            ),
            class: InitFailure::CommandNotExecutable,
        },
        Step::Exec => Error::Init {
            what: format!("exec `{}`: {reason}", command.name),
            class: if failure.errno == libc::ENOENT {
                InitFailure::CommandNotFound
            } else {
                InitFailure::CommandNotExecutable
            },
        },
        Step::WorkingDirectory => {
            let cwd = plan.process.cwd.to_string_lossy();
            setup(format!("chdir to `{cwd}`: {reason}"))
        }
        _ => setup(format!(
            "cannot {}: {reason}",
            attempt(plan, step, usize::from(failure.index))
        )),
    }
}

fn setup(what: String) -> Error {
    Error::Init {
        what,
        class: InitFailure::Setup,
    }
}

/// "cannot ..." of each step that names no command.
fn attempt(plan: &Plan, step: Step, index: usize) -> String {
    let root = plan.root.as_ref();
    let mount = || {
        let step = root.and_then(|root| root.mounts.get(index));
        step.map_or_else(String::new, |step| {
            format!("/{}", step.target.whole().to_string_lossy())
        })
    };
    let target = |list: fn(&crate::plan::RootPlan) -> &Vec<crate::plan::Target>| {
        let target = root.and_then(|root| list(root).get(index));
        target.map_or_else(String::new, |target| {
            format!("/{}", target.whole().to_string_lossy())
        })
    };
    match step {
        Step::Cgroup => {
            let doors = plan.entrance.as_ref().map(|entrance| &entrance.doors);
            let door = doors.and_then(|doors| doors.get(index));
            door.map_or_else(
                || "enter the cgroup".into(),
                |door| format!("enter the cgroup by {}", door.path.display()),
            )
        }
        Step::Clone => "make the container's process".into(),
        Step::Gate => "talk to the runtime".into(),
        Step::JoinNamespace => format!("join the {} namespace", joined_kind(plan, index)),
        Step::CgroupNamespace => "make a cgroup namespace".into(),
        Step::Session => "make a session".into(),
        Step::Hostname => "set the host name".into(),
        Step::Propagation => "set the mount propagation of /".into(),
        Step::Root => "mount the root file system".into(),
        Step::MountPoint => format!("make the mount point {}", mount()),
        Step::Mount => format!("mount {}", mount()),
        Step::Device => {
            let device = root.and_then(|root| root.devices.get(index));
            device.map_or_else(
                || "make devices".into(),
                |device| format!("make device /{}", device.target.whole().to_string_lossy()),
            )
        }
        Step::DeviceLink => "fill /dev (it must be no symbolic link)".into(),
        Step::Console => "set up the terminal".into(),
        Step::Sysctl => plan.sysctls.get(index).map_or_else(
            || "open /proc/sys".into(),
            |sysctl| format!("set sysctl {}", sysctl.path.to_string_lossy()),
        ),
        Step::Mask => format!("mask {}", target(|root| &root.masked)),
        Step::ReadOnlyPath => {
            format!("make {} read-only", target(|root| &root.read_only_paths))
        }
        Step::Pivot => "change to the new root".into(),
        Step::ReadOnlyRoot => "make the root read-only".into(),
        Step::Limit => plan
            .process
            .limits
            .get(index)
            .map_or_else(|| "set resource limits".into(), |limit| limit.attempt()),
        Step::Schedule => "set the scheduling priority".into(),
        Step::IoPriority => "set the I/O priority".into(),
        Step::Personality => "set the personality".into(),
        Step::Groups => "set the supplementary groups".into(),
        Step::Ids => format!("become user {}:{}", plan.process.uid, plan.process.gid),
        Step::Capabilities => "set the capabilities".into(),
        Step::NoNewPrivileges => "forbid new privileges".into(),
        Step::Seccomp => "load the seccomp filter".into(),
        Step::Descriptors => "close inherited descriptors".into(),
        Step::Start => "wait for the start".into(),
        Step::WorkingDirectory
        | Step::CommandNotFound
        | Step::CommandNotExecutable
        | Step::CommandNotRegular
        | Step::Exec => "execute the command".into(),
    }
}

fn joined_kind(plan: &Plan, index: usize) -> &'static str {
    match plan.namespaces.joins.get(index).map(|join| join.kind) {
        Some(libc::CLONE_NEWNS) => "mount",
        Some(libc::CLONE_NEWCGROUP) => "cgroup",
        Some(libc::CLONE_NEWUTS) => "uts",
        Some(libc::CLONE_NEWIPC) => "ipc",
        Some(libc::CLONE_NEWUSER) => "user",
        Some(libc::CLONE_NEWPID) => "pid",
        Some(libc::CLONE_NEWNET) => "network",
        _ => "container's",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_steps_agree() {
        for (number, step) in ALL.into_iter().enumerate() {
            assert_eq!(step as usize, number);
            assert_eq!(Step::from_number(number as u16), Some(step));
        }
        assert_eq!(Step::from_number(ALL.len() as u16), None);
    }
}
