//! `minke container runlabel`: the command that an image's label holds, if it is one of ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use minke_engine::{Engine, PullPolicy, RemoveRequest, RunlabelRequest};

use crate::error::{Error, Exit, Result};
use crate::globals::Globals;
use crate::output::Output;
use crate::progress::Show;
use crate::spec::flags::RegistryFlags;
use crate::targets;

/// Programs in labels that mean this one.
const OURS: &[&str] = &["podman", "docker", "minke"];

#[derive(Debug, Args)]
pub struct RunlabelArgs {
    /// File with registries' credentials
    #[arg(long, value_name = "PATH")]
    authfile: Option<PathBuf>,
    /// Refused: client certificates are not supported
    #[arg(long, value_name = "PATH")]
    cert_dir: Option<PathBuf>,
    /// Credentials for the registry: USER[:PASSWORD]
    #[arg(long, value_name = "CREDENTIALS")]
    creds: Option<String>,
    /// Only show the command
    #[arg(long)]
    display: bool,
    /// What NAME in the label stands for
    #[arg(short, long)]
    name: Option<String>,
    /// What $OPT1 stands for
    #[arg(long, hide = true)]
    opt1: Option<String>,
    /// What $OPT2 stands for
    #[arg(long, hide = true)]
    opt2: Option<String>,
    /// What $OPT3 stands for
    #[arg(long, hide = true)]
    opt3: Option<String>,
    /// Accepted for Podman's sake: a missing image is always pulled
    #[arg(short, long, hide = true)]
    #[allow(dead_code)] // it is enough that it is taken
    pull: bool,
    /// Show nothing of the command
    #[arg(short, long)]
    quiet: bool,
    /// Remove a container that has the name first
    #[arg(long)]
    replace: bool,
    /// Refused: the policy of the host decides
    #[arg(long, hide = true, value_name = "PATH")]
    signature_policy: Option<PathBuf>,
    /// Require HTTPS and a valid certificate
    #[arg(long)]
    tls_verify: Option<bool>,
    /// LABEL IMAGE [ARG...]
    #[arg(trailing_var_arg = true, value_name = "LABEL IMAGE [ARG...]")]
    words: Vec<String>,
}

/// Runs or shows the command that a label of an image holds. A command of another program is
/// refused: an image does not say what runs on the host.
pub fn run(
    args: RunlabelArgs,
    globals: &Globals,
    engine: &Engine,
    out: &mut Output,
) -> Result<Exit> {
    targets::at_least(2, &args.words, "minke container runlabel")?;
    let unsupported = [
        ("--cert-dir", args.cert_dir.is_some()),
        ("--signature-policy", args.signature_policy.is_some()),
    ];
    if let Some((flag, _)) = unsupported.into_iter().find(|(_, given)| *given) {
        return Err(Error::refused(format!("{flag} is not supported")));
    }
    let (label, image) = (&args.words[0], &args.words[1]);
    let request = request(&args)?;
    let show = Show::pull_if_needed(image, args.quiet);
    let words = engine.runlabel(label, image, &request, &show)?;
    let Some((_, rest)) = words.split_first().filter(|(program, _)| is_ours(program)) else {
        let program = words.first().map_or("", String::as_str);
        return Err(Error::refused(format!(
            "label {label} of image {image} runs {program:?} on this host: only commands of podman, docker and minke are run"
        )));
    };
    if args.display {
        let own = std::env::args().next().unwrap_or_default();
        out.line(&format!("command: {own} {}", rest.join(" ")))?;
        return Ok(Exit::OK);
    }
    if args.replace {
        replace(rest, engine)?;
    }
    out.flush()?;
    perform(rest, globals, args.quiet)
}

fn request(args: &RunlabelArgs) -> Result<RunlabelRequest> {
    let registry = RegistryFlags {
        authfile: args.authfile.clone(),
        creds: args.creds.clone(),
        tls_verify: args.tls_verify,
        ..RegistryFlags::default()
    };
    let directory = std::env::current_dir().map_err(Error::io("find the directory"))?;
    let options = [
        ("OPT1", &args.opt1),
        ("OPT2", &args.opt2),
        ("OPT3", &args.opt3),
    ];
    let mut variables: Vec<_> = options
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
        .collect();
    variables.push(("PWD".to_owned(), directory.display().to_string()));
    Ok(RunlabelRequest {
        name: args.name.clone(),
        arguments: args.words[2..].to_vec(),
        variables,
        pull: registry.pull_request(PullPolicy::Missing)?,
    })
}

fn is_ours(program: &str) -> bool {
    let name = Path::new(program).file_name();
    OURS.iter().any(|&own| name == Some(own.as_ref()))
}

/// Removes the container whose name the command gives to a new one.
fn replace(words: &[String], engine: &Engine) -> Result<()> {
    let after_flag = words.windows(2).find(|pair| pair[0] == "--name");
    let joined = words.iter().find_map(|word| word.strip_prefix("--name="));
    let Some(name) = after_flag.map(|pair| pair[1].as_str()).or(joined) else {
        return Ok(());
    };
    let request = RemoveRequest {
        force: true,
        ignore_missing: true,
        ..RemoveRequest::default()
    };
    engine.remove(name, &request)?;
    Ok(())
}

/// Runs this program on the same store, with these words and no shell.
fn perform(words: &[String], globals: &Globals, quiet: bool) -> Result<Exit> {
    let cannot = "cannot run this program again";
    let exe = std::env::current_exe().map_err(Error::io(cannot))?;
    let mut command = Command::new(exe);
    command.args(globals.words()).args(words);
    if quiet {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    }
    let status = command.status().map_err(Error::io(cannot))?;
    Ok(Exit(status.code().unwrap_or(125)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_program_is_run() {
        for (program, ours) in [
            ("podman", true),
            ("/usr/bin/docker", true),
            ("minke", true),
            ("/bin/sh", false),
            ("podman;sh", false),
            ("", false),
            ("..", false),
        ] {
            assert_eq!(is_ours(program), ours, "{program}");
        }
    }
}
