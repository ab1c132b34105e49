//! `--ulimit NAME=SOFT[:HARD]`.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What of a process is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names are setrlimit(2)'s
pub enum Rlimit {
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
    As,
}

/// All of them, with the names users type.
const NAMES: &[(&str, Rlimit)] = &[
    ("core", Rlimit::Core),
    ("cpu", Rlimit::Cpu),
    ("data", Rlimit::Data),
    ("fsize", Rlimit::Fsize),
    ("locks", Rlimit::Locks),
    ("memlock", Rlimit::Memlock),
    ("msgqueue", Rlimit::Msgqueue),
    ("nice", Rlimit::Nice),
    ("nofile", Rlimit::Nofile),
    ("nproc", Rlimit::Nproc),
    ("rss", Rlimit::Rss),
    ("rtprio", Rlimit::Rtprio),
    ("rttime", Rlimit::Rttime),
    ("sigpending", Rlimit::Sigpending),
    ("stack", Rlimit::Stack),
    ("as", Rlimit::As),
];

impl Rlimit {
    /// The name users type.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find_map(|(name, limit)| (*limit == self).then_some(*name))
            .unwrap_or_default()
    }
}

/// A limit; [`u64::MAX`] is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Of what.
    pub limit: Rlimit,
    /// What the process starts with.
    pub soft: u64,
    /// What it may raise it to.
    pub hard: u64,
}

/// Parses the option. -1 and `unlimited` are unlimited; without a hard limit it is the soft one.
///
/// # Errors
/// [`Error::Syntax`].
pub fn parse(text: &str) -> Result<Ulimit> {
    let refuse = |message: String| Error::syntax("--ulimit", message);
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| refuse(format!("invalid ulimit argument: {text}")))?;
    let (_, limit) = NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| refuse(format!("invalid ulimit type: {name}")))?;
    let (soft, hard) = match values.split(':').collect::<Vec<_>>()[..] {
        [soft] => (value(soft)?, value(soft)?),
        [soft, hard] => (value(soft)?, value(hard)?),
        _ => {
            return Err(refuse(format!(
                "too many limit value arguments - {values}, can only have up to two, `soft[:hard]`"
            )));
        }
    };
    if soft > hard {
        let soft = if soft == u64::MAX {
            "-1 (unlimited)".to_owned()
        } else {
            soft.to_string()
        };
        return Err(refuse(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )));
    }
    Ok(Ulimit {
        limit: *limit,
        soft,
        hard,
    })
}

fn value(text: &str) -> Result<u64> {
    match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        _ => text.parse().map_err(|_| {
            Error::syntax(
                "--ulimit",
                format!("strconv.ParseInt: parsing {text:?}: invalid syntax"),
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        for (text, expected) in [
            ("nofile=1024", Some((Rlimit::Nofile, 1024, 1024))),
            ("nofile=1024:4096", Some((Rlimit::Nofile, 1024, 4096))),
            ("core=-1", Some((Rlimit::Core, u64::MAX, u64::MAX))),
            ("nproc=10:unlimited", Some((Rlimit::Nproc, 10, u64::MAX))),
            ("nofile", None),
            ("files=1", None),
            ("nofile=2:1", None),
            ("nofile=-1:1", None),
            ("nofile=1:2:3", None),
            ("nofile=x", None),
        ] {
            let read = parse(text).ok().map(|u| (u.limit, u.soft, u.hard));
            assert_eq!(read, expected, "{text}");
        }
        assert!(NAMES.iter().all(|(name, limit)| limit.name() == *name));
    }
}
