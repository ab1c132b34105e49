//! One entry of the tree of commands: what the tree shows of it, its flags, and what it does.
//!
//! An entry is data that costs nothing until it is chosen: the flags of a command are added to
//! the definition only when the arguments lead to it. With hundreds of commands this is what keeps
//! the start of each short.

use clap::{ArgMatches, Args};
use minke_engine::Engine;

use crate::error::Exit;
use crate::error::Result;
use crate::examples;
use crate::flag;
use crate::globals::Globals;
use crate::output::Output;

/// A command, or a group of them.
#[derive(Debug, Clone, Copy)]
pub struct Verb {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub about: &'static str,
    hidden: bool,
    h_is_help: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Command {
        augment: fn(clap::Command) -> clap::Command,
        act: Act,
    },
    Group(&'static [Verb]),
}

/// What a command does, once its flags are read.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// With the engine, for a normal user inside the user namespace that it needs.
    Engine(fn(&ArgMatches, &Engine, &mut Output) -> Result<Exit>),
    /// With the engine, for a normal user only where they are in the user namespace already:
    /// what it does would not be seen outside.
    Inside(fn(&ArgMatches, &Engine, &mut Output) -> Result<Exit>),
    /// With the engine and the global flags, to run this program again with them.
    Nested(fn(&ArgMatches, &Globals, &Engine, &mut Output) -> Result<Exit>),
    /// Without.
    Alone(fn(&ArgMatches, &Globals, &mut Output) -> Result<Exit>),
}

/// A command of the engine: `verb!("ps", "List containers", ps::PsArgs, ps::run)`, where the
/// function takes the flags, the engine and the output.
macro_rules! verb {
    ($name:literal, $about:literal, $args:ty, $run:path) => {
        $crate::verb::Verb::command::<$args>(
            $name,
            $about,
            $crate::verb::Act::Engine(|matches, engine, out| {
                $run($crate::verb::read::<$args>(matches), engine, out)
            }),
        )
    };
}

/// As [`verb!`], of a command that a normal user must give inside the user namespace.
macro_rules! verb_inside {
    ($name:literal, $about:literal, $args:ty, $run:path) => {
        $crate::verb::Verb::command::<$args>(
            $name,
            $about,
            $crate::verb::Act::Inside(|matches, engine, out| {
                $run($crate::verb::read::<$args>(matches), engine, out)
            }),
        )
    };
}

/// As [`verb!`], of a command that runs this program again: its function takes the flags, the
/// global flags, the engine and the output.
macro_rules! verb_nested {
    ($name:literal, $about:literal, $args:ty, $run:path) => {
        $crate::verb::Verb::command::<$args>(
            $name,
            $about,
            $crate::verb::Act::Nested(|matches, globals, engine, out| {
                $run($crate::verb::read::<$args>(matches), globals, engine, out)
            }),
        )
    };
}

/// As [`verb!`], of a command that does not need the engine: its function takes the flags, the
/// global flags and the output.
macro_rules! verb_alone {
    ($name:literal, $about:literal, $args:ty, $run:path) => {
        $crate::verb::Verb::command::<$args>(
            $name,
            $about,
            $crate::verb::Act::Alone(|matches, globals, out| {
                $run($crate::verb::read::<$args>(matches), globals, out)
            }),
        )
    };
}

pub(crate) use {verb, verb_alone, verb_inside, verb_nested};

impl Verb {
    /// A command with the flags of `A`.
    pub const fn command<A: Args>(name: &'static str, about: &'static str, act: Act) -> Self {
        let augment = augment::<A>;
        Self::new(name, about, Kind::Command { augment, act })
    }

    /// A group of commands.
    pub const fn group(name: &'static str, about: &'static str, commands: &'static [Verb]) -> Self {
        Self::new(name, about, Kind::Group(commands))
    }

    const fn new(name: &'static str, about: &'static str, kind: Kind) -> Self {
        Self {
            name,
            aliases: &[],
            about,
            hidden: false,
            h_is_help: true,
            kind,
        }
    }

    /// Other names of it.
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Taken, and not shown in help.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// `-h` means something else.
    pub const fn own_h(mut self) -> Self {
        self.h_is_help = false;
        self
    }

    /// What the parser knows of it.
    pub fn definition(&self) -> clap::Command {
        let command = clap::Command::new(self.name)
            .about(self.about)
            .visible_aliases(self.aliases)
            .hide(self.hidden)
            .disable_help_flag(!self.h_is_help);
        match self.kind {
            Kind::Command { augment, .. } => command.defer(augment),
            Kind::Group(verbs) => command.subcommands(verbs.iter().map(Verb::definition)),
        }
    }

    /// Follows `matches` down to what is to be done, and how it is called. `Err` is the path of a group of which no
    /// command was named, such as `minke container`.
    pub fn find<'a>(
        verbs: &[Verb],
        matches: &'a ArgMatches,
        path: &str,
    ) -> Result<(Act, &'a ArgMatches, String), String> {
        let Some((name, below)) = matches.subcommand() else {
            return Err(path.to_owned());
        };
        let verb = verbs.iter().find(|verb| verb.name == name);
        let verb = verb.expect("the parser knows the commands of the tree");
        let path = format!("{path} {name}");
        match verb.kind {
            Kind::Command { act, .. } => Ok((act, below, path)),
            Kind::Group(verbs) => Verb::find(verbs, below, &path),
        }
    }
}

fn augment<A: Args>(command: clap::Command) -> clap::Command {
    // The documentation of a type of flags is not the command's description.
    let about = command.get_about().cloned();
    let examples = examples::of(command.get_name());
    let command = flag::like_go(A::augment_args(command))
        .about(about.unwrap_or_default())
        .long_about(None);
    match examples {
        Some(examples) => command.after_help(examples),
        None => command,
    }
}

/// The flags of a command that was chosen.
pub fn read<A: Args>(matches: &ArgMatches) -> A {
    A::from_arg_matches(matches).expect("the parser has checked the flags it was given")
}
