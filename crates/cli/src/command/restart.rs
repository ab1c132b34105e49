//! `minke restart`.

use std::path::PathBuf;

use clap::Args;
use minke_engine::{ContainerState, Engine, RestartRequest};

use super::stop::patience;
use crate::error::{Exit, Result, Table};
use crate::flag::integer;
use crate::output::Output;
use crate::targets::{self, Wanted};

#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Restart every container, running or not
    #[arg(short, long)]
    all: bool,
    /// Read ids from this file
    #[arg(long, value_name = "PATH")]
    cidfile: Vec<PathBuf>,
    /// Restart containers that pass: KEY=VALUE
    #[arg(short, long)]
    filter: Vec<String>,
    /// Restart the container made last
    #[arg(short, long)]
    latest: bool,
    /// Restart those that run
    #[arg(long)]
    running: bool,
    /// Seconds to wait before it is killed; -1 is for ever (default: its own, else 10)
    #[arg(short, long, alias = "timeout", value_parser = integer, value_name = "SECONDS")]
    time: Option<i64>,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Stops containers, starts them again, and prints the names given.
pub fn run(args: RestartArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let selection = Wanted {
        // `--running` alone means all that run.
        all: args.all || (args.running && args.names.is_empty()),
        names: args.names,
        latest: args.latest,
        filters: &args.filter,
        cidfiles: &args.cidfile,
        ignore_missing: false,
    }
    .selection()?;
    let states: &[ContainerState] = if args.running {
        &[ContainerState::Running]
    } else {
        &[]
    };
    let names = targets::select(engine, &selection, states)?;
    let request = RestartRequest {
        timeout: args.time.map(patience),
    };
    targets::each(&names, Table::General, out, |name| {
        engine.restart(name, &request)?;
        Ok(Some(name.to_owned()))
    })
}
