//! `minke kill`.

use std::path::PathBuf;

use clap::Args;
use minke_engine::{ContainerState, Engine};

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::targets::{self, Wanted};

#[derive(Debug, Args)]
pub struct KillArgs {
    /// Signal every running container
    #[arg(short, long)]
    all: bool,
    /// Read ids from this file
    #[arg(long, value_name = "PATH")]
    cidfile: Vec<PathBuf>,
    /// Signal the container made last
    #[arg(short, long)]
    latest: bool,
    /// Signal to send, by name or number
    #[arg(short, long, default_value = "KILL")]
    signal: String,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Sends a signal to containers and prints the names given.
pub fn run(args: KillArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let signal = minke_runtime_spec::option::signal::parse(&args.signal)?;
    let selection = Wanted {
        names: args.names,
        all: args.all,
        latest: args.latest,
        cidfiles: &args.cidfile,
        ..Wanted::default()
    }
    .selection()?;
    let names = targets::select(engine, &selection, &[ContainerState::Running])?;
    targets::each(&names, Table::General, out, |name| {
        engine.kill(name, signal)?;
        Ok(Some(name.to_owned()))
    })
}
