//! Policies to `linux.seccomp`, with the conditions evaluated.

use std::collections::BTreeSet;
use std::path::PathBuf;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSyscall,
    LinuxSyscallBuilder,
};

use crate::profile::{Argument, Filter, KernelVersion, Profile, SyscallRule};
use crate::{Architecture, Error, Result, errno};

/// What a policy's conditions are held against.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// The container's bounding set, by full names (`CAP_CHOWN`).
    pub capabilities: BTreeSet<String>,
    /// The machine's architecture.
    pub arch: Architecture,
    /// The running kernel. `None` fulfils no `minKernel`.
    pub kernel_version: Option<KernelVersion>,
}

/// Evaluates the conditions of `profile`.
///
/// `None` means the policy is empty (no default, no rules): the container runs unfiltered, as
/// Podman has it.
///
/// # Errors
/// [`Error::ErrnoUnknown`], [`Error::ArchitecturesTwice`], [`Error::NameTwice`],
/// [`Error::KernelVersion`].
pub fn resolve(profile: &Profile, conditions: &Conditions) -> Result<Option<LinuxSeccomp>> {
    if profile.default_action.is_none() && profile.syscalls.is_empty() {
        return Ok(None);
    }
    let mut syscalls = Vec::with_capacity(profile.syscalls.len());
    for rule in &profile.syscalls {
        if applies(rule, conditions)? {
            syscalls.push(resolve_rule(rule)?);
        }
    }

    let mut seccomp = LinuxSeccomp::default();
    seccomp
        .set_default_action(
            profile
                .default_action
                .unwrap_or(LinuxSeccompAction::ScmpActKill),
        )
        .set_default_errno_ret(errno_of(&profile.default_errno, profile.default_errno_ret)?)
        .set_architectures(architectures(profile, conditions.arch)?)
        .set_syscalls(Some(syscalls));
    if !profile.flags.is_empty() {
        seccomp.set_flags(Some(profile.flags.clone()));
    }
    if !profile.listener_path.is_empty() {
        seccomp.set_listener_path(Some(PathBuf::from(&profile.listener_path)));
    }
    if !profile.listener_metadata.is_empty() {
        seccomp.set_listener_metadata(Some(profile.listener_metadata.clone()));
    }
    Ok(Some(seccomp))
}

fn architectures(profile: &Profile, native: Architecture) -> Result<Option<Vec<Arch>>> {
    if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
        return Err(Error::ArchitecturesTwice);
    }
    if !profile.architectures.is_empty() {
        return Ok(Some(profile.architectures.clone()));
    }
    let native = native.scmp();
    let entry = profile
        .arch_map
        .iter()
        .find(|entry| entry.architecture == native);
    Ok(entry.map(|entry| {
        let mut all = vec![native];
        all.extend(&entry.sub_architectures);
        all
    }))
}

fn applies(rule: &SyscallRule, conditions: &Conditions) -> Result<bool> {
    let holds = |cap: &String| conditions.capabilities.contains(cap);
    let native = |arch: &String| arch == conditions.arch.libseccomp_name();
    let Filter {
        caps,
        arches,
        min_kernel,
    } = &rule.excludes;
    let excluded = caps.iter().any(holds)
        || arches.iter().any(native)
        || (!min_kernel.is_empty() && kernel_is_at_least(min_kernel, conditions)?);

    let Filter {
        caps,
        arches,
        min_kernel,
    } = &rule.includes;
    let included = caps.iter().all(holds)
        && (arches.is_empty() || arches.iter().any(native))
        && (min_kernel.is_empty() || kernel_is_at_least(min_kernel, conditions)?);
    Ok(included && !excluded)
}

fn kernel_is_at_least(wanted: &str, conditions: &Conditions) -> Result<bool> {
    let wanted: KernelVersion = wanted.parse()?;
    Ok(conditions
        .kernel_version
        .is_some_and(|running| running >= wanted))
}

fn resolve_rule(rule: &SyscallRule) -> Result<LinuxSyscall> {
    let names = match (rule.name.is_empty(), rule.names.is_empty()) {
        (false, false) => return Err(Error::NameTwice),
        (false, true) => vec![rule.name.clone()],
        (true, _) => rule.names.clone(),
    };
    let mut syscall = LinuxSyscallBuilder::default()
        .names(names)
        .action(rule.action)
        .build()
        .expect("a rule's builder has a default for every field");
    syscall.set_errno_ret(errno_of(&rule.errno, rule.errno_ret)?);
    if !rule.args.is_empty() {
        syscall.set_args(Some(rule.args.iter().map(resolve_argument).collect()));
    }
    Ok(syscall)
}

