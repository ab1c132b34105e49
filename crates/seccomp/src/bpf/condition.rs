//! Comparing arguments.

use oci_spec::runtime::{LinuxSeccompArg, LinuxSeccompOperator};

use super::program::{JEQ, JGE, JGT, SockFilter, and, load, ret};
use crate::Architecture;

/// Offset of the first argument in `seccomp_data`; each has 8 bytes.
const ARGUMENTS: u32 = 16;

/// A rule of one syscall: all conditions hold, then the word is returned.
pub(super) struct Rule {
    pub conditions: Vec<Condition>,
    pub word: u32,
}

impl Rule {
    /// The block that returns the word if all conditions hold, and else runs on behind its end.
    pub fn block(&self) -> Vec<SockFilter> {
        let parts: Vec<Vec<Step>> = self.conditions.iter().map(Condition::steps).collect();
        let length: usize = parts.iter().map(Vec::len).sum();
        let fail = length + 1; // behind the return
        let mut block = Vec::with_capacity(fail);
        let mut pass = 0;
        for part in parts {
            pass += part.len();
            for step in part {
                block.push(step.place(block.len(), pass, fail));
            }
        }
        block.push(ret(self.word));
        block
    }

    /// The same rule seen through a multiplexer, whose first argument is the call.
    pub fn of_multiplexer(&self, call: u32, arch: Architecture) -> Self {
        let mut conditions = vec![Condition {
            offset: ARGUMENTS,
            op: LinuxSeccompOperator::ScmpCmpEq,
            mask: u64::MAX,
            value: u64::from(call),
            low_only: arch.compares_low_words(),
        }];
        let others = self
            .conditions
            .iter()
            .filter(|other| other.offset != ARGUMENTS);
        conditions.extend(others.cloned());
        Self {
            conditions,
            word: self.word,
        }
    }
}

/// One comparison of one argument.
#[derive(Clone)]
pub(super) struct Condition {
    /// Of the argument's low word.
    offset: u32,
    op: LinuxSeccompOperator,
    mask: u64,
    value: u64,
    low_only: bool,
}

impl Condition {
    /// Takes an argument whose index has been checked.
    pub fn new(argument: &LinuxSeccompArg, arch: Architecture) -> Self {
        let index = u32::try_from(argument.index()).unwrap_or_default();
        let (mask, value) = match argument.op() {
            LinuxSeccompOperator::ScmpCmpMaskedEq => {
                (argument.value(), argument.value_two().unwrap_or_default())
            }
            _ => (u64::MAX, argument.value()),
        };
        Self {
            offset: ARGUMENTS + 8 * index,
            op: argument.op(),
            mask,
            value,
            low_only: arch.compares_low_words(),
        }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.low_only {
            steps.extend(self.high_word());
        }
        steps.extend(self.low_word());
        steps
    }

    /// Decides what the high word can decide; goes on where the low word must.
    fn high_word(&self) -> Vec<Step> {
        let (value, mask) = (high(self.value), high(self.mask));
        // All architectures here are little-endian.
        let loaded = Step::plain(load(self.offset + 4));
        match self.op {
            LinuxSeccompOperator::ScmpCmpEq => {
                vec![loaded, Step::new(JEQ, value, To::Next, To::Fail)]
            }
            LinuxSeccompOperator::ScmpCmpNe => {
                vec![loaded, Step::new(JEQ, value, To::Next, To::Pass)]
            }
            LinuxSeccompOperator::ScmpCmpMaskedEq => vec![
                loaded,
                Step::plain(and(mask)),
                Step::new(JEQ, value, To::Next, To::Fail),
            ],
            LinuxSeccompOperator::ScmpCmpGt | LinuxSeccompOperator::ScmpCmpGe => vec![
                loaded,
                Step::new(JGT, value, To::Pass, To::Next),
                Step::new(JEQ, value, To::Next, To::Fail),
            ],
            LinuxSeccompOperator::ScmpCmpLt | LinuxSeccompOperator::ScmpCmpLe => vec![
                loaded,
                Step::new(JGT, value, To::Fail, To::Next),
                Step::new(JEQ, value, To::Next, To::Pass),
            ],
        }
    }

    fn low_word(&self) -> Vec<Step> {
        let (value, mask) = (low(self.value), low(self.mask));
        let loaded = Step::plain(load(self.offset));
        let compared = match self.op {
            LinuxSeccompOperator::ScmpCmpEq | LinuxSeccompOperator::ScmpCmpMaskedEq => {
                Step::new(JEQ, value, To::Pass, To::Fail)
            }
            LinuxSeccompOperator::ScmpCmpNe => Step::new(JEQ, value, To::Fail, To::Pass),
            LinuxSeccompOperator::ScmpCmpGt => Step::new(JGT, value, To::Pass, To::Fail),
            LinuxSeccompOperator::ScmpCmpGe => Step::new(JGE, value, To::Pass, To::Fail),
            LinuxSeccompOperator::ScmpCmpLt => Step::new(JGE, value, To::Fail, To::Pass),
            LinuxSeccompOperator::ScmpCmpLe => Step::new(JGT, value, To::Fail, To::Pass),
        };
        if self.op == LinuxSeccompOperator::ScmpCmpMaskedEq {
            vec![loaded, Step::plain(and(mask)), compared]
        } else {
            vec![loaded, compared]
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // the low half is what is asked for
fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    low(value >> 32)
}

/// Where a comparison goes.
#[derive(Clone, Copy)]
enum To {
    /// The next instruction.
    Next,
    /// Behind this condition, which holds.
    Pass,
    /// Behind this rule, which does not match.
    Fail,
}

/// An instruction whose targets are not yet distances.
struct Step {
    instruction: SockFilter,
    yes: To,
    no: To,
}

impl Step {
    fn plain(instruction: SockFilter) -> Self {
        Self {
            instruction,
            yes: To::Next,
            no: To::Next,
        }
    }

    fn new(code: u16, k: u32, yes: To, no: To) -> Self {
        Self {
            instruction: SockFilter {
                code,
                jt: 0,
                jf: 0,
                k,
            },
            yes,
            no,
        }
    }

    /// The instruction at position `here` of its rule.
    fn place(self, here: usize, pass: usize, fail: usize) -> SockFilter {
        // Six conditions have 36 instructions at most: no distance overflows.
        let distance = |to| match to {
            To::Next => 0,
            To::Pass => u8::try_from(pass - here - 1).unwrap_or(u8::MAX),
            To::Fail => u8::try_from(fail - here - 1).unwrap_or(u8::MAX),
        };
        SockFilter {
            jt: distance(self.yes),
            jf: distance(self.no),
            ..self.instruction
        }
    }
}
