//! `minke container cleanup`: what the monitor runs when a container has ended.

use std::time::Duration;

use clap::Args;
use minke_engine::{CleanupRequest, Engine};

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets;

/// How long an idle network is kept for the next container.
const SWEEP_AFTER: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// Remove it too
    #[arg(long)]
    rm: bool,
    /// Then wait a while and take down networks nobody is in
    #[arg(long)]
    sweep: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Takes down what ended containers leave: mounts, network, and with `--rm` themselves. One that
/// is gone is clean.
pub fn run(args: CleanupArgs, engine: &Engine, _: &mut Output) -> Result<Exit> {
    let names = if args.sweep {
        args.names
    } else {
        targets::choose(args.names, false, || Ok(Vec::new()))?
    };
    let request = CleanupRequest { remove: args.rm };
    let mut exit = Exit::OK;
    for name in &names {
        match engine.cleanup(name, &request).map_err(Error::from) {
            Err(error) if !error.is_missing() => exit = exit.worse(error.fail(Table::General)),
            _ => {}
        }
    }
    if args.sweep {
        engine.sweep_networks(SWEEP_AFTER)?;
    }
    Ok(exit)
}
