//! `minke wait`.

use std::time::Duration;

use clap::Args;
use minke_engine::{Engine, Selected, WaitCondition, WaitRequest};

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets::Wanted;

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// What to wait for: a state, healthy or unhealthy; any of several (default stopped)
    #[arg(long, value_delimiter = ',')]
    condition: Vec<String>,
    /// Return when the first container is as wanted
    #[arg(long)]
    exit_first_match: bool,
    /// Print -1 where there is no such container
    #[arg(long)]
    ignore: bool,
    /// How often to look: 250ms, or a number of milliseconds
    #[arg(short, long, default_value = "250ms")]
    interval: String,
    /// Wait for the container made last
    #[arg(short, long)]
    latest: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Waits for containers and prints their exit codes; -1 for one that has not ended.
pub fn run(args: WaitArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let request = WaitRequest {
        interval: interval(&args.interval)?,
        conditions: conditions(&args.condition)?,
    };
    let selection = Wanted {
        names: args.names,
        latest: args.latest,
        ignore_missing: args.ignore,
        ..Wanted::default()
    }
    .selection()?;
    let selected = engine.select(&selection)?;
    if args.exit_first_match {
        let ids: Vec<String> = selected.into_iter().filter_map(|each| each.id).collect();
        out.line(&engine.wait_first(&ids, &request)?.to_string())?;
        return Ok(Exit::OK);
    }
    let mut exit = Exit::OK;
    for Selected { id, .. } in selected {
        let code = match id.map(|id| engine.wait(&id, &request)) {
            None => -1,
            Some(Ok(code)) => code,
            Some(Err(error)) => {
                out.flush()?;
                exit = exit.worse(Error::from(error).fail(Table::General));
                continue;
            }
        };
        out.line(&code.to_string())?;
    }
    Ok(exit)
}

fn conditions(words: &[String]) -> Result<Vec<WaitCondition>> {
    let read = |word: &String| {
        WaitCondition::parse(word).ok_or_else(|| {
            Error::refused(format!("unknown container state: {word}: invalid argument"))
        })
    };
    words.iter().map(read).collect()
}

fn interval(text: &str) -> Result<Duration> {
    if let Ok(milliseconds) = text.parse() {
        return Ok(Duration::from_millis(milliseconds));
    }
    Ok(minke_runtime_spec::option::duration::parse(
        "--interval",
        text,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_durations_or_milliseconds() {
        for (text, expected) in [
            ("250ms", Some(250)),
            ("2s", Some(2000)),
            ("100", Some(100)),
            ("x", None),
        ] {
            let read = interval(text).ok().map(|interval| interval.as_millis());
            assert_eq!(read, expected, "{text}");
        }
    }
}
