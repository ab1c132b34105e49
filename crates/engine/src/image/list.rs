//! `images`: images in short.

use std::collections::{BTreeMap, HashMap};

use minke_storage::{Image, ImageId, Index, Layer, LayerId};

use super::lookup::repository_of;
use crate::Engine;
use crate::error::Result;

/// Which images are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImagesRequest {
    /// Intermediate ones as well.
    pub all: bool,
}

/// An image in short.
#[derive(Debug, Clone)]
pub struct ImageSummary {
    /// Its id.
    pub id: String,
    /// Its full names.
    pub names: Vec<String>,
    /// The digest of its manifest.
    pub digest: Option<String>,
    /// `REPOSITORY@DIGEST` of each name.
    pub digests: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// What its layers hold, in bytes.
    pub size: u64,
    /// How many containers were made of it.
    pub containers: usize,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The image it was built on, where that is known.
    pub parent: Option<String>,
    /// Whether it has no name.
    pub dangling: bool,
    /// Whether its store cannot be written.
    pub read_only: bool,
}

impl Engine {
    /// Images, the newest first.
    ///
    /// # Errors
    /// The store's indexes cannot be read. An image whose config is damaged is listed without
    /// what that would tell.
    pub fn images(&self, _request: &ImagesRequest) -> Result<Vec<ImageSummary>> {
        let store = self.store()?;
        let images = store.images()?;
        let layers = store.layers()?;
        let mut users: HashMap<ImageId, usize> = HashMap::new();
        for container in store.containers()?.iter() {
            if let Some(image) = &container.image {
                *users.entry(image.clone()).or_default() += 1;
            }
        }
        let mut found: Vec<ImageSummary> = images
            .iter()
            .map(|image| self.image_summary(image, &layers, &users))
            .collect();
        found.sort_by_key(|image| std::cmp::Reverse(image.created));
        Ok(found)
    }

    fn image_summary(
        &self,
        image: &Image,
        layers: &Index<Layer>,
        users: &HashMap<ImageId, usize>,
    ) -> ImageSummary {
        let config = self
            .image_config(image)
            .inspect_err(|error| {
                tracing::warn!(image = %image.id, error = %error.chain(), "image config");
            })
            .ok();
        let created = config
            .as_ref()
            .and_then(|config| config.created.as_ref()?.parse::<jiff::Timestamp>().ok())
            .unwrap_or(image.created.0);
        ImageSummary {
            id: image.id.to_string(),
            names: image.names.clone(),
            digest: image.digest.as_ref().map(ToString::to_string),
            digests: repository_digests(image),
            created: created.as_second(),
            size: size(image.top_layer.as_ref(), layers),
            containers: users.get(&image.id).copied().unwrap_or(0),
            labels: config
                .map(|config| config.config.labels)
                .unwrap_or_default(),
            parent: None,
            dangling: image.names.is_empty(),
            read_only: false,
        }
    }
}

/// `REPOSITORY@DIGEST` for each repository and digest of an image.
pub(super) fn repository_digests(image: &Image) -> Vec<String> {
    let mut found = Vec::new();
    for name in &image.names {
        for digest in image.digests() {
            let text = format!("{}@{digest}", repository_of(name));
            if !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found
}

/// What a layer and those below it hold.
pub(crate) fn size(top: Option<&LayerId>, layers: &Index<Layer>) -> u64 {
    let mut total = 0u64;
    let mut next = top.cloned();
    let mut left = layers.len();
    while let Some(layer) = next.take().and_then(|id| layers.get(&id)) {
        total = total.saturating_add(layer.diff_size.unwrap_or(0).max(0) as u64);
        // A record that names itself, or a loop of them, ends here.
        left = left.saturating_sub(1);
        if left > 0 {
            next.clone_from(&layer.parent);
        }
    }
    total
}
