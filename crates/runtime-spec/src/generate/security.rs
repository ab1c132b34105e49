use std::path::Path;

use minke_seccomp::{Conditions, Profile, resolve};
use oci_spec::runtime::LinuxSeccomp;

use super::Context;
use super::capabilities::Sets;
use crate::container::Seccomp;
use crate::{Error, Result};

/// What a container cannot see.
pub const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

/// What a container cannot change.
pub const READ_ONLY_PATHS: &[&str] = &[
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

pub(super) fn masked_paths(context: &Context<'_>, warnings: &mut Vec<String>) -> Vec<String> {
    let security = &context.spec.security;
    let extra = context.host.extra_masked_paths.iter().map(String::as_str);
    let mut paths: Vec<String> = Vec::new();
    if !security.privileged {
        let defaults = MASKED_PATHS.iter().copied().chain(extra);
        paths.extend(
            defaults
                .filter(|path| !unmasked(path, &security.unmask))
                .map(str::to_owned),
        );
        if super::mounts::binds_sys(context) && context.host.rootless {
            paths.push("/sys/kernel".to_owned());
        }
    }
    if super::systemd::is_on(context) && context.host.cgroup == crate::host::Cgroup::V1 {
        // What is run there when a group is empty is run by the host.
        paths.push("/sys/fs/cgroup/systemd/release_agent".to_owned());
    }
    for path in security.mask.iter().filter(|path| !path.is_empty()) {
        if path.starts_with('/') {
            paths.push(path.clone());
        } else {
            warnings.push(format!("path {path:?} is not an absolute path, not masked"));
        }
    }
    paths
}

pub(super) fn read_only_paths(context: &Context<'_>) -> Vec<String> {
    let security = &context.spec.security;
    if security.privileged {
        return Vec::new();
    }
    let kept = READ_ONLY_PATHS
        .iter()
        .filter(|path| !unmasked(path, &security.unmask));
    kept.map(|&path| path.to_owned()).collect()
}

/// Whether a path is among the patterns to leave unmasked.
pub(super) fn unmasked(path: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| {
        pattern.eq_ignore_ascii_case("all")
            || pattern
                .split(':')
                .any(|pattern| crate::pattern::matches(pattern.as_bytes(), path.as_bytes()))
    })
}

pub(super) fn apparmor(context: &Context<'_>) -> Result<Option<String>> {
    let asked = context.spec.security.apparmor.as_ref();
    if !context.host.apparmor {
        return match asked {
            Some(profile) if profile != "unconfined" => Err(Error::ApparmorMissing {
                profile: profile.clone(),
            }),
            _ => Ok(None),
        };
    }
    if context.privileged() {
        return Ok(asked.cloned());
    }
    Ok(asked.or(context.host.default_apparmor.as_ref()).cloned())
}

/// The labels, unless the container is to have none.
fn labels<'a>(context: &'a Context<'_>) -> Option<&'a (String, String)> {
    let security = &context.spec.security;
    let namespaces = &context.spec.namespaces;
    let disabled = security.privileged
        || security.label.iter().any(|option| option == "disable")
        || namespaces.pid.is_host()
        || namespaces.ipc.is_host();
    context.host.selinux.as_ref().filter(|_| !disabled)
}

pub(super) fn process_label(context: &Context<'_>) -> Option<String> {
    labels(context).map(|(process, _)| process.clone())
}

pub(super) fn mount_label(context: &Context<'_>) -> Option<String> {
    labels(context).map(|(_, mount)| mount.clone())
}

/// The filter: the one asked for, else the default one; none for a privileged container.
pub(super) fn seccomp(context: &Context<'_>, capabilities: &Sets) -> Result<Option<LinuxSeccomp>> {
    let host = context.host;
    let read;
    let profile = match &context.spec.security.seccomp {
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Default if context.privileged() => return Ok(None),
        Seccomp::Default => match &host.default_seccomp {
            Some(profile) => profile,
            None => return Ok(None),
        },
        Seccomp::Path(path) => {
            read = profile_text(path, host.seccomp_profile.as_deref())?;
            &read
        }
    };
    let Some(arch) = host.architecture else {
        tracing::warn!("no system call filter can be made for this architecture");
        return Ok(None);
    };
    let conditions = Conditions {
        capabilities: capabilities.bounding.clone(),
        arch,
        kernel_version: host.kernel_version,
    };
    Ok(resolve(profile, &conditions)?)
}

fn profile_text(path: &Path, text: Option<&[u8]>) -> Result<Profile> {
    let text = text.ok_or_else(|| Error::SeccompMissing {
        path: path.display().to_string(),
    })?;
    Ok(Profile::from_json(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths() {
        for (pattern, path, expected) in [
            ("/proc/acpi", "/proc/acpi", true),
            ("/proc/*", "/proc/acpi", true),
            ("/*", "/proc/acpi", false),
            ("/proc/ac?i", "/proc/acpi", true),
            ("ALL", "/proc/acpi", true),
            ("/x:/proc/acpi", "/proc/acpi", true),
            ("/proc", "/proc/acpi", false),
        ] {
            assert_eq!(unmasked(path, &[pattern.to_owned()]), expected, "{pattern}");
        }
    }
}
