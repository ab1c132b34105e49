//! Filter flags as the bits of seccomp(2).

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};

/// `SECCOMP_FILTER_FLAG_TSYNC`.
pub const TSYNC: u64 = 1 << 0;
/// `SECCOMP_FILTER_FLAG_LOG`.
pub const LOG: u64 = 1 << 1;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`.
pub const SPEC_ALLOW: u64 = 1 << 2;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
pub const NEW_LISTENER: u64 = 1 << 3;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.
pub const WAIT_KILLABLE_RECV: u64 = 1 << 5;

/// The flags argument of `seccomp(SECCOMP_SET_MODE_FILTER, flags, program)`.
///
/// [`NEW_LISTENER`] is set when a rule or the default notifies; the caller then gets the
/// listener's descriptor as the result, and sends it to `listener_path`. The kernel refuses
/// it together with [`TSYNC`], which is left out in that case: a runtime loads its filter
/// while it has one thread.
pub fn kernel_bits(seccomp: &LinuxSeccomp) -> u64 {
    let bits = seccomp
        .flags()
        .iter()
        .flatten()
        .fold(0, |bits, flag| bits | kernel_bit(*flag));
    if notifies(seccomp) {
        (bits & !TSYNC) | NEW_LISTENER
    } else {
        bits & !WAIT_KILLABLE_RECV
    }
}

/// Whether any outcome of the policy asks a supervisor.
pub fn notifies(seccomp: &LinuxSeccomp) -> bool {
    let notify = LinuxSeccompAction::ScmpActNotify;
    seccomp.default_action() == notify
        || seccomp
            .syscalls()
            .iter()
            .flatten()
            .any(|rule| rule.action() == notify)
}

fn kernel_bit(flag: LinuxSeccompFilterFlag) -> u64 {
    match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => TSYNC,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => WAIT_KILLABLE_RECV,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> LinuxSeccomp {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn flags_become_bits() {
        for (json, bits) in [
            (r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#, 0),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_SPEC_ALLOW","SECCOMP_FILTER_FLAG_TSYNC"]}"#,
                LOG | SPEC_ALLOW | TSYNC,
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_NOTIFY","flags":["SECCOMP_FILTER_FLAG_TSYNC"]}"#,
                NEW_LISTENER,
            ),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
                0,
            ),
        ] {
            assert_eq!(kernel_bits(&policy(json)), bits, "{json}");
        }
    }
}
