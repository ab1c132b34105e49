//! `docker-archive:` files, to read: what `docker save` and `podman save` write.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::members::{Members, Section};
use crate::config::ImageConfig;
use crate::copy::{Inflate, InflateLimits, detect};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::{MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, null_is_default};
use crate::error::{Error, Result};
use crate::manifest::{ImageManifest, MAX_DESCRIPTORS, RawManifest};
use crate::media_type::{Compression, MediaType};
use crate::name::{ArchiveSelector, ImageName};
use crate::reference::ImageReference;
use crate::transport::ImageSource;

/// One entry of `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item {
    pub(super) config: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) layers: Vec<String>,
}

/// The name of the table of contents.
pub(super) const MANIFEST_FILE: &str = "manifest.json";

/// A docker archive with one or more images.
#[derive(Debug, Clone)]
pub struct DockerArchive {
    members: Arc<Members>,
    items: Vec<Item>,
}

impl DockerArchive {
    /// Opens the archive at `path`; a compressed one is expanded in the directory `scratch`.
    ///
    /// # Errors
    /// [`Error::NotInPlace`] if it has no `manifest.json`, or as it cannot be read.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self> {
        Self::of(Arc::new(Members::open(path, scratch)?))
    }

    pub(super) fn of(members: Arc<Members>) -> Result<Self> {
        let bytes = members.read_member(MANIFEST_FILE, MAX_MANIFEST_BYTES)?;
        let items: Vec<Item> =
            serde_json::from_slice(&bytes).map_err(|error| Error::InvalidDocument {
                what: MANIFEST_FILE,
                problem: error.to_string(),
            })?;
        Ok(DockerArchive { members, items })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The names of the image at `index`. Names that are no references are left out.
    pub fn names(&self, index: usize) -> Vec<ImageReference> {
        let tags = self
            .items
            .get(index)
            .map_or(&[][..], |item| &item.repo_tags);
        tags.iter().filter_map(|tag| tag.parse().ok()).collect()
    }

    /// The image `selector` picks; without one, the only image.
    ///
    /// # Errors
    /// [`Error::NotInPlace`].
    pub fn find(&self, selector: Option<&ArchiveSelector>) -> Result<usize> {
        let found = match selector {
            Some(ArchiveSelector::Index(index)) => Some(*index).filter(|at| *at < self.len()),
            Some(ArchiveSelector::Reference(reference)) => {
                (0..self.len()).find(|at| self.names(*at).contains(reference))
            }
            None => (self.len() == 1).then_some(0),
        };
        found.ok_or_else(|| Error::NotInPlace {
            what: match selector {
                Some(ArchiveSelector::Index(index)) => format!("image @{index}"),
                Some(ArchiveSelector::Reference(reference)) => format!("image {reference}"),
                None => "a single image (name one)".to_owned(),
            },
            path: self.members.path().to_owned(),
        })
    }

    /// Opens the image at `index` for reading.
    ///
    /// # Errors
    /// [`Error::NotInPlace`]; [`Error::InvalidDocument`] if its config does not fit its layers.
    pub fn source(&self, index: usize) -> Result<DockerArchiveSource> {
        let selector = ArchiveSelector::Index(index);
        let item = &self.items[self.find(Some(&selector))?];
        let selector = match self.len() {
            1 => None,
            _ => Some(selector),
        };
        DockerArchiveSource::open(self.members.clone(), item, selector)
    }
}

/// One image of a docker archive.
///
/// Its manifest is made up: the archive has none. Layers are served uncompressed under their
/// diff IDs, which only the config vouches for; a copy checks them.
#[derive(Debug)]
pub struct DockerArchiveSource {
    name: ImageName,
    members: Arc<Members>,
    config: Vec<u8>,
    layers: Vec<(Descriptor, String)>,
    manifest: RawManifest,
}

impl DockerArchiveSource {
    fn open(members: Arc<Members>, item: &Item, selector: Option<ArchiveSelector>) -> Result<Self> {
        let config = members.read_member(&item.config, MAX_CONFIG_BYTES)?;
        let diff_ids = ImageConfig::parse(&config)?.rootfs.diff_ids;
        if diff_ids.len() != item.layers.len() || diff_ids.len() > MAX_DESCRIPTORS {
            return Err(Error::InvalidDocument {
                what: MANIFEST_FILE,
                problem: format!(
                    "it lists {} layers, but the config {}",
                    item.layers.len(),
                    diff_ids.len()
                ),
            });
        }
        let mut layers = Vec::new();
        for (diff_id, member) in diff_ids.into_iter().zip(&item.layers) {
            let size_bytes = expanded_size(&members, member)?;
            let descriptor = Descriptor::new(MediaType::DOCKER_LAYER, diff_id, size_bytes);
            layers.push((descriptor, member.clone()));
        }
        let manifest = ImageManifest::compose(
            MediaType::DOCKER_MANIFEST,
            Descriptor::of(MediaType::DOCKER_CONFIG, &config),
            layers.iter().map(|(layer, _)| layer.clone()).collect(),
        )?;
        Ok(DockerArchiveSource {
            name: ImageName::DockerArchive {
                path: members.path().to_owned(),
                selector,
            },
            manifest: RawManifest {
                bytes: manifest.raw().to_vec(),
                media_type: Some(manifest.media_type().clone()),
            },
            members,
            config,
            layers,
        })
    }
}

/// The size of a layer's tar. One that is stored compressed has to be expanded to know.
fn expanded_size(members: &Members, member: &str) -> Result<u64> {
    let (mut section, size_bytes) = members.open_member(member)?;
    let mut head = [0; 8];
    let most = size_bytes.min(8) as usize;
    let whole = section.read_exact(&mut head[..most]);
    whole.map_err(Error::file("read", members.path()))?;
    if detect(&head[..most]) == Compression::None {
        return Ok(size_bytes);
    }
    let mut tar = open_tar(members, member)?;
    std::io::copy(&mut tar, &mut std::io::sink()).map_err(|e| Error::from_stream(e, member))
}

fn open_tar(members: &Members, member: &str) -> Result<Inflate<'static>> {
    let (section, _): (Section, _) = members.open_member(member)?;
    Inflate::new(Box::new(section), member, InflateLimits::default())
}

impl ImageSource for DockerArchiveSource {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn manifest(&self, instance: Option<&Digest>) -> Result<RawManifest> {
        match instance {
            None => Ok(self.manifest.clone()),
            Some(digest) => Err(self.missing("manifest", digest)),
        }
    }

    fn blob(&self, blob: &Descriptor, start_bytes: u64) -> Result<Box<dyn Read + Send + '_>> {
        if blob.digest.matches(&self.config) {
            let start = self.config.len().min(start_bytes as usize);
            return Ok(Box::new(&self.config[start..]));
        }
        let layer = self.layers.iter().find(|(l, _)| l.digest == blob.digest);
        let (_, member) = layer.ok_or_else(|| self.missing("blob", &blob.digest))?;
        let mut tar = open_tar(&self.members, member)?;
        let mut skipped = tar.by_ref().take(start_bytes);
        std::io::copy(&mut skipped, &mut std::io::sink())
            .map_err(|error| Error::from_stream(error, member))?;
        Ok(Box::new(tar))
    }
}

impl DockerArchiveSource {
    fn missing(&self, what: &str, digest: &Digest) -> Error {
        Error::NotInPlace {
            what: format!("{what} {digest}"),
            path: self.members.path().to_owned(),
        }
    }
}
