//! `minke save`.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use clap::Args;
use minke_engine::{Engine, SaveFormat, SaveRequest};

use crate::error::{Error, Exit, Result};
use crate::output::{Output, STDOUT};
use crate::targets;
use crate::terminal;

#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Kind of archive: docker-archive, oci-archive, oci-dir, docker-dir
    #[arg(long, default_value = "docker-archive")]
    format: String,
    /// Save several images, where an argument would otherwise be a further name of the first
    #[arg(short, long)]
    multi_image_archive: bool,
    /// File or directory to write, in place of stdout
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Accepted for Docker's sake: nothing is said in any case
    #[arg(short, long)]
    #[allow(dead_code)] // it is enough that it is taken
    quiet: bool,
    /// Images
    #[arg(value_name = "IMAGE")]
    names: Vec<String>,
}

/// Saves images to an archive.
pub fn run(args: SaveArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    targets::at_least(1, &args.names, "minke save")?;
    let format = archive_kind(&args.format)?;
    if args.names.len() > 1 && !args.multi_image_archive {
        return Err(Error::refused(
            "several images need --multi-image-archive, which makes each argument an image",
        ));
    }
    match args.output {
        Some(output) => engine.save(&args.names, &SaveRequest { format, output })?,
        None => to_stdout(&args.names, format, engine, out)?,
    }
    Ok(Exit::OK)
}

fn archive_kind(text: &str) -> Result<SaveFormat> {
    Ok(match text {
        "docker-archive" => SaveFormat::DockerArchive,
        "oci-archive" => SaveFormat::OciArchive,
        "oci-dir" => SaveFormat::OciDir,
        "docker-dir" => SaveFormat::DockerDir,
        _ => {
            return Err(Error::refused(format!(
                "unsupported format {text:?}: use one of docker-archive, oci-archive, oci-dir, docker-dir"
            )));
        }
    })
}

fn to_stdout(
    names: &[String],
    format: SaveFormat,
    engine: &Engine,
    out: &mut Output,
) -> Result<()> {
    if matches!(format, SaveFormat::OciDir | SaveFormat::DockerDir) {
        return Err(Error::refused(
            "a directory cannot be written to stdout: use --output",
        ));
    }
    if terminal::is_stdout() {
        return Err(Error::refused(
            "refusing to save to terminal. Use -o flag or redirect",
        ));
    }
    let cannot = "cannot make a temporary directory";
    let directory = tempfile::tempdir_in(engine.temp_dir()?).map_err(Error::io(cannot))?;
    let output = directory.path().join("archive");
    let request = SaveRequest {
        format,
        output: output.clone(),
    };
    engine.save(names, &request)?;
    out.flush()?;
    let mut archive = File::open(output).map_err(Error::io("cannot read the archive"))?;
    io::copy(&mut archive, &mut io::stdout().lock()).map_err(Error::io(STDOUT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_podmans() {
        for (text, known) in [
            ("docker-archive", true),
            ("oci-archive", true),
            ("oci-dir", true),
            ("docker-dir", true),
            ("zip", false),
        ] {
            assert_eq!(archive_kind(text).is_ok(), known, "{text}");
        }
    }
}
