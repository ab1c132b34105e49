//! `commit`: an image of a container as it is now.

use std::io::Read;
use std::str::FromStr;

use jiff::Timestamp;
use minke_image::config::{ContainerDefaults, Empty, History, ImageConfig, RootFs};
use minke_image::transport::CopiedImage;
use minke_image::{
    Descriptor, Digest, ImageDestination, ImageManifest, ImageReference, MediaType,
    StorageDestination, UserName,
};
use minke_runtime_spec::container::MountKind;
use minke_storage::{ImageId, LayerId, Packer};

use super::lock::Locked;
use super::pipe::piped;
use super::record::Record;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};
use crate::image::change;

/// The form of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageFormat {
    /// OCI's. It has no place for a message, ONBUILD or a health check.
    #[default]
    Oci,
    /// Docker's.
    Docker,
}

/// What image to make.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    /// Its name; a short one goes below localhost. It is taken from the image that has it.
    pub name: Option<String>,
    /// Its author.
    pub author: Option<String>,
    /// What changed; only Docker's form has it.
    pub message: Option<String>,
    /// Changes to what it says of its containers, such as `CMD ["sh"]`.
    pub changes: Vec<String>,
    /// What it says of its containers, over all else: JSON in the form of an image's `config`.
    pub config: Option<Vec<u8>>,
    /// Its form.
    pub format: ImageFormat,
    /// Freeze the container meanwhile.
    pub pause: bool,
    /// One layer with everything, in place of one more upon the base image's.
    pub squash: bool,
    /// Note the places of all the container's mounts as volumes, not only of the volumes that
    /// nobody named.
    pub include_volumes: bool,
}

/// A new image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub id: String,
    /// What was asked and has no place in the image's form.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Makes an image of a container's files and configuration as they are now.
    ///
    /// Of the environment the image's and the container's own variables are noted, not those
    /// that every container gets (`HOSTNAME`, `container`, `TERM`).
    ///
    /// # Errors
    /// No such container; a name, a change or a configuration that does not parse; files that
    /// cannot be read. No image is made then.
    pub fn commit(&self, name: &str, request: &CommitRequest) -> Result<Committed> {
        if request.message.is_some() && request.format == ImageFormat::Oci {
            return Err(Error::invalid(
                "messages are only compatible with the docker image format (-f docker)",
            ));
        }
        let names: Vec<_> = request
            .name
            .as_deref()
            .map(reference)
            .transpose()?
            .into_iter()
            .collect();
        let locked = self.find_and_lock(name)?;
        let record = locked.record.clone();
        if record.config.spec.rootfs.is_some() {
            return Err(Error::invalid(
                "cannot commit a container that uses an exploded rootfs",
            ));
        }
        let mut config = self.committed_config(&record, request)?;
        let warnings = fit(&mut config, request);
        let frozen = self.freeze(&locked, request.pause)?;
        drop(locked);
        let mut destination = StorageDestination::new(self.store_mut()?, &names);
        let packed = self.put_layers(&record, request, &mut config, &destination);
        drop(frozen);
        let layers = packed?;
        let bytes = serde_json::to_vec(&config).map_err(|source| Error::Record {
            object: "the new image".to_owned(),
            source,
        })?;
        let (manifest_type, config_type) = match request.format {
            ImageFormat::Oci => (MediaType::OCI_MANIFEST, MediaType::OCI_CONFIG),
            ImageFormat::Docker => (MediaType::DOCKER_MANIFEST, MediaType::DOCKER_CONFIG),
        };
        let described = Descriptor::of(config_type, &bytes);
        let id = described.digest.hex().to_owned();
        let manifest = ImageManifest::compose(manifest_type, described, layers)?;
        destination.commit(&CopiedImage {
            manifest: &manifest,
            index: None,
            config: &bytes,
            diff_ids: &config.rootfs.diff_ids,
        })?;
        Ok(Committed { id, warnings })
    }

    /// The new image's configuration, its layers apart.
    fn committed_config(&self, record: &Record, request: &CommitRequest) -> Result<ImageConfig> {
        let mut config = self.base_config(record)?;
        let now = Timestamp::now().to_string();
        let author = request.author.clone().unwrap_or_default();
        take_over(record, request.include_volumes, &mut config.config);
        for change in &request.changes {
            change::apply(change, &mut config.config)?;
        }
        if let Some(text) = &request.config {
            let other: ContainerDefaults = serde_json::from_slice(text).map_err(|error| {
                Error::invalid(format!("parsing the configuration to commit: {error}"))
            })?;
            change::overlay(&mut config.config, other);
        }
        if request.squash {
            config.history.clear();
        }
        config.history.push(History {
            created: Some(now.clone()),
            created_by: "/bin/sh".to_owned(),
            author: author.clone(),
            comment: format!("FROM {}", record.config.image_name),
            empty_layer: false,
        });
        config.created = Some(now);
        config.author = author;
        config.comment = request.message.clone().unwrap_or_default();
        Ok(config)
    }

    fn base_config(&self, record: &Record) -> Result<ImageConfig> {
        let id: ImageId = record.config.image_id.parse()?;
        let images = self.store()?.images()?;
        let image = images.get(&id).ok_or_else(|| Error::ImageUnknown {
            name: record.config.image_name.clone(),
        })?;
        self.image_config(image)
    }

    /// Writes the container's layer, and gives the descriptors of all of the image's.
    fn put_layers(
        &self,
        record: &Record,
        request: &CommitRequest,
        config: &mut ImageConfig,
        destination: &StorageDestination,
    ) -> Result<Vec<Descriptor>> {
        let store = self.store()?;
        let layer: LayerId = record.config.layer.parse()?;
        let kind = match request.format {
            ImageFormat::Oci => MediaType::OCI_LAYER,
            ImageFormat::Docker => MediaType::DOCKER_LAYER,
        };
        let mut layers = match request.squash {
            true => Vec::new(),
            false => self.base_layers(&layer, &kind)?,
        };
        let index = layers.len();
        let put = |stream: &mut dyn Read| {
            let put = destination.put_new_layer(index, kind.clone(), stream);
            put.map_err(Error::from)
        };
        let new = if request.squash {
            let root = store.view(&layer)?;
            piped(put, |output| {
                let map = record.id_map();
                let mut packer = Packer::new(output).whole_seconds().inside(map.as_ref());
                packer
                    .below(&root, "".as_ref())
                    .and_then(|()| packer.finish())
                    .map_err(Error::system("read the container's files"))
            })?
        } else {
            piped(put, |output| {
                store.export_layer(&layer, output)?;
                Ok(())
            })?
        };
        layers.push(new);
        config.rootfs = RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.digest.clone()).collect(),
        };
        Ok(layers)
    }

    /// The layers below `layer` as plain tars, the base first.
    fn base_layers(&self, layer: &LayerId, kind: &MediaType) -> Result<Vec<Descriptor>> {
        let layers = self.store()?.layers()?;
        let mut found = Vec::new();
        let mut next = layers.get(layer).and_then(|layer| layer.parent.clone());
        while let Some(id) = next {
            let unknown = || Error::invalid(format!("layer {id} has no recorded digest and size"));
            let below = layers.get(&id).ok_or_else(unknown)?;
            let digest = below.diff_id.as_ref().ok_or_else(unknown)?;
            let digest: Digest = digest.to_string().parse()?;
            let size = below.diff_size.and_then(|size| u64::try_from(size).ok());
            found.push(Descriptor::new(
                kind.clone(),
                digest,
                size.ok_or_else(unknown)?,
            ));
            next = below.parent.clone();
        }
        found.reverse();
        Ok(found)
    }

    fn freeze(&self, locked: &Locked, asked: bool) -> Result<Option<Frozen<'_>>> {
        let record = &locked.record;
        if !asked || self.status(record).0 != ContainerState::Running {
            return Ok(None);
        }
        self.runtime(record)?.set_paused(&record.id, true)?;
        Ok(Some(Frozen {
            engine: self,
            record: record.clone(),
        }))
    }
}

