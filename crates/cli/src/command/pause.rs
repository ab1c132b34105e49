//! `minke pause`.

use clap::Args;
use minke_engine::{ContainerState, Engine};

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::targets::{self, TargetFlags};

#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    targets: TargetFlags,
}

/// Freezes containers and prints the names given.
pub fn run(args: PauseArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let selection = args.targets.wanted(false, false).selection()?;
    let names = targets::select(engine, &selection, &[ContainerState::Running])?;
    targets::each(&names, Table::General, out, |name| {
        engine.pause(name)?;
        Ok(Some(name.to_owned()))
    })
}
