//! `minke unpause`.

use clap::Args;
use minke_engine::{ContainerState, Engine};

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::targets::{self, TargetFlags};

#[derive(Debug, Args)]
pub struct UnpauseArgs {
    #[command(flatten)]
    targets: TargetFlags,
}

/// Lets frozen containers go on and prints the names given.
pub fn run(args: UnpauseArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let selection = args.targets.wanted(false, false).selection()?;
    let names = targets::select(engine, &selection, &[ContainerState::Paused])?;
    targets::each(&names, Table::General, out, |name| {
        engine.unpause(name)?;
        Ok(Some(name.to_owned()))
    })
}
