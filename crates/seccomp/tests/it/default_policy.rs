//! The default policy over every number and architecture.

use minke_seccomp::{Architecture, Conditions, Profile, bpf, resolve};
use oci_spec::runtime::LinuxSeccomp;

use crate::interpreter::{Call, decide, named, run, verify};

pub const CAPABILITY_SETS: &[&[&str]] = &[
    &[],
    &["CAP_SYS_CHROOT", "CAP_AUDIT_WRITE"],
    &[
        "CAP_SYS_ADMIN",
        "CAP_SYS_PTRACE",
        "CAP_BPF",
        "CAP_SYS_TIME",
        "CAP_SYS_MODULE",
    ],
];

pub const ARGUMENT_SETS: &[[u64; 6]] = &[
    [0; 6],
    [8, 0, 0, 0, 0, 0],
    [16, 3, 9, 0, 0, 0],
    [16, 3, 0, 0, 0, 0],
    [2, 1, 9, 0, 0, 0],
    [40, 1, 0, 0, 0, 0],
    [0xffff_ffff, 0, 0, 0, 0, 0],
    [0x2_0008, 0, 0, 0, 0, 0],
    [u64::MAX; 6],
    [1 << 32, 1 << 32, 9, 0, 0, 0],
];

pub fn resolved(capabilities: &[&str], arch: Architecture) -> LinuxSeccomp {
    let conditions = Conditions {
        capabilities: capabilities.iter().map(|&cap| cap.to_owned()).collect(),
        arch,
        kernel_version: None,
    };
    resolve(Profile::default_policy(), &conditions)
        .unwrap()
        .unwrap()
}

/// Every number worth asking on an architecture.
pub fn numbers(arch: Architecture) -> impl Iterator<Item = u32> {
    let base = if arch == Architecture::X32 {
        0x4000_0000
    } else {
        0
    };
    let private = if arch == Architecture::Arm {
        0x0f_0000..0x0f_0008
    } else {
        0..0
    };
    (0..600).map(move |number| base | number).chain(private)
}

#[test]
fn programs_say_what_the_policy_says() {
    let families: &[(Architecture, &[Architecture])] = &[
        (
            Architecture::X86_64,
            &[Architecture::X86_64, Architecture::X86, Architecture::X32],
        ),
        (
            Architecture::Aarch64,
            &[Architecture::Aarch64, Architecture::Arm],
        ),
        (Architecture::Riscv64, &[Architecture::Riscv64]),
    ];
    for (native, members) in families {
        for capabilities in CAPABILITY_SETS {
            let seccomp = resolved(capabilities, *native);
            let program = bpf::compile_for(&seccomp, *native).unwrap();
            verify(&program);
            for &arch in *members {
                for number in numbers(arch) {
                    let rules = named(&seccomp, arch, number);
                    for arguments in ARGUMENT_SETS {
                        let call = Call {
                            number,
                            arch: arch.audit(),
                            arguments: *arguments,
                        };
                        assert_eq!(
                            run(&program, &call),
                            decide(&seccomp, &rules, arch, arguments),
                            "{arch:?} {number} {arguments:x?} {capabilities:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_policy_keeps_its_promises() {
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;
    const EINVAL: u32 = 0x0005_0016;
    const ENOSYS: u32 = 0x0005_0026;
    let program =
        bpf::compile_for(&resolved(&[], Architecture::X86_64), Architecture::X86_64).unwrap();
    for (name, arguments, expected) in [
        ("read", [0; 6], ALLOW),
        ("clone3", [0; 6], ALLOW),
        ("kexec_load", [0; 6], EPERM),
        ("chroot", [0; 6], EPERM),
        ("bpf", [0; 6], EPERM),
        ("io_uring_setup", [0; 6], ENOSYS),
        ("personality", [0; 6], ALLOW),
        ("personality", [4, 0, 0, 0, 0, 0], ENOSYS),
        ("socket", [1, 1, 0, 0, 0, 0], ALLOW),
        ("socket", [40, 1, 0, 0, 0, 0], EPERM),
        ("socket", [16, 3, 9, 0, 0, 0], EINVAL),
        ("socket", [16, 3, 0, 0, 0, 0], ALLOW),
    ] {
        let call = Call {
            number: Architecture::X86_64.syscall(name).unwrap(),
            arch: Architecture::X86_64.audit(),
            arguments,
        };
        assert_eq!(run(&program, &call), expected, "{name} {arguments:?}");
    }
}

#[test]
fn an_unlisted_architecture_is_killed() {
    let program =
        bpf::compile_for(&resolved(&[], Architecture::X86_64), Architecture::X86_64).unwrap();
    let call = Call {
        number: 0,
        arch: Architecture::Aarch64.audit(),
        arguments: [0; 6],
    };
    assert_eq!(run(&program, &call), 0);
}
