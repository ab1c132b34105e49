//! `minke ps`.

use clap::Args;
use jiff::Timestamp;
use minke_engine::{ContainerSummary, Engine, ListRequest, PublishedPort};
use serde_json::{Value, json};

use crate::error::{Exit, Result};
use crate::flag::integer;
use crate::output::{Output, short_id, table, time};
use crate::template::Format;

#[derive(Debug, Args)]
pub struct PsArgs {
    /// Show those that do not run too
    #[arg(short, long)]
    all: bool,
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
    /// Print the ids only
    #[arg(short, long)]
    quiet: bool,
}

const HEADING: &[&str] = &[
    "CONTAINER ID",
    "IMAGE",
    "COMMAND",
    "CREATED",
    "STATUS",
    "PORTS",
    "NAMES",
];

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

/// Lists containers, oldest first.
pub fn run(args: PsArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let format = args.format.as_deref();
    let format = format
        .map(|text| Format::parse_rows("ps", text))
        .transpose()?;
    let last = if args.latest { Some(1) } else { args.last };
    let last = last.and_then(|number| usize::try_from(number).ok());
    let request = ListRequest {
        all: args.all || last.is_some(),
    };
    let mut containers = engine.list(&request)?;
    containers.sort_by_key(|container| container.created);
    if let Some(number) = last {
        let surplus = containers.len().saturating_sub(number);
        containers.drain(..surplus);
    }
    show(&containers, &args, format.as_ref(), out)?;
    Ok(Exit::OK)
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
            let rows: Vec<_> = containers
                .iter()
                .map(|container| row(container, args.no_trunc, now))
                .collect();
            let heading = (!args.noheading).then_some(HEADING);
            out.text(&table::set(heading, &rows))
        }
    }
}

fn row(container: &ContainerSummary, whole: bool, now: Timestamp) -> Vec<String> {
    vec![
        shown_id(&container.id, whole).to_owned(),
        container.image.clone(),
        command(&container.command, whole),
        time::ago(container.created, now),
        status(container, now),
        ports(&container.ports),
        container.name.clone(),
    ]
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

/// `0.0.0.0:8080->80/tcp`.
fn ports(ports: &[PublishedPort]) -> String {
    let texts: Vec<String> = ports.iter().map(port).collect();
    texts.join(", ")
}

fn port(port: &PublishedPort) -> String {
    let ip = match port.host_ip.as_str() {
        "" => "0.0.0.0".to_owned(),
        ip if ip.contains(':') => format!("[{ip}]"),
        ip => ip.to_owned(),
    };
    let host = span(port.host_port, port.range);
    let container = span(port.container_port, port.range);
    format!("{ip}:{host}->{container}/{}", port.protocol)
}

fn span(first: u16, range: u16) -> String {
    match range {
        0 | 1 => first.to_string(),
        range => format!("{first}-{}", first.saturating_add(range - 1)),
    }
}

fn seconds(moment: Option<Timestamp>) -> i64 {
    moment.map_or(GO_ZERO_SECONDS, Timestamp::as_second)
}

/// Go's zero time in Unix seconds: what Podman's JSON has for what did not happen.
const GO_ZERO_SECONDS: i64 = -62_135_596_800;

/// One element of `--format json`.
fn document(container: &ContainerSummary, now: Timestamp) -> Value {
    let ports: Vec<Value> = container
        .ports
        .iter()
        .map(|port| {
            json!({
                "host_ip": port.host_ip,
                "container_port": port.container_port,
                "host_port": port.host_port,
                "range": port.range,
                "protocol": port.protocol,
            })
        })
        .collect();
    let state = container.state.as_str();
    json!({
        "AutoRemove": false,
        "Command": container.command,
        "CreatedAt": time::ago(container.created, now),
        "CIDFile": "",
        "Exited": matches!(state, "exited" | "stopped"),
        "ExitedAt": seconds(container.finished),
        "ExitCode": container.exit_code.unwrap_or(0),
        "ExposedPorts": null,
        "Id": container.id,
        "Image": container.image,
        "ImageID": container.image_id,
        "IsInfra": false,
        "Labels": container.labels,
        "Mounts": container.mounts,
        "Names": [container.name],
        "Namespaces": {},
        "Networks": container.networks,
        "Pid": container.pid.unwrap_or(0),
        "Pod": "",
        "PodName": "",
        "Ports": ports,
        "Restarts": container.restarts,
        "Size": null,
        "StartedAt": seconds(container.started),
        "State": state,
        "Status": status(container, now),
        "Created": container.created.as_second(),
    })
}

/// What templates see: the document, with what people read in place of what programs do.
fn fields(container: &ContainerSummary, whole: bool, now: Timestamp) -> Value {
    let document = document(container, now);
    let mut fields = document.clone();
    let labels = container.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let readable = json!({
        "ID": shown_id(&container.id, whole),
        "Id": container.id,
        "Names": container.name,
        "Command": command(&container.command, whole),
        "CreatedAt": time::go_text(container.created),
        "CreatedHuman": time::ago(container.created, now),
        "RunningFor": time::ago(container.created, now),
        "Labels": labels.join(","),
        "Mounts": container.mounts.join(","),
        "Networks": container.networks.join(","),
        "Ports": ports(&container.ports),
        "Label()": container.labels,
        "json()": document,
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
    fn ports_are_podmans() {
        let port = |host_ip: &str, range| PublishedPort {
            host_ip: host_ip.to_owned(),
            host_port: 8080,
            container_port: 80,
            range,
            protocol: "tcp".to_owned(),
        };
        for (published, expected) in [
            (vec![port("", 1)], "0.0.0.0:8080->80/tcp"),
            (vec![port("127.0.0.1", 3)], "127.0.0.1:8080-8082->80-82/tcp"),
            (
                vec![port("", 1), port("::1", 1)],
                "0.0.0.0:8080->80/tcp, [::1]:8080->80/tcp",
            ),
            (vec![], ""),
        ] {
            assert_eq!(ports(&published), expected);
        }
    }

    #[test]
    fn commands_are_cut() {
        let words = ["sleep".to_owned(), "infinity and on".to_owned()];
        assert_eq!(command(&words, false), "sleep infinity an...");
        assert_eq!(command(&words, true), "sleep infinity and on");
        assert_eq!(command(&words[..1], false), "sleep");
    }
}
