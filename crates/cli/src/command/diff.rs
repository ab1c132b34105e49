//! `minke diff`, `minke container diff` and `minke image diff`.

use clap::Args;
use minke_engine::{Change, ChangeKind, DiffKind, DiffRequest, Engine};
use serde::Serialize;

use crate::error::{Error, Exit, Result};
use crate::output::Output;
use crate::targets;

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Compare the container made last
    #[arg(short, long)]
    latest: bool,
    #[command(flatten)]
    rest: ImageDiffArgs,
}

#[derive(Debug, Args)]
pub struct ImageDiffArgs {
    /// json, in place of lines
    #[arg(long)]
    format: Option<String>,
    /// What to show the changes of, and what to compare it with
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Shows what a container or an image changes.
pub fn run(args: DiffArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let names = chosen(args.rest.names, args.latest, "minke diff", engine)?;
    show(&names, args.rest.format, DiffKind::Any, engine, out)
}

/// Shows what a container changes.
pub fn container(args: DiffArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let names = chosen(args.rest.names, args.latest, "minke container diff", engine)?;
    show(&names, args.rest.format, DiffKind::Container, engine, out)
}

/// Shows what an image changes.
pub fn image(args: ImageDiffArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    if !(1..=2).contains(&args.names.len()) {
        return Err(Error::Usage {
            message: format!(
                "accepts between 1 and 2 arg(s), received {}",
                args.names.len()
            ),
            command: "minke image diff".to_owned(),
        });
    }
    let names = targets::named(args.names)?;
    show(&names, args.format, DiffKind::Image, engine, out)
}

fn chosen(names: Vec<String>, latest: bool, command: &str, engine: &Engine) -> Result<Vec<String>> {
    match (names.len(), latest) {
        (0, true) => Ok(vec![targets::newest(engine)?]),
        (0, false) => Err(Error::refused(format!(
            "\"{command}\" requires a name, id, or the \"--latest\" flag"
        ))),
        (1 | 2, false) => targets::named(names),
        (_, true) => Err(Error::refused(
            "--latest and containers cannot be used together",
        )),
        _ => Err(Error::refused(format!(
            "`{command}` accepts at most two arguments"
        ))),
    }
}

fn show(
    names: &[String],
    format: Option<String>,
    kind: DiffKind,
    engine: &Engine,
    out: &mut Output,
) -> Result<Exit> {
    let is_json = match format.as_deref() {
        None | Some("") => false,
        Some("json") => true,
        Some(_) => {
            return Err(Error::refused(
                "only supported value for '--format' is 'json'",
            ));
        }
    };
    let request = DiffRequest {
        kind,
        base: names.get(1).cloned(),
    };
    let changes = engine.diff(&names[0], &request)?;
    if is_json {
        out.text(&Document::of(&changes).text())?;
        return Ok(Exit::OK);
    }
    for change in &changes {
        let letter = match change.kind {
            ChangeKind::Modified => 'C',
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
        };
        out.line(&format!("{letter} {}", change.path.display()))?;
    }
    Ok(Exit::OK)
}

#[derive(Debug, Default, Serialize)]
struct Document {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deleted: Vec<String>,
}

impl Document {
    fn of(changes: &[Change]) -> Self {
        let mut document = Self::default();
        for change in changes {
            let list = match change.kind {
                ChangeKind::Modified => &mut document.changed,
                ChangeKind::Added => &mut document.added,
                ChangeKind::Deleted => &mut document.deleted,
            };
            list.push(change.path.to_string_lossy().into_owned());
        }
        document
    }

    /// Indented by five, as only this command of Podman's does.
    fn text(&self) -> String {
        crate::output::indented(self, b"     ") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_podmans() {
        let change = |kind, path: &str| Change {
            kind,
            path: path.into(),
        };
        let changes = [
            change(ChangeKind::Added, "/a"),
            change(ChangeKind::Modified, "/b"),
            change(ChangeKind::Added, "/c"),
        ];
        let expected = "{\n     \"changed\": [\n          \"/b\"\n     ],\n     \"added\": [\n          \"/a\",\n          \"/c\"\n     ]\n}\n";
        assert_eq!(Document::of(&changes).text(), expected);
        assert_eq!(Document::of(&[]).text(), "{}\n");
    }
}
