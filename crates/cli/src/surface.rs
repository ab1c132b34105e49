//! The surface beside Podman's: every command and flag of `docs/spec/cli-podman.json` that has
//! landed is here with the same names and the same kind of value.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::app;

/// Groups that have landed whole, with their twins at the top.
const LANDED: &[&str] = &["container"];

/// What is not here yet or on purpose, as SHORTCOMINGS.md says: a command, or one of its flags.
const MISSING: &[&str] = &[
    "container checkpoint", // only to say that it is not there
    "container restore",
];

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

#[test]
fn every_command_and_flag_of_podman_is_there() {
    let podman = podman();
    let mut root = app::definition();
    root.build();
    let mut missing = Vec::new();
    for command in compared(&podman) {
        let path = command["command"].as_str().unwrap();
        if MISSING.contains(&path) {
            continue;
        }
        let Some(ours) = find(&root, path) else {
            missing.push(path.to_owned());
            continue;
        };
        for flag in command["flags"].as_array().unwrap() {
            let long = flag["long"].as_str().unwrap();
            let full = format!("{path} {long}");
            if MISSING.contains(&full.as_str()) {
                continue;
            }
            let name = long.trim_start_matches("--");
            let found = ours.get_arguments().find(|arg| {
                arg.get_long() == Some(name)
                    || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
            });
            let Some(arg) = found else {
                missing.push(full);
                continue;
            };
            let bare = arg
                .get_num_args()
                .is_some_and(|count| count.min_values() == 0);
            if takes_value(flag) == bare {
                missing.push(format!("{full}: has a value in one and none in the other"));
            }
            if let Some(short) = flag["short"].as_str() {
                let letter = short.chars().nth(1);
                if arg.get_short() != letter {
                    missing.push(format!("{full}: no {short}"));
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "{} missing:\n{}",
        missing.len(),
        missing.join("\n")
    );
}