fn resolve_argument(argument: &Argument) -> LinuxSeccompArg {
    LinuxSeccompArgBuilder::default()
        .index(argument.index)
        .value(argument.value)
        .value_two(argument.value_two)
        .op(argument.op)
        .build()
        .expect("an argument's builder has a default for every field")
}

fn errno_of(name: &str, number: Option<u32>) -> Result<Option<u32>> {
    if name.is_empty() {
        return Ok(number);
    }
    match errno::number(name) {
        Some(number) => Ok(Some(number)),
        None => Err(Error::ErrnoUnknown {
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(capabilities: &[&str], arch: Architecture) -> Conditions {
        Conditions {
            capabilities: capabilities.iter().map(|&cap| cap.to_owned()).collect(),
            arch,
            kernel_version: Some(KernelVersion {
                major: 5,
                minor: 10,
            }),
        }
    }

    fn actions(seccomp: &LinuxSeccomp, name: &str) -> Vec<(LinuxSeccompAction, Option<u32>)> {
        let rules = seccomp.syscalls().as_ref().unwrap();
        rules
            .iter()
            .filter(|rule| rule.names().iter().any(|n| n == name))
            .map(|rule| (rule.action(), rule.errno_ret()))
            .collect()
    }

    #[test]
    fn capabilities_decide() {
        let allow = (LinuxSeccompAction::ScmpActAllow, None);
        let refuse = (LinuxSeccompAction::ScmpActErrno, Some(1));
        for (held, name, expected) in [
            (&[][..], "chroot", vec![refuse]),
            (&["CAP_SYS_CHROOT"][..], "chroot", vec![allow]),
            (&["CAP_BPF"][..], "bpf", vec![allow]),
            (&["CAP_SYS_ADMIN"][..], "bpf", vec![allow]),
            (&[][..], "perf_event_open", vec![refuse]),
            (&[][..], "read", vec![allow]),
        ] {
            let seccomp = resolve(
                Profile::default_policy(),
                &conditions(held, Architecture::X86_64),
            )
            .unwrap()
            .unwrap();
            assert_eq!(actions(&seccomp, name), expected, "{held:?} {name}");
        }
    }

    #[test]
    fn architectures_come_with_their_relatives() {
        for (arch, expected) in [
            (
                Architecture::X86_64,
                Some(vec![
                    Arch::ScmpArchX86_64,
                    Arch::ScmpArchX86,
                    Arch::ScmpArchX32,
                ]),
            ),
            (
                Architecture::Aarch64,
                Some(vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm]),
            ),
            (Architecture::Riscv64, None),
        ] {
            let seccomp = resolve(Profile::default_policy(), &conditions(&[], arch))
                .unwrap()
                .unwrap();
            assert_eq!(*seccomp.architectures(), expected, "{arch:?}");
        }
    }

    #[test]
    fn conditions_of_docker_are_known() {
        let policy = Profile::from_json(
            br#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
                {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"}},
                {"names":["clone3"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"6.0"}},
                {"name":"read","action":"SCMP_ACT_ALLOW","excludes":{"arches":["amd64"]}}]}"#,
        )
        .unwrap();
        let seccomp = resolve(&policy, &conditions(&[], Architecture::X86_64))
            .unwrap()
            .unwrap();
        assert_eq!(actions(&seccomp, "ptrace").len(), 1);
        assert_eq!(actions(&seccomp, "clone3").len(), 0);
        assert_eq!(actions(&seccomp, "read").len(), 0);
    }

    #[test]
    fn the_listener_and_flags_pass_through() {
        let policy = Profile::from_json(
            br#"{"defaultAction":"SCMP_ACT_NOTIFY","flags":["SECCOMP_FILTER_FLAG_LOG"],
                 "listenerPath":"/run/agent.sock","listenerMetadata":"x"}"#,
        )
        .unwrap();
        let seccomp = resolve(&policy, &conditions(&[], Architecture::X86_64))
            .unwrap()
            .unwrap();
        assert_eq!(
            seccomp.listener_path().as_deref(),
            Some("/run/agent.sock".as_ref())
        );
        assert_eq!(seccomp.listener_metadata().as_deref(), Some("x"));
        assert_eq!(seccomp.flags().as_ref().map(Vec::len), Some(1));
    }

    #[test]
    fn contradictions_are_refused() {
        for text in [
            r#"{"architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":[]}],"defaultAction":"SCMP_ACT_ALLOW"}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOPE"}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","action":"SCMP_ACT_ALLOW","includes":{"minKernel":"new"}}]}"#,
        ] {
            let policy = Profile::from_json(text.as_bytes()).unwrap();
            assert!(
                resolve(&policy, &conditions(&[], Architecture::X86_64)).is_err(),
                "{text}"
            );
        }
        let nothing = resolve(&Profile::default(), &conditions(&[], Architecture::X86_64));
        assert!(nothing.unwrap().is_none());
    }
}
