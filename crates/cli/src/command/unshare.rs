//! `minke unshare`: a command inside a normal user's namespace, where their containers' files can
//! be seen as the containers see them.

use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use clap::Args;

use crate::error::{Error, Exit, Result};
use crate::globals::Globals;
use crate::output::{Output, STDOUT};

#[derive(Debug, Args)]
pub struct UnshareArgs {
    /// Join the network namespace of rootless bridges too (there are none yet)
    #[arg(long)]
    rootless_netns: bool,
    /// [COMMAND [ARG...]] (default: $SHELL)
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND [ARG...]"
    )]
    words: Vec<String>,
}

/// Runs a command in the user's namespace. The exit code is its own.
pub fn run(args: UnshareArgs, globals: &Globals, _: &mut Output) -> Result<Exit> {
    let options = globals.engine_options()?;
    if !options.is_rootless() {
        return Err(Error::refused("please use unshare with rootless"));
    }
    if args.rootless_netns {
        return Err(Error::refused(
            "--rootless-netns: a normal user's containers have no bridges, so there is no such namespace",
        ));
    }
    let words = match args.words.is_empty() {
        true => vec![shell()?],
        false => args.words,
    };
    minke_engine::rootless::enter(&options)?;
    io::stdout().flush().map_err(Error::io(STDOUT))?;
    match Command::new(&words[0]).args(&words[1..]).status() {
        Ok(status) => Ok(Exit(code(status))),
        Err(source) => {
            let exit = match source.kind() {
                io::ErrorKind::NotFound => Exit(127),
                _ => Exit(126),
            };
            Error::io(format!("exec: {:?}", words[0]))(source).fail(crate::error::Table::General);
            Ok(exit)
        }
    }
}

fn shell() -> Result<String> {
    std::env::var("SHELL")
        .map_err(|_| Error::refused("no command specified and no $SHELL specified"))
}

fn code(status: ExitStatus) -> i32 {
    let signalled = status.signal().map(|signal| 128 + signal);
    status.code().or(signalled).unwrap_or(125)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_commands() {
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
