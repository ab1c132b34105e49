//! `minke start`.

use clap::Args;
use minke_engine::Engine;

use super::session::{self, Session};
use crate::detach_keys;
use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct StartArgs {
    /// Start every container that does not run
    #[arg(long)]
    all: bool,
    /// Show its output and end with its exit code
    #[arg(short, long)]
    attach: bool,
    /// Pass stdin on
    #[arg(short, long)]
    interactive: bool,
    /// Keys that leave it running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on to it (default true when attached)
    #[arg(long)]
    sig_proxy: Option<bool>,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Starts containers and prints the names given, or stays with one.
pub fn run(args: StartArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let is_attached = args.attach || args.interactive;
    check(&args, is_attached)?;
    if is_attached {
        return stay(&args, engine);
    }
    let idle = || targets::in_states(engine, &["created", "exited", "stopped"]);
    let names = targets::choose(args.names, args.all, idle)?;
    targets::each(&names, Table::General, out, |name| {
        engine.start(name)?;
        Ok(Some(name.to_owned()))
    })
}

fn check(args: &StartArgs, is_attached: bool) -> Result<()> {
    let refusal = match args.names.len() {
        0 if !args.all => "start requires at least one argument",
        1.. if args.all => {
            "either start all containers or the container(s) provided in the arguments"
        }
        0 if is_attached => "you cannot start and attach all containers at once",
        2.. if is_attached => "you cannot start and attach multiple containers at once",
        _ => return Ok(()),
    };
    Err(Error::refused(refusal))
}

fn stay(args: &StartArgs, engine: &Engine) -> Result<Exit> {
    let name = targets::only(args.names.clone(), "minke start")?;
    let keys = detach_keys::chosen(args.detach_keys.as_deref(), engine)?;
    let session = Session {
        stdin: args.interactive,
        sig_proxy: args.sig_proxy.unwrap_or(true),
        ..Session::of_output(session::has_terminal(engine, &name)?, keys)
    };
    let end = session.hold(|request| engine.start_attached(&name, request))?;
    Ok(session::exit(end))
}
