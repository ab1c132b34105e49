//! A classic BPF machine, as far as seccomp uses it; and the policy read directly.

use minke_seccomp::Architecture;
use minke_seccomp::bpf::SockFilter;
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};

/// `struct seccomp_data`.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub number: u32,
    pub arch: u32,
    pub arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            8 | 12 => 0, // the instruction pointer
            _ => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset & 7 == 0 {
                    argument as u32
                } else {
                    (argument >> 32) as u32
                }
            }
        }
    }
}

/// Runs a program to its return.
pub fn run(program: &[SockFilter], call: &Call) -> u32 {
    let mut accumulator = 0u32;
    let mut at = 0;
    loop {
        let SockFilter { code, jt, jf, k } = program[at];
        at += 1;
        let skip = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = call.word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += skip(accumulator == k),
            0x25 => at += skip(accumulator > k),
            0x35 => at += skip(accumulator >= k),
            0x45 => at += skip(accumulator & k != 0),
            0x06 => return k,
            other => panic!("instruction {other:#x} is not one that filters use"),
        }
    }
}

/// What the kernel checks before it takes a program.
pub fn verify(program: &[SockFilter]) {
    assert!(program.len() <= 4096, "{} instructions", program.len());
    for (at, instruction) in program.iter().enumerate() {
        let targets = match instruction.code & 0x07 {
            0x05 if instruction.code == 0x05 => vec![instruction.k as usize],
            0x05 => vec![usize::from(instruction.jt), usize::from(instruction.jf)],
            0x06 => continue,
            _ => vec![0],
        };
        for target in targets {
            assert!(at + 1 + target < program.len(), "{at} leaves the program");
        }
    }
    assert_eq!(program.last().unwrap().code, 0x06);
}

/// The rules that name a syscall by its number.
pub fn named(seccomp: &LinuxSeccomp, arch: Architecture, number: u32) -> Vec<&LinuxSyscall> {
    let rules = seccomp.syscalls().iter().flatten();
    rules
        .filter(|rule| {
            rule.names()
                .iter()
                .any(|name| arch.syscall(name) == Some(number))
        })
        .collect()
}

/// The verdict of the policy by its documented meaning, without numbers, trees or jumps.
pub fn decide(
    seccomp: &LinuxSeccomp,
    named: &[&LinuxSyscall],
    arch: Architecture,
    arguments: &[u64; 6],
) -> u32 {
    let default = word(seccomp.default_action(), seccomp.default_errno_ret());
    let mut conditional = None;
    for rule in named {
        let word = word(rule.action(), rule.errno_ret());
        if word == default {
            continue;
        }
        let conditions = rule.args().as_deref().unwrap_or_default();
        if conditions.is_empty() {
            return word;
        }
        if conditional.is_none() && matches(conditions, arch, arguments) {
            conditional = Some(word);
        }
    }
    conditional.unwrap_or(default)
}

/// [`decide`] for one call.
pub fn evaluate(
    seccomp: &LinuxSeccomp,
    arch: Architecture,
    number: u32,
    arguments: &[u64; 6],
) -> u32 {
    decide(seccomp, &named(seccomp, arch, number), arch, arguments)
}

fn word(action: LinuxSeccompAction, errno: Option<u32>) -> u32 {
    match action {
        LinuxSeccompAction::ScmpActErrno => 0x0005_0000 | errno.unwrap_or(1),
        LinuxSeccompAction::ScmpActTrace => 0x7ff0_0000 | errno.unwrap_or(1),
        action => u32::from(action),
    }
}

fn matches(conditions: &[LinuxSeccompArg], arch: Architecture, arguments: &[u64; 6]) -> bool {
    let repeated = conditions.iter().enumerate().any(|(at, one)| {
        conditions[..at]
            .iter()
            .any(|other| other.index() == one.index())
    });
    let mut holding = conditions
        .iter()
        .map(|one| holds(one, arch, arguments[one.index()]));
    if repeated {
        holding.any(|yes| yes)
    } else {
        holding.all(|yes| yes)
    }
}

fn holds(condition: &LinuxSeccompArg, arch: Architecture, argument: u64) -> bool {
    let cut = |value: u64| match arch {
        Architecture::X86 | Architecture::X32 | Architecture::Arm => value & 0xffff_ffff,
        _ => value,
    };
    let argument = cut(argument);
    let value = cut(condition.value());
    match condition.op() {
        LinuxSeccompOperator::ScmpCmpEq => argument == value,
        LinuxSeccompOperator::ScmpCmpNe => argument != value,
        LinuxSeccompOperator::ScmpCmpLt => argument < value,
        LinuxSeccompOperator::ScmpCmpLe => argument <= value,
        LinuxSeccompOperator::ScmpCmpGt => argument > value,
        LinuxSeccompOperator::ScmpCmpGe => argument >= value,
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            argument & value == cut(condition.value_two().unwrap_or_default())
        }
    }
}
