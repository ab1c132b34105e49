//! `minke attach`.

use clap::Args;
use minke_engine::Engine;

use super::session::{self, Session};
use crate::detach_keys;
use crate::error::{Exit, Result};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Keys that leave it running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Attach to the container made last
    #[arg(short, long)]
    latest: bool,
    /// Do not pass stdin on
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to it (default true)
    #[arg(long)]
    sig_proxy: Option<bool>,
    /// Container
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Attaches to a running container. The exit code is its process's.
pub fn run(args: AttachArgs, engine: &Engine, _: &mut Output) -> Result<Exit> {
    let name = targets::one(&args.names, args.latest, engine, "minke attach")?;
    let keys = detach_keys::chosen(args.detach_keys.as_deref(), engine)?;
    let session = Session {
        stdin: !args.no_stdin,
        sig_proxy: args.sig_proxy.unwrap_or(true),
        ..Session::of_output(session::has_terminal(engine, &name)?, keys)
    };
    let end = session.hold(|request| engine.attach(&name, request))?;
    Ok(session::exit(end))
}
