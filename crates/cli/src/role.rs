//! Other programs this binary can be: by its name, or by its first argument.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A part of minke with a command line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    part: Part,
    /// How many arguments name the role, the program's name included.
    named_by: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Conmon,
    Oci,
    Init,
    RootlessKeeper,
}

/// The role that `arguments` ask for, if any. Costs two comparisons: every start pays it.
pub fn of(arguments: &[OsString]) -> Option<Role> {
    let name = Path::new(arguments.first()?).file_name();
    if let Some(part) = name.and_then(by_name) {
        return Some(Role { part, named_by: 1 });
    }
    let part = match arguments.get(1)?.to_str()? {
        "conmon" => Part::Conmon,
        "oci" => Part::Oci,
        // `minke init NAME` is a command.
        "init" if arguments.get(2).is_some_and(|word| word == "--") => Part::Init,
        minke_engine::rootless::KEEPER_ROLE => Part::RootlessKeeper,
        _ => return None,
    };
    Some(Role { part, named_by: 2 })
}

fn by_name(name: &OsStr) -> Option<Part> {
    match name.to_str()? {
        "conmon" | "minke-conmon" => Some(Part::Conmon),
        "oci" | "minke-oci" | "crun" | "runc" => Some(Part::Oci),
        "podman-init" | "minke-init" | "catatonit" => Some(Part::Init),
        _ => None,
    }
}

impl Role {
    /// Is that program, and returns its exit code.
    pub fn run(self, mut arguments: Vec<OsString>) -> i32 {
        match self.part {
            Part::Conmon => {
                let rest = arguments.split_off(self.named_by);
                minke_conmon_rs::run(rest, &conmon_environment())
            }
            Part::Oci => {
                let rest = arguments.split_off(self.named_by - 1);
                minke_oci_runtime::cli::run(rest, &oci_surroundings())
            }
            Part::Init => minke_oci_runtime::init::run(arguments.split_off(self.named_by)),
            Part::RootlessKeeper => minke_engine::rootless::keep(),
        }
    }
}

fn conmon_environment() -> minke_conmon_rs::Environment {
    minke_conmon_rs::Environment {
        vars: std::env::vars_os().collect(),
        cwd: std::env::current_dir().unwrap_or_default(),
    }
}

fn oci_surroundings() -> minke_oci_runtime::cli::Surroundings {
    minke_oci_runtime::cli::Surroundings {
        runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(Into::into),
        // Root of a normal user's namespace is not the host's.
        is_root: rustix::process::geteuid().is_root()
            && std::env::var_os(minke_engine::rootless::UID_VARIABLE).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_by_program_or_first_argument() {
        let conmon = |named_by| Role {
            part: Part::Conmon,
            named_by,
        };
        let oci = |named_by| Role {
            part: Part::Oci,
            named_by,
        };
        for (line, expected) in [
            ("/usr/bin/conmon --cid x", Some(conmon(1))),
            ("minke conmon --cid x", Some(conmon(2))),
            ("minke-oci state x", Some(oci(1))),
            ("/opt/crun state x", Some(oci(1))),
            ("runc", Some(oci(1))),
            (
                "/run/podman-init -- sh",
                Some(Role {
                    part: Part::Init,
                    named_by: 1,
                }),
            ),
            ("minke oci state x", Some(oci(2))),
            ("minke run conmon", None),
            ("minke init web", None),
            (
                "minke init -- sh",
                Some(Role {
                    part: Part::Init,
                    named_by: 2,
                }),
            ),
            ("minke --root conmon ps", None),
            ("minke", None),
            ("", None),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(of(&arguments), expected, "{line}");
        }
    }
}
