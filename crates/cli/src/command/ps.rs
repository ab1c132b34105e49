//! `minke ps`.

mod document; // what --format shows
mod ports; // published and exposed
mod sort; // --sort

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use minke_engine::{ContainerSummary, Engine, ListRequest, NamespaceIds};
use serde_json::Value;

use crate::error::{Error, Exit, Result};
use crate::flag::{integer, unsigned};
use crate::output::{Output, short_id, size, table, time};
use crate::targets;
use crate::template::Format;

use document::{document, fields};
use ports::ports;
use sort::Sort;

#[derive(Debug, Args)]
pub struct PsArgs {
    /// Show those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Show containers of the store that other engines have made, too
    #[arg(long, alias = "storage")]
    external: bool,
    /// Show containers that pass: KEY=VALUE
    #[arg(short, long)]
    filter: Vec<String>,
    /// json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Show so many of the newest, running or not
    #[arg(short = 'n', long, value_parser = integer, value_name = "NUMBER")]
    last: Option<i64>,
    /// Show the newest, running or not
    #[arg(short, long)]
    latest: bool,
    /// Do not shorten
    #[arg(long, alias = "notruncate")]
    no_trunc: bool,
    /// Leave the heading out
    #[arg(long)]
    noheading: bool,
    /// Show the numbers of their namespaces
    #[arg(long, alias = "namespace")]
    ns: bool,
    /// Show the pods they are in
    #[arg(short, long)]
    pod: bool,
    /// Print the ids only
    #[arg(short, long)]
    quiet: bool,
    /// Show how much room they take
    #[arg(short, long)]
    size: bool,
    /// Order: command, created, id, image, names, runningfor, size or status
    #[arg(long, value_parser = Sort::parse, value_name = "KEY")]
    sort: Option<Sort>,
    /// Ask the kernel what each is doing; it is asked always
    #[arg(long)]
    #[allow(dead_code)] // nothing is believed that the kernel has not said
    sync: bool,
    /// Show it again every so many seconds
    #[arg(short, long, value_parser = unsigned, value_name = "SECONDS")]
    watch: Option<u64>,
}

/// The headings of `--format table` that are not the field's own name.
const FIELD_HEADINGS: &[(&str, &str)] = &[
    ("Cgroup", "CGROUPNS"),
    ("CreatedHuman", "CREATED"),
    ("ID", "CONTAINER ID"),
    ("PIDNS", "PIDNS"),
    ("Pod", "POD ID"),
    ("PodName", "PODNAME"),
    ("User", "USERNS"),
];

/// Clears a terminal.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Lists containers, oldest first.
pub fn run(args: PsArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    args.check()?;
    let format = args.format.as_deref();
    let format = format
        .map(|text| Format::parse_rows("ps", &text.replace(".Namespaces.", ".")))
        .transpose()?;
    let request = args.request()?;
    loop {
        let mut containers = engine.list(&request)?;
        if let Some(sort) = args.sort {
            sort.apply(&mut containers);
        }
        let Some(seconds) = args.watch else {
            show(&containers, &args, format.as_ref(), out)?;
            return Ok(Exit::OK);
        };
        out.text(CLEAR)?;
        show(&containers, &args, format.as_ref(), out)?;
        out.flush()?;
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

impl PsArgs {
    /// The rules and words are Podman's.
    fn check(&self) -> Result<()> {
        let refusal = match () {
            () if self.last.is_some_and(|last| last >= 0) && self.latest => {
                "last and latest are mutually exclusive"
            }
            () if self.quiet && (self.size || self.ns) => "quiet conflicts with size and namespace",
            () if self.size && self.ns => "size and namespace options conflict",
            () if self.watch.is_some_and(|seconds| seconds > 0) && self.latest => {
                "the watch and latest flags cannot be used together"
            }
            () => return Ok(()),
        };
        Err(Error::refused(refusal))
    }

    fn request(&self) -> Result<ListRequest> {
        let last = if self.latest { Some(1) } else { self.last };
        Ok(ListRequest {
            all: self.all,
            filters: targets::filters(&self.filter)?,
            last: last
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| *number > 0),
            size: self.size,
            namespaces: self.ns || self.format.is_some(),
            external: self.external,
        })
    }
}

fn show(
    containers: &[ContainerSummary],
    args: &PsArgs,
    format: Option<&Format>,
    out: &mut Output,
) -> Result<()> {
    let now = Timestamp::now();
    match format {
        Some(Format::Json) => {
            let all = containers.iter().map(|container| document(container, now));
            out.json(&Value::Array(all.collect()))
        }
        Some(Format::Template(template)) => {
            let rows = containers
                .iter()
                .map(|container| fields(container, args.no_trunc, now));
            let headings = (!args.noheading).then_some(FIELD_HEADINGS);
            out.text(&template.rows(&rows.collect::<Vec<_>>(), headings)?)
        }
        None if args.quiet => {
            for container in containers {
                out.line(shown_id(&container.id, args.no_trunc))?;
            }
            Ok(())
        }
        None => {
            let heading = columns(args);
            let rows: Vec<_> = containers
                .iter()
                .map(|container| row(container, args, now))
                .collect();
            let heading = (!args.noheading).then_some(heading.as_slice());
            out.text(&table::set(heading, &rows))
        }
    }
}

fn columns(args: &PsArgs) -> Vec<&'static str> {
    if args.ns {
        return vec![
            "CONTAINER ID",
            "NAMES",
            "PID",
            "CGROUPNS",
            "IPC",
            "MNT",
            "NET",
            "PIDNS",
            "USERNS",
            "UTS",
        ];
    }
    let mut columns = vec![
        "CONTAINER ID",
        "IMAGE",
        "COMMAND",
        "CREATED",
        "STATUS",
        "PORTS",
        "NAMES",
    ];
    if args.pod {
        columns.extend(["POD ID", "PODNAME"]);
    }
    if args.size {
        columns.push("SIZE");
    }
    columns
}

