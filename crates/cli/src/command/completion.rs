//! `minke completion`: scripts that let shells complete minke's command lines, and the hidden
//! command those scripts ask.

use std::path::PathBuf;

use clap::Args;
use minke_engine::{ContainerState, Engine, ImagesRequest, ListRequest};

use crate::app;
use crate::complete::{self, Candidate, subject::Subject};
use crate::error::{Error, Exit, Result};
use crate::globals::Globals;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// Write the script to this file
    #[arg(short, long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Leave descriptions out
    #[arg(long)]
    no_desc: bool,
    /// bash, zsh, fish or powershell
    #[arg(value_name = "SHELL")]
    shell: Vec<String>,
}

#[derive(Debug, Args)]
pub struct CompleteArgs {
    /// Leave descriptions out
    #[arg(long)]
    no_desc: bool,
    /// What has been typed after `minke`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Prints a shell's script.
pub fn run(args: CompletionArgs, _: &Globals, out: &mut Output) -> Result<Exit> {
    let [shell] = args.shell.as_slice() else {
        return Err(Error::Usage {
            message: format!("accepts 1 arg(s), received {}", args.shell.len()),
            command: "minke completion".to_owned(),
        });
    };
    let script = match shell.as_str() {
        "bash" => include_str!("completion/minke.bash"),
        "zsh" => include_str!("completion/minke.zsh"),
        "fish" => include_str!("completion/minke.fish"),
        "powershell" => include_str!("completion/minke.ps1"),
        other => {
            return Err(Error::refused(format!(
                "invalid argument {other:?} for \"minke completion\": choose from bash, zsh, fish, powershell"
            )));
        }
    };
    let script = match args.no_desc {
        true => script.replace("__complete --", "__complete --no-desc --"),
        false => script.to_owned(),
    };
    match args.file {
        Some(path) => {
            std::fs::write(&path, script).map_err(Error::io(format!("write {}", path.display())))?
        }
        None => out.text(&script)?,
    }
    Ok(Exit::OK)
}

/// Answers a shell's script. What goes wrong is no use to somebody who pressed tab.
pub fn complete(args: CompleteArgs, _: &Globals, out: &mut Output) -> Result<Exit> {
    let mut root = app::definition();
    root.build();
    let globals = app::globals_of(&args.words);
    let answer = complete::answer(&root, &args.words, |subject| names(subject, &globals));
    for Candidate { text, help } in &answer.candidates {
        if args.no_desc || help.is_empty() {
            out.line(text)?;
        } else {
            out.line(&format!("{text}\t{help}"))?;
        }
    }
    out.line(if answer.files { ":files" } else { ":" })?;
    Ok(Exit::OK)
}

fn names(subject: Subject, globals: &Globals) -> Vec<Candidate> {
    if let Subject::Fixed(words) = subject {
        let words = words.iter().map(|word| Candidate {
            text: (*word).to_owned(),
            help: String::new(),
        });
        return words.collect();
    }
    if matches!(subject, Subject::Nothing | Subject::Files) {
        return Vec::new();
    }
    let Ok(engine) = app::open(globals) else {
        return Vec::new();
    };
    match subject {
        Subject::Images => images(&engine),
        Subject::Networks => ["bridge", "host", "none"]
            .into_iter()
            .map(|word| Candidate {
                text: word.to_owned(),
                help: String::new(),
            })
            .collect(),
        Subject::Objects => {
            let mut all = containers(&engine, |_| true);
            all.extend(images(&engine));
            all
        }
        Subject::Running => containers(&engine, ContainerState::is_alive),
        Subject::Idle => containers(&engine, |state| !state.is_alive()),
        Subject::Paused => containers(&engine, |state| state == ContainerState::Paused),
        _ => containers(&engine, |_| true),
    }
}

fn containers(engine: &Engine, wanted: impl Fn(ContainerState) -> bool) -> Vec<Candidate> {
    let request = ListRequest {
        all: true,
        ..ListRequest::default()
    };
    let found = engine.list(&request).unwrap_or_default().into_iter();
    found
        .filter(|container| wanted(container.state))
        .map(|container| Candidate {
            text: container.name,
            help: container.image,
        })
        .collect()
}

fn images(engine: &Engine) -> Vec<Candidate> {
    let found = engine.images(&ImagesRequest { all: false });
    let found = found.unwrap_or_default().into_iter();
    found
        .flat_map(|image| image.names)
        .map(|name| Candidate {
            text: name,
            help: String::new(),
        })
        .collect()
}
