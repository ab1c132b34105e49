//! The tree of commands, and the way from arguments to an exit code.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use minke_engine::Engine;

use crate::command::{
    attach, cleanup, create, exec, exists, images, info, inspect, kill, load, logs, pause, ps,
    pull, rm, rmi, run, save, start, stop, tag, unpause, version, wait,
};
use crate::error::{Error, Exit, Result, Table};
use crate::flag;
use crate::globals::Globals;
use crate::output::Output;

/// Run and manage containers and images, without a daemon
#[derive(Debug, Parser)]
#[command(name = "minke", bin_name = "minke", args_override_self = true)]
struct App {
    #[command(flatten)]
    globals: Globals,
    /// Show the version
    #[arg(short = 'v', long = "version")]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Attach to a running container
    Attach(attach::AttachArgs),
    /// Manage containers
    Container(ContainerGroup),
    /// Create a container without starting it
    #[command(disable_help_flag = true)]
    Create(Box<create::CreateArgs>),
    /// Run a command in a running container
    Exec(exec::ExecArgs),
    /// Manage images
    Image(ImageGroup),
    /// List images
    Images(images::ImagesArgs),
    /// Show what this host and this installation have
    Info(info::InfoArgs),
    /// Show all that is known of containers and images
    Inspect(inspect::InspectArgs),
    /// Send a signal to containers
    Kill(kill::KillArgs),
    /// Load images from an archive
    Load(load::LoadArgs),
    /// Show what containers wrote
    Logs(logs::LogsArgs),
    /// Freeze containers
    Pause(pause::PauseArgs),
    /// List containers
    Ps(ps::PsArgs),
    /// Pull images from a registry
    Pull(pull::PullArgs),
    /// Remove containers
    Rm(rm::RmArgs),
    /// Remove images
    Rmi(rmi::RmiArgs),
    /// Run a command in a new container
    #[command(disable_help_flag = true)]
    Run(Box<run::RunArgs>),
    /// Save images to an archive
    Save(save::SaveArgs),
    /// Start containers
    Start(start::StartArgs),
    /// Stop containers
    Stop(stop::StopArgs),
    /// Give an image further names
    Tag(tag::TagArgs),
    /// Let frozen containers go on
    Unpause(unpause::UnpauseArgs),
    /// Show the version
    Version(version::VersionArgs),
    /// Wait until containers end
    Wait(wait::WaitArgs),
}

#[derive(Debug, Args)]
struct ContainerGroup {
    #[command(subcommand)]
    command: Option<ContainerCommand>,
}

#[derive(Debug, Subcommand)]
enum ContainerCommand {
    /// Attach to a running container
    Attach(attach::AttachArgs),
    /// Clean up after a container that ended
    #[command(hide = true)]
    Cleanup(cleanup::CleanupArgs),
    /// Create a container without starting it
    #[command(disable_help_flag = true)]
    Create(Box<create::CreateArgs>),
    /// Run a command in a running container
    Exec(exec::ExecArgs),
    /// Tell by the exit code whether a container is there
    Exists(exists::ExistsArgs),
    /// Show all that is known of containers
    Inspect(inspect::InspectOneKindArgs),
    /// Send a signal to containers
    Kill(kill::KillArgs),
    /// List containers
    #[command(visible_aliases = ["ls", "ps"])]
    List(ps::PsArgs),
    /// Show what containers wrote
    Logs(logs::LogsArgs),
    /// Freeze containers
    Pause(pause::PauseArgs),
    /// Remove containers
    Rm(rm::RmArgs),
    /// Run a command in a new container
    #[command(disable_help_flag = true)]
    Run(Box<run::RunArgs>),
    /// Start containers
    Start(start::StartArgs),
    /// Stop containers
    Stop(stop::StopArgs),
    /// Let frozen containers go on
    Unpause(unpause::UnpauseArgs),
    /// Wait until containers end
    Wait(wait::WaitArgs),
}

