//! `--latest`: the container made last.

use minke_engine::{Engine, ListRequest};

use crate::error::{Error, Result};

/// The id of the container made last.
///
/// # Errors
/// If there is none.
pub fn newest(engine: &Engine) -> Result<String> {
    let containers = engine.list(&ListRequest { all: true })?;
    let newest = containers.into_iter().next_back();
    newest
        .map(|container| container.id)
        .ok_or_else(|| Error::Missing("no containers exist: no such container".to_owned()))
}
