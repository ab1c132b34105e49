//! `linux.seccomp` to the instructions seccomp(2) takes.
//!
//! # Meaning
//! As libseccomp's, where it has one:
//!
//! - A rule whose action is the default action is no rule.
//! - A rule without conditions on arguments wins over all rules with conditions for the same
//!   syscall; of several without conditions the first wins.
//! - Of rules with conditions the first that matches wins (libseccomp leaves open what
//!   happens when two match with different actions). The conditions of one rule must all
//!   hold, but conditions on the same argument are rules of their own: any may hold.
//! - Arguments of 32-bit architectures (x32 too) are compared by their low words.
//! - On x86 a rule for a socket or System V IPC call is also one for its case of
//!   socketcall(2) or ipc(2).
//! - A call from an architecture that is not listed kills the thread. So does an x32 call
//!   where only x86_64 is listed; number -1, by which a tracer skips a call, gets the default.
//!
//! # Shape
//! Per architecture the syscall numbers fall into ranges of equal outcome; a balanced tree of
//! comparisons finds the range in `log2(ranges)` steps. Every block ends in a return, so a
//! block is placed by its length alone and no label is needed.

mod condition;
mod program;

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSyscall};

use crate::arch::X32_BIT;
use crate::{Architecture, Error, Result};
use condition::{Condition, Rule};
use program::{JEQ, JGE, branch, load, ret};

pub use program::SockFilter;

/// The kernel takes no longer program (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// Offset of the syscall number in `seccomp_data`.
const NUMBER: u32 = 0;
/// Offset of the architecture in `seccomp_data`.
const ARCH: u32 = 4;

/// `SECCOMP_RET_KILL_THREAD`, for what comes from an architecture not listed.
const BAD_ARCH: u32 = 0;
/// `SECCOMP_RET_DATA`: what an action's value may occupy.
const RET_DATA: u32 = 0xffff;
/// errno or trace value where none is given.
const EPERM: u32 = 1;

/// Compiles for the machine this was built for.
///
/// # Errors
/// [`Error::ArchitectureUnsupported`], [`Error::ArgumentIndex`], [`Error::ProgramTooLong`].
pub fn compile(seccomp: &LinuxSeccomp) -> Result<Vec<SockFilter>> {
    let native = Architecture::native().ok_or(Error::ArchitectureUnsupported {
        arch: oci_spec::runtime::Arch::ScmpArchNative,
    })?;
    compile_for(seccomp, native)
}

/// Compiles for a machine whose architecture is `native`, which is always let through to the
/// rules, listed or not.
///
/// # Errors
/// As [`compile`].
pub fn compile_for(seccomp: &LinuxSeccomp, native: Architecture) -> Result<Vec<SockFilter>> {
    let default = word(seccomp.default_action(), seccomp.default_errno_ret());
    let mut dispatch = vec![ret(BAD_ARCH)];
    for group in groups(&listed(seccomp, native)?).into_iter().rev() {
        let block = group_program(seccomp, &group, default)?;
        dispatch = branch(JEQ, group[0].audit(), block, dispatch);
    }
    let mut program = vec![load(ARCH)];
    program.append(&mut dispatch);
    if program.len() > MAX_INSTRUCTIONS {
        return Err(Error::ProgramTooLong {
            instructions: program.len(),
            limit: MAX_INSTRUCTIONS,
        });
    }
    Ok(program)
}

/// What the filter returns for an action.
fn word(action: LinuxSeccompAction, errno: Option<u32>) -> u32 {
    let value = errno.unwrap_or(EPERM) & RET_DATA;
    match action {
        LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace => {
            action.as_u32(Some(value))
        }
        action => action.as_u32(None),
    }
}

/// The architectures of the policy, without doubles, the native one first.
fn listed(seccomp: &LinuxSeccomp, native: Architecture) -> Result<Vec<Architecture>> {
    let mut all = vec![native];
    for arch in seccomp.architectures().iter().flatten() {
        let arch = Architecture::from_scmp(*arch, native)?;
        if !all.contains(&arch) {
            all.push(arch);
        }
    }
    Ok(all)
}

