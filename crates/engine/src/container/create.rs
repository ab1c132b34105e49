//! `create`: an image, a writable layer and a record.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use minke_image::Progress;
use minke_runtime_spec::container::{Health, HealthCheck, MountKind, OnFailure, SystemdMode};
use minke_runtime_spec::generate::systemd;
use minke_runtime_spec::host::IdMapping;
use minke_runtime_spec::option::log::LogOptions;
use minke_runtime_spec::option::port::PortMapping;
use minke_runtime_spec::{ContainerSpec, ImageConfig};
use minke_storage::{ContainerId, CreateContainer};

use super::record::{Config, Record, State};
use super::remove::RemoveRequest;
use crate::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::image::lookup::Found;
use crate::image::pull::{PullPolicy, PullRequest};
use crate::volume::VolumeRequest;

/// What goes with a [`ContainerSpec`] and is not part of the container.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// How to get the image.
    pub pull: PullRequest,
    /// Remove a container that has the name.
    pub replace: bool,
    /// Write the id to this file; removed with the container.
    pub cidfile: Option<PathBuf>,
    /// The command line, for `inspect`.
    pub command_line: Vec<String>,
}

impl Default for CreateRequest {
    /// Pulls a missing image.
    fn default() -> Self {
        Self {
            pull: PullRequest {
                policy: PullPolicy::Missing,
                ..PullRequest::default()
            },
            replace: false,
            cidfile: None,
            command_line: Vec::new(),
        }
    }
}

