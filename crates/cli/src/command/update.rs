//! `minke update`: other limits for a container that is there.

use std::collections::BTreeSet;

use clap::Args;
use minke_engine::{Engine, UpdateRequest};
use minke_runtime_spec::option;

use crate::error::{Exit, Result};
use crate::globals;
use crate::output::Output;
use crate::spec::flags::{HealthFlags, ProcessFlags, ResourceFlags};
use crate::spec::{self, resources};
use crate::targets;

#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    limits: ResourceFlags,
    #[command(flatten)]
    health: HealthFlags,
    /// Variable from the next start on: KEY=VALUE, or KEY for this environment's value
    #[arg(short, long)]
    env: Vec<String>,
    /// Change the container made last
    #[arg(short, long)]
    latest: bool,
    /// What happens when it ends: no, always, on-failure[:RETRIES], unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Limit of the process from the next start on: NAME=SOFT[:HARD]
    #[arg(long, value_delimiter = ',')]
    ulimit: Vec<String>,
    /// Variable to leave out from the next start on
    #[arg(long, value_name = "NAME")]
    unsetenv: Vec<String>,
    /// Container
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

/// Changes a container and prints its id.
pub fn run(args: UpdateArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let name = targets::one(&args.names, args.latest, engine, "minke update")?;
    let request = request(&args)?;
    out.line(&engine.update(&name, &request)?)?;
    Ok(Exit::OK)
}

fn request(args: &UpdateArgs) -> Result<UpdateRequest> {
    let variables = ProcessFlags {
        env: args.env.clone(),
        ..ProcessFlags::default()
    };
    let ulimits = args.ulimit.iter().map(|text| option::ulimit::parse(text));
    Ok(UpdateRequest {
        resources: resources::resources(&args.limits)?,
        ulimits: ulimits.collect::<Result<_, _>>()?,
        restart: args
            .restart
            .as_deref()
            .map(option::restart::parse)
            .transpose()?,
        health: args.health.update()?,
        env: spec::variables(&variables, &globals::environment())?,
        unset_env: BTreeSet::from_iter(args.unsetenv.iter().cloned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_changed() {
        let definition = UpdateArgs::augment_args(clap::Command::new("update"));
        let words = ["update", "--memory", "1m", "--restart", "always", "c"];
        let matches = definition.try_get_matches_from(words).unwrap();
        let args = <UpdateArgs as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
        let request = request(&args).unwrap();
        assert_eq!(request.resources.memory_bytes, Some(1 << 20));
        assert_eq!(request.resources.pids_limit, None);
        assert!(request.restart.is_some() && request.ulimits.is_empty());
        assert_eq!(request.health, Default::default());
    }
}
