//! `minke exec`: one more process in a running container.

use std::path::PathBuf;

use clap::Args;
use minke_engine::{Engine, ExecRequest, Preserve};

use super::session::{self, Session};
use crate::detach_keys;
use crate::error::{Error, Exit, Result, Table};
use crate::globals;
use crate::output::Output;
use crate::spec;
use crate::spec::flags::{PreserveFlags, ProcessFlags};
use crate::targets;

#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Leave it running and print its session's id
    #[arg(short, long)]
    detach: bool,
    /// Run it in the container whose id is in this file
    #[arg(long, value_name = "PATH")]
    cidfile: Option<PathBuf>,
    /// Run it in the container made last
    #[arg(short, long)]
    latest: bool,
    /// Keys that leave it running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Environment variable: KEY=VALUE, or KEY or KEY* for values of this environment
    #[arg(short, long)]
    env: Vec<String>,
    /// File with a variable a line
    #[arg(long, value_name = "PATH")]
    env_file: Vec<PathBuf>,
    /// Keep stdin open
    #[arg(short, long)]
    interactive: bool,
    /// Give it all privileges
    #[arg(long)]
    privileged: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// User, and group after a colon
    #[arg(short, long)]
    user: Option<String>,
    /// Directory to start in
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Nothing more: a command in the foreground has no session on record
    #[arg(long)]
    #[allow(dead_code)] // it is always so
    no_session: bool,
    #[command(flatten)]
    preserve: PreserveFlags,
    /// CONTAINER COMMAND [ARG...]
    #[arg(trailing_var_arg = true, value_name = "CONTAINER COMMAND [ARG...]")]
    words: Vec<String>,
}

/// Runs a process in a container. The exit code is its own.
pub fn run(args: ExecArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let (name, command) = target(&args, engine)?;
    let name = name.as_str();
    if command.is_empty() {
        return Err(Error::refused(
            "must provide a non-empty command to start an exec session: invalid argument",
        ));
    }
    let request = request(&args, command, engine)?;
    if args.detach {
        out.line(&engine.exec_detached(name, &request)?)?;
        return Ok(Exit::OK);
    }
    session::warn_without_terminal(args.interactive, args.tty);
    let session = Session {
        stdin: args.interactive,
        ..Session::of_output(args.tty, request.detach_keys.clone())
    };
    match session.hold(|streams| engine.exec(name, &request, streams)) {
        Ok(code) => Ok(Exit(code)),
        Err(error) => Ok(error.fail(Table::Exec)),
    }
}

/// The container and the words of the command.
fn target<'a>(args: &'a ExecArgs, engine: &Engine) -> Result<(String, &'a [String])> {
    match (&args.cidfile, args.latest) {
        (Some(_), true) => Err(Error::refused(
            "--latest and --cidfile cannot be used together",
        )),
        (Some(path), false) => {
            let id = targets::id_in(path, false)?;
            Ok((id.unwrap_or_default(), &args.words))
        }
        (None, true) => Ok((targets::newest(engine)?, &args.words)),
        (None, false) => {
            targets::at_least(1, &args.words, "minke exec")?;
            let (name, command) = args.words.split_at(1);
            Ok((targets::named(name.to_vec())?.remove(0), command))
        }
    }
}

fn request(args: &ExecArgs, command: &[String], engine: &Engine) -> Result<ExecRequest> {
    let variables = ProcessFlags {
        env: args.env.clone(),
        env_file: args.env_file.clone(),
        ..ProcessFlags::default()
    };
    let (count, listed) = args.preserve.read()?;
    if args.detach && (count > 0 || !listed.is_empty()) {
        return Err(Error::refused(
            "--preserve-fds and --preserve-fd are not supported with --detach",
        ));
    }
    Ok(ExecRequest {
        preserve: Preserve { count, listed },
        command: command.to_vec(),
        tty: args.tty,
        stdin: args.interactive,
        env: spec::variables(&variables, &globals::environment())?,
        user: args.user.clone(),
        workdir: args.workdir.clone(),
        privileged: args.privileged,
        detach_keys: detach_keys::chosen(args.detach_keys.as_deref(), engine)?,
    })
}
