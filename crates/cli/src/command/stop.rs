//! `minke stop`.

use std::time::Duration;

use clap::Args;
use minke_engine::{ContainerState, Engine, StopRequest};

use crate::error::{Exit, Result, Table};
use crate::flag::integer;
use crate::output::Output;
use crate::targets::{self, TargetFlags};

#[derive(Debug, Args)]
pub struct StopArgs {
    /// Succeed where there is no such container
    #[arg(short, long)]
    ignore: bool,
    /// Seconds to wait before it is killed; -1 is for ever (default: its own, else 10)
    #[arg(short, long, alias = "timeout", value_parser = integer, value_name = "SECONDS")]
    time: Option<i64>,
    /// The host goes down: nobody wants them to stay stopped after its next boot
    #[arg(long)]
    for_shutdown: bool,
    #[command(flatten)]
    targets: TargetFlags,
}

/// Stops containers and prints the names given.
pub fn run(args: StopArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let request = StopRequest {
        timeout: args.time.map(patience),
        ignore_missing: args.ignore,
        for_shutdown: args.for_shutdown,
        ..StopRequest::default()
    };
    let selection = args.targets.wanted(false, args.ignore).selection()?;
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
