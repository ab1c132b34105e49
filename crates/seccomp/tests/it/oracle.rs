//! The same policy compiled by libseccomp must decide the same.
//!
//! Known differences, left out of the comparison: syscalls one side has no number for (its
//! tables are older or newer), which are counted; and rules of different actions that match
//! the same arguments, for which libseccomp promises no order.

use std::collections::BTreeSet;

use minke_seccomp::{Architecture, bpf};
use oci_spec::runtime::LinuxSeccomp;

use crate::default_policy::{ARGUMENT_SETS, CAPABILITY_SETS, numbers, resolved};
use crate::interpreter::{Call, run};
use crate::libseccomp::Libseccomp;

const FAMILY: [Architecture; 3] = [Architecture::X86_64, Architecture::X86, Architecture::X32];

fn oracle() -> Option<Libseccomp> {
    if Architecture::native() != Some(Architecture::X86_64) {
        eprintln!("skipped: the comparison is written for an x86_64 machine");
        return None;
    }
    let oracle = Libseccomp::open();
    if oracle.is_none() {
        eprintln!("skipped: libseccomp.so.2 is not installed");
    }
    oracle
}

/// The numbers that only one side gives to a name of the policy.
fn disputed(oracle: &Libseccomp, seccomp: &LinuxSeccomp, arch: Architecture) -> BTreeSet<u32> {
    let mut disputed = BTreeSet::new();
    let rules = seccomp.syscalls().iter().flatten();
    for name in rules.flat_map(|rule| rule.names()) {
        let ours = arch.syscall(name);
        let theirs = u32::try_from(oracle.number(arch, name)).ok();
        // Where the native table lacks a name, runc cannot add its rule for the others.
        let unknown = oracle.number(Architecture::X86_64, name) == -1;
        let multiplexed = arch == Architecture::X86 && oracle.number(arch, name) <= -100;
        if (ours != theirs && !multiplexed) || unknown {
            disputed.extend(ours);
            disputed.extend(theirs);
        }
    }
    disputed
}

fn compare(oracle: &Libseccomp, seccomp: &LinuxSeccomp, argument_sets: &[[u64; 6]]) {
    let ours = bpf::compile_for(seccomp, Architecture::X86_64).unwrap();
    let theirs = oracle.compile(seccomp);
    for arch in FAMILY {
        let disputed = disputed(oracle, seccomp, arch);
        assert!(disputed.len() < 40, "{arch:?}: {disputed:?}");
        for number in numbers(arch).filter(|number| !disputed.contains(number)) {
            for arguments in argument_sets {
                let call = Call {
                    number,
                    arch: arch.audit(),
                    arguments: *arguments,
                };
                assert_eq!(run(&ours, &call), run(&theirs, &call), "{arch:?} {call:x?}");
            }
        }
    }
    let foreign = Call {
        number: 0,
        arch: Architecture::Aarch64.audit(),
        arguments: [0; 6],
    };
    assert_eq!(run(&ours, &foreign), run(&theirs, &foreign));
}

#[test]
fn the_default_policy_decides_as_libseccomps() {
    let Some(oracle) = oracle() else { return };
    for capabilities in CAPABILITY_SETS {
        compare(
            &oracle,
            &resolved(capabilities, Architecture::X86_64),
            ARGUMENT_SETS,
        );
    }
}

#[test]
fn single_policies_decide_as_libseccomps() {
    let Some(oracle) = oracle() else { return };
    let argument_sets: Vec<[u64; 6]> =
        [0, 1, 2, 7, 8, 0xffff_ffff, 1 << 32, (7 << 32) | 7, u64::MAX]
            .iter()
            .map(|&value| [0, value, 0, value, 0, 0])
            .collect();
    let arches = r#""architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"]"#;
    for operator in ["NE", "LT", "LE", "EQ", "GE", "GT"] {
        for value in [1u64, 7, (7 << 32) | 7] {
            let text = format!(
                r#"{{"defaultAction":"SCMP_ACT_ALLOW",{arches},"syscalls":[{{"names":["ioctl","read"],"action":"SCMP_ACT_ERRNO","errnoRet":5,"args":[{{"index":1,"value":{value},"op":"SCMP_CMP_{operator}"}}]}}]}}"#
            );
            compare(
                &oracle,
                &serde_json::from_str(&text).unwrap(),
                &argument_sets,
            );
        }
    }
    for rules in [
        r#"{"names":["ioctl"],"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":1,"value":6,"valueTwo":2,"op":"SCMP_CMP_MASKED_EQ"}]}"#,
        r#"{"names":["ioctl"],"action":"SCMP_ACT_TRAP","args":[{"index":1,"value":7,"op":"SCMP_CMP_GE"},{"index":3,"value":8,"op":"SCMP_CMP_LT"}]}"#,
        r#"{"names":["ioctl"],"action":"SCMP_ACT_ERRNO","args":[{"index":1,"value":7,"op":"SCMP_CMP_EQ"}]},{"names":["ioctl"],"action":"SCMP_ACT_ERRNO"}"#,
        r#"{"names":["ioctl"],"action":"SCMP_ACT_ERRNO","errnoRet":2},{"names":["ioctl"],"action":"SCMP_ACT_ERRNO","errnoRet":3}"#,
        r#"{"names":["socket","connect","shmget","semop"],"action":"SCMP_ACT_ERRNO"}"#,
        r#"{"names":["read","write"],"action":"SCMP_ACT_LOG"},{"names":["open"],"action":"SCMP_ACT_TRACE","errnoRet":3}"#,
    ] {
        let text = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW",{arches},"syscalls":[{rules}]}}"#);
        compare(
            &oracle,
            &serde_json::from_str(&text).unwrap(),
            &argument_sets,
        );
    }
}
