//! Which devices a container may use: the rules of config.json, and those of every container.

use std::fmt;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use crate::error::{Error, Result};

/// Kinds of access, combined (config-linux.md § Allowed Device list), with the kernel's bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access(pub u8);

impl Access {
    pub const MAKE: Self = Self(1);
    pub const READ: Self = Self(2);
    pub const WRITE: Self = Self(4);
    pub const ALL: Self = Self(7);

    fn parse(text: &str) -> Result<Self> {
        text.bytes()
            .try_fold(0, |bits, letter| match letter {
                b'm' => Some(bits | Self::MAKE.0),
                b'r' => Some(bits | Self::READ.0),
                b'w' => Some(bits | Self::WRITE.0),
                _ => None,
            })
            .map(Self)
            .ok_or_else(|| Error::config(format!("device access `{text}` is not of r, w and m")))
    }
}

/// Block or character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Block,
    Character,
}

/// One rule. `None` stands for every kind and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeviceRule {
    pub allow: bool,
    pub kind: Option<Kind>,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: Access,
}

impl DeviceRule {
    /// Against everything.
    pub const DENY_ALL: Self = Self {
        allow: false,
        kind: None,
        major: None,
        minor: None,
        access: Access::ALL,
    };

    /// Reads a rule of config.json.
    ///
    /// # Errors
    /// A kind, number or access that the kernel does not know.
    pub fn of(given: &LinuxDeviceCgroup) -> Result<Self> {
        let kind = match given.typ() {
            Some(LinuxDeviceType::B) => Some(Kind::Block),
            Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(Kind::Character),
            Some(LinuxDeviceType::A) | None => None,
            Some(LinuxDeviceType::P) => {
                return Err(Error::config(
                    "linux.resources.devices: a rule's type is a, b or c",
                ));
            }
        };
        let number = |number: Option<i64>| match number {
            Some(number) if number >= 0 => u32::try_from(number).map(Some).map_err(|_| {
                Error::config(format!("linux.resources.devices has the number {number}"))
            }),
            _ => Ok(None),
        };
        let access = given.access().as_deref().filter(|text| !text.is_empty());
        Ok(Self {
            allow: given.allow(),
            kind,
            major: number(given.major())?,
            minor: number(given.minor())?,
            access: access.map_or(Ok(Access::ALL), Access::parse)?,
        })
    }

    /// Whether it speaks of every device and every access, so that no rule before it matters.
    pub fn concerns_everything(&self) -> bool {
        self.kind.is_none()
            && self.major.is_none()
            && self.minor.is_none()
            && self.access == Access::ALL
    }

    /// The rule for the v1 controller. That takes type `a` for everything whatever follows it,
    /// so a rule on both kinds of some devices becomes two.
    pub fn for_v1(self) -> Vec<Self> {
        if self.kind.is_some() || self.concerns_everything() {
            return vec![self];
        }
        [Kind::Block, Kind::Character]
            .map(|kind| Self {
                kind: Some(kind),
                ..self
            })
            .into()
    }
}

/// As devices.allow and devices.deny of cgroup v1 read it.
impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Some(Kind::Block) => "b ",
            Some(Kind::Character) => "c ",
            None => "a ",
        })?;
        for (number, after) in [(self.major, ":"), (self.minor, " ")] {
            match number {
                Some(number) => write!(f, "{number}{after}")?,
                None => write!(f, "*{after}")?,
            }
        }
        for (access, letter) in [
            (Access::READ, "r"),
            (Access::WRITE, "w"),
            (Access::MAKE, "m"),
        ] {
            if self.access.0 & access.0 != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

const fn allow_all(kind: Kind, major: Option<u32>, minor: Option<u32>) -> DeviceRule {
    DeviceRule {
        allow: true,
        kind: Some(kind),
        major,
        minor,
        access: Access::ALL,
    }
}

const fn allow_making(kind: Kind) -> DeviceRule {
    DeviceRule {
        access: Access::MAKE,
        ..allow_all(kind, None, None)
    }
}

/// What every container may do, whatever its rules (config-linux.md § Default Devices):
/// make nodes, and use the default ones and terminals.
pub(crate) const ALWAYS_ALLOWED: &[DeviceRule] = &[
    allow_making(Kind::Character),
    allow_making(Kind::Block),
    allow_all(Kind::Character, Some(1), Some(3)),
    allow_all(Kind::Character, Some(1), Some(5)),
    allow_all(Kind::Character, Some(1), Some(7)),
    allow_all(Kind::Character, Some(1), Some(8)),
    allow_all(Kind::Character, Some(1), Some(9)),
    allow_all(Kind::Character, Some(5), Some(0)),
    allow_all(Kind::Character, Some(5), Some(2)),
    allow_all(Kind::Character, Some(136), None),
];

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxDeviceCgroupBuilder;

    #[test]
    fn rules_are_spelled_as_the_kernel_reads_them() {
        let all = LinuxDeviceCgroupBuilder::default()
            .allow(false)
            .access("rwm");
        let all = DeviceRule::of(&all.build().unwrap()).unwrap();
        assert_eq!(all.to_string(), "a *:* rwm");
        assert_eq!(all.for_v1(), [all]);
        let one = LinuxDeviceCgroupBuilder::default()
            .allow(true)
            .typ(LinuxDeviceType::C)
            .major(10)
            .minor(200)
            .access("wr");
        let one = DeviceRule::of(&one.build().unwrap()).unwrap();
        assert_eq!(one.to_string(), "c 10:200 rw");
        assert_eq!(ALWAYS_ALLOWED[0].to_string(), "c *:* m");
    }

    #[test]
    fn a_rule_on_both_kinds_of_one_number_is_no_rule_on_everything() {
        let some = LinuxDeviceCgroupBuilder::default()
            .allow(true)
            .major(1)
            .minor(3)
            .access("r");
        let some = DeviceRule::of(&some.build().unwrap()).unwrap();
        let spelled: Vec<String> = some.for_v1().iter().map(ToString::to_string).collect();
        assert_eq!(spelled, ["b 1:3 r", "c 1:3 r"]);
    }

    #[test]
    fn what_the_kernel_does_not_know_is_refused() {
        let rule = || LinuxDeviceCgroupBuilder::default().allow(true);
        let bad = [
            rule().typ(LinuxDeviceType::P),
            rule().access("rx"),
            rule().major(1_i64 << 32),
        ];
        for each in bad {
            assert!(DeviceRule::of(&each.build().unwrap()).is_err());
        }
    }
}
