//! `minke ps`.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use minke_engine::{ContainerSummary, Engine, ListRequest, NamespaceIds, PublishedPort};
use serde_json::{Value, json};

use crate::error::{Error, Exit, Result};
use crate::flag::{integer, unsigned};
use crate::output::{Output, short_id, size, table, time};
use crate::targets;
use crate::template::Format;

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

/// What a list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Command,
    Created,
    Id,
    Image,
    Names,
    RunningFor,
    Size,
    Status,
}

impl Sort {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "command" => Sort::Command,
            "created" => Sort::Created,
            "id" => Sort::Id,
            "image" => Sort::Image,
            "names" => Sort::Names,
            "runningfor" => Sort::RunningFor,
            "size" => Sort::Size,
            "status" => Sort::Status,
            _ => {
                return Err(format!(
                    "{text:?} is not a valid value.  Choose from: \"command\", \"created\", \"id\", \"image\", \"names\", \"runningfor\", \"size\", \"status\""
                ));
            }
        })
    }

    fn apply(self, containers: &mut [ContainerSummary]) {
        match self {
            Sort::Command => containers.sort_by(|a, b| a.command.first().cmp(&b.command.first())),
            Sort::Created => containers.sort_by_key(|container| container.created),
            Sort::Id => containers.sort_by(|a, b| a.id.cmp(&b.id)),
            Sort::Image => containers.sort_by(|a, b| a.image.cmp(&b.image)),
            Sort::Names => containers.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::RunningFor => containers.sort_by_key(|container| container.started),
            Sort::Size => {
                containers.sort_by_key(|container| container.size.map(|size| size.root_bytes));
            }
            Sort::Status => containers.sort_by_key(|container| container.state.as_str()),
        }
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

/// `0.0.0.0:8080->80/tcp`, then what is only exposed.
fn ports(container: &ContainerSummary) -> String {
    let mut texts: Vec<String> = container.ports.iter().map(port).collect();
    texts.extend(exposed(container));
    texts.join(", ")
}

/// `80/tcp`, `8000-8002/udp`: ports that are exposed and not published, neighbours together.
fn exposed(container: &ContainerSummary) -> Vec<String> {
    let is_published = |number: u16, protocol: &str| {
        container.ports.iter().any(|port| {
            let last = port.container_port.saturating_add(port.range.max(1) - 1);
            (port.container_port..=last).contains(&number) && port.protocol == protocol
        })
    };
    let mut open: Vec<(&str, u16)> = container
        .exposed_ports
        .iter()
        .flat_map(|(number, protocols)| {
            protocols
                .iter()
                .map(move |protocol| (protocol.as_str(), *number))
        })
        .filter(|(protocol, number)| !is_published(*number, protocol))
        .collect();
    open.sort();
    let mut spans: Vec<(&str, u16, u16)> = Vec::new();
    for (protocol, number) in open {
        match spans.last_mut() {
            Some((same, _, last)) if *same == protocol && *last == number.wrapping_sub(1) => {
                *last = number;
            }
            _ => spans.push((protocol, number, number)),
        }
    }
    spans
        .into_iter()
        .map(|(protocol, first, last)| match last {
            last if last == first => format!("{first}/{protocol}"),
            last => format!("{first}-{last}/{protocol}"),
        })
        .collect()
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
        "AutoRemove": container.auto_remove,
        "Command": container.command,
        "CreatedAt": time::ago(container.created, now),
        "CIDFile": container.cidfile.clone().unwrap_or_default(),
        "Exited": matches!(state, "exited" | "stopped"),
        "ExitedAt": seconds(container.finished),
        "ExitCode": container.exit_code.unwrap_or(0),
        "ExposedPorts": (!container.exposed_ports.is_empty()).then_some(&container.exposed_ports),
        "Id": container.id,
        "Image": container.image,
        "ImageID": container.image_id,
        "IsInfra": false,
        "Labels": container.labels,
        "Mounts": container.mounts,
        "Names": [container.name],
        "Namespaces": namespaces(container),
        "Networks": container.networks,
        "Pid": container.pid.unwrap_or(0),
        "Pod": "",
        "PodName": "",
        "Ports": ports,
        "Restarts": container.restarts,
        "Size": container.size.map(|size| json!({
            "rootFsSize": size.root_bytes,
            "rwSize": size.changes_bytes,
        })),
        "StartedAt": seconds(container.started),
        "State": state,
        "Status": status(container, now),
        "Created": container.created.as_second(),
    })
}

fn namespaces(container: &ContainerSummary) -> Value {
    match &container.namespaces {
        Some(spaces) => json!({
            "Mnt": spaces.mnt,
            "Cgroup": spaces.cgroup,
            "Ipc": spaces.ipc,
            "Net": spaces.net,
            "Pidns": spaces.pid,
            "Uts": spaces.uts,
            "User": spaces.user,
        }),
        None => json!({}),
    }
}

/// What templates see: the document, with what people read in place of what programs do.
fn fields(container: &ContainerSummary, whole: bool, now: Timestamp) -> Value {
    let document = document(container, now);
    let mut fields = document.clone();
    let labels = container.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let spaces = container.namespaces.clone().unwrap_or_default();
    let readable = json!({
        "ID": shown_id(&container.id, whole),
        "Id": container.id,
        "Names": container.name,
        "Command": command(&container.command, whole),
        "CreatedAt": time::go_text(container.created),
        "CreatedHuman": time::ago(container.created, now),
        "RunningFor": time::ago(container.created, now),
        "Labels": labels.join(","),
        "ImageID": shown_id(&container.image_id, whole),
        "Networks": container.networks.join(","),
        "Ports": ports(container),
        "Restarts": container.restarts.to_string(),
        "Size": room(container),
        "CGROUPNS": spaces.cgroup,
        "Cgroup": spaces.cgroup,
        "IPC": spaces.ipc,
        "MNT": spaces.mnt,
        "NET": spaces.net,
        "PIDNS": spaces.pid,
        "USERNS": spaces.user,
        "User": spaces.user,
        "UTS": spaces.uts,
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
            let container = ContainerSummary {
                ports: published,
                ..ContainerSummary::default()
            };
            assert_eq!(ports(&container), expected);
        }
    }

    #[test]
    fn exposed_ports_stand_behind_published_ones() {
        let tcp = || vec!["tcp".to_owned()];
        let container = ContainerSummary {
            ports: vec![PublishedPort {
                host_ip: String::new(),
                host_port: 8080,
                container_port: 80,
                range: 1,
                protocol: "tcp".to_owned(),
            }],
            exposed_ports: [
                (80, tcp()),
                (90, tcp()),
                (91, tcp()),
                (53, vec!["udp".to_owned()]),
            ]
            .into(),
            ..ContainerSummary::default()
        };
        assert_eq!(ports(&container), "0.0.0.0:8080->80/tcp, 90-91/tcp, 53/udp");
    }

    #[test]
    fn commands_are_cut() {
        let words = ["sleep".to_owned(), "infinity and on".to_owned()];
        assert_eq!(command(&words, false), "sleep infinity an...");
        assert_eq!(command(&words, true), "sleep infinity and on");
        assert_eq!(command(&words[..1], false), "sleep");
    }
}