#[derive(Debug, Args)]
struct ImageGroup {
    #[command(subcommand)]
    command: Option<ImageCommand>,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Tell by the exit code whether an image is there
    Exists(exists::ExistsArgs),
    /// Show all that is known of images
    Inspect(inspect::InspectOneKindArgs),
    /// List images
    #[command(visible_alias = "ls")]
    List(images::ImagesArgs),
    /// Load images from an archive
    Load(load::LoadArgs),
    /// Pull images from a registry
    Pull(pull::PullArgs),
    /// Remove images
    Rm(rmi::RmiArgs),
    /// Save images to an archive
    Save(save::SaveArgs),
    /// Give an image further names
    Tag(tag::TagArgs),
}

/// All commands and flags, read as Go programs read theirs.
#[cfg(test)]
pub fn definition() -> clap::Command {
    flag::like_go(App::command())
}

/// Does what `arguments` ask for and returns the exit code.
pub fn run(arguments: Vec<OsString>) -> i32 {
    let mut definition = flag::like_go_for(App::command(), &arguments);
    let matches = match definition.try_get_matches_from_mut(arguments.clone()) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error, &definition, &arguments).0,
    };
    let app = match App::from_arg_matches(&matches) {
        Ok(app) => app,
        Err(error) => return refuse(&error, &definition, &arguments).0,
    };
    if let Err(exit) = app.globals.start_logging() {
        return exit.0;
    }
    if app.version {
        println!("minke version {}", env!("CARGO_PKG_VERSION"));
        return 0;
    }
    let ended = match app.command {
        Some(command) => with_command(command, &app.globals),
        None => Err(missing("minke")),
    };
    let exit = match ended {
        Ok(exit) => exit,
        Err(error @ Error::CommandMissing { .. }) => {
            let (_, group) = flag::command_at(&definition, &arguments);
            // Help that cannot be written is not missed by whoever closed stdout.
            let _ = group.clone().print_help();
            error.fail(Table::General)
        }
        Err(error) => error.fail(Table::General),
    };
    exit.0
}

fn refuse(error: &clap::Error, definition: &clap::Command, arguments: &[OsString]) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp) {
        // As above.
        let _ = error.print();
        return Exit::OK;
    }
    flag::refusal(error, definition, arguments).fail(Table::General)
}

fn missing(group: &str) -> Error {
    Error::CommandMissing {
        group: group.to_owned(),
    }
}

fn with_command(command: Command, globals: &Globals) -> Result<Exit> {
    let mut out = Output::new();
    let ended = dispatch(command, globals, &mut out);
    let written = out.flush();
    let exit = ended?;
    written?;
    Ok(exit)
}

fn dispatch(command: Command, globals: &Globals, out: &mut Output) -> Result<Exit> {
    match command {
        Command::Version(args) => version::run(args, out),
        Command::Container(ContainerGroup { command: None }) => Err(missing("minke container")),
        Command::Image(ImageGroup { command: None }) => Err(missing("minke image")),
        command => top_level(command, &open(globals)?, out),
    }
}

/// The engine; for a normal user, inside the user namespace that it needs.
fn open(globals: &Globals) -> Result<Engine> {
    let options = globals.engine_options()?;
    minke_engine::rootless::enter(&options)?;
    Ok(Engine::open(options)?)
}

