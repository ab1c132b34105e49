//! `ps`: containers in short.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::record::{Record, State};
use super::status::{ContainerState, Exit};
use crate::Engine;
use crate::error::Result;

/// Which containers are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListRequest {
    /// Those that do not run as well.
    pub all: bool,
}

/// A container in short.
#[derive(Debug, Clone)]
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
    /// How often its restart policy has started it again.
    pub restarts: u32,
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
        let mut found = Vec::new();
        // Most containers of a long list do not run: their configurations are not even parsed.
        let wanted =
            |facts: &State| request.all || self.is_running(facts) || self.is_abandoned(facts);
        for record in self.database()?.list(wanted)? {
            let Some(record) = self.settled(record) else {
                continue;
            };
            let (state, exit) = self.status(&record);
            if request.all || state.is_alive() {
                let health = self.health_status(&record, state);
                found.push(summary(record, state, exit, health));
            }
        }
        Ok(found)
    }
}

fn summary(
    record: Record,
    state: ContainerState,
    exit: Option<Exit>,
    health: Option<String>,
) -> ContainerSummary {
    let ports = published(&record);
    let config = record.config;
    let facts = record.state;
    ContainerSummary {
        command: command(&config.spec, &config.image),
        image: config.image_name,
        image_id: config.image_id,
        created: config.created,
        started: facts.started,
        finished: facts.finished.or(exit.map(|exit| exit.time)),
        exit_code: exit.map(|exit| exit.code),
        pid: facts.init.filter(|_| state.is_alive()).map(|init| init.pid),
        networks: facts
            .network
            .map(|network| network.networks.into_keys().collect())
            .unwrap_or_default(),
        mounts: config
            .spec
            .mounts
            .iter()
            .map(|mount| mount.destination.clone())
            .collect(),
        labels: config.spec.labels,
        health,
        restarts: facts.restarts,
        id: record.id,
        name: record.name,
        state,
        ports,
    }
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
