//! `minke pull`.

use clap::Args;
use minke_engine::{Credentials, Engine};

use crate::error::{Exit, Result, Table};
use crate::output::Output;
use crate::progress::Show;
use crate::spec::flags::{RegistryFlags, pull_policy};
use crate::targets;

#[derive(Debug, Args)]
pub struct PullArgs {
    /// Credentials for the registry: USER[:PASSWORD]
    #[arg(long, value_name = "CREDENTIALS")]
    creds: Option<String>,
    /// When to pull: always, missing, newer, never
    #[arg(long, default_value = "always")]
    policy: String,
    /// Print the ids only
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryFlags,
    /// Images
    #[arg(value_name = "IMAGE")]
    names: Vec<String>,
}

/// Pulls images and prints their ids.
pub fn run(args: PullArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    targets::at_least(1, &args.names, "minke pull")?;
    let mut request = args.registry.pull_request(pull_policy(&args.policy)?)?;
    request.credentials = args.creds.as_deref().map(credentials);
    targets::each(&args.names, Table::General, out, |name| {
        let show = Show::pull(name, args.quiet);
        Ok(Some(engine.pull(name, &request, &show)?))
    })
}

fn credentials(text: &str) -> Credentials {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_have_colons() {
        let read = credentials("me:a:b");
        assert_eq!((read.user.as_str(), read.password.as_str()), ("me", "a:b"));
        assert_eq!(credentials("me").password, "");
    }
}