fn top_level(command: Command, engine: &Engine, out: &mut Output) -> Result<Exit> {
    match command {
        Command::Attach(args) => attach::run(args, engine),
        Command::Create(args) => create::run(*args, engine, out),
        Command::Exec(args) => exec::run(args, engine, out),
        Command::Images(args) => images::run(args, engine, out),
        Command::Info(args) => info::run(args, engine, out),
        Command::Inspect(args) => inspect::run(args, engine, out),
        Command::Kill(args) => kill::run(args, engine, out),
        Command::Load(args) => load::run(args, engine, out),
        Command::Logs(args) => logs::run(args, engine, out),
        Command::Pause(args) => pause::run(args, engine, out),
        Command::Ps(args) => ps::run(args, engine, out),
        Command::Pull(args) => pull::run(args, engine, out),
        Command::Rm(args) => rm::run(args, engine, out),
        Command::Rmi(args) => rmi::run(args, engine, out),
        Command::Run(args) => run::run(*args, engine, out),
        Command::Save(args) => save::run(args, engine, out),
        Command::Start(args) => start::run(args, engine, out),
        Command::Stop(args) => stop::run(args, engine, out),
        Command::Tag(args) => tag::run(args, engine),
        Command::Unpause(args) => unpause::run(args, engine, out),
        Command::Wait(args) => wait::run(args, engine, out),
        Command::Version(args) => version::run(args, out),
        Command::Container(group) => match group.command {
            Some(command) => container(command, engine, out),
            None => Err(missing("minke container")),
        },
        Command::Image(group) => match group.command {
            Some(command) => image(command, engine, out),
            None => Err(missing("minke image")),
        },
    }
}

fn container(command: ContainerCommand, engine: &Engine, out: &mut Output) -> Result<Exit> {
    match command {
        ContainerCommand::Attach(args) => attach::run(args, engine),
        ContainerCommand::Cleanup(args) => cleanup::run(args, engine),
        ContainerCommand::Create(args) => create::run(*args, engine, out),
        ContainerCommand::Exec(args) => exec::run(args, engine, out),
        ContainerCommand::Exists(args) => exists::container(args, engine),
        ContainerCommand::Inspect(args) => inspect::containers(args, engine, out),
        ContainerCommand::Kill(args) => kill::run(args, engine, out),
        ContainerCommand::List(args) => ps::run(args, engine, out),
        ContainerCommand::Logs(args) => logs::run(args, engine, out),
        ContainerCommand::Pause(args) => pause::run(args, engine, out),
        ContainerCommand::Rm(args) => rm::run(args, engine, out),
        ContainerCommand::Run(args) => run::run(*args, engine, out),
        ContainerCommand::Start(args) => start::run(args, engine, out),
        ContainerCommand::Stop(args) => stop::run(args, engine, out),
        ContainerCommand::Unpause(args) => unpause::run(args, engine, out),
        ContainerCommand::Wait(args) => wait::run(args, engine, out),
    }
}

fn image(command: ImageCommand, engine: &Engine, out: &mut Output) -> Result<Exit> {
    match command {
        ImageCommand::Exists(args) => exists::image(args, engine),
        ImageCommand::Inspect(args) => inspect::images(args, engine, out),
        ImageCommand::List(args) => images::run(args, engine, out),
        ImageCommand::Load(args) => load::run(args, engine, out),
        ImageCommand::Pull(args) => pull::run(args, engine, out),
        ImageCommand::Rm(args) => rmi::run(args, engine, out),
        ImageCommand::Save(args) => save::run(args, engine, out),
        ImageCommand::Tag(args) => tag::run(args, engine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn groups_alone_miss_a_command() {
        for line in ["minke", "minke container", "minke image", "minke --root /x"] {
            let matches = definition()
                .try_get_matches_from(line.split_whitespace())
                .unwrap();
            let app = App::from_arg_matches(&matches).unwrap();
            let missing = match app.command {
                None => true,
                Some(Command::Container(group)) => group.command.is_none(),
                Some(Command::Image(group)) => group.command.is_none(),
                Some(_) => false,
            };
            assert!(missing, "{line}");
        }
    }

    #[test]
    fn globals_stand_before_and_after_the_command() {
        for line in [
            "minke --root /x ps",
            "minke ps --root /x",
            "minke container ls --root=/x",
        ] {
            let matches = definition()
                .try_get_matches_from(line.split_whitespace())
                .unwrap();
            let app = App::from_arg_matches(&matches).unwrap();
            assert_eq!(app.globals.root.as_deref(), Some("/x".as_ref()), "{line}");
        }
    }
}
