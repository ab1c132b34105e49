//! `minke export`: a container's files as a tar archive.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use minke_engine::Engine;

use crate::error::{Error, Exit, Result};
use crate::output::{Output, STDOUT};
use crate::{targets, terminal};

/// How much is gathered before it is written.
const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// File to write, in place of stdout
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Container
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Writes a container's files as a tar archive.
pub fn run(args: ExportArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let name = targets::only(args.names, "minke export")?;
    match args.output {
        Some(path) => to_file(&name, &path, engine)?,
        None if terminal::is_stdout() => {
            return Err(Error::refused(
                "refusing to export to terminal. Use -o flag or redirect",
            ));
        }
        None => {
            out.flush()?;
            write(&name, io::stdout().lock(), engine, STDOUT)?;
        }
    }
    Ok(Exit::OK)
}

fn to_file(name: &str, path: &std::path::Path, engine: &Engine) -> Result<()> {
    // Nothing is made for a container that is not there.
    engine.state(name)?;
    let shown = path.display();
    let cannot = format!("creating file \"{shown}\": open {shown}");
    let file = File::create(path).map_err(Error::io(cannot))?;
    write(name, file, engine, &format!("write {shown}"))
}

fn write(name: &str, output: impl Write, engine: &Engine, what: &str) -> Result<()> {
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, output);
    engine.export(name, &mut buffered)?;
    buffered.flush().map_err(Error::io(what))
}
