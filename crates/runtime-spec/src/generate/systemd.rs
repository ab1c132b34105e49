//! What systemd needs of a container that it is process 1 of.

use oci_spec::runtime::Mount as OciMount;

use super::mounts::mount;
use super::{Context, command};
use crate::container::{NamespaceMode, SystemdMode};
use crate::host::Cgroup;

/// Commands that are an init wherever they are asked for by these paths.
const INITS: &[&str] = &[
    "/sbin/init",
    "/usr/sbin/init",
    "/usr/local/sbin/init",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
];

/// Memory it expects to find.
const SCRATCH: &[&str] = &["/run", "/run/lock", "/tmp", "/var/log/journal"];

/// SIGRTMIN+3 asks systemd to halt.
pub const STOP_SIGNAL: i32 = 37;

/// Whether `command` starts an init that is made ready for by itself.
pub fn is_init(command: &[String]) -> bool {
    let Some(first) = command.first() else {
        return false;
    };
    INITS.contains(&first.as_str()) || first.rsplit('/').next() == Some("systemd")
}

pub(super) fn is_on(context: &Context<'_>) -> bool {
    match context.spec.systemd {
        SystemdMode::Always => true,
        SystemdMode::False => false,
        SystemdMode::True => is_init(&command::words(context)),
    }
}

/// Memory, and the control group it manages.
pub(super) fn mounts(context: &Context<'_>) -> Vec<OciMount> {
    if !is_on(context) {
        return Vec::new();
    }
    let size = context
        .spec
        .shm_size_systemd_bytes
        .map(|bytes| format!("size={bytes}"));
    let mut options = vec!["rw", "rprivate", "nosuid", "nodev", "tmpcopyup"];
    options.extend(size.as_deref());
    let mut all: Vec<OciMount> = SCRATCH
        .iter()
        .map(|target| mount(target, "tmpfs", "tmpfs", &options))
        .collect();
    let own = matches!(context.spec.namespaces.cgroup, Some(NamespaceMode::Private));
    match context.host.cgroup {
        Cgroup::V1 if !own => all.push(mount(
            "/sys/fs/cgroup/systemd",
            "bind",
            "/sys/fs/cgroup/systemd",
            &["bind", "rprivate"],
        )),
        _ => {}
    }
    all
}

/// Whether its own control group is writable.
pub(super) fn owns_cgroup(context: &Context<'_>) -> bool {
    is_on(context) && context.host.cgroup == Cgroup::V2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inits_are_told_by_their_paths() {
        for (word, expected) in [
            ("/sbin/init", true),
            ("/opt/systemd", true),
            ("systemd", true),
            ("init", false),
            ("/bin/sh", false),
        ] {
            assert_eq!(is_init(&[word.to_owned()]), expected, "{word}");
        }
        assert!(!is_init(&[]));
    }
}