/// Architectures that the kernel tells apart by the number alone belong together.
fn groups(all: &[Architecture]) -> Vec<Vec<Architecture>> {
    let mut groups: Vec<Vec<Architecture>> = Vec::new();
    for &arch in all {
        match groups
            .iter_mut()
            .find(|group| group[0].audit() == arch.audit())
        {
            Some(group) => group.push(arch),
            None => groups.push(vec![arch]),
        }
    }
    groups
}

fn group_program(
    seccomp: &LinuxSeccomp,
    group: &[Architecture],
    default: u32,
) -> Result<Vec<SockFilter>> {
    let mut outcomes = BTreeMap::new();
    for &arch in group {
        collect(seccomp, arch, default, &mut outcomes)?;
    }
    let mut ranges = Ranges::new(default);
    for (number, outcome) in &outcomes {
        ranges.put(*number, outcome.block(default));
    }
    match group {
        [Architecture::X86_64] => ranges.fence(X32_BIT..),
        [Architecture::X32] => ranges.fence(..X32_BIT),
        _ => {}
    }
    let mut program = vec![load(NUMBER)];
    program.append(&mut tree(&ranges.finish()));
    Ok(program)
}

/// What happens to one syscall.
#[derive(Default)]
struct Outcome {
    always: Option<u32>,
    rules: Vec<Rule>,
}

impl Outcome {
    fn add(&mut self, rule: Rule) {
        if rule.conditions.is_empty() {
            self.always.get_or_insert(rule.word);
        } else {
            self.rules.push(rule);
        }
    }

    fn block(&self, default: u32) -> Vec<SockFilter> {
        if let Some(word) = self.always {
            return vec![ret(word)];
        }
        let mut block: Vec<SockFilter> = self.rules.iter().flat_map(Rule::block).collect();
        block.push(ret(default));
        block
    }
}

/// Adds the rules of `seccomp` as they are on `arch`.
fn collect(
    seccomp: &LinuxSeccomp,
    arch: Architecture,
    default: u32,
    outcomes: &mut BTreeMap<u32, Outcome>,
) -> Result<()> {
    for syscall in seccomp.syscalls().iter().flatten() {
        let word = word(syscall.action(), syscall.errno_ret());
        if word == default {
            continue;
        }
        for name in syscall.names() {
            for arguments in alternatives(name, syscall)? {
                let conditions = arguments
                    .iter()
                    .map(|argument| Condition::new(argument, arch))
                    .collect();
                let rule = Rule { conditions, word };
                if let Some((number, call)) = arch.multiplexed(name) {
                    outcomes
                        .entry(number)
                        .or_default()
                        .add(rule.of_multiplexer(call, arch));
                }
                if let Some(number) = arch.syscall(name) {
                    outcomes.entry(number).or_default().add(rule);
                }
            }
        }
    }
    Ok(())
}

/// One list of conditions a rule; several where an argument is looked at more than once, for
/// then each condition stands alone (runc and crun read it so).
fn alternatives<'a>(name: &str, syscall: &'a LinuxSyscall) -> Result<Vec<&'a [LinuxSeccompArg]>> {
    let all = syscall.args().as_deref().unwrap_or_default();
    let mut seen = [false; 6];
    let mut repeated = false;
    for argument in all {
        let index = argument.index();
        let slot = seen.get_mut(index).ok_or_else(|| Error::ArgumentIndex {
            name: name.to_owned(),
            index,
        })?;
        repeated |= std::mem::replace(slot, true);
    }
    if repeated {
        Ok(all.chunks(1).collect())
    } else {
        Ok(vec![all])
    }
}

/// Blocks by the first number they are for; each range lasts to the next.
struct Ranges {
    default: u32,
    starts: BTreeMap<u32, Vec<SockFilter>>,
}

impl Ranges {
    fn new(default: u32) -> Self {
        Self {
            default,
            starts: BTreeMap::from([(0, vec![ret(default)])]),
        }
    }

    /// Sets the block of `number`. Numbers come in ascending order.
    fn put(&mut self, number: u32, block: Vec<SockFilter>) {
        self.starts.insert(number, block);
        if let Some(next) = number.checked_add(1) {
            self.starts.insert(next, vec![ret(self.default)]);
        }
    }

