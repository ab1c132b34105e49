//! The policy file format of containers-common and Docker.

use std::str::FromStr;
use std::sync::LazyLock;

use oci_spec::runtime::{Arch, LinuxSeccompAction, LinuxSeccompFilterFlag, LinuxSeccompOperator};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Result};

/// A policy text longer than this is refused unread.
pub const MAX_PROFILE_BYTES: usize = 4 << 20;

static DEFAULT: LazyLock<Profile> = LazyLock::new(|| {
    Profile::from_json(include_bytes!("../data/seccomp.json"))
        .expect("the embedded policy is tested to decode")
});

/// A policy: what happens to each syscall, under which conditions.
///
/// An absent list and a `null` one read as an empty one, as the Go side writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    /// For a syscall that no rule names. Absent, and with no rules, there is no policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_action: Option<LinuxSeccompAction>,
    /// The errno of the default action, as a name or a number. Wins over the number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub default_errno: String,
    /// The errno of the default action, in the older form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// The architectures, in the older form: taken as they are.
    #[serde(
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub architectures: Vec<Arch>,
    /// Which other architectures go with a native one.
    #[serde(
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub arch_map: Vec<ArchitectureEntry>,
    /// The rules. Of two that match, see [`crate::bpf`].
    #[serde(deserialize_with = "null_is_empty")]
    pub syscalls: Vec<SyscallRule>,
    /// Flags for loading the program.
    #[serde(
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub flags: Vec<LinuxSeccompFilterFlag>,
    /// The socket of the supervisor that answers notifications.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    /// Opaque data for that supervisor.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
}

/// One line of the architecture map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchitectureEntry {
    /// The native architecture this line is for.
    pub architecture: Arch,
    /// Those whose programs may run beside it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub sub_architectures: Vec<Arch>,
}

/// What to do with some syscalls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyscallRule {
    /// The older form of `names`, for one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The syscalls.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub names: Vec<String>,
    /// What happens.
    pub action: LinuxSeccompAction,
    /// The errno, as a name or a number. Wins over the number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub errno: String,
    /// The errno, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// All of these must hold for the rule to match.
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub args: Vec<Argument>,
    /// The rule exists only under these conditions.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub includes: Filter,
    /// The rule does not exist under these conditions.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub excludes: Filter,
    /// For readers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Which argument, from 0.
    pub index: usize,
    /// What to compare with; the mask of `SCMP_CMP_MASKED_EQ`.
    #[serde(default)]
    pub value: u64,
    /// The value of `SCMP_CMP_MASKED_EQ`.
    #[serde(default)]
    pub value_two: u64,
    /// How.
    pub op: LinuxSeccompOperator,
}

/// When a rule exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Capabilities: all of them for an inclusion, any of them for an exclusion.
    #[serde(
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub caps: Vec<String>,
    /// Native architectures, by libseccomp's names (`amd64`).
    #[serde(
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub arches: Vec<String>,
    /// The oldest kernel, `MAJOR.MINOR`; Docker's extension.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub min_kernel: String,
}

impl Profile {
    /// Decodes a policy.
    ///
    /// # Errors
    /// [`Error::ProfileTooLarge`], [`Error::ProfileDecode`].
    pub fn from_json(text: &[u8]) -> Result<Self> {
        if text.len() > MAX_PROFILE_BYTES {
            return Err(Error::ProfileTooLarge {
                bytes: text.len(),
                limit: MAX_PROFILE_BYTES,
            });
        }
        // serde would read an array as the fields in order.
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(text).map_err(|source| Error::ProfileDecode { source })?;
        serde_json::from_value(object.into()).map_err(|source| Error::ProfileDecode { source })
    }

    /// The policy of a container that asked for none: containers-common's, as data.
    pub fn default_policy() -> &'static Self {
        &DEFAULT
    }
}

/// A kernel version as far as policies look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// `6` of `6.18.3-amd64`.
    pub major: u32,
    /// `18` of `6.18.3-amd64`.
    pub minor: u32,
}

impl FromStr for KernelVersion {
    type Err = Error;

    /// Reads the first two numbers of a release as uname(2) gives it.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::KernelVersion {
            text: text.to_owned(),
        };
        let mut numbers = text
            .split(|c: char| !c.is_ascii_digit())
            .map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(invalid()),
        }
    }
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_policy_decodes_and_round_trips() {
        let policy = Profile::default_policy();
        assert_eq!(
            policy.default_action,
            Some(LinuxSeccompAction::ScmpActErrno)
        );
        assert!(policy.syscalls.len() > 30);
        let text = serde_json::to_vec(policy).unwrap();
        assert_eq!(Profile::from_json(&text).unwrap(), *policy);
    }

    #[test]
    fn nulls_of_the_go_side_are_empty_lists() {
        let policy = Profile::from_json(
            br#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_KILL_PROCESS","args":null,"comment":"","includes":{},"excludes":null}]}"#,
        )
        .unwrap();
        assert!(policy.syscalls[0].args.is_empty());
        let policy = Profile::from_json(br#"{"syscalls":null}"#).unwrap();
        assert_eq!(policy, Profile::default());
    }

    #[test]
    fn wrong_policies_are_refused() {
        for text in [
            "",
            "[]",
            r#"{"defaultAction":"SCMP_ACT_SHRUG"}"#,
            r#"{"syscalls":[{"names":["read"]}]}"#,
            r#"{"architectures":["SCMP_ARCH_VAX"]}"#,
        ] {
            assert!(Profile::from_json(text.as_bytes()).is_err(), "{text}");
        }
        let huge = vec![b' '; MAX_PROFILE_BYTES + 1];
        assert!(matches!(
            Profile::from_json(&huge),
            Err(Error::ProfileTooLarge { .. })
        ));
    }

    #[test]
    fn kernel_versions_are_read() {
        for (text, expected) in [
            ("4.8", Some((4, 8))),
            ("6.18.3-amd64", Some((6, 18))),
            ("5.10-rc1", Some((5, 10))),
            ("6", None),
            ("", None),
            ("x.y", None),
        ] {
            let read = text
                .parse::<KernelVersion>()
                .ok()
                .map(|v| (v.major, v.minor));
            assert_eq!(read, expected, "{text}");
        }
    }
}
