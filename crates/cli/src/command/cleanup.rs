//! `minke container cleanup`: what the monitor runs when a container has ended.

use clap::Args;
use minke_engine::{CleanupRequest, Engine};

use crate::error::{Error, Exit, Result, Table};
use crate::targets;

#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// Remove it too
    #[arg(long)]
    rm: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Takes down what ended containers leave: mounts, network, and with `--rm` themselves. One that
/// is gone is clean.
pub fn run(args: CleanupArgs, engine: &Engine) -> Result<Exit> {
    let names = targets::choose(args.names, false, || Ok(Vec::new()))?;
    let request = CleanupRequest { remove: args.rm };
    let mut exit = Exit::OK;
    for name in &names {
        match engine.cleanup(name, &request).map_err(Error::from) {
            Err(error) if !error.is_missing() => exit = exit.worse(error.fail(Table::General)),
            _ => {}
        }
    }
    Ok(exit)
}
