//! `minke healthcheck run`: one check of a container's health.

use clap::Args;
use minke_engine::{Engine, HealthResult};

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Write when the next check is to be, and not what this one found
    #[arg(long, hide = true)]
    again: bool,
    /// Container
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Checks once. The exit code is 0 for healthy and 1 for not.
pub fn run(args: RunArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let name = targets::only(args.names, "minke healthcheck run")?;
    let found = engine.check_health(&name).map_err(Error::from);
    if args.again {
        // Nothing said and all well: there is nothing to check any more.
        if let Some(wait) = engine.next_health_check(&name)? {
            out.line(&format!("again {}", wait.as_millis().max(1)))?;
        }
        if let Err(error) = found {
            error.fail(Table::General);
        }
        return Ok(Exit::OK);
    }
    match found? {
        HealthResult::Healthy => return Ok(Exit::OK),
        HealthResult::Unhealthy => out.line("unhealthy")?,
        HealthResult::Starting => out.line("starting")?,
    }
    Ok(Exit(1))
}
