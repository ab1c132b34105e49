//! `ps`: containers in short.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use minke_network::config::DEFAULT_NETWORK;
use minke_runtime_spec::container::NetworkMode;
use minke_storage::ContainerId;

use super::filter::{FilterMap, Filters};
use super::record::{Record, State};
use super::status::{ContainerState, Exit};
use crate::Engine;
use crate::error::Result;

/// Which containers are wanted.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Those that do not run as well.
    pub all: bool,
    /// Those that pass; asking for a state asks for those that do not run as well.
    pub filters: FilterMap,
    /// So many of the newest, running or not.
    pub last: Option<usize>,
    /// Tell how much room each takes: every file it has changed is looked at.
    pub size: bool,
    /// Tell which namespaces each is in.
    pub namespaces: bool,
    /// Containers of the store that other engines have made, too.
    pub external: bool,
}

/// A container in short.
#[derive(Debug, Clone, Default)]
pub struct ContainerSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image, as named.
    pub image: String,
    /// Its image's id.
    pub image_id: String,
    /// What it runs.
    pub command: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// What it is doing.
    pub state: ContainerState,
    /// Its exit code, once it has ended.
    pub exit_code: Option<i32>,
    /// Its first process, while it runs.
    pub pid: Option<i32>,
    /// What it publishes.
    pub ports: Vec<PublishedPort>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Networks it is in.
    pub networks: Vec<String>,
    /// Mount points of what is mounted into it.
    pub mounts: Vec<String>,
    /// Its health, where it has a check and runs.
    pub health: Option<String>,
    /// It is removed when it ends.
    pub auto_remove: bool,
    /// The file its id is in.
    pub cidfile: Option<PathBuf>,
    /// Ports it says it listens on, with their protocols.
    pub exposed_ports: BTreeMap<u16, Vec<String>>,
    /// How often it was started again.
    pub restarts: u32,
    /// Its namespaces, where they were asked for and it runs.
    pub namespaces: Option<NamespaceIds>,
    /// Its size, where it was asked for.
    pub size: Option<Size>,
}

/// The numbers of a container's namespaces, as in /proc/PID/ns; empty where it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the kernel's names
pub struct NamespaceIds {
    pub cgroup: String,
    pub ipc: String,
    pub mnt: String,
    pub net: String,
    pub pid: String,
    pub user: String,
    pub uts: String,
}

/// How much room a container takes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// What it has changed.
    pub changes_bytes: u64,
    /// Everything it sees: its image and what it has changed.
    pub root_bytes: u64,
}

/// A published port, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The host's address; empty is all of them.
    pub host_ip: String,
    /// The first port on the host.
    pub host_port: u16,
    /// The first port in the container.
    pub container_port: u16,
    /// How many.
    pub range: u16,
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
}

impl Engine {
    /// Containers, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self, request: &ListRequest) -> Result<Vec<ContainerSummary>> {
        let filters = self.filters(&request.filters)?;
        let all = request.all
            || request.external
            || request.last.is_some()
            || Filters::asks_for_status(&request.filters);
        // Most containers of a long list do not run: their configurations are not even parsed.
        let select = |facts: &State| {
            let running = self.is_running(facts);
            (all || running || self.is_abandoned(facts)).then_some(running)
        };
        let mut found = Vec::new();
        for (record, running) in self.database()?.list(select)? {
            // One that runs and waits for nothing needs nobody.
            let is_settled = running && record.state.again.is_none();
            let record = match is_settled {
                true => Some(record),
                false => self.settled(record),
            };
            let Some(record) = record else {
                continue;
            };
            // It may have been settled by being started again.
            let running = running || self.is_running(&record.state);
            let (state, exit) = self.status_of(&record, running);
            if !all && state != ContainerState::Running {
                continue;
            }
            let summary = ContainerSummary {
                health: self.health_status(&record, state),
                ..summary(&record, state, exit)
            };
            if filters.pass(&record, &summary) {
                found.push(summary);
            }
        }
        if request.external {
            found.extend(self.external_containers()?);
            found.sort_by_key(|summary| summary.created);
        }
        if let Some(last) = request.last {
            let surplus = found.len().saturating_sub(last);
            found.drain(..surplus);
        }
        for summary in &mut found {
            self.add_details(summary, request)?;
        }
        Ok(found)
    }

    fn add_details(&self, summary: &mut ContainerSummary, request: &ListRequest) -> Result<()> {
        if request.namespaces {
            summary.namespaces = summary.pid.map(NamespaceIds::of);
        }
        if request.size {
            summary.size = Some(self.size_of(&summary.id)?);
        }
        Ok(())
    }

    /// How much room a container takes, by the id of the store's container.
    pub(crate) fn size_of(&self, id: &str) -> Result<Size> {
        let store = self.store()?;
        let id: ContainerId = id.parse()?;
        let containers = store.containers()?;
        let Some(container) = containers.get(&id) else {
            return Ok(Size::default());
        };
        let layers = store.layers()?;
        let below = layers
            .get(&container.layer)
            .and_then(|layer| layer.parent.clone());
        let changes_bytes = tree_bytes(&store.changes_directory(&container.layer));
        Ok(Size {
            changes_bytes,
            root_bytes: changes_bytes + crate::image::list::size(below.as_ref(), &layers),
        })
    }
}

