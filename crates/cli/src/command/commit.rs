//! `minke commit`: an image of a container as it is now.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use minke_engine::{CommitRequest, Engine, ImageFormat};

use crate::error::{Error, Exit, Result};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct CommitArgs {
    /// The image's author
    #[arg(short, long)]
    author: Option<String>,
    /// Change what the image says of its containers: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL,
    /// ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// File with what the image says of its containers, as JSON
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The image's form: oci or docker
    #[arg(short, long, default_value = "oci")]
    format: String,
    /// Write the image's id to this file
    #[arg(long, value_name = "PATH")]
    iidfile: Option<PathBuf>,
    /// Note where the container's volumes are mounted
    #[arg(long)]
    include_volumes: bool,
    /// What changed; only with --format docker
    #[arg(short, long)]
    message: Option<String>,
    /// Freeze the container meanwhile
    #[arg(short, long)]
    pause: bool,
    /// Show no warnings
    #[arg(short, long)]
    quiet: bool,
    /// Make one layer of all
    #[arg(short, long)]
    squash: bool,
    /// CONTAINER [IMAGE]
    #[arg(value_name = "CONTAINER [IMAGE]")]
    words: Vec<String>,
}

/// Makes an image of a container and prints its id.
pub fn run(args: CommitArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    if !(1..=2).contains(&args.words.len()) {
        return Err(Error::Usage {
            message: format!(
                "accepts between 1 and 2 arg(s), received {}",
                args.words.len()
            ),
            command: "minke commit".to_owned(),
        });
    }
    let mut words = targets::named(args.words)?.into_iter();
    let container = words.next().unwrap_or_default();
    let config = match &args.config {
        Some(path) => {
            let shown = path.display();
            Some(fs::read(path).map_err(Error::io(format!("open {shown}")))?)
        }
        None => None,
    };
    let committed = engine.commit(
        &container,
        &CommitRequest {
            name: words.next(),
            author: args.author,
            message: args.message,
            changes: args.change,
            config,
            format: format(&args.format)?,
            pause: args.pause,
            squash: args.squash,
            include_volumes: args.include_volumes,
        },
    )?;
    if !args.quiet {
        for warning in &committed.warnings {
            eprintln!("WARNING: {warning}");
        }
    }
    if let Some(path) = &args.iidfile {
        let cannot = format!("failed to write image ID to file {:?}", path.display());
        fs::write(path, &committed.id).map_err(Error::io(cannot))?;
    }
    out.line(&committed.id)?;
    Ok(Exit::OK)
}

fn format(text: &str) -> Result<ImageFormat> {
    match text {
        "oci" => Ok(ImageFormat::Oci),
        "docker" => Ok(ImageFormat::Docker),
        _ => Err(Error::refused(format!(
            "unrecognized image format {text:?}"
        ))),
    }
}