/// A new container.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// What was asked and cannot be had.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Creates a container from `spec`.
    ///
    /// # Errors
    /// The image cannot be had; the name is taken; the spec contradicts itself or this host.
    /// Nothing of the container is left then.
    pub fn create(
        &self,
        spec: &ContainerSpec,
        request: &CreateRequest,
        progress: &dyn Progress,
    ) -> Result<Created> {
        if let Some(name) = &spec.name {
            check_name(name)?;
        }
        self.check_supported(spec)?;
        let image = match spec.rootfs {
            Some(_) => None,
            None => Some(self.require_image(&spec.image, &request.pull, progress)?),
        };
        let id = ContainerId::random()?;
        let name = match &spec.name {
            Some(name) => name.clone(),
            None => self.free_name(&id)?,
        };
        let made_up = spec.name.is_none();
        let image_config = match &image {
            Some(image) => image.container_defaults(self)?,
            None => ImageConfig::default(),
        };
        let mut spec = resolve_spec(spec, &image_config)?;
        self.decide_network(&mut spec.namespaces.network)?;
        if super::list::command(&spec, &image_config).is_empty() {
            return Err(Error::invalid(
                "no command or entrypoint provided, and no CMD or ENTRYPOINT from image",
            ));
        }
        let _picking = self.lock_ids(&spec)?;
        let ids = self.decide_ids(&mut spec, image.as_ref())?;
        let anonymous_volumes = self.decide_mounts(&mut spec, &image_config)?;
        let mut config = self.config(spec, image.as_ref(), image_config, request, &id)?;
        config.anonymous_volumes = anonymous_volumes;
        (config.uid_mappings, config.gid_mappings) = ids;
        if let Some(rootfs) = &config.spec.rootfs {
            super::rootfs::check(rootfs, &config.uid_mappings)?;
        }
        self.try_out(&id, &name, &config)?;
        self.check_named(&config.spec)?;
        self.check_networks(&config.spec.namespaces.network)?;
        // Only now: what could not take its place leaves the other one where it is.
        if request.replace {
            self.replace(&name)?;
        }
        let record = Record {
            id: id.to_string(),
            name,
            config,
            state: State::default(),
        };
        match self.make(record.clone(), image.as_ref(), request, &id) {
            // Somebody was faster with a name that nobody asked for.
            Err(error) if made_up && error.kind() == ErrorKind::NameInUse => {
                let name = long_name(&record.name, &id);
                self.make(Record { name, ..record }, image.as_ref(), request, &id)
            }
            made => made,
        }
    }

    /// The record first takes the name, then the layer is made: a crash between leaves a
    /// container without a layer, which `rm` removes like any other.
    fn make(
        &self,
        record: Record,
        image: Option<&Found>,
        request: &CreateRequest,
        id: &ContainerId,
    ) -> Result<Created> {
        if let Some(holder) = self.database()?.insert(&record)? {
            return Err(Error::NameInUse {
                name: record.name,
                holder,
            });
        }
        let made = self
            .make_layer(&record, image, id)
            .and_then(|()| self.make_volumes(&record));
        let created = made.and_then(|()| {
            request.cidfile.as_ref().map_or(Ok(()), |path| {
                fs::write(path, id.as_str()).map_err(Error::path("write", path))
            })
        });
        if let Err(error) = created {
            let undo = RemoveRequest {
                force: true,
                volumes: true,
                ..RemoveRequest::default()
            };
            if let Err(error) = self.remove(id.as_str(), &undo) {
                tracing::warn!(%error, %id, "a container that was not made is left");
            }
            return Err(error);
        }
        Ok(Created {
            warnings: log_warnings(&record.config)?,
            id: record.id,
        })
    }

    /// The record names them already: what a crash leaves out, the start makes.
    fn make_volumes(&self, record: &Record) -> Result<()> {
        for mount in &record.config.spec.mounts {
            if let MountKind::Volume { name: Some(name) } = &mount.kind {
                let request = VolumeRequest {
                    existing_is_fine: true,
                    anonymous: record.config.anonymous_volumes.contains(name),
                    ..VolumeRequest::default()
                };
                self.create_volume(name, &request)?;
            }
        }
        Ok(())
    }

    fn make_layer(&self, record: &Record, image: Option<&Found>, id: &ContainerId) -> Result<()> {
        let mut create = CreateContainer::default();
        create.image = image.map(|image| image.id.clone());
        create.id = Some(id.clone());
        create.layer = Some(record.config.layer.parse()?);
        self.settle_store_name(&record.name)?;
        create.names = vec![record.name.clone()];
        // One that goes with its end need not survive the host's.
        create.volatile = record.config.spec.remove;
        create.metadata = serde_json::json!({
            "image-name": record.config.image_name,
            "image-id": record.config.image_id,
            "name": record.name,
            "created-at": record.config.created.as_second(),
        })
        .to_string();
        let config = &record.config;
        if let Some(map) = record.id_map() {
            create.uid_map = recorded(&config.uid_mappings);
            create.gid_map = recorded(&config.gid_mappings);
            if let Some(image) = image.filter(|_| self.places.rootless) {
                create.parent = self.store_mut()?.mapped_top_layer(&image.id, &map)?;
            }
        }
        self.store_mut()?.create_container(create)?;
        crate::engine::make_private_dir(&self.store()?.container_directory(id))
    }

    fn config(
        &self,
        spec: ContainerSpec,
        image: Option<&Found>,
        image_config: ImageConfig,
        request: &CreateRequest,
        id: &ContainerId,
    ) -> Result<Config> {
        let conf = self.conf()?;
        let log_driver = spec
            .log
            .driver
            .clone()
            .or_else(|| conf.log_driver.clone())
            .unwrap_or_else(|| "k8s-file".to_owned());
        let log_path = match LogOptions::read(&spec.log.options)?.path {
            Some(path) => path,
            None => self.store()?.container_directory(id).join("ctr.log"),
        };
        let mut spec = spec;
        spec.stop_timeout_seconds = spec.stop_timeout_seconds.or(conf.stop_timeout);
        if let Some(bytes) = conf.log_size_max {
            let options = &mut spec.log.options;
            options
                .entry("max-size".into())
                .or_insert(bytes.to_string());
        }
        Ok(Config {
            image_name: image.map_or_else(String::new, |image| image.name_for(&spec.image)),
            image_id: image.map_or_else(String::new, |image| image.id.to_string()),
            image: image_config,
            layer: minke_storage::LayerId::random()?.to_string(),
            created: Timestamp::now(),
            log_path,
            log_driver: normal_log_driver(&log_driver)?,
            runtime: self.runtime_path()?,
            conmon: self.options.conmon.clone(),
            create_command: request.command_line.clone(),
            cidfile: request.cidfile.clone(),
            anonymous_volumes: Vec::new(),
            uid_mappings: Vec::new(),
            gid_mappings: Vec::new(),
            spec,
        })
    }

    /// What the spec names of this host must be there.
    fn check_named(&self, spec: &ContainerSpec) -> Result<()> {
        for name in &spec.requires {
            self.find(name)?;
        }
        if let Some(path) = spec.init_path.as_ref().filter(|_| spec.init)
            && !path.is_file()
        {
            return Err(Error::invalid(format!(
                "container-init binary not found on the host: stat {}: no such file or directory",
                path.display()
            )));
        }
        super::zone::find(spec.timezone.as_deref()).map(drop)
    }

    fn replace(&self, name: &str) -> Result<()> {
        let request = RemoveRequest {
            force: true,
            ignore_missing: true,
            ..RemoveRequest::default()
        };
        self.remove(name, &request).map(drop)
    }

    /// A name nobody has: two words and, when those are taken, a part of the id.
    fn free_name(&self, id: &ContainerId) -> Result<String> {
        let seed = u64::from_str_radix(&id.as_str()[..15], 16).unwrap_or(0);
        let name = names::pair(seed);
        match self.database()?.find(&name) {
            Err(Error::ContainerUnknown { .. }) => Ok(name),
            _ => Ok(long_name(&name, id)),
        }
    }
}

