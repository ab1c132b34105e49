//! `minke container cleanup`: what the monitor runs when a container has ended.

use std::time::Duration;

use clap::Args;
use minke_engine::{CleanupRequest, ContainerState, Engine, RestartWaiter};

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets::{self, Wanted};

/// How long an idle network is kept for the next container.
const SWEEP_AFTER: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// Clean up after every container that has ended
    #[arg(short, long)]
    all: bool,
    /// Clean up after the container made last
    #[arg(short, long)]
    latest: bool,
    /// Remove it too
    #[arg(long)]
    rm: bool,
    /// Clean up after containers that have ended only; others are left alone anyway
    #[arg(long, hide = true)]
    #[allow(dead_code)] // nothing is done to one that runs
    stopped_only: bool,
    /// Write when to run this again, for a monitor that does
    #[arg(long)]
    again: bool,
    /// Then wait a while and take down networks nobody is in
    #[arg(long)]
    sweep: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Takes down what ended containers leave: mounts, network, and with `--rm` themselves. One that
/// is gone is clean.
pub fn run(args: CleanupArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let names = names(&args, engine)?;
    let mut exit = Exit::OK;
    for name in &names {
        let waiter = match args.again {
            true => RestartWaiter::of_monitor(name),
            false => RestartWaiter::Ours,
        };
        let request = CleanupRequest {
            remove: args.rm,
            waiter: Some(waiter),
        };
        loop {
            match engine.cleanup(name, &request).map_err(Error::from) {
                Ok(Some(pause)) if waiter == RestartWaiter::Parent => {
                    let milliseconds = pause.as_millis().max(1);
                    out.line(&format!("again {milliseconds}"))?;
                    return Ok(exit);
                }
                Ok(Some(pause)) => std::thread::sleep(pause),
                Err(error) if !error.is_missing() => {
                    exit = exit.worse(error.fail(Table::General));
                    break;
                }
                _ => break,
            }
        }
    }
    if args.sweep {
        engine.sweep_networks(SWEEP_AFTER)?;
    }
    Ok(exit)
}

/// The containers meant. Whoever asks for the sweep alone names none.
fn names(args: &CleanupArgs, engine: &Engine) -> Result<Vec<String>> {
    if args.names.is_empty() && args.sweep {
        return Ok(Vec::new());
    }
    if !args.all && !args.latest {
        return targets::named(args.names.clone());
    }
    let selection = Wanted {
        names: args.names.clone(),
        all: args.all,
        latest: args.latest,
        ..Wanted::default()
    }
    .selection()?;
    targets::select(engine, &selection, &[ContainerState::Exited])
}
