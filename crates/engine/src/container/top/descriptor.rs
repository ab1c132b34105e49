//! The columns of `top`: Podman's descriptors, with the codes of AIX's ps(1).

use minke_runtime_spec::option::capability::ALL;

use super::names::Names;
use super::process::{Process, Which};
use crate::moment::go_duration;

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    pub name: &'static str,
    /// `%p`; empty where there is none.
    code: &'static str,
    pub title: &'static str,
    cell: fn(&Process, &Names) -> String,
}

impl Descriptor {
    /// The column of this name or code.
    pub fn named(word: &str) -> Option<Descriptor> {
        all()
            .find(|descriptor| {
                descriptor.name == word || (descriptor.code == word && !word.is_empty())
            })
            .copied()
    }

    /// What it shows of a process.
    pub fn cell(&self, process: &Process, names: &Names) -> String {
        (self.cell)(process, names)
    }
}

/// Every column, by name.
pub fn all() -> impl Iterator<Item = &'static Descriptor> {
    TABLE.iter()
}

const fn column(
    name: &'static str,
    code: &'static str,
    title: &'static str,
    cell: fn(&Process, &Names) -> String,
) -> Descriptor {
    Descriptor {
        name,
        code,
        title,
        cell,
    }
}

const TABLE: &[Descriptor] = &[
    column("args", "%a", "COMMAND", |process, _| process.command_line()),
    column("capamb", "", "AMBIENT CAPS", |process, _| {
        capabilities(process.status("CapAmb"))
    }),
    column("capbnd", "", "BOUNDING CAPS", |process, _| {
        capabilities(process.status("CapBnd"))
    }),
    column("capeff", "", "EFFECTIVE CAPS", |process, _| {
        capabilities(process.status("CapEff"))
    }),
    column("capinh", "", "INHERITED CAPS", |process, _| {
        capabilities(process.status("CapInh"))
    }),
    column("capprm", "", "PERMITTED CAPS", |process, _| {
        capabilities(process.status("CapPrm"))
    }),
    column("comm", "%c", "COMMAND", |process, _| process.name()),
    column("etime", "%t", "ELAPSED", |process, _| {
        go_duration(process.age())
    }),
    column("group", "%G", "GROUP", |process, names| {
        names.group(process.group(Which::Effective))
    }),
    column("groups", "", "GROUPS", |process, names| {
        joined(process.groups(), |group| names.group(group))
    }),
    column("hgroup", "", "HGROUP", |process, names| {
        names.host_group(process.host_group(Which::Effective))
    }),
    column("hgroups", "", "HGROUPS", |process, names| {
        joined(process.host_groups(), |group| names.host_group(group))
    }),
    column("hpid", "", "HPID", |process, _| process.pid.to_string()),
    column("huid", "", "HUID", |process, _| {
        process.host_user(Which::Effective).to_string()
    }),
    column("huser", "", "HUSER", |process, names| {
        names.host_user(process.host_user(Which::Effective))
    }),
    column("label", "", "LABEL", |process, _| process.label()),
    column("nice", "%n", "NI", |process, _| {
        process.field(19).to_owned()
    }),
    column("pcpu", "%C", "%CPU", |process, _| cpu_percent(process)),
    column("pgid", "%r", "PGID", |process, _| {
        process.inner_group().to_string()
    }),
    column("pid", "%p", "PID", |process, _| {
        process.inner_pid().to_string()
    }),
    column("ppid", "%P", "PPID", |process, _| {
        process.inner_parent().to_string()
    }),
    column("rgroup", "%g", "RGROUP", |process, names| {
        names.group(process.group(Which::Real))
    }),
    column("rss", "", "RSS", |process, _| {
        process.resident_kib().to_string()
    }),
    column("ruser", "%u", "RUSER", |process, names| {
        names.user(process.user(Which::Real))
    }),
    column("seccomp", "", "SECCOMP", |process, _| {
        seccomp(process.status("Seccomp"))
    }),
    column("state", "", "STATE", |process, _| {
        process.field(3).to_owned()
    }),
    column("stime", "", "STIME", |process, _| start(process)),
    column("time", "%x", "TIME", |process, _| {
        go_duration(process.cpu_time())
    }),
    column("tty", "%y", "TTY", |process, _| process.terminal()),
    column("uid", "", "UID", |process, _| {
        process.user(Which::Effective).to_string()
    }),
    column("user", "%U", "USER", |process, names| {
        names.user(process.user(Which::Effective))
    }),
    column("vsz", "%z", "VSZ", |process, _| {
        process.virtual_kib().to_string()
    }),
];

fn joined(ids: Vec<u32>, name: impl Fn(u32) -> String) -> String {
    let names: Vec<String> = ids.into_iter().map(name).collect();
    names.join(",")
}

/// `none`, `full`, or the names without `CAP_`, sorted.
fn capabilities(mask: &str) -> String {
    let mask = u64::from_str_radix(mask, 16).unwrap_or(0);
    let has = |number: usize| mask.checked_shr(number as u32).unwrap_or(0) & 1 == 1;
    let held = ALL.iter().enumerate().filter(|(number, _)| has(*number));
    let mut names: Vec<&str> = held
        .map(|(_, name)| name.strip_prefix("CAP_").unwrap_or(name))
        .collect();
    match names.len() {
        0 => "none".to_owned(),
        all if all == ALL.len() => "full".to_owned(),
        _ => {
            names.sort_unstable();
            names.join(",")
        }
    }
}

fn seccomp(mode: &str) -> String {
    match mode {
        "0" => "disabled",
        "1" => "strict",
        "2" => "filter",
        _ => "?",
    }
    .to_owned()
}

#[allow(clippy::cast_precision_loss)] // three digits are shown
fn cpu_percent(process: &Process) -> String {
    let age = process.age().as_millis();
    let percent = if age == 0 {
        0.0
    } else {
        process.cpu_time().as_millis() as f64 * 100.0 / age as f64
    };
    format!("{percent:.3}")
}

fn start(process: &Process) -> String {
    let zoned = process.started().to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_names_and_codes() {
        for (word, title) in [
            ("pid", Some("PID")),
            ("%p", Some("PID")),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(
                Descriptor::named(word).map(|found| found.title),
                title,
                "{word}"
            );
        }
        assert_eq!(all().count(), 32);
    }

    #[test]
    fn capabilities_have_names() {
        assert_eq!(capabilities("0000000000000000"), "none");
        assert_eq!(capabilities("0000000000000003"), "CHOWN,DAC_OVERRIDE");
        assert_eq!(capabilities("000001ffffffffff"), "full");
    }
}
