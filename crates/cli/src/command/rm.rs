//! `minke rm`.

use std::path::PathBuf;

use clap::Args;
use minke_engine::{ContainerState, Engine, RemoveRequest, Selection};

use super::stop::patience;
use crate::error::{Error, Exit, Result, Table};
use crate::flag::integer;
use crate::output::Output;
use crate::targets::{self, Wanted};

#[derive(Debug, Args)]
pub struct RmArgs {
    /// Remove every container
    #[arg(short, long)]
    all: bool,
    /// Read ids from this file
    #[arg(long, value_name = "PATH")]
    cidfile: Vec<PathBuf>,
    /// Remove the containers that depend on it too
    #[arg(long)]
    depend: bool,
    /// Remove containers that pass: KEY=VALUE
    #[arg(long)]
    filter: Vec<String>,
    /// Stop it first if it runs, and succeed where there is none
    #[arg(short, long)]
    force: bool,
    /// Succeed where there is no such container
    #[arg(short, long)]
    ignore: bool,
    /// Remove the container made last
    #[arg(short, long)]
    latest: bool,
    /// Remove a container that another engine has made (it is looked for anyway)
    #[arg(long, hide = true)]
    storage: bool,
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
    let mut request = RemoveRequest {
        force: args.force,
        volumes: args.volumes,
        timeout: args.time.map(patience),
        ignore_missing: args.force || args.ignore,
        external: true,
        dependents: args.depend,
    };
    let selection = Wanted {
        names: args.names,
        all: args.all,
        latest: args.latest,
        filters: &args.filter,
        cidfiles: &args.cidfile,
        ignore_missing: request.ignore_missing,
    }
    .selection()?;
    let names = if selection.all || selection.latest || !selection.filters.is_empty() {
        // What is gone by the time it is come to is as wanted.
        request.ignore_missing = true;
        targets::select(engine, &selection, &states(args.force, &selection))?
    } else {
        let missing = missing(engine, &selection)?;
        if !missing.is_empty() {
            let codes = missing.iter().map(|error| error.fail(Table::Remove));
            return Ok(codes.fold(Exit::OK, Exit::worse));
        }
        selection.names
    };
    targets::each(&names, Table::Remove, out, |name| {
        let removed = engine.remove(name, &request)?;
        Ok(removed.map(|_| name.to_owned()))
    })
}

/// A filter without `--force` passes over what runs; `--all` refuses it by name.
fn states(force: bool, selection: &Selection) -> Vec<ContainerState> {
    if force || selection.filters.is_empty() {
        return Vec::new();
    }
    vec![
        ContainerState::Created,
        ContainerState::Initialized,
        ContainerState::Exited,
        ContainerState::Restarting,
    ]
}

fn missing(engine: &Engine, selection: &Selection) -> Result<Vec<Error>> {
    let mut missing = Vec::new();
    if selection.ignore_missing || selection.names.len() < 2 {
        return Ok(missing);
    }
    for name in &selection.names {
        if !engine.can_remove(name)? {
            missing.push(Error::Missing(format!(
                "no container with ID or name {name:?} found: no such container"
            )));
        }
    }
    Ok(missing)
}
