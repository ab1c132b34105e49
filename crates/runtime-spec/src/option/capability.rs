//! Capability names.

use std::collections::BTreeSet;

use crate::{Error, Result};

/// Every capability, by its number.
pub const ALL: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// What a container has unless asked otherwise (containers.conf's `default_capabilities`).
pub const DEFAULT: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The full name, in capitals, of a capability named with or without `CAP_`; `ALL` stays.
///
/// # Errors
/// [`Error::CapabilityUnknown`].
pub fn normalize(name: &str) -> Result<String> {
    let upper = name.to_ascii_uppercase();
    if upper == "ALL" {
        return Ok(upper);
    }
    let full = if upper.starts_with("CAP_") {
        upper
    } else {
        format!("CAP_{upper}")
    };
    if ALL.contains(&full.as_str()) {
        Ok(full)
    } else {
        Err(Error::CapabilityUnknown { name: full })
    }
}

/// Adds to and drops from `base`. `ALL` added is `known`, all that the host can give; `ALL`
/// dropped leaves what is added.
///
/// # Errors
/// [`Error::CapabilityUnknown`], [`Error::CapabilityContradiction`],
/// [`Error::CapabilitiesContradiction`].
pub fn merge(
    base: &BTreeSet<String>,
    known: &BTreeSet<String>,
    add: &[String],
    drop: &[String],
) -> Result<BTreeSet<String>> {
    let normalized = |names: &[String]| -> Result<BTreeSet<String>> {
        names.iter().map(|name| normalize(name)).collect()
    };
    let (added, dropped) = (normalized(add)?, normalized(drop)?);
    match (added.contains("ALL"), dropped.contains("ALL")) {
        (true, true) => return Err(Error::CapabilitiesContradiction),
        (false, true) => return Ok(added),
        (true, false) => return Ok(known.difference(&dropped).cloned().collect()),
        (false, false) => {}
    }
    if let Some(name) = added.intersection(&dropped).next() {
        return Err(Error::CapabilityContradiction { name: name.clone() });
    }
    let kept = base.difference(&dropped).cloned();
    Ok(kept.chain(added.iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_are_normalized() {
        for (name, expected) in [
            ("net_admin", Some("CAP_NET_ADMIN")),
            ("CAP_CHOWN", Some("CAP_CHOWN")),
            ("all", Some("ALL")),
            ("cap_x", None),
            ("", None),
        ] {
            assert_eq!(normalize(name).ok().as_deref(), expected, "{name}");
        }
        assert_eq!(
            normalize("x").unwrap_err().to_string(),
            "\"CAP_X\": unknown capability"
        );
    }

    #[test]
    fn sets_are_merged() {
        let base = set(&["CAP_CHOWN", "CAP_KILL"]);
        let known = set(ALL);
        for (add, drop, expected) in [
            (&[][..], &[][..], Some(set(&["CAP_CHOWN", "CAP_KILL"]))),
            (
                &["SYS_TIME"][..],
                &["kill"][..],
                Some(set(&["CAP_CHOWN", "CAP_SYS_TIME"])),
            ),
            (
                &["SYS_TIME"][..],
                &["ALL"][..],
                Some(set(&["CAP_SYS_TIME"])),
            ),
            (&["ALL"][..], &["ALL"][..], None),
            (&["KILL"][..], &["KILL"][..], None),
        ] {
            let merged = merge(&base, &known, &list(add), &list(drop)).ok();
            assert_eq!(merged, expected, "{add:?} {drop:?}");
        }
        let nearly_all = merge(&base, &known, &list(&["ALL"]), &list(&["MKNOD"])).unwrap();
        assert_eq!(nearly_all.len(), ALL.len() - 1);
    }
}
