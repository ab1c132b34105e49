//! `minke start`.

use clap::Args;
use minke_engine::{ContainerState, Engine};

use super::session::{self, Session};
use crate::detach_keys;
use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets::{self, Wanted};

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
    /// Start containers that pass: KEY=VALUE
    #[arg(short, long)]
    filter: Vec<String>,
    /// Start the container made last
    #[arg(short, long)]
    latest: bool,
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
    let selection = Wanted {
        names: args.names,
        all: args.all,
        latest: args.latest,
        filters: &args.filter,
        ..Wanted::default()
    }
    .selection()?;
    let idle = [
        ContainerState::Created,
        ContainerState::Initialized,
        ContainerState::Exited,
    ];
    let names = targets::select(engine, &selection, &idle)?;
    targets::each(&names, Table::General, out, |name| {
        engine.start(name)?;
        Ok(Some(name.to_owned()))
    })
}

fn check(args: &StartArgs, is_attached: bool) -> Result<()> {
    let by_flag = args.all || args.latest || !args.filter.is_empty();
    let refusal = match args.names.len() {
        0 if !by_flag => "start requires at least one argument",
        _ if args.all && args.latest => "--all and --latest cannot be used together",
        1.. if args.latest => "--latest and containers cannot be used together",
        1.. if args.all => {
            "either start all containers or the container(s) provided in the arguments"
        }
        0 if is_attached && !args.latest => "you cannot start and attach all containers at once",
        2.. if is_attached => "you cannot start and attach multiple containers at once",
        _ => return Ok(()),
    };
    Err(Error::refused(refusal))
}

fn stay(args: &StartArgs, engine: &Engine) -> Result<Exit> {
    let name = targets::one(&args.names, args.latest, engine, "minke start")?;
    let keys = detach_keys::chosen(args.detach_keys.as_deref(), engine)?;
    let session = Session {
        stdin: args.interactive,
        sig_proxy: args.sig_proxy.unwrap_or(true),
        ..Session::of_output(session::has_terminal(engine, &name)?, keys)
    };
    let end = session.hold(|request| engine.start_attached(&name, request))?;
    Ok(session::exit(end))
}
