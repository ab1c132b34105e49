//! `minke create`: a container that is not started yet.

use clap::Args;
use minke_engine::{Engine, Id};

use crate::error::{Exit, Result, Table};
use crate::globals;
use crate::output::Output;
use crate::progress::Show;
use crate::spec::{self, flags::ContainerFlags};
use crate::targets;

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    container: ContainerFlags,
    /// IMAGE [COMMAND [ARG...]]
    #[arg(trailing_var_arg = true, value_name = "IMAGE [COMMAND [ARG...]]")]
    words: Vec<String>,
}

/// Creates a container and prints its id.
pub fn run(args: CreateArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    targets::at_least(1, &args.words, "minke create")?;
    match create(&args.container, &args.words, engine) {
        Ok(id) => out.line(&id)?,
        Err(error) => return Ok(error.fail(Table::Create)),
    }
    Ok(Exit::OK)
}

/// Creates the container that `flags` and `words` ask for; warnings go to stderr.
pub fn create(flags: &ContainerFlags, words: &[String], engine: &Engine) -> Result<Id> {
    let spec = spec::container(
        flags,
        words,
        &globals::environment(),
        engine.container_defaults()?,
    )?;
    let request = flags.create_request()?;
    let show = Show::pull_if_needed(&spec.image, flags.quiet);
    let created = engine.create(&spec, &request, &show)?;
    for warning in &created.warnings {
        eprintln!("WARNING: {warning}");
    }
    Ok(created.id)
}
