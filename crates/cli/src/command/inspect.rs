//! `minke inspect`, `minke container inspect` and `minke image inspect`.

use clap::Args;
use minke_engine::Engine;
use serde_json::Value;

use crate::error::{Error, Exit, Result, Table};
use crate::output::Output;
use crate::targets;
use crate::template::Format;

#[derive(Debug, Args)]
pub struct InspectImagesArgs {
    /// json, or a template
    #[arg(short, long, default_value = "json")]
    format: String,
    /// Names or ids
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// What to look for: container, image or all
    #[arg(short = 't', long = "type", default_value = "all", value_name = "TYPE")]
    kind: String,
    #[command(flatten)]
    rest: InspectContainersArgs,
}

#[derive(Debug, Args)]
pub struct InspectContainersArgs {
    /// json, or a template
    #[arg(short, long, default_value = "json")]
    format: String,
    /// Show the container made last
    #[arg(short, long)]
    latest: bool,
    /// Show how much room containers take
    #[arg(short, long)]
    size: bool,
    /// Names or ids
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Any,
    Container,
    Image,
}

/// What is looked for, and how it is shown.
#[derive(Debug)]
struct Question {
    kind: Kind,
    names: Vec<String>,
    format: String,
    size: bool,
}

/// Shows all that is known of containers and images.
pub fn run(args: InspectArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let kind = match args.kind.as_str() {
        "all" => Kind::Any,
        "container" => Kind::Container,
        "image" => Kind::Image,
        other => {
            return Err(Error::refused(format!(
                "the only recognized types are \"container\", \"image\", or \"all\", not {other:?}"
            )));
        }
    };
    show(question(args.rest, kind, engine)?, engine, out)
}

/// Shows all that is known of containers.
pub fn containers(args: InspectContainersArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    show(question(args, Kind::Container, engine)?, engine, out)
}

/// Shows all that is known of images.
pub fn images(args: InspectImagesArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let question = Question {
        kind: Kind::Image,
        names: args.names,
        format: args.format,
        size: false,
    };
    show(question, engine, out)
}

fn question(args: InspectContainersArgs, kind: Kind, engine: &Engine) -> Result<Question> {
    let names = match (args.latest, args.names.is_empty()) {
        (true, false) => {
            return Err(Error::refused(
                "--latest and containers cannot be used together",
            ));
        }
        (true, true) => vec![targets::newest(engine)?],
        (false, _) => args.names,
    };
    Ok(Question {
        kind: if args.latest { Kind::Container } else { kind },
        names,
        format: args.format,
        size: args.size,
    })
}

/// Prints what is found even where something else is missing.
fn show(question: Question, engine: &Engine, out: &mut Output) -> Result<Exit> {
    if question.names.is_empty() {
        return Err(Error::refused("no names or ids specified"));
    }
    let format = Format::parse("inspect", &renamed(&question.format))?;
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for name in &targets::named(question.names.clone())? {
        match look(&question, name, engine) {
            Ok(value) => found.push(value),
            Err(error) => errors.push(error),
        }
    }
    match format {
        Format::Json => out.json(&Value::Array(found))?,
        Format::Template(template) => {
            for value in &found {
                out.text(&template.render(value)?)?;
            }
        }
    }
    out.flush()?;
    let codes = errors.iter().map(|error| error.fail(Table::General));
    Ok(codes.fold(Exit::OK, Exit::worse))
}

/// Fields that have a second name, by the first, as Podman does it: wherever they stand.
fn renamed(format: &str) -> String {
    format
        .replace(".Src", ".Source")
        .replace(".Dst", ".Destination")
        .replace(".ImageID", ".Image")
}

fn look(question: &Question, name: &str, engine: &Engine) -> Result<Value> {
    let container = || {
        let found = if question.size {
            engine.inspect_with_size(name)
        } else {
            engine.inspect(name)
        };
        found.map_err(Error::from)
    };
    let image = || engine.inspect_image(name).map_err(Error::from);
    match question.kind {
        Kind::Container => or_missing(container(), || format!("no such container {name:?}")),
        Kind::Image => or_missing(image(), || format!("{name}: image not known")),
        Kind::Any => match container() {
            Err(error) if error.is_missing() => {
                or_missing(image(), || format!("no such object: {name:?}"))
            }
            other => other,
        },
    }
}

fn or_missing(found: Result<Value>, words: impl FnOnce() -> String) -> Result<Value> {
    match found {
        Err(error) if error.is_missing() => Err(Error::Missing(words())),
        other => other,
    }
}
