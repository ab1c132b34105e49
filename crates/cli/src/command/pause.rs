//! `minke pause`.

use clap::Args;
use minke_engine::Engine;

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Freeze every running container
    #[arg(short, long)]
    all: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Acts on containers and prints the names given.
pub fn run(args: PauseArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let fitting = || targets::in_states(engine, &["running"]);
    let names = targets::choose(args.names, args.all, fitting)?;
    targets::each(&names, Table::General, out, |name| {
        engine.pause(name)?;
        Ok(Some(name.to_owned()))
    })
}
