//! Which containers a command is about: the names given, or with `--all` those in fitting states.

use std::path::{Path, PathBuf};

use clap::Args;
use minke_engine::{ContainerState, Engine, FilterMap, Selected, Selection};

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;

/// The flags of commands that act on several containers, chosen in any way.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetFlags {
    /// Act on every container that it makes sense for
    #[arg(short, long)]
    all: bool,
    /// Read ids from this file
    #[arg(long, value_name = "PATH")]
    cidfile: Vec<PathBuf>,
    /// Act on containers that pass: KEY=VALUE
    #[arg(short, long)]
    filter: Vec<String>,
    /// Act on the container made last
    #[arg(short, long)]
    latest: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

impl TargetFlags {
    /// Whether containers are named.
    pub fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// What was told; `all` is as well where a further flag means it.
    pub fn wanted(&self, all: bool, ignore_missing: bool) -> Wanted<'_> {
        Wanted {
            names: self.names.clone(),
            all: self.all || all,
            latest: self.latest,
            filters: &self.filter,
            cidfiles: &self.cidfile,
            ignore_missing,
        }
    }
}

/// What a command was told of the containers it is about.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// Names and ids.
    pub names: Vec<String>,
    /// `--all`
    pub all: bool,
    /// `--latest`
    pub latest: bool,
    /// `--filter`
    pub filters: &'a [String],
    /// `--cidfile`
    pub cidfiles: &'a [PathBuf],
    /// A name nobody has, or a file that is not there, is no error.
    pub ignore_missing: bool,
}

impl Wanted<'_> {
    /// What the engine is asked for.
    ///
    /// # Errors
    /// If nothing is named, or in two ways that exclude each other; if a file cannot be read.
    pub fn selection(self) -> Result<Selection> {
        self.check()?;
        let mut names = named(self.names)?;
        for path in self.cidfiles {
            names.extend(id_in(path, self.ignore_missing)?);
        }
        Ok(Selection {
            names,
            all: self.all,
            latest: self.latest,
            filters: filters(self.filters)?,
            ignore_missing: self.ignore_missing,
        })
    }

    /// The rules and words are Podman's.
    fn check(&self) -> Result<()> {
        let has_names = !self.names.is_empty();
        let has_files = !self.cidfiles.is_empty();
        let refusal = match () {
            () if !self.filters.is_empty() && has_names => "--filter takes no arguments",
            () if !self.filters.is_empty() => return Ok(()),
            () if has_files && (self.all || self.latest) => {
                "--all, --latest, and --cidfile cannot be used together"
            }
            () if self.all && self.latest => "--all and --latest cannot be used together",
            () if self.all && has_names => "no arguments are needed with --all",
            () if self.latest && has_names => "--latest and containers cannot be used together",
            () if has_files && has_names => "no arguments are needed with --latest or --cidfile",
            () if has_names || has_files || self.all || self.latest => return Ok(()),
            () => "you must provide at least one name or id",
        };
        Err(Error::refused(refusal))
    }
}

/// `KEY=VALUE` each.
///
/// # Errors
/// If one has no `=`.
pub fn filters(texts: &[String]) -> Result<FilterMap> {
    let mut map = FilterMap::new();
    for text in texts {
        // `label!=x` asks for containers without it.
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Error::refused(format!("invalid filter {text:?}")))?;
        map.entry(key.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    Ok(map)
}

/// The id in a file that `--cidfile` has written.
pub fn id_in(path: &Path, ignore_missing: bool) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().next().map(|line| line.trim().to_owned())),
        Err(error) if ignore_missing && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!(
            "reading CIDFile: open {}",
            path.display()
        ))(error)),
    }
}

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

/// The containers that are meant, as far as they are in one of `states` where they were not
/// named: with `--all` those in another are passed over.
pub fn select(
    engine: &Engine,
    selection: &Selection,
    states: &[ContainerState],
) -> Result<Vec<String>> {
    let selected = engine.select(selection)?;
    let by_name = !selection.all && selection.filters.is_empty();
    let fits = |selected: &Selected| {
        by_name
            || states.is_empty()
            || selected
                .id
                .as_ref()
                .is_some_and(|id| engine.state(id).is_ok_and(|state| states.contains(&state)))
    };
    Ok(selected
        .into_iter()
        .filter(|selected| selected.id.is_some() && fits(selected))
        .map(|selected| selected.typed)
        .collect())
}

/// The one container of a command that takes one name, or `--latest`.
///
/// # Errors
/// If there are more, or none, or both.
pub fn one(names: &[String], latest: bool, engine: &Engine, command: &str) -> Result<String> {
    match (names, latest) {
        ([], false) => Err(Error::refused(format!(
            "\"{command}\" requires a name, id, or the \"--latest\" flag"
        ))),
        ([], true) => newest(engine),
        ([_], true) => Err(Error::refused(
            "--latest and containers cannot be used together",
        )),
        ([name], false) => Ok(named(vec![name.clone()])?.remove(0)),
        (_, _) => Err(Error::refused(format!(
            "`{command}` accepts at most one argument"
        ))),
    }
}

/// The id of the container made last.
///
/// # Errors
/// If there is none.
pub fn newest(engine: &Engine) -> Result<String> {
    let selection = Selection {
        latest: true,
        ..Selection::default()
    };
    let selected = engine.select(&selection)?.pop();
    Ok(selected.map(|selected| selected.typed).unwrap_or_default())
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
    fn ways_to_name_containers_exclude_each_other() {
        let files = [PathBuf::from("/nowhere")];
        for (names, all, latest, filters, cidfiles, expected) in [
            ("a b", false, false, "", &[][..], ""),
            ("", true, false, "", &[][..], ""),
            ("", false, true, "", &[][..], ""),
            ("", false, false, "name=x", &[][..], ""),
            ("", true, false, "name=x", &[][..], ""),
            (
                "",
                false,
                false,
                "",
                &[][..],
                "you must provide at least one name or id",
            ),
            (
                "a",
                true,
                false,
                "",
                &[][..],
                "no arguments are needed with --all",
            ),
            (
                "",
                true,
                true,
                "",
                &[][..],
                "--all and --latest cannot be used together",
            ),
            (
                "a",
                false,
                true,
                "",
                &[][..],
                "--latest and containers cannot be used together",
            ),
            (
                "a",
                false,
                false,
                "name=x",
                &[][..],
                "--filter takes no arguments",
            ),
            ("", false, false, "name", &[][..], "invalid filter \"name\""),
            (
                "",
                true,
                false,
                "",
                &files[..],
                "--all, --latest, and --cidfile cannot be used together",
            ),
            (
                "a",
                false,
                false,
                "",
                &files[..],
                "no arguments are needed with --latest or --cidfile",
            ),
            (
                "",
                false,
                false,
                "",
                &files[..],
                "reading CIDFile: open /nowhere",
            ),
        ] {
            let filters = words(filters);
            let wanted = Wanted {
                names: words(names),
                all,
                latest,
                filters: &filters,
                cidfiles,
                ignore_missing: false,
            };
            let refusal = wanted.selection().err().map(|error| error.to_string());
            assert_eq!(
                refusal.unwrap_or_default(),
                expected,
                "{names} {all} {latest}"
            );
        }
    }

    #[test]
    fn a_missing_file_can_be_ignored() {
        let wanted = Wanted {
            cidfiles: &[PathBuf::from("/nowhere")],
            ignore_missing: true,
            ..Wanted::default()
        };
        assert!(wanted.selection().unwrap().names.is_empty());
    }

    #[test]
    fn empty_names_are_refused() {
        assert!(named(vec![String::new()]).is_err());
    }
}
