//! The way from arguments to an exit code.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args as _, FromArgMatches as _};
use minke_engine::Engine;

use crate::error::{Error, Exit, Result, Table};
use crate::flag;
use crate::globals::Globals;
use crate::output::Output;
use crate::tree;
use crate::verb::{Act, Verb};

/// The global flags, and every command with those of its flags that a parse has led to.
pub fn definition() -> clap::Command {
    let root = clap::Command::new("minke")
        .bin_name("minke")
        .about("Run and manage containers and images, without a daemon")
        .args_override_self(true);
    flag::like_go(Globals::augment_args(root)).subcommands(tree::TOP.iter().map(Verb::definition))
}

/// Does what `arguments` ask for and returns the exit code.
pub fn run(arguments: Vec<OsString>) -> i32 {
    let mut definition = definition();
    match definition.try_get_matches_from_mut(&arguments) {
        Ok(matches) => perform(&matches, &definition, &arguments).0,
        Err(error) => refuse(&error, &definition, &arguments).0,
    }
}

/// The global flags among words that need not be a whole command line.
pub fn globals_of(words: &[String]) -> Globals {
    let line = std::iter::once("minke").chain(words.iter().map(String::as_str));
    let matches = definition().ignore_errors(true).try_get_matches_from(line);
    let globals = matches.and_then(|matches| Globals::from_arg_matches(&matches));
    globals.unwrap_or_default()
}

fn refuse(error: &clap::Error, definition: &clap::Command, arguments: &[OsString]) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp) {
        // Help that cannot be written is not missed by whoever closed stdout.
        let _ = error.print();
        return Exit::OK;
    }
    flag::refusal(error, definition, arguments).fail(Table::General)
}

fn perform(matches: &ArgMatches, definition: &clap::Command, arguments: &[OsString]) -> Exit {
    let globals = match Globals::from_arg_matches(matches) {
        Ok(globals) => globals,
        Err(error) => return refuse(&error, definition, arguments),
    };
    if let Err(exit) = globals.start_logging() {
        return exit;
    }
    if let Err(error) = globals.redirect_stdout() {
        return error.fail(Table::General);
    }
    if globals.version {
        println!("minke version {}", env!("CARGO_PKG_VERSION"));
        return Exit::OK;
    }
    match Verb::find(tree::TOP, matches, "minke") {
        Ok((act, matches, path)) => match with_output(act, matches, &globals, &path) {
            Ok(exit) => exit,
            Err(error) => error.fail(Table::General),
        },
        Err(group) => {
            let (_, command) = flag::command_at(definition, arguments);
            // As above.
            let _ = command.clone().print_help();
            Error::CommandMissing { group }.fail(Table::General)
        }
    }
}

fn with_output(act: Act, matches: &ArgMatches, globals: &Globals, path: &str) -> Result<Exit> {
    let mut out = Output::new();
    let ended = match act {
        Act::Alone(act) => act(matches, globals, &mut out),
        Act::Engine(act) => open(globals).and_then(|engine| act(matches, &engine, &mut out)),
        Act::Nested(act) => {
            open(globals).and_then(|engine| act(matches, globals, &engine, &mut out))
        }
        Act::Inside(act) => refuse_outside(globals, path)
            .and_then(|()| open(globals))
            .and_then(|engine| act(matches, &engine, &mut out)),
    };
    let written = out.flush();
    let exit = ended?;
    written?;
    Ok(exit)
}

/// The words are Podman's, the program's name apart.
fn refuse_outside(globals: &Globals, path: &str) -> Result<()> {
    let is_rootless = globals.engine_options()?.is_rootless();
    if !is_rootless || rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "cannot run command \"{path}\" in rootless mode, must execute `minke unshare` first"
    )))
}

/// The engine; for a normal user, inside the user namespace that it needs.
pub fn open(globals: &Globals) -> Result<Engine> {
    let options = globals.engine_options()?;
    minke_engine::rootless::enter(&options)?;
    Ok(Engine::open(options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> ArgMatches {
        definition()
            .try_get_matches_from(line.split_whitespace())
            .unwrap()
    }

    #[test]
    fn the_definition_is_consistent() {
        let mut whole = definition();
        whole.build();
        whole.debug_assert();
    }

    #[test]
    fn groups_alone_miss_a_command() {
        for (line, group) in [
            ("minke", "minke"),
            ("minke container", "minke container"),
            ("minke image", "minke image"),
            ("minke --root /x", "minke"),
        ] {
            let missing = Verb::find(tree::TOP, &parsed(line), "minke").err();
            assert_eq!(missing.as_deref(), Some(group), "{line}");
        }
    }

    #[test]
    fn globals_stand_before_and_after_the_command() {
        for line in [
            "minke --root /x ps",
            "minke ps --root /x",
            "minke container ls --root=/x",
        ] {
            let globals = Globals::from_arg_matches(&parsed(line)).unwrap();
            assert_eq!(globals.root.as_deref(), Some("/x".as_ref()), "{line}");
        }
    }
}