/// As the store records a mapping.
fn recorded(mappings: &[IdMapping]) -> Vec<minke_storage::IdMap> {
    let record = |map: &IdMapping| minke_storage::IdMap {
        container_id: map.container_id,
        host_id: map.host_id,
        size: map.size,
    };
    mappings.iter().map(record).collect()
}

fn long_name(name: &str, id: &ContainerId) -> String {
    format!("{name}_{}", &id.as_str()[..6])
}

/// Names as Docker and Podman allow them.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest {
        Ok(())
    } else {
        Err(Error::NameInvalid {
            name: name.to_owned(),
        })
    }
}

fn normal_log_driver(driver: &str) -> Result<String> {
    Ok(match driver {
        "k8s-file" | "json-file" | "none" | "passthrough" => driver.to_owned(),
        "journald" => {
            return Err(Error::Unsupported {
                what: "the log driver journald, without a journal to read from,".into(),
            });
        }
        other => return Err(Error::invalid(format!("unsupported log driver {other:?}"))),
    })
}

/// What of the log options has no effect on this container's driver.
fn log_warnings(config: &Config) -> Result<Vec<String>> {
    let options = LogOptions::read(&config.spec.log.options)?;
    let driver = &config.log_driver;
    let mut warnings = Vec::new();
    if options.tag.is_some() {
        warnings.push(format!(
            "only the log driver journald shows a tag, this is {driver}"
        ));
    }
    if options.max_files.is_some_and(|files| files > 1) && config.conmon.is_some() {
        warnings.push("conmon keeps one log file: max-file is without effect".to_owned());
    }
    Ok(warnings)
}

/// Takes from the image what is decided once: its stop signal and its labels.
fn resolve_spec(spec: &ContainerSpec, image: &ImageConfig) -> Result<ContainerSpec> {
    let mut spec = spec.clone();
    if spec.stop_signal.is_none() && !image.stop_signal.is_empty() {
        spec.stop_signal = Some(minke_runtime_spec::option::signal::parse(
            &image.stop_signal,
        )?);
    }
    resolve_health(&mut spec.health, image)?;
    if spec.stop_signal.is_none()
        && spec.systemd != SystemdMode::False
        && (spec.systemd == SystemdMode::Always
            || systemd::is_init(&super::list::command(&spec, image)))
    {
        spec.stop_signal = Some(systemd::STOP_SIGNAL);
    }
    super::devices::expand_directories(&mut spec.devices)?;
    if spec.publish_all {
        publish_exposed(&mut spec, image)?;
    }
    let mut labels: BTreeMap<String, String> = image.labels.clone();
    labels.append(&mut spec.labels);
    spec.labels = labels;
    Ok(spec)
}

/// Takes the image's check where none is asked for, and fills in defaults.
fn resolve_health(health: &mut Health, image: &ImageConfig) -> Result<()> {
    let of_image: Option<HealthCheck> = image
        .healthcheck
        .clone()
        .and_then(|check| serde_json::from_value(check).ok());
    let check = health.check.over(of_image.as_ref());
    let check = check.filter(|_| !health.disabled);
    health.check = check.unwrap_or_default();
    check_health_request(health)
}

