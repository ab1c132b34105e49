//! `minke tag`.

use clap::Args;
use minke_engine::Engine;

use crate::error::{Exit, Result};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct TagArgs {
    /// IMAGE TARGET_NAME [TARGET_NAME...]
    #[arg(value_name = "IMAGE TARGET_NAME")]
    names: Vec<String>,
}

/// Gives an image further names.
pub fn run(args: TagArgs, engine: &Engine, _: &mut Output) -> Result<Exit> {
    targets::at_least(2, &args.names, "minke tag")?;
    let names = targets::named(args.names)?;
    for new in &names[1..] {
        engine.tag(&names[0], new)?;
    }
    Ok(Exit::OK)
}
