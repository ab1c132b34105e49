use oci_spec::runtime::{PosixRlimit, PosixRlimitBuilder, PosixRlimitType};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::Result;
use crate::host::Host;
use crate::option::ulimit::{Rlimit, Ulimit};

/// Podman's, where neither the user nor containers.conf says.
const DEFAULTS: &[(Rlimit, u64)] = &[(Rlimit::Nofile, 1_048_576), (Rlimit::Nproc, 4_194_304)];

/// A limit that came out lower than it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clamp {
    /// Of what.
    pub limit: Rlimit,
    /// The hard limit that was meant.
    pub wanted: u64,
    /// The hard limit that is.
    pub given: u64,
    /// Why.
    pub reason: String,
}

/// Those asked for and the defaults, as far as the host lets: what is above is clamped and told.
pub(super) fn limits(context: &Context<'_>, clamps: &mut Vec<Clamp>) -> Result<Vec<PosixRlimit>> {
    let host = context.host;
    let mut limits: Vec<Ulimit> = Vec::new();
    for asked in &context.spec.ulimits {
        limits.retain(|other| other.limit != asked.limit); // the last one counts
        limits.push(clamped(*asked, host, clamps));
    }
    let built_in = DEFAULTS.iter().map(|&(limit, value)| Ulimit {
        limit,
        soft: value,
        hard: value,
    });
    for default in host.default_ulimits.iter().copied().chain(built_in) {
        if limits.iter().all(|other| other.limit != default.limit) {
            limits.push(clamped(default, host, clamps));
        }
    }
    limits.sort_by_key(|limit| limit.limit);
    Ok(limits.into_iter().map(oci).collect())
}

/// The most this process may set.
fn ceiling(limit: Rlimit, host: &Host) -> Option<u64> {
    if host.may_raise_limits {
        return None;
    }
    host.hard_limits.get(&limit).copied()
}

fn clamped(wanted: Ulimit, host: &Host, clamps: &mut Vec<Clamp>) -> Ulimit {
    let Some(hard) = ceiling(wanted.limit, host).filter(|hard| wanted.hard > *hard) else {
        return wanted;
    };
    clamps.push(Clamp {
        limit: wanted.limit,
        wanted: wanted.hard,
        given: hard,
        reason: format!("the hard limit of this process is {hard}, and it may not raise it"),
    });
    Ulimit {
        hard,
        soft: wanted.soft.min(hard),
        ..wanted
    }
}

fn oci(limit: Ulimit) -> PosixRlimit {
    let typ = match limit.limit {
        Rlimit::Core => PosixRlimitType::RlimitCore,
        Rlimit::Cpu => PosixRlimitType::RlimitCpu,
        Rlimit::Data => PosixRlimitType::RlimitData,
        Rlimit::Fsize => PosixRlimitType::RlimitFsize,
        Rlimit::Locks => PosixRlimitType::RlimitLocks,
        Rlimit::Memlock => PosixRlimitType::RlimitMemlock,
        Rlimit::Msgqueue => PosixRlimitType::RlimitMsgqueue,
        Rlimit::Nice => PosixRlimitType::RlimitNice,
        Rlimit::Nofile => PosixRlimitType::RlimitNofile,
        Rlimit::Nproc => PosixRlimitType::RlimitNproc,
        Rlimit::Rss => PosixRlimitType::RlimitRss,
        Rlimit::Rtprio => PosixRlimitType::RlimitRtprio,
        Rlimit::Rttime => PosixRlimitType::RlimitRttime,
        Rlimit::Sigpending => PosixRlimitType::RlimitSigpending,
        Rlimit::Stack => PosixRlimitType::RlimitStack,
        Rlimit::As => PosixRlimitType::RlimitAs,
    };
    PosixRlimitBuilder::default()
        .typ(typ)
        .hard(limit.hard)
        .soft(limit.soft)
        .build()
        .expect("a limit's builder has a default for every field")
}
