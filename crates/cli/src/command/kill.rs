//! `minke kill`.

use clap::Args;
use minke_engine::Engine;

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct KillArgs {
    /// Signal every running container
    #[arg(short, long)]
    all: bool,
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
    let running = || targets::in_states(engine, &["running"]);
    let names = targets::choose(args.names, args.all, running)?;
    targets::each(&names, Table::General, out, |name| {
        engine.kill(name, signal)?;
        Ok(Some(name.to_owned()))
    })
}
