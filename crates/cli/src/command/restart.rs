//! `minke restart`.

use clap::Args;
use minke_engine::{ContainerState, Engine, RestartRequest};

use super::stop::patience;
use crate::error::{Exit, Result, Table};
use crate::flag::integer;
use crate::output::Output;
use crate::targets::{self, TargetFlags};

#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Restart those that run
    #[arg(long)]
    running: bool,
    /// Seconds to wait before it is killed; -1 is for ever (default: its own, else 10)
    #[arg(short, long, alias = "timeout", value_parser = integer, value_name = "SECONDS")]
    time: Option<i64>,
    #[command(flatten)]
    targets: TargetFlags,
}

/// Stops containers, starts them again, and prints the names given.
pub fn run(args: RestartArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    // `--running` alone means all that run.
    let all = args.running && !args.targets.has_names();
    let selection = args.targets.wanted(all, false).selection()?;
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
