//! `minke container exists` and `minke image exists`: an answer by exit code.

use clap::Args;
use minke_engine::Engine;
use serde_json::Value;

use crate::error::{Error, Exit, Result};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct ExistsArgs {
    /// Name or id
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ContainerExistsArgs {
    /// Ask for containers of the store that other engines have made, too
    #[arg(long)]
    external: bool,
    /// Name or id
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Whether there is such a container.
pub fn container(args: ContainerExistsArgs, engine: &Engine, _: &mut Output) -> Result<Exit> {
    let name = targets::only(args.names, "minke container exists")?;
    let found = engine.container_exists(&name, args.external)?;
    Ok(if found { Exit::OK } else { Exit(1) })
}

/// Whether there is such an image.
pub fn image(args: ExistsArgs, engine: &Engine, _: &mut Output) -> Result<Exit> {
    let name = targets::only(args.names, "minke image exists")?;
    answer(engine.inspect_image(&name).map_err(Error::from))
}

fn answer(found: Result<Value>) -> Result<Exit> {
    match found {
        Ok(_) => Ok(Exit::OK),
        Err(error) if error.is_missing() => Ok(Exit(1)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_a_code() {
        assert_eq!(answer(Ok(Value::Null)).unwrap(), Exit(0));
        assert_eq!(answer(Err(Error::Missing("x".into()))).unwrap(), Exit(1));
        assert!(answer(Err(Error::refused("x"))).is_err());
    }
}
