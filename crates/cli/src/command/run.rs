//! `minke run`: create, start, and stay with it unless asked not to.

use clap::Args;
use minke_engine::{Engine, RemoveRequest};

use super::create::create;
use super::session::{self, Session};
use crate::detach_keys;
use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::spec::flags::ContainerFlags;
use crate::targets;
use crate::terminal;

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    container: ContainerFlags,
    /// Leave it running and print its id
    #[arg(short, long)]
    detach: bool,
    /// Keys that leave it running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on to it (default true)
    #[arg(long)]
    sig_proxy: Option<bool>,
    /// IMAGE [COMMAND [ARG...]]
    #[arg(trailing_var_arg = true, value_name = "IMAGE [COMMAND [ARG...]]")]
    words: Vec<String>,
}

/// Runs a container. The exit code is its process's.
pub fn run(args: RunArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    targets::at_least(1, &args.words, "minke run")?;
    if args.detach && !args.container.attach.is_empty() {
        return Err(Error::refused(
            "conflicting options: --attach and --detach cannot be used together",
        ));
    }
    let passthrough = args.container.life.log_driver.as_deref() == Some("passthrough");
    if passthrough && (terminal::is_stdin() || terminal::is_stdout() || terminal::is_stderr()) {
        return Err(Error::refused(
            "the '--log-driver passthrough' option cannot be used on a TTY",
        ));
    }
    let session = session(
        &args,
        detach_keys::chosen(args.detach_keys.as_deref(), engine)?,
    )?;
    session::warn_without_terminal(args.container.interactive, args.container.tty);
    let created = match create(&args.container, &args.words, engine) {
        Ok(id) => id,
        Err(error) => return Ok(error.fail(Table::Create)),
    };
    let ended = if args.detach {
        start_detached(engine, &created, out)
    } else {
        stay(engine, &created, &session, args.container.removes())
    };
    match ended {
        Ok(exit) => Ok(exit),
        Err(error) => {
            if args.container.removes() {
                remove(engine, &created);
            }
            Ok(error.fail(Table::Start))
        }
    }
}

fn start_detached(engine: &Engine, id: &str, out: &mut Output) -> Result<Exit> {
    engine.start(id)?;
    out.line(id)?;
    Ok(Exit::OK)
}

fn stay(engine: &Engine, id: &str, session: &Session, remove_after: bool) -> Result<Exit> {
    let end = session.hold(|request| engine.start_attached(id, request))?;
    if remove_after && matches!(end, minke_engine::AttachEnd::Exited(_)) {
        remove(engine, id);
    }
    Ok(session::exit(end))
}

/// Removes what the monitor's own clean-up may have removed already.
fn remove(engine: &Engine, id: &str) {
    let request = RemoveRequest {
        force: true,
        volumes: true,
        ignore_missing: true,
        ..RemoveRequest::default()
    };
    if let Err(error) = engine.remove(id, &request) {
        tracing::warn!("cannot remove container {id}: {error}");
    }
}

/// What `--attach`, `-i` and `-t` say of the streams.
fn session(args: &RunArgs, detach_keys: Vec<u8>) -> Result<Session> {
    let flags = &args.container;
    let (stdin, stdout, stderr) = match flags.attach.as_slice() {
        [] => (flags.interactive, true, true),
        names => session::streams(names)?,
    };
    Ok(Session {
        stdin,
        stdout,
        stderr,
        terminal: flags.tty,
        sig_proxy: args.sig_proxy.unwrap_or(true),
        detach_keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(container: ContainerFlags) -> RunArgs {
        RunArgs {
            container,
            detach: false,
            detach_keys: None,
            sig_proxy: None,
            words: vec!["i".to_owned()],
        }
    }

    #[test]
    fn output_is_attached_by_default_and_input_when_asked_for() {
        let plain = session(&args(ContainerFlags::default()), Vec::new()).unwrap();
        assert!(!plain.stdin && plain.stdout && plain.stderr && plain.sig_proxy);
        let interactive = session(
            &args(ContainerFlags {
                interactive: true,
                tty: true,
                ..ContainerFlags::default()
            }),
            Vec::new(),
        )
        .unwrap();
        assert!(interactive.stdin && interactive.terminal);
        let chosen = session(
            &args(ContainerFlags {
                attach: vec!["stderr".to_owned()],
                ..ContainerFlags::default()
            }),
            Vec::new(),
        )
        .unwrap();
        assert!(!chosen.stdin && !chosen.stdout && chosen.stderr);
    }
}