    /// Makes all of `numbers` an unlisted architecture's, but for -1.
    fn fence(&mut self, numbers: impl std::ops::RangeBounds<u32>) {
        use std::ops::Bound;
        let start = match numbers.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(_) | Bound::Unbounded => 0,
        };
        let end = match numbers.end_bound() {
            Bound::Excluded(end) => *end,
            Bound::Included(_) | Bound::Unbounded => u32::MAX,
        };
        let after = self
            .starts
            .range(..=end)
            .next_back()
            .map_or_else(|| vec![ret(self.default)], |(_, block)| block.clone());
        self.starts.retain(|first, _| !(start..end).contains(first));
        self.starts.insert(start, vec![ret(BAD_ARCH)]);
        self.starts.entry(end).or_insert(after);
    }

    /// The ranges in order, neighbours of one outcome joined.
    fn finish(self) -> Vec<(u32, Vec<SockFilter>)> {
        let mut ranges: Vec<(u32, Vec<SockFilter>)> = Vec::new();
        for (first, block) in self.starts {
            if ranges.last().is_none_or(|(_, last)| *last != block) {
                ranges.push((first, block));
            }
        }
        ranges
    }
}

/// Finds the range of the number in the accumulator.
fn tree(ranges: &[(u32, Vec<SockFilter>)]) -> Vec<SockFilter> {
    match ranges {
        [] => Vec::new(),
        [(_, block)] => block.clone(),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            branch(JGE, high[0].0, tree(high), tree(low))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> LinuxSeccomp {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn words_are_the_kernels() {
        for (action, errno, expected) in [
            (LinuxSeccompAction::ScmpActKill, None, 0),
            (LinuxSeccompAction::ScmpActKillThread, Some(9), 0),
            (LinuxSeccompAction::ScmpActKillProcess, None, 0x8000_0000),
            (LinuxSeccompAction::ScmpActTrap, None, 0x0003_0000),
            (LinuxSeccompAction::ScmpActErrno, None, 0x0005_0001),
            (LinuxSeccompAction::ScmpActErrno, Some(38), 0x0005_0026),
            (
                LinuxSeccompAction::ScmpActErrno,
                Some(0x1_0002),
                0x0005_0002,
            ),
            (LinuxSeccompAction::ScmpActTrace, Some(7), 0x7ff0_0007),
            (LinuxSeccompAction::ScmpActLog, None, 0x7ffc_0000),
            (LinuxSeccompAction::ScmpActNotify, None, 0x7fc0_0000),
            (LinuxSeccompAction::ScmpActAllow, None, 0x7fff_0000),
        ] {
            assert_eq!(word(action, errno), expected, "{action:?} {errno:?}");
        }
    }

    #[test]
    fn an_empty_policy_is_short() {
        let program = compile_for(
            &policy(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#),
            Architecture::Aarch64,
        )
        .unwrap();
        assert_eq!(program.len(), 5); // load, compare, load, return, return
    }

    #[test]
    fn an_argument_beyond_the_sixth_is_refused() {
        let policy = policy(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],
                "action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#,
        );
        let refusal = compile_for(&policy, Architecture::X86_64).unwrap_err();
        assert!(
            matches!(refusal, Error::ArgumentIndex { index: 6, .. }),
            "{refusal}"
        );
    }

    #[test]
    fn a_program_too_long_for_the_kernel_is_refused() {
        let rules: Vec<String> = (0..2000)
            .map(|value| {
                format!(
                    r#"{{"names":["ioctl"],"action":"SCMP_ACT_ERRNO","args":[{{"index":1,"value":{value},"op":"SCMP_CMP_EQ"}}]}}"#
                )
            })
            .collect();
        let policy = policy(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#,
            rules.join(",")
        ));
        let refusal = compile_for(&policy, Architecture::X86_64).unwrap_err();
        assert!(matches!(refusal, Error::ProgramTooLong { .. }), "{refusal}");
    }

    #[test]
    fn a_foreign_architecture_is_refused() {
        let policy =
            policy(r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_S390X"]}"#);
        let refusal = compile_for(&policy, Architecture::X86_64).unwrap_err();
        assert_eq!(refusal.kind(), crate::ErrorKind::Unsupported);
    }
}