/// A container that we have frozen: it goes on when this is dropped.
struct Frozen<'e> {
    engine: &'e Engine,
    record: Record,
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let runtime = self.engine.runtime(&self.record);
        let thawed = runtime.and_then(|runtime| runtime.set_paused(&self.record.id, false));
        if let Err(error) = thawed {
            tracing::warn!(error = %error.chain(), "the container stays paused");
        }
    }
}

fn reference(name: &str) -> Result<ImageReference> {
    let reference = match UserName::from_str(name)? {
        UserName::Qualified(reference) => reference,
        UserName::Short(short) => short.in_registry("localhost")?,
    };
    Ok(reference.with_default_tag())
}

/// What the container was told in place of what its image says.
fn take_over(record: &Record, include_volumes: bool, config: &mut ContainerDefaults) {
    let spec = &record.config.spec;
    if let Some(entrypoint) = &spec.entrypoint {
        config.entrypoint = Some(entrypoint.clone());
        config.cmd = None;
    }
    if !spec.command.is_empty() {
        config.cmd = Some(spec.command.clone());
    }
    if spec.unset_env_all {
        config.env.clear();
    }
    config.env.retain(|line| {
        let key = line.split_once('=').map_or(line.as_str(), |(key, _)| key);
        !spec.unset_env.contains(key)
    });
    for (key, value) in &spec.env {
        change::set_variable(config, key, value);
    }
    config.labels.extend(spec.labels.clone());
    if let Some(user) = &spec.user {
        config.user.clone_from(user);
    }
    if let Some(workdir) = &spec.workdir {
        config.working_dir.clone_from(workdir);
    }
    for port in &spec.ports {
        for offset in 0..port.range.max(1) {
            for protocol in port.protocol.split(',') {
                let number = port.container_port.saturating_add(offset);
                config
                    .exposed_ports
                    .insert(format!("{number}/{protocol}"), Empty {});
            }
        }
    }
    let anonymous = &record.config.anonymous_volumes;
    let noted = spec.mounts.iter().filter(|mount| match &mount.kind {
        MountKind::Volume { name } if !include_volumes => {
            name.as_ref().is_some_and(|name| anonymous.contains(name))
        }
        MountKind::Volume { .. } | MountKind::Bind { .. } => include_volumes,
        _ => false,
    });
    let places = noted.map(|mount| (mount.destination.clone(), Empty {}));
    config.volumes.extend(places);
}

/// Takes away what the image's form has no place for; says what of it was asked for.
fn fit(config: &mut ImageConfig, request: &CommitRequest) -> Vec<String> {
    if request.format == ImageFormat::Docker {
        return Vec::new();
    }
    let defaults = &mut config.config;
    let ignored = |what: &String| {
        format!(
            "ONBUILD is not supported for OCI image format, {what} will be ignored. Must use `docker` format"
        )
    };
    let warnings = defaults.on_build.iter().map(ignored).collect();
    defaults.on_build.clear();
    defaults.shell.clear();
    defaults.healthcheck = None;
    defaults.stop_timeout = None;
    config.docker_version.clear();
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_registry_are_local() {
        for (name, expected) in [
            ("a", "localhost/a:latest"),
            ("a:1", "localhost/a:1"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ] {
            assert_eq!(reference(name).unwrap().to_string(), expected);
        }
        assert!(reference("BAD").is_err());
    }
}
