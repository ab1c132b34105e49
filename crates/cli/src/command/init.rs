//! `minke init`: everything up to a start.

use clap::Args;
use minke_engine::{ContainerState, Engine};

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::targets::{self, Wanted};

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Prepare every container that does not run
    #[arg(short, long)]
    all: bool,
    /// Prepare the container made last
    #[arg(short, long)]
    latest: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Sets containers up without starting them and prints the names given.
pub fn run(args: InitArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let selection = Wanted {
        names: args.names,
        all: args.all,
        latest: args.latest,
        ..Wanted::default()
    }
    .selection()?;
    let idle = [ContainerState::Created, ContainerState::Exited];
    let names = targets::select(engine, &selection, &idle)?;
    targets::each(&names, Table::General, out, |name| {
        engine.init(name)?;
        Ok(Some(name.to_owned()))
    })
}
