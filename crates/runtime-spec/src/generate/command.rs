use std::path::PathBuf;

use super::Context;
use crate::{Error, Result};

/// Where the init binary is mounted.
pub(super) const INIT_PATH: &str = "/run/podman-init";

/// Entry point, then command. An entry point that is given drops the image's command.
pub(super) fn arguments(context: &Context<'_>) -> Vec<String> {
    let mut arguments = Vec::new();
    if context.spec.init {
        arguments.extend([INIT_PATH.to_owned(), "--".to_owned()]);
    }
    let words = words(context);
    if words.is_empty() {
        arguments.push(String::new()); // the runtime names what is missing
    }
    arguments.extend(words);
    arguments
}

/// As [`arguments`], without an init before them.
pub(super) fn words(context: &Context<'_>) -> Vec<String> {
    let (spec, image) = (context.spec, context.image);
    let given = spec.entrypoint.as_deref();
    let entrypoint = given.unwrap_or(&image.entrypoint);
    let mut arguments = Vec::new();
    if entrypoint != [""] {
        arguments.extend_from_slice(entrypoint);
    }
    if spec.command.is_empty() && given.is_none_or(<[String]>::is_empty) {
        arguments.extend_from_slice(&image.cmd);
    } else {
        arguments.extend_from_slice(&spec.command);
    }
    arguments
}

/// The directory to start in.
pub(super) fn directory(context: &Context<'_>) -> Result<PathBuf> {
    let image = &context.image.working_dir;
    let directory = match context.spec.workdir.as_deref() {
        Some(directory) => directory,
        None if image.is_empty() => "/",
        None => image,
    };
    if directory.starts_with('/') {
        Ok(PathBuf::from(directory))
    } else if context.spec.workdir.is_none() {
        Ok(PathBuf::from(format!("/{directory}")))
    } else {
        Err(Error::ContainerPathRelative {
            path: directory.to_owned(),
        })
    }
}