fn row(container: &ContainerSummary, args: &PsArgs, now: Timestamp) -> Vec<String> {
    let id = shown_id(&container.id, args.no_trunc).to_owned();
    if args.ns {
        let spaces = container.namespaces.clone().unwrap_or_default();
        let NamespaceIds {
            cgroup,
            ipc,
            mnt,
            net,
            pid,
            user,
            uts,
        } = spaces;
        let process = container.pid.unwrap_or(0).to_string();
        let name = container.name.clone();
        return vec![id, name, process, cgroup, ipc, mnt, net, pid, user, uts];
    }
    let mut cells = vec![
        id,
        container.image.clone(),
        command(&container.command, args.no_trunc),
        time::ago(container.created, now),
        status(container, now),
        ports(container),
        container.name.clone(),
    ];
    if args.pod {
        cells.extend([String::new(), String::new()]);
    }
    if args.size {
        cells.push(room(container));
    }
    cells
}

/// `12kB (virtual 4.3MB)`; nothing where it was not asked for.
fn room(container: &ContainerSummary) -> String {
    match container.size {
        Some(bytes) => format!(
            "{} (virtual {})",
            size::tight(bytes.changes_bytes, 3),
            size::tight(bytes.root_bytes, 3)
        ),
        None => String::new(),
    }
}

fn shown_id(id: &str, whole: bool) -> &str {
    if whole { id } else { short_id(id) }
}

fn command(words: &[String], whole: bool) -> String {
    const SHOWN: usize = 17;
    let text = words.join(" ");
    if whole || text.chars().count() <= SHOWN {
        return text;
    }
    let cut: String = text.chars().take(SHOWN).collect();
    format!("{cut}...")
}

fn status(container: &ContainerSummary, now: Timestamp) -> String {
    let state = container.state.as_str();
    let created = container.created;
    let text = match state {
        "running" => format!(
            "Up {}",
            time::since(container.started.unwrap_or(created), now)
        ),
        "exited" | "stopped" | "restarting" => format!(
            "{} ({}) {}",
            if state == "restarting" {
                "Restarting"
            } else {
                "Exited"
            },
            container.exit_code.unwrap_or(0),
            time::ago(container.finished.unwrap_or(created), now)
        ),
        _ => capitalized(state),
    };
    match &container.health {
        Some(health) if !health.is_empty() => format!("{text} ({health})"),
        _ => text,
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cut() {
        let words = ["sleep".to_owned(), "infinity and on".to_owned()];
        assert_eq!(command(&words, false), "sleep infinity an...");
        assert_eq!(command(&words, true), "sleep infinity and on");
        assert_eq!(command(&words[..1], false), "sleep");
    }
}
