//! `minke mount` and `minke unmount`: a container's files on the host.

use std::path::Path;

use clap::Args;
use minke_engine::{Engine, MountedContainer, UnmountRequest};
use serde::Serialize;

use crate::error::{Error, Exit, Result, Table};
use crate::output::{Output, indented, short_id};
use crate::targets::{self, Wanted};

#[derive(Debug, Args)]
pub struct MountArgs {
    /// Mount every container
    #[arg(short, long)]
    all: bool,
    /// json, in place of a table
    #[arg(long)]
    format: Option<String>,
    /// Mount the container made last
    #[arg(short, long)]
    latest: bool,
    /// Do not shorten ids
    #[arg(long, alias = "notruncate")]
    no_trunc: bool,
    /// Containers; without any, what is mounted is listed
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct UnmountArgs {
    /// Unmount every container that does not run
    #[arg(short, long)]
    all: bool,
    /// Unmount however often it is mounted
    #[arg(short, long)]
    force: bool,
    /// Unmount the container made last
    #[arg(short, long)]
    latest: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Mounts the roots of containers and prints where, or lists those that are mounted.
pub fn mount(args: MountArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    if let Some(format) = args.format.as_deref().filter(|&format| format != "json") {
        return Err(Error::refused(format!(
            "unknown --format argument: {format:?}"
        )));
    }
    if args.names.is_empty() && !args.all && !args.latest {
        list(&engine.mounted_roots()?, &args, out)?;
        return Ok(Exit::OK);
    }
    let names = chosen(args.names, args.all, args.latest, engine)?;
    targets::each(&names, Table::General, out, |name| {
        Ok(Some(engine.mount_root(name)?.display().to_string()))
    })
}

/// Unmounts the roots of containers and prints the names given.
pub fn unmount(args: UnmountArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let request = UnmountRequest { force: args.force };
    let by_name = !args.all && !args.latest;
    let names = chosen(args.names, args.all, args.latest, engine)?;
    let mounted = if by_name {
        Vec::new()
    } else {
        engine.mounted_roots()?
    };
    targets::each(&names, Table::General, out, |name| {
        let skipped = !by_name
            && (engine.state(name)?.is_alive()
                || !mounted.iter().any(|container| container.id == name));
        if skipped {
            return Ok(None);
        }
        engine.unmount_root(name, &request)?;
        Ok(Some(name.to_owned()))
    })
}

/// The containers meant, all of which are there.
fn chosen(names: Vec<String>, all: bool, latest: bool, engine: &Engine) -> Result<Vec<String>> {
    let selection = Wanted {
        names,
        all,
        latest,
        ..Wanted::default()
    }
    .selection()?;
    // Names may be of other engines' containers, which only the store knows.
    let names = match all || latest {
        true => targets::select(engine, &selection, &[])?,
        false => selection.names,
    };
    for name in &names {
        engine.has_root(name)?;
    }
    Ok(names)
}

fn list(mounted: &[MountedContainer], args: &MountArgs, out: &mut Output) -> Result<()> {
    if args.format.is_some() {
        let documents: Vec<_> = mounted.iter().map(Document::from).collect();
        return out.text(&(indented(&documents, b" ") + "\n"));
    }
    let shown = |container: &MountedContainer| match args.no_trunc {
        true => container.id.clone(),
        false => short_id(&container.id).to_owned(),
    };
    for container in mounted {
        out.line(&format!(
            "{}  {}",
            shown(container),
            container.path.display()
        ))?;
    }
    Ok(())
}

/// One element of `--format json`, its fields in Podman's order.
#[derive(Debug, Serialize)]
struct Document<'a> {
    id: &'a str,
    #[serde(rename = "Names")]
    names: &'a [String],
    mountpoint: &'a Path,
}

impl<'a> From<&'a MountedContainer> for Document<'a> {
    fn from(container: &'a MountedContainer) -> Self {
        Self {
            id: &container.id,
            names: &container.names,
            mountpoint: &container.path,
        }
    }
}
