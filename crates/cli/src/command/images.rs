//! `minke images`.

use clap::Args;
use jiff::Timestamp;
use minke_engine::{Engine, ImageSummary, ImagesRequest};
use serde_json::{Value, json};

use crate::error::{Exit, Result};
use crate::output::{Output, short_id, size, table, time};
use crate::targets;
use crate::template::Format;

#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Show intermediate images too
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Do not shorten
    #[arg(long)]
    no_trunc: bool,
    /// Leave the heading out
    #[arg(short, long)]
    noheading: bool,
    /// Print the ids only
    #[arg(short, long)]
    quiet: bool,
    /// Image to show, with or without registry and tag
    #[arg(value_name = "IMAGE")]
    names: Vec<String>,
}

const NONE: &str = "<none>";

/// The headings of `--format table` that are not the field's own name.
const FIELD_HEADINGS: &[(&str, &str)] = &[("ID", "IMAGE ID"), ("ReadOnly", "R/O")];

/// One line: an image by one of its names.
struct Row<'a> {
    image: &'a ImageSummary,
    repository: &'a str,
    tag: &'a str,
}

/// Lists images, newest first.
pub fn run(args: ImagesArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let format = args.format.as_deref();
    let format = format
        .map(|text| Format::parse_rows("images", text))
        .transpose()?;
    let wanted = match args.names.as_slice() {
        [] => None,
        _ => Some(targets::only(args.names.clone(), "minke images")?),
    };
    let mut images = engine.images(&ImagesRequest { all: args.all })?;
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    if let Some(wanted) = &wanted {
        images.retain(|image| image.names.iter().any(|name| is_named(name, wanted)));
    }
    show(&images, wanted.as_deref(), &args, format.as_ref(), out)?;
    Ok(Exit::OK)
}

fn show(
    images: &[ImageSummary],
    wanted: Option<&str>,
    args: &ImagesArgs,
    format: Option<&Format>,
    out: &mut Output,
) -> Result<()> {
    let now = Timestamp::now();
    let rows = images.iter().flat_map(rows);
    let rows = rows.filter(|row| {
        wanted.is_none_or(|wanted| is_named(&format!("{}:{}", row.repository, row.tag), wanted))
    });
    match format {
        Some(Format::Json) => {
            let documents = images.iter().map(document);
            out.json(&Value::Array(documents.collect()))
        }
        Some(Format::Template(template)) => {
            let rows = rows.map(|row| fields(&row, args.no_trunc, now));
            let headings = (!args.noheading).then_some(FIELD_HEADINGS);
            out.text(&template.rows(&rows.collect::<Vec<_>>(), headings)?)
        }
        None if args.quiet => {
            for image in images {
                out.line(&shown_id(&image.id, args.no_trunc))?;
            }
            Ok(())
        }
        None => {
            let lines: Vec<_> = rows.map(|row| cells(&row, args, now)).collect();
            let heading = heading(args.digests);
            let heading = (!args.noheading).then_some(heading.as_slice());
            out.text(&table::set(heading, &lines))
        }
    }
}

fn heading(digests: bool) -> Vec<&'static str> {
    let mut heading = vec!["REPOSITORY", "TAG"];
    heading.extend(digests.then_some("DIGEST"));
    heading.extend(["IMAGE ID", "CREATED", "SIZE"]);
    heading
}

fn cells(row: &Row<'_>, args: &ImagesArgs, now: Timestamp) -> Vec<String> {
    let mut cells = vec![row.repository.to_owned(), row.tag.to_owned()];
    if args.digests {
        cells.push(row.image.digest.clone().unwrap_or_else(|| NONE.to_owned()));
    }
    cells.extend([
        shown_id(&row.image.id, args.no_trunc),
        created_ago(row.image, now),
        size::human(row.image.size),
    ]);
    cells
}

fn rows(image: &ImageSummary) -> Vec<Row<'_>> {
    let row = |(repository, tag)| Row {
        image,
        repository,
        tag,
    };
    if image.names.is_empty() {
        return vec![row((NONE, NONE))];
    }
    image.names.iter().map(|name| row(split(name))).collect()
}

/// Repository and tag of a name.
fn split(name: &str) -> (&str, &str) {
    if let Some((repository, _)) = name.split_once('@') {
        return (repository, NONE);
    }
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, NONE),
    }
}

/// Whether `wanted` is the name, perhaps without its registry and path, perhaps without its tag.
fn is_named(name: &str, wanted: &str) -> bool {
    let ends = |text: &str| {
        text.strip_suffix(wanted)
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    ends(name) || ends(split(name).0)
}

fn shown_id(id: &str, whole: bool) -> String {
    if whole {
        format!("sha256:{id}")
    } else {
        short_id(id).to_owned()
    }
}

fn created_ago(image: &ImageSummary, now: Timestamp) -> String {
    let created = Timestamp::from_second(image.created);
    created.map_or_else(|_| "N/A".to_owned(), |created| time::ago(created, now))
}

/// One element of `--format json`.
fn document(image: &ImageSummary) -> Value {
    let created_at = Timestamp::from_second(image.created).map(|moment| moment.to_string());
    let mut document = json!({
        "Id": image.id,
        "ParentId": image.parent.as_deref().unwrap_or_default(),
        "RepoTags": null,
        "RepoDigests": image.digests,
        "Size": image.size,
        "SharedSize": 0,
        "VirtualSize": image.size,
        "Labels": image.labels,
        "Containers": image.containers,
        "Digest": image.digest.as_deref().unwrap_or_default(),
        "History": image.names,
        "Names": image.names,
        "Created": image.created,
        "CreatedAt": created_at.unwrap_or_default(),
    });
    if image.dangling {
        document["Dangling"] = true.into();
    }
    if image.read_only {
        document["ReadOnly"] = true.into();
    }
    document
}

/// What templates see: the document, with what people read in place of what programs do.
fn fields(row: &Row<'_>, whole: bool, now: Timestamp) -> Value {
    let mut fields = document(row.image);
    let ago = created_ago(row.image, now);
    let readable = json!({
        "ID": shown_id(&row.image.id, whole),
        "Id": row.image.id,
        "Repository": row.repository,
        "Tag": row.tag,
        "Size": size::human(row.image.size),
        "Created": ago,
        "CreatedSince": ago,
        "CreatedTime": fields["CreatedAt"],
        "Dangling": row.image.dangling,
        "IsDangling": row.image.dangling,
        "ReadOnly": row.image.read_only,
        "IsReadOnly": row.image.read_only,
        "RepoTags": row.image.names,
    });
    if let (Value::Object(fields), Value::Object(readable)) = (&mut fields, readable) {
        fields.extend(readable);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split() {
        for (name, expected) in [
            ("localhost/a:1", ("localhost/a", "1")),
            ("localhost:5000/a:1", ("localhost:5000/a", "1")),
            ("localhost:5000/a", ("localhost:5000/a", NONE)),
            ("r/a@sha256:00", ("r/a", NONE)),
        ] {
            assert_eq!(split(name), expected, "{name}");
        }
    }

    #[test]
    fn images_are_found_by_the_end_of_their_name() {
        let name = "docker.io/library/busybox:latest";
        for (wanted, expected) in [
            ("busybox", true),
            ("busybox:latest", true),
            ("library/busybox", true),
            (name, true),
            ("box", false),
            ("busybox:1", false),
        ] {
            assert_eq!(is_named(name, wanted), expected, "{wanted}");
        }
    }
}
