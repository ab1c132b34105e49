//! `minke pull`.

use clap::Args;
use minke_engine::Engine;

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::progress::Show;
use crate::spec::flags::{RegistryFlags, pull_policy};
use crate::targets;

#[derive(Debug, Args)]
pub struct PullArgs {
    /// When to pull: always, missing, newer, never
    #[arg(long, default_value = "always")]
    policy: String,
    /// Print the ids only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryFlags,
    /// Images
    #[arg(value_name = "IMAGE")]
    names: Vec<String>,
}

/// Pulls images and prints their ids.
pub fn run(args: PullArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    targets::at_least(1, &args.names, "minke pull")?;
    let request = args.registry.pull_request(pull_policy(&args.policy)?)?;
    targets::each(&args.names, Table::General, out, |name| {
        let show = Show::pull(name, args.quiet);
        Ok(Some(engine.pull(name, &request, &show)?))
    })
}
