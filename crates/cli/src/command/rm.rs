//! `minke rm`.

use clap::Args;
use minke_engine::{Engine, RemoveRequest};

use super::stop::patience;
use crate::error::{Error, Exit, Result, Table};
use crate::flag::integer;
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct RmArgs {
    /// Remove every container
    #[arg(short, long)]
    all: bool,
    /// Stop it first if it runs, and succeed where there is none
    #[arg(short, long)]
    force: bool,
    /// Succeed where there is no such container
    #[arg(short, long)]
    ignore: bool,
    /// With --force, seconds to wait before it is killed; -1 is for ever (default: its own, else 10)
    #[arg(short, long, value_parser = integer, value_name = "SECONDS")]
    time: Option<i64>,
    /// Remove its anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Removes containers and prints the names given. Where one of several is missing, none is removed.
pub fn run(args: RmArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    if args.time.is_some() && !args.force {
        return Err(Error::refused(
            "--force option must be specified to use the --time option",
        ));
    }
    let request = RemoveRequest {
        force: args.force,
        volumes: args.volumes,
        timeout: args.time.map(patience),
        ignore_missing: args.force || args.ignore || args.all,
    };
    let names = targets::choose(args.names, args.all, || targets::in_states(engine, &[]))?;
    if !request.ignore_missing && names.len() > 1 {
        let missing = missing(engine, &names)?;
        if !missing.is_empty() {
            let codes = missing.iter().map(|error| error.fail(Table::Remove));
            return Ok(codes.fold(Exit::OK, Exit::worse));
        }
    }
    targets::each(&names, Table::Remove, out, |name| {
        let removed = engine.remove(name, &request)?;
        Ok(removed.map(|_| name.to_owned()))
    })
}

fn missing(engine: &Engine, names: &[String]) -> Result<Vec<Error>> {
    let known = engine.container_names()?;
    let unknown = names.iter().filter(|name| !targets::is_known(&known, name));
    let errors = unknown.map(|name| {
        Error::Missing(format!(
            "no container with ID or name {name:?} found: no such container"
        ))
    });
    Ok(errors.collect())
}
