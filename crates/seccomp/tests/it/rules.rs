//! Rules on arguments.

use minke_seccomp::{Architecture, bpf};
use oci_spec::runtime::LinuxSeccomp;
use proptest::prelude::*;

use crate::interpreter::{Call, evaluate, run, verify};

const OPERATORS: &[&str] = &[
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

const ACTIONS: &[&str] = &[
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_LOG",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_NOTIFY",
];

fn policy(json: &str) -> LinuxSeccomp {
    serde_json::from_str(json).unwrap()
}

/// Values near each other, so that equality and order are met in both words.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..4,
        (0u64..3, 0u64..3).prop_map(|(high, low)| (high << 32) | low),
        Just(u64::MAX),
        Just(0xffff_ffff_u64),
        any::<u64>(),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    (0usize..6, 0..OPERATORS.len(), value(), value()).prop_map(|(index, op, value, two)| {
        let op = OPERATORS[op];
        format!(r#"{{"index":{index},"op":"{op}","value":{value},"valueTwo":{two}}}"#)
    })
}

fn rule() -> impl Strategy<Value = String> {
    (0..ACTIONS.len(), prop::collection::vec(condition(), 0..4)).prop_map(|(action, conditions)| {
        let action = ACTIONS[action];
        let conditions = conditions.join(",");
        format!(r#"{{"names":["ioctl"],"action":"{action}","args":[{conditions}]}}"#)
    })
}

proptest! {
    #[test]
    fn arguments_are_compared_as_the_policy_says(
        rules in prop::collection::vec(rule(), 1..5),
        arguments in prop::array::uniform6(value()),
    ) {
        let seccomp = policy(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"],"syscalls":[{}]}}"#,
            rules.join(",")
        ));
        let program = bpf::compile_for(&seccomp, Architecture::X86_64).unwrap();
        verify(&program);
        for arch in [Architecture::X86_64, Architecture::X86, Architecture::X32] {
            let number = arch.syscall("ioctl").unwrap();
            let call = Call { number, arch: arch.audit(), arguments };
            prop_assert_eq!(run(&program, &call), evaluate(&seccomp, arch, number, &arguments));
        }
    }
}

#[test]
fn x32_calls_are_killed_where_only_x86_64_is_listed() {
    let seccomp = policy(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#);
    let program = bpf::compile_for(&seccomp, Architecture::X86_64).unwrap();
    for (number, expected) in [
        (0, 0x7fff_0000),
        (0x3fff_ffff, 0x7fff_0000),
        (0x4000_0000, 0),
        (0xffff_fffe, 0),
        (0xffff_ffff, 0x7fff_0000),
    ] {
        let call = Call {
            number,
            arch: Architecture::X86_64.audit(),
            arguments: [0; 6],
        };
        assert_eq!(run(&program, &call), expected, "{number:#x}");
    }
}

#[test]
fn a_rule_for_a_socket_call_reaches_through_the_multiplexer() {
    let seccomp = policy(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],
            "syscalls":[{"names":["socket","shmget"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#,
    );
    let program = bpf::compile_for(&seccomp, Architecture::X86_64).unwrap();
    for (name, first, expected) in [
        ("socketcall", 1, 0x0005_000d),
        ("socketcall", 2, 0x7fff_0000),
        ("ipc", 23, 0x0005_000d),
        ("ipc", 21, 0x7fff_0000),
        ("socket", 0, 0x0005_000d),
    ] {
        let call = Call {
            number: Architecture::X86.syscall(name).unwrap(),
            arch: Architecture::X86.audit(),
            arguments: [first, 0, 0, 0, 0, 0],
        };
        assert_eq!(run(&program, &call), expected, "{name} {first}");
    }
}

#[test]
fn long_programs_branch_far() {
    let rules: Vec<String> = (0..200)
        .map(|value| {
            format!(
                r#"{{"names":["ioctl"],"action":"SCMP_ACT_ERRNO","errnoRet":{},"args":[{{"index":1,"value":{value},"op":"SCMP_CMP_EQ"}}]}}"#,
                value + 2
            )
        })
        .collect();
    let seccomp = policy(&format!(
        r#"{{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"syscalls":[{}]}}"#,
        rules.join(",")
    ));
    let program = bpf::compile_for(&seccomp, Architecture::X86_64).unwrap();
    verify(&program);
    for arch in [Architecture::X86_64, Architecture::X86] {
        for value in [0, 1, 100, 199, 200] {
            let arguments = [0, value, 0, 0, 0, 0];
            let number = arch.syscall("ioctl").unwrap();
            for number in [number - 1, number, number + 1] {
                let call = Call {
                    number,
                    arch: arch.audit(),
                    arguments,
                };
                assert_eq!(
                    run(&program, &call),
                    evaluate(&seccomp, arch, number, &arguments)
                );
            }
        }
    }
}
