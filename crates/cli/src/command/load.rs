//! `minke load`.

use std::io;
use std::path::PathBuf;

use clap::Args;
use minke_engine::Engine;
use tempfile::NamedTempFile;

use crate::error::{Error, Exit, Result};
use crate::output::Output;
use crate::progress::Show;
use crate::terminal;

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Archive to read, in place of stdin
    #[arg(short, long, value_name = "PATH")]
    input: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// Loads an archive's images and prints their names.
pub fn run(args: LoadArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let show = Show::new(args.quiet);
    let loaded = match &args.input {
        Some(path) => engine.load(path, &show)?,
        None => engine.load(spooled(engine)?.path(), &show)?,
    };
    for name in loaded {
        out.line(&format!("Loaded image: {name}"))?;
    }
    Ok(Exit::OK)
}

/// Stdin as a file, since an archive is read more than once.
fn spooled(engine: &Engine) -> Result<NamedTempFile> {
    if terminal::is_stdin() {
        return Err(Error::refused(
            "cannot read from terminal, use command-line redirection or the --input flag",
        ));
    }
    let cannot = "cannot spool standard input";
    let mut file = NamedTempFile::new_in(engine.temp_dir()?).map_err(Error::io(cannot))?;
    io::copy(&mut io::stdin().lock(), file.as_file_mut()).map_err(Error::io(cannot))?;
    Ok(file)
}
