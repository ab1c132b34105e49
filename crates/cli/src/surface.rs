//! The surface beside Podman's: every command and flag of `docs/spec/cli-podman.json` that has
//! landed is here with the same names and the same kind of value.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::app;

/// Groups that have landed whole, with their twins at the top.
const LANDED: &[&str] = &["container"];

/// What is not here yet or on purpose, as SHORTCOMINGS.md says: a command, or one of its flags,
/// without the group.
const MISSING: &[&str] = &[
    "checkpoint", // only to say that it is not there
    "restore",    // as above
    "clone",
    "runlabel",
    "cleanup --exec",
    "cleanup --rmi",
    "exec --wait",
    "stop --service",
    "create --init-ctr",
];

/// Global flags that are not here yet or on purpose, as SHORTCOMINGS.md says.
const MISSING_GLOBALS: &[&str] = &[
    "--config",
    "--connection",
    "--context",
    "--cpu-profile",
    "--db-backend",
    "--events-backend",
    "--host",
    "--identity",
    "--imagestore",
    "--max-workers",
    "--memory-profile",
    "--module",
    "--namespace",
    "--network-backend",
    "--network-cmd-path",
    "--pull-option",
    "--registries-conf",
    "--remote",
    "--ssh",
    "--syslog",
    "--tls-ca",
    "--tls-cert",
    "--tls-key",
    "--trace",
    "--transient-store",
    "--url",
    "--volumepath",
];

#[test]
fn global_flags_of_podman_are_there() {
    let podman = podman();
    let mut root = app::definition();
    root.build();
    let wrong: Vec<String> = podman["global_flags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|flag| {
            let long = flag["long"].as_str().unwrap();
            let difference = difference(flag, &root);
            (difference.is_some() != MISSING_GLOBALS.contains(&long))
                .then(|| format!("{long}{}", difference.unwrap_or_default()))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Podman's description of its command line.
fn podman() -> Value {
    let text = include_str!("../../../docs/spec/cli-podman.json");
    serde_json::from_str(text).expect("the specification is JSON")
}

/// The commands that are compared: those of the groups that have landed, and their twins.
fn compared(podman: &Value) -> Vec<&Value> {
    let commands = podman["commands"].as_array().expect("a list");
    let name = |command: &Value| command["command"].as_str().unwrap_or_default().to_owned();
    let below: BTreeSet<String> = commands
        .iter()
        .filter_map(|command| {
            let name = name(command);
            let (group, rest) = name.split_once(' ')?;
            LANDED.contains(&group).then(|| rest.to_owned())
        })
        .collect();
    let is_compared = |command: &&Value| {
        let name = name(command);
        match name.split_once(' ') {
            Some((group, _)) => LANDED.contains(&group),
            None => below.contains(&name) || LANDED.contains(&name.as_str()),
        }
    };
    commands.iter().filter(is_compared).collect()
}

fn find<'a>(root: &'a clap::Command, path: &str) -> Option<&'a clap::Command> {
    path.split(' ')
        .try_fold(root, |command, word| command.find_subcommand(word))
}

/// Whether the value of a flag has to be given: Podman's type, and ours.
fn takes_value(flag: &Value) -> bool {
    flag["value"] != "bool"
}

/// What is wrong with our form of a flag; `None` where it is as Podman's.
fn difference(flag: &Value, ours: &clap::Command) -> Option<String> {
    let name = flag["long"].as_str()?.trim_start_matches("--");
    let found = ours.get_arguments().find(|arg| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
    });
    let Some(arg) = found else {
        return Some(String::new());
    };
    let bare = arg
        .get_num_args()
        .is_some_and(|count| count.min_values() == 0);
    if takes_value(flag) == bare {
        return Some(": has a value in one and none in the other".to_owned());
    }
    let short = flag["short"].as_str()?;
    (arg.get_short() != short.chars().nth(1)).then(|| format!(": no {short}"))
}

#[test]
fn every_command_and_flag_of_podman_is_there() {
    let podman = podman();
    let mut root = app::definition();
    root.build();
    let mut wrong = Vec::new();
    let mut expected: BTreeSet<&str> = MISSING.iter().copied().collect();
    for command in compared(&podman) {
        let path = command["command"].as_str().unwrap();
        let name = path.rsplit(' ').next().unwrap();
        let ours = find(&root, path);
        if MISSING.contains(&name) {
            expected.remove(name);
            continue;
        }
        let Some(ours) = ours else {
            wrong.push(path.to_owned());
            continue;
        };
        for flag in command["flags"].as_array().unwrap() {
            let long = flag["long"].as_str().unwrap();
            let short_name = format!("{name} {long}");
            let Some(difference) = difference(flag, ours) else {
                continue;
            };
            if !MISSING.contains(&short_name.as_str()) {
                wrong.push(format!("{path} {long}{difference}"));
            }
            expected.remove(short_name.as_str());
        }
    }
    wrong.extend(
        expected
            .iter()
            .map(|name| format!("{name}: is there, and listed as missing")),
    );
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
