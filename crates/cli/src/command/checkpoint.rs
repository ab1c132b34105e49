//! `minke container checkpoint` and `restore`: refused for now, by name.

use clap::Args;
use minke_engine::Engine;

use crate::error::{Error, Exit, Result};
use crate::output::Output;

#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// Any
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CONTAINER"
    )]
    words: Vec<String>,
}

/// Says that processes cannot be saved yet.
pub fn checkpoint(args: CheckpointArgs, _: &Engine, _: &mut Output) -> Result<Exit> {
    Err(refusal("checkpoint", &args.words))
}

/// Says that processes cannot be brought back yet.
pub fn restore(args: CheckpointArgs, _: &Engine, _: &mut Output) -> Result<Exit> {
    Err(refusal("restore", &args.words))
}

fn refusal(command: &str, words: &[String]) -> Error {
    Error::refused(format!(
        "container {command}{}: minke cannot use CRIU yet; \
         podman with runc or crun can do this with containers of its own",
        words
            .iter()
            .map(|word| format!(" {word}"))
            .collect::<String>()
    ))
}
