//! Device rules as the BPF program that cgroup v2 asks before a device is opened or made.
//!
//! The last rule wins, for each kind of access on its own: reading is decided by the last rule
//! that speaks of reading, so a rule that denies writing is not evaded by opening for both. The
//! program walks the rules from the last to the first, dropping each access once it is allowed;
//! it allows when none is left, denies at the first rule against one that is, and denies at the
//! end.

use minke_sys::bpf::Instruction;

use crate::device_rule::{Access, DeviceRule, Kind};

/// Registers: the answer, the kernel's `struct bpf_cgroup_dev_ctx`, and what is taken from it.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Operations: class | source | operation (linux/bpf_common.h, linux/bpf.h). The arithmetic
/// and the comparisons are of 32 bits, so no constant is sign-extended.
const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbc;
const MOVE: u8 = 0xb4;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP: u8 = 0x05;
const JUMP_UNLESS_EQUAL: u8 = 0x56;
const JUMP_IF_ANY_BIT: u8 = 0x46;
const EXIT: u8 = 0x95;

/// Compiles rules, of which the last has the most weight. What no rule allows is denied.
pub(crate) fn compile(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = prologue();
    for rule in rules.iter().rev() {
        append(&mut program, rule);
        if rule.concerns_everything() {
            break;
        }
    }
    program.extend(answer(false));
    program
}