impl NamespaceIds {
    fn of(pid: i32) -> Self {
        let id = |name: &str| {
            let link = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap_or_default();
            let text = link.to_string_lossy();
            let number = text
                .split_once('[')
                .and_then(|(_, rest)| rest.strip_suffix(']'));
            number.unwrap_or_default().to_owned()
        };
        Self {
            cgroup: id("cgroup"),
            ipc: id("ipc"),
            mnt: id("mnt"),
            net: id("net"),
            pid: id("pid"),
            user: id("user"),
            uts: id("uts"),
        }
    }
}

/// The bytes of the regular files below a directory of the store; what cannot be read counts
/// nothing. Links are not followed.
fn tree_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(stat) if stat.is_dir() => tree_bytes(&entry.path()),
            Ok(stat) if stat.is_file() => stat.len(),
            _ => 0,
        })
        .sum()
}

fn summary(record: &Record, state: ContainerState, exit: Option<Exit>) -> ContainerSummary {
    let config = &record.config;
    let facts = &record.state;
    let init = facts.init.filter(|_| state.is_alive());
    ContainerSummary {
        id: record.id.clone(),
        name: record.name.clone(),
        command: command(&config.spec, &config.image),
        image: config.image_name.clone(),
        image_id: config.image_id.clone(),
        created: config.created,
        started: facts.started,
        finished: facts.finished.or(exit.map(|exit| exit.time)),
        state,
        exit_code: exit.map(|exit| exit.code),
        pid: init.map(|init| init.pid),
        ports: published(record),
        labels: config.spec.labels.clone(),
        networks: networks(record),
        mounts: config
            .spec
            .mounts
            .iter()
            .map(|mount| mount.destination.clone())
            .collect(),
        health: None,
        auto_remove: config.spec.remove,
        cidfile: config.cidfile.clone(),
        exposed_ports: exposed(&config.image),
        restarts: facts.restarts,
        namespaces: None,
        size: None,
    }
}

/// The networks it is in, or would be in.
fn networks(record: &Record) -> Vec<String> {
    if let Some(network) = &record.state.network {
        return network.networks.keys().cloned().collect();
    }
    match &record.config.spec.namespaces.network {
        NetworkMode::Bridge(names) if !names.is_empty() => names.clone(),
        NetworkMode::Default | NetworkMode::Bridge(_) => vec![DEFAULT_NETWORK.to_owned()],
        _ => Vec::new(),
    }
}

/// `80/tcp` as number and protocol.
fn exposed(image: &minke_runtime_spec::ImageConfig) -> BTreeMap<u16, Vec<String>> {
    let mut ports: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for text in image.exposed_ports.keys() {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        if let Ok(number) = number.parse() {
            ports.entry(number).or_default().push(protocol.to_owned());
        }
    }
    ports
}

/// What runs: entry point and arguments, the container's own before the image's.
pub(crate) fn command(
    spec: &minke_runtime_spec::ContainerSpec,
    image: &minke_runtime_spec::ImageConfig,
) -> Vec<String> {
    let mut command = match &spec.entrypoint {
        Some(entrypoint) => entrypoint.clone(),
        None => image.entrypoint.clone(),
    };
    if spec.command.is_empty() && spec.entrypoint.is_none() {
        command.extend(image.cmd.iter().cloned());
    } else {
        command.extend(spec.command.iter().cloned());
    }
    command
}

impl Engine {
    /// What a container publishes; nothing where it does not run.
    ///
    /// # Errors
    /// No such container.
    pub fn published_ports(&self, name: &str) -> Result<Vec<PublishedPort>> {
        let record = self.find(name)?;
        let (state, _) = self.status(&record);
        Ok(if state == ContainerState::Running {
            published(&record)
        } else {
            Vec::new()
        })
    }
}

/// Ports as they are while it runs, as asked for otherwise.
pub(crate) fn published(record: &Record) -> Vec<PublishedPort> {
    let running = record
        .state
        .network
        .as_ref()
        .and_then(|network| network.port_mappings.as_ref());
    match running {
        Some(mappings) => mappings
            .iter()
            .map(|port| PublishedPort {
                host_ip: port.host_ip.clone(),
                host_port: port.host_port,
                container_port: port.container_port,
                range: port.count(),
                protocol: port.protocol.clone(),
            })
            .collect(),
        None => record
            .config
            .spec
            .ports
            .iter()
            .map(|port| PublishedPort {
                host_ip: port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                host_port: port.host_port.unwrap_or(0),
                container_port: port.container_port,
                range: port.range.max(1),
                protocol: port.protocol.clone(),
            })
            .collect(),
    }
}
