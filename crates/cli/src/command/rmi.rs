//! `minke rmi`.

use clap::Args;
use minke_engine::{Engine, ImagesRequest, RemoveImageRequest, RemovedImage};

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct RmiArgs {
    /// Remove every image
    #[arg(short, long)]
    all: bool,
    /// Remove containers that use it too, and succeed where there is none
    #[arg(short, long)]
    force: bool,
    /// Succeed where there is no such image
    #[arg(short, long)]
    ignore: bool,
    /// Images
    #[arg(value_name = "IMAGE")]
    names: Vec<String>,
}

/// Removes images and prints what was untagged and deleted. Failures are told together at the end.
pub fn run(args: RmiArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    if args.names.is_empty() && !args.all {
        return Err(Error::refused("image name or ID must be specified"));
    }
    if !args.names.is_empty() && args.all {
        return Err(Error::refused(
            "when using the --all switch, you may not pass any images names or IDs",
        ));
    }
    let names = targets::choose(args.names, args.all, || every(engine))?;
    let request = RemoveImageRequest { force: args.force };
    let mut errors = Vec::new();
    for name in &names {
        match engine.remove_image(name, &request).map_err(Error::from) {
            Ok(removed) => print(&removed, out)?,
            Err(error) if error.is_missing() && (args.force || args.ignore || args.all) => {}
            Err(error) => errors.push(error),
        }
    }
    out.flush()?;
    Ok(match errors.len() {
        0 => Exit::OK,
        1 => errors[0].fail(Table::Remove),
        _ => Error::Several(errors).fail(Table::Remove),
    })
}

/// All images, each by every name it has.
fn every(engine: &Engine) -> Result<Vec<String>> {
    let images = engine.images(&ImagesRequest { all: true })?;
    let names = images.into_iter().flat_map(|image| {
        if image.names.is_empty() {
            vec![image.id]
        } else {
            image.names
        }
    });
    Ok(names.collect())
}

fn print(removed: &RemovedImage, out: &mut Output) -> Result<()> {
    for name in &removed.untagged {
        out.line(&format!("Untagged: {name}"))?;
    }
    for id in &removed.deleted {
        out.line(&format!("Deleted: {id}"))?;
    }
    Ok(())
}
