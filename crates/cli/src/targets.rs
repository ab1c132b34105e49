//! Which containers a command is about: the names given, or with `--all` those in fitting states.

use minke_engine::{Engine, Id, ListRequest};

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;

/// The names given, or those that `list` finds where `all` is asked for.
///
/// # Errors
/// If there are neither names nor `all`, or both, or an empty name.
pub fn choose(
    names: Vec<String>,
    all: bool,
    list: impl FnOnce() -> Result<Vec<String>>,
) -> Result<Vec<String>> {
    match (names.is_empty(), all) {
        (true, true) => list(),
        (true, false) => Err(Error::refused("you must provide at least one name or id")),
        (false, true) => Err(Error::refused("no arguments are needed with --all")),
        (false, false) => named(names),
    }
}

/// The names, none of which is empty.
///
/// # Errors
/// If one is.
pub fn named(names: Vec<String>) -> Result<Vec<String>> {
    if names.iter().any(String::is_empty) {
        return Err(Error::refused("name or ID cannot be empty"));
    }
    Ok(names)
}

/// The one name that the command takes.
///
/// # Errors
/// If there are fewer or more.
pub fn only(names: Vec<String>, command: &str) -> Result<String> {
    let given = names.len();
    let mut names = named(names)?.into_iter();
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name),
        _ => Err(Error::Usage {
            message: format!("accepts 1 arg(s), received {given}"),
            command: command.to_owned(),
        }),
    }
}

/// At least `least` words.
///
/// # Errors
/// If there are fewer.
pub fn at_least(least: usize, words: &[String], command: &str) -> Result<()> {
    if words.len() >= least {
        return Ok(());
    }
    Err(Error::Usage {
        message: format!(
            "requires at least {least} arg(s), only received {}",
            words.len()
        ),
        command: command.to_owned(),
    })
}

/// The ids of all containers in one of `states`; of all containers where none is named.
pub fn in_states(engine: &Engine, states: &[&str]) -> Result<Vec<String>> {
    let containers = engine.list(&ListRequest { all: true })?;
    let fitting = containers
        .into_iter()
        .filter(|container| states.is_empty() || states.contains(&container.state.as_str()));
    Ok(fitting.map(|container| container.id).collect())
}

/// Whether `text` is the name, the id or the start of an id of one of `known`.
pub fn is_known(known: &[(Id, String)], text: &str) -> bool {
    !text.is_empty()
        && known
            .iter()
            .any(|(id, name)| name == text || id.starts_with(text))
}

/// Does one thing to each target. A line of success goes to stdout, a failure to stderr; the
/// others go on.
pub fn each(
    targets: &[String],
    table: Table,
    out: &mut Output,
    mut act: impl FnMut(&str) -> Result<Option<String>>,
) -> Result<Exit> {
    let mut exit = Exit::OK;
    for target in targets {
        match act(target) {
            Ok(Some(line)) => out.line(&line)?,
            Ok(None) => {}
            Err(error) => {
                out.flush()?;
                exit = exit.worse(error.fail(table));
            }
        }
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn names_and_all_exclude_each_other() {
        let list = || Ok(words("x y"));
        for (names, all, expected) in [
            ("a b", false, Ok(words("a b"))),
            ("", true, Ok(words("x y"))),
            ("", false, Err("you must provide at least one name or id")),
            ("a", true, Err("no arguments are needed with --all")),
        ] {
            let chosen = choose(words(names), all, list).map_err(|error| error.to_string());
            assert_eq!(chosen, expected.map_err(str::to_owned), "{names} {all}");
        }
        assert!(choose(vec![String::new()], false, list).is_err());
    }

    #[test]
    fn ids_are_known_by_their_start() {
        let known = [("abcdef".to_owned(), "web".to_owned())];
        for (text, expected) in [
            ("web", true),
            ("abc", true),
            ("abcdef", true),
            ("we", false),
            ("b", false),
            ("", false),
        ] {
            assert_eq!(is_known(&known, text), expected, "{text}");
        }
    }
}
