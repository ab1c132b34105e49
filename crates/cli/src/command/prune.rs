//! `minke container prune`.

use clap::Args;
use minke_engine::Engine;

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::{targets, terminal};

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Remove containers that pass: label=KEY[=VALUE], label!=KEY[=VALUE], until=TIME
    #[arg(long)]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

const QUESTION: &str = "\
WARNING! This will remove all non running containers.
Are you sure you want to continue? [y/N] ";

/// Removes containers that do not run and prints their ids.
pub fn run(args: PruneArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    if !args.force && !terminal::confirm(QUESTION)? {
        return Ok(Exit::OK);
    }
    let mut exit = Exit::OK;
    for pruned in engine.prune_containers(&targets::filters(&args.filter)?)? {
        match pruned {
            Ok(id) => out.line(&id)?,
            Err(error) => exit = exit.worse(Error::from(error).fail(Table::General)),
        }
    }
    Ok(exit)
}