/// Whether what is asked about health fits together; its check is resolved.
pub(crate) fn check_health_request(health: &Health) -> Result<()> {
    let is_checked = !health.check.test.is_empty();
    if !is_checked && health.startup.is_some() {
        return Err(Error::invalid(
            "a startup health check needs a health check: set --health-cmd",
        ));
    }
    if !is_checked && health.on_failure != OnFailure::None {
        return Err(Error::invalid(format!(
            "cannot set on-failure action to {} without a health check",
            health.on_failure.as_str()
        )));
    }
    match health.log_destination.as_deref() {
        None | Some("" | "local") => Ok(()),
        Some("events_logger") => Err(Error::Unsupported {
            what: "the health log destination events_logger".into(),
        }),
        Some(dir) if std::path::Path::new(dir).is_dir() => Ok(()),
        Some(dir) => Err(Error::invalid(format!(
            "health log destination {dir:?} is no directory"
        ))),
    }
}

/// Publishes what image and caller expose and nobody published, at ports the host picks.
fn publish_exposed(spec: &mut ContainerSpec, image: &ImageConfig) -> Result<()> {
    let exposed = image.exposed_ports.keys().chain(&spec.expose);
    let mut all = Vec::new();
    for text in exposed {
        let mapping = minke_runtime_spec::option::port::parse(text)?;
        let (first, last) = (
            mapping.container_port,
            mapping
                .container_port
                .saturating_add(mapping.range.max(1) - 1),
        );
        for container_port in first..=last {
            all.push(PortMapping {
                container_port,
                range: 1,
                ..mapping.clone()
            });
        }
    }
    for port in all {
        let published = spec.ports.iter().any(|known| {
            let end = known.container_port.saturating_add(known.range.max(1) - 1);
            (known.container_port..=end).contains(&port.container_port)
                && known.protocol.split(',').any(|name| name == port.protocol)
        });
        if !published {
            spec.ports.push(port);
        }
    }
    Ok(())
}

/// Two-word names, as Docker's users expect them.
mod names {
    const LEFT: &[&str] = &[
        "able", "brave", "bright", "calm", "clever", "cosmic", "eager", "early", "fair", "fast",
        "fond", "gentle", "glad", "grand", "happy", "honest", "jolly", "keen", "kind", "light",
        "lively", "lucid", "merry", "neat", "noble", "patient", "plain", "polite", "proud",
        "quick", "quiet", "rapid", "ready", "serene", "sharp", "silent", "simple", "smart",
        "solid", "steady", "still", "sunny", "swift", "tidy", "true", "vivid", "warm", "wise",
    ];
    const RIGHT: &[&str] = &[
        "albatross",
        "auk",
        "beluga",
        "bowhead",
        "buoy",
        "capelin",
        "coral",
        "cormorant",
        "current",
        "dolphin",
        "eddy",
        "fin",
        "fjord",
        "floe",
        "fulmar",
        "gannet",
        "gray",
        "gull",
        "harbor",
        "herring",
        "humpback",
        "iceberg",
        "kelp",
        "krill",
        "lagoon",
        "lantern",
        "narwhal",
        "orca",
        "osprey",
        "otter",
        "pelican",
        "petrel",
        "pilot",
        "plover",
        "porpoise",
        "puffin",
        "reef",
        "rorqual",
        "salmon",
        "sardine",
        "seal",
        "skua",
        "sperm",
        "squid",
        "tern",
        "tide",
        "turtle",
        "walrus",
    ];

    pub(super) fn pair(seed: u64) -> String {
        let left = LEFT[(seed % LEFT.len() as u64) as usize];
        let right = RIGHT[(seed / LEFT.len() as u64 % RIGHT.len() as u64) as usize];
        format!("{left}_{right}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_podman_does() {
        for good in ["a", "A1", "a_b.c-d", "0"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "_a", "-a", "a b", "a/b", "ä"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn made_up_names_are_valid() {
        for seed in [0, 1, 47, 48, u64::MAX] {
            assert!(check_name(&names::pair(seed)).is_ok());
        }
    }
}