/// `access_type` holds the access above the kind.
fn prologue() -> Vec<Instruction> {
    vec![
        Instruction::new(LOAD_WORD, KIND, CONTEXT, 0, 0),
        Instruction::new(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        Instruction::new(LOAD_WORD, MINOR, CONTEXT, 8, 0),
        Instruction::new(MOVE_REGISTER, ACCESS, KIND, 0, 0),
        Instruction::new(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        with(AND, KIND, 0xffff),
    ]
}

fn append(program: &mut Vec<Instruction>, rule: &DeviceRule) {
    let conditions = [
        rule.kind.map(|kind| (KIND, number_of(kind))),
        rule.major.map(|major| (MAJOR, major)),
        rule.minor.map(|minor| (MINOR, minor)),
    ];
    let verdict = verdict(rule);
    let mut left = conditions.iter().flatten().count();
    for &(register, value) in conditions.iter().flatten() {
        left -= 1;
        let past = (left + verdict.len()) as i16;
        program.push(Instruction::new(
            JUMP_UNLESS_EQUAL,
            register,
            0,
            past,
            value as i32,
        ));
    }
    program.extend(verdict);
}

/// What a rule says of a device that is its own; falls through when it does not decide.
fn verdict(rule: &DeviceRule) -> Vec<Instruction> {
    let access = u32::from(rule.access.0);
    let mut steps = if rule.allow {
        vec![
            with(AND, ACCESS, u32::from(Access::ALL.0) & !access),
            Instruction::new(JUMP_UNLESS_EQUAL, ACCESS, 0, 2, 0),
        ]
    } else {
        vec![
            Instruction::new(JUMP_IF_ANY_BIT, ACCESS, 0, 1, access as i32),
            Instruction::new(JUMP, 0, 0, 2, 0),
        ]
    };
    steps.extend(answer(rule.allow));
    steps
}

fn answer(allow: bool) -> [Instruction; 2] {
    [
        with(MOVE, ANSWER, u32::from(allow)),
        Instruction::new(EXIT, 0, 0, 0, 0),
    ]
}

/// An operation on a register and a constant.
fn with(code: u8, register: u8, value: u32) -> Instruction {
    Instruction::new(code, register, 0, 0, value as i32)
}

/// BPF_DEVCG_DEV_BLOCK and BPF_DEVCG_DEV_CHAR.
fn number_of(kind: Kind) -> u32 {
    match kind {
        Kind::Block => 1,
        Kind::Character => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_rule::ALWAYS_ALLOWED;

    /// A device and what is wanted of it.
    type Wish = (Kind, u32, u32, u8);

    const C: Kind = Kind::Character;
    const B: Kind = Kind::Block;
    const M: u8 = Access::MAKE.0;
    const R: u8 = Access::READ.0;
    const W: u8 = Access::WRITE.0;

    /// Runs the program as the kernel would.
    fn interpret(program: &[Instruction], (kind, major, minor, access): Wish) -> bool {
        let context = [u32::from(access) << 16 | number_of(kind), major, minor];
        let mut registers = [0_u32; 11];
        let mut at = 0;
        loop {
            let step = program[at];
            let value = step.immediate as u32;
            let target = usize::from(step.destination());
            let jump = match step.code {
                LOAD_WORD => {
                    assert_eq!(step.source(), CONTEXT);
                    registers[target] = context[step.offset as usize / 4];
                    false
                }
                MOVE_REGISTER => {
                    registers[target] = registers[usize::from(step.source())];
                    false
                }
                MOVE => {
                    registers[target] = value;
                    false
                }
                AND => {
                    registers[target] &= value;
                    false
                }
                SHIFT_RIGHT => {
                    registers[target] >>= value;
                    false
                }
                JUMP => true,
                JUMP_UNLESS_EQUAL => registers[target] != value,
                JUMP_IF_ANY_BIT => registers[target] & value != 0,
                EXIT => return registers[0] != 0,
                other => panic!("{other:#x} is no operation of ours"),
            };
            at += 1;
            if jump {
                assert!(step.offset >= 0, "a loop");
                at += step.offset as usize;
            }
        }
    }

    /// security/device_cgroup.c: a behaviour and exceptions from it.
    fn v1(rules: &[DeviceRule], (kind, major, minor, access): Wish) -> bool {
        let mut allowed = false;
        let mut exceptions: Vec<DeviceRule> = Vec::new();
        for rule in rules.iter().flat_map(|rule| rule.for_v1()) {
            if rule.kind.is_none() {
                allowed = rule.allow;
                exceptions.clear();
                continue;
            }
            let same = exceptions.iter_mut().find(|known| {
                (known.kind, known.major, known.minor) == (rule.kind, rule.major, rule.minor)
            });
            match (same, rule.allow == allowed) {
                (Some(known), true) => known.access.0 &= !rule.access.0,
                (None, true) => {}
                (Some(known), false) => known.access.0 |= rule.access.0,
                (None, false) => exceptions.push(rule),
            }
            exceptions.retain(|known| known.access.0 != 0);
        }
        let mut concerned = exceptions.iter().filter(|rule| {
            rule.kind == Some(kind)
                && rule.major.is_none_or(|number| number == major)
                && rule.minor.is_none_or(|number| number == minor)
        });
        if allowed {
            !concerned.any(|rule| rule.access.0 & access != 0)
        } else {
            concerned.any(|rule| access & !rule.access.0 == 0)
        }
    }

    fn rule(text: &str) -> DeviceRule {
        let mut words = text.split([' ', ':']);
        let mut word = || words.next().unwrap();
        let allow = word() == "allow";
        let kind = match word() {
            "b" => Some(B),
            "c" => Some(C),
            _ => None,
        };
        let (major, minor) = (word().parse().ok(), word().parse().ok());
        let bits = word().bytes().map(|letter| match letter {
            b'm' => M,
            b'r' => R,
            _ => W,
        });
        DeviceRule {
            allow,
            kind,
            major,
            minor,
            access: Access(bits.sum()),
        }
    }

    fn rules(texts: &[&str]) -> Vec<DeviceRule> {
        texts.iter().map(|text| rule(text)).collect()
    }

    const WISHES: [Wish; 14] = [
        (C, 1, 3, R),
        (C, 1, 3, W),
        (C, 1, 3, R | W),
        (C, 1, 3, M),
        (C, 1, 9, R),
        (C, 1, 9, R | W | M),
        (C, 10, 200, R | W),
        (C, 136, 7, R | W),
        (B, 1, 3, R),
        (B, 8, 0, R),
        (B, 8, 0, W),
        (B, 8, 0, M),
        (B, 8, 16, R),
        (C, u32::MAX, u32::MAX, R),
    ];

    #[test]
    fn the_program_agrees_with_the_v1_controller() {
        let table: &[&[&str]] = &[
            &[],
            &["deny a *:* rwm"],
            &["allow a *:* rwm"],
            &["deny a *:* rwm", "allow a *:* rwm"],
            &["allow a *:* rwm", "deny a *:* rwm"],
            &["allow c 1:3 r"],
            &["allow c 1:3 r", "allow c 1:3 w"],
            &["allow c 1:3 rw", "deny c 1:3 w"],
            &["allow c 1:3 rwm", "deny c 1:3 rwm"],
            &["allow c 1:* rw"],
            &["allow c *:* r", "allow b *:* rwm"],
            &["allow c *:9 r"],
            &["allow b 8:0 rw", "allow c 10:200 rwm"],
            &["allow a 1:3 r"],
            &["allow a *:* r"],
            &["allow a *:* rwm", "deny b 8:0 w"],
            &["allow a *:* rwm", "deny b 8:* rw", "deny c 1:9 m"],
            &["allow a *:* rwm", "deny c 1:3 rw", "allow c 1:3 r"],
            &["allow b 8:0 r", "deny a *:* rwm", "allow c 1:9 r"],
            &["allow c 4294967295:4294967295 r"],
        ];
        for texts in table {
            for always in [&[][..], ALWAYS_ALLOWED] {
                let mut list = rules(texts);
                list.extend(always);
                let program = compile(&list);
                for wish in WISHES {
                    assert_eq!(
                        interpret(&program, wish),
                        v1(&list, wish),
                        "{texts:?} {wish:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_exception_from_a_wildcard_counts_as_it_does_not_in_v1() {
        let list = rules(&["allow c 1:* rw", "deny c 1:9 w"]);
        let program = compile(&list);
        let expected = [
            ((C, 1, 3, R | W), true),
            ((C, 1, 9, R), true),
            ((C, 1, 9, W), false),
            ((C, 1, 9, R | W), false),
            ((C, 1, 9, M), false),
        ];
        for (wish, allowed) in expected {
            assert_eq!(interpret(&program, wish), allowed, "{wish:?}");
        }
        assert!(v1(&list, (C, 1, 9, W)));
    }

    #[test]
    fn accesses_allowed_by_different_rules_add_up() {
        let program = compile(&rules(&["allow c *:* r", "allow c 1:* w"]));
        assert!(interpret(&program, (C, 1, 3, R | W)));
        assert!(!interpret(&program, (C, 2, 3, R | W)));
        assert!(!interpret(&program, (C, 1, 3, R | W | M)));
    }

    #[test]
    fn rules_before_one_on_everything_are_left_out() {
        let long = compile(&rules(&["allow c 1:3 r", "deny a *:* rwm"]));
        assert_eq!(long, compile(&rules(&["deny a *:* rwm"])));
    }
}
