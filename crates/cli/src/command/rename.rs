//! `minke rename`.

use clap::Args;
use minke_engine::Engine;

use crate::error::{Error, Exit, Result};
use crate::output::Output;

#[derive(Debug, Args)]
pub struct RenameArgs {
    /// CONTAINER NAME
    #[arg(value_name = "CONTAINER NAME")]
    words: Vec<String>,
}

/// Gives a container another name.
pub fn run(args: RenameArgs, engine: &Engine, _: &mut Output) -> Result<Exit> {
    let [container, name] = args.words.as_slice() else {
        return Err(Error::Usage {
            message: format!("accepts 2 arg(s), received {}", args.words.len()),
            command: "minke rename".to_owned(),
        });
    };
    engine.rename(container, name)?;
    Ok(Exit::OK)
}
