//! `minke wait`.

use std::time::Duration;

use clap::Args;
use minke_engine::{Engine, WaitCondition, WaitRequest};

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Wait for this and not for the end: a state, healthy, unhealthy
    #[arg(long, value_delimiter = ',', value_name = "CONDITION")]
    condition: Vec<String>,
    /// Print -1 where there is no such container
    #[arg(long)]
    ignore: bool,
    /// How often to look: 250ms, or a number of milliseconds
    #[arg(short, long, default_value = "250ms")]
    interval: String,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Waits until containers end and prints their exit codes.
pub fn run(args: WaitArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let request = WaitRequest {
        interval: interval(&args.interval)?,
        conditions: conditions(&args.condition)?,
    };
    let names = targets::choose(args.names, false, || Ok(Vec::new()))?;
    targets::each(&names, Table::General, out, |name| {
        match engine.wait(name, &request).map_err(Error::from) {
            Ok(code) => Ok(Some(code.to_string())),
            Err(error) if args.ignore && error.is_missing() => Ok(Some("-1".to_owned())),
            Err(error) => Err(error),
        }
    })
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
