//! `minke unpause`.

use std::path::PathBuf;

use clap::Args;
use minke_engine::{ContainerState, Engine};

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::targets::{self, Wanted};

#[derive(Debug, Args)]
pub struct UnpauseArgs {
    /// Let every frozen container go on
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

/// Acts on containers and prints the names given.
pub fn run(args: UnpauseArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let selection = Wanted {
        names: args.names,
        all: args.all,
        latest: args.latest,
        filters: &args.filter,
        cidfiles: &args.cidfile,
        ignore_missing: false,
    }
    .selection()?;
    let names = targets::select(engine, &selection, &[ContainerState::Paused])?;
    targets::each(&names, Table::General, out, |name| {
        engine.unpause(name)?;
        Ok(Some(name.to_owned()))
    })
}
