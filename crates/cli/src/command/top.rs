//! `minke top`: a container's processes.

use std::io::Write as _;

use clap::Args;
use minke_engine::{Engine, ExecRequest};

use super::session::Session;
use crate::error::{Error, Exit, Result, Table};
use crate::output::{Output, table};
use crate::{globals, targets};

#[derive(Debug, Args)]
pub struct TopArgs {
    /// Show the processes of the container made last
    #[arg(short, long)]
    latest: bool,
    /// List the columns there are
    #[arg(long, hide = true)]
    list_descriptors: bool,
    /// CONTAINER [COLUMN...], or arguments for the container's own ps
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CONTAINER [COLUMN...|PS ARG...]"
    )]
    words: Vec<String>,
}

/// Shows the processes of a container.
pub fn run(args: TopArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    if args.list_descriptors {
        for name in minke_engine::top_descriptors() {
            out.line(name)?;
        }
        return Ok(Exit::OK);
    }
    let (name, columns) = match (args.latest, args.words.split_first()) {
        (true, _) => (targets::newest(engine)?, args.words.as_slice()),
        (false, Some((name, columns))) => (name.clone(), columns),
        (false, None) => {
            return Err(Error::refused(
                "you must provide the name or id of a running container",
            ));
        }
    };
    let name = targets::named(vec![name])?.remove(0);
    if !minke_engine::are_top_descriptors(columns) {
        return by_ps(&name, columns, engine);
    }
    let processes = engine.top(&name, columns)?;
    out.text(&table::set(Some(&processes.titles), &processes.rows))?;
    Ok(Exit::OK)
}

/// Runs the container's own ps.
fn by_ps(name: &str, arguments: &[String], engine: &Engine) -> Result<Exit> {
    // One that does not run is refused as ever.
    engine.top(name, &[])?;
    std::io::stdout()
        .flush()
        .map_err(Error::io(crate::output::STDOUT))?;
    let mut command = vec!["ps".to_owned()];
    command.extend_from_slice(arguments);
    let request = ExecRequest {
        command,
        env: globals::environment()
            .into_iter()
            .filter(|(key, _)| key == "TERM")
            .collect(),
        ..ExecRequest::default()
    };
    let session = Session::of_output(false, Vec::new());
    match session.hold(|streams| engine.exec(name, &request, streams)) {
        Ok(0) => Ok(Exit::OK),
        Ok(code) => Err(Error::refused(format!(
            "executing ps(1) in container: ended with {code}"
        ))),
        Err(error) => Ok(error.fail(Table::General)),
    }
}
