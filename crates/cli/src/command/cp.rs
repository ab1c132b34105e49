//! `minke cp`: files between the host, containers and tar streams.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::Args;
use minke_engine::{CopyEnd, CopyRequest, Engine};

use crate::error::{Error, Exit, Result};
use crate::output::{Output, STDOUT};
use crate::{targets, terminal};

/// How much is gathered before it is written.
const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug, Args)]
pub struct CpArgs {
    /// Give what comes into a container to its user; otherwise owners stay (default true)
    #[arg(short, long)]
    archive: Option<bool>,
    /// Accepted for Podman's sake: archives from stdin are always extracted
    #[arg(long, hide = true)]
    #[allow(dead_code)] // it is enough that it is taken
    extract: bool,
    /// Let a directory take the place of a file, and the other way round
    #[arg(long)]
    overwrite: bool,
    /// Accepted for Podman's sake: containers are not paused, as by Podman
    #[arg(long, hide = true)]
    #[allow(dead_code)] // it is enough that it is taken
    pause: bool,
    /// [CONTAINER:]SOURCE [CONTAINER:]DESTINATION; - is a tar archive on stdin or stdout
    #[arg(value_name = "[CONTAINER:]PATH")]
    paths: Vec<String>,
}

/// Copies files.
pub fn run(args: CpArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let [source, destination] = args.paths.as_slice() else {
        return Err(Error::Usage {
            message: format!("accepts 2 arg(s), received {}", args.paths.len()),
            command: "minke cp".to_owned(),
        });
    };
    let (from, to) = (Side::parse(source), Side::parse(destination));
    if from.path.is_empty() || to.path.is_empty() {
        return Err(Error::refused(format!(
            "invalid arguments {source:?}, {destination:?}: you must specify paths"
        )));
    }
    let request = CopyRequest {
        chown: args.archive.unwrap_or(true),
        overwrite: args.overwrite,
    };
    match (from.container, to.container) {
        (None, None) => {
            targets::named(vec![String::new()])?;
        }
        (Some(name), None) if to.path == "-" => {
            out.flush()?;
            to_stdout(name, from.path, engine)?;
        }
        (None, Some(name)) if from.path == "-" => {
            from_stdin(name, to.path, &request, engine)?;
        }
        _ => {
            let directory = std::env::current_dir().map_err(Error::io("find the directory"))?;
            engine.copy(&from.end(&directory), &to.end(&directory), &request)?;
        }
    }
    Ok(Exit::OK)
}

fn to_stdout(name: &str, path: &str, engine: &Engine) -> Result<()> {
    if terminal::is_stdout() {
        return Err(Error::refused(
            "refusing to copy an archive to the terminal: redirect stdout",
        ));
    }
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
    engine.copy_to_archive(name, path, &mut buffered)?;
    buffered.flush().map_err(Error::io(STDOUT))
}

fn from_stdin(name: &str, path: &str, request: &CopyRequest, engine: &Engine) -> Result<()> {
    if terminal::is_stdin() {
        return Err(Error::refused(
            "cannot read an archive from the terminal: redirect stdin",
        ));
    }
    Ok(engine.copy_from_archive(io::stdin(), name, path, request)?)
}

/// One of the two arguments.
#[derive(Debug, PartialEq, Eq)]
struct Side<'a> {
    container: Option<&'a str>,
    path: &'a str,
}

impl<'a> Side<'a> {
    /// What begins with a slash or a dot is of the host, whatever colons it has.
    fn parse(text: &'a str) -> Self {
        let of_host = Self {
            container: None,
            path: text,
        };
        if text.starts_with(['/', '.']) {
            return of_host;
        }
        match text.split_once(':') {
            Some(("", path)) => Self {
                container: None,
                path,
            },
            Some((container, path)) => Self {
                container: Some(container),
                path,
            },
            None => of_host,
        }
    }

    fn end(&self, directory: &Path) -> CopyEnd {
        let path = self.path.to_owned();
        match self.container {
            Some(name) => CopyEnd::Container {
                name: name.to_owned(),
                path,
            },
            None => CopyEnd::Host {
                path,
                directory: directory.to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_as_podman_does() {
        for (text, container, path) in [
            ("c:/a", Some("c"), "/a"),
            ("c:a:b", Some("c"), "a:b"),
            ("c:", Some("c"), ""),
            ("./c:/a", None, "./c:/a"),
            ("/c:/a", None, "/c:/a"),
            ("a", None, "a"),
            ("-", None, "-"),
            (":a", None, "a"),
        ] {
            assert_eq!(Side::parse(text), Side { container, path }, "{text}");
        }
    }
}
