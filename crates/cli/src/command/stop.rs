//! `minke stop`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use minke_engine::{ContainerState, Engine, StopRequest};

use crate::error::{Exit, Result, Table};
use crate::flag::integer;
use crate::output::Output;
use crate::targets::{self, Wanted};

#[derive(Debug, Args)]
pub struct StopArgs {
    /// Stop every running container
    #[arg(short, long)]
    all: bool,
    /// Read ids from this file
    #[arg(long, value_name = "PATH")]
    cidfile: Vec<PathBuf>,
    /// Stop containers that pass: KEY=VALUE
    #[arg(short, long)]
    filter: Vec<String>,
    /// Succeed where there is no such container
    #[arg(short, long)]
    ignore: bool,
    /// Stop the container made last
    #[arg(short, long)]
    latest: bool,
    /// Seconds to wait before it is killed; -1 is for ever (default: its own, else 10)
    #[arg(short, long, alias = "timeout", value_parser = integer, value_name = "SECONDS")]
    time: Option<i64>,
    /// The host goes down: nobody wants them to stay stopped after its next boot
    #[arg(long)]
    for_shutdown: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Stops containers and prints the names given.
pub fn run(args: StopArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let request = StopRequest {
        timeout: args.time.map(patience),
        ignore_missing: args.ignore,
        for_shutdown: args.for_shutdown,
        ..StopRequest::default()
    };
    let selection = Wanted {
        names: args.names,
        all: args.all,
        latest: args.latest,
        filters: &args.filter,
        cidfiles: &args.cidfile,
        ignore_missing: args.ignore,
    }
    .selection()?;
    let running = [
        ContainerState::Initialized,
        ContainerState::Running,
        ContainerState::Paused,
        ContainerState::Stopping,
        ContainerState::Restarting,
    ];
    let names = targets::select(engine, &selection, &running)?;
    targets::each(&names, Table::General, out, |name| {
        let stopped = engine.stop(name, &request)?;
        Ok(stopped.map(|_| name.to_owned()))
    })
}

/// So many seconds; a negative number is for ever.
pub fn patience(seconds: i64) -> Duration {
    u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs)
}
