//! Images in a store, to write.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Mutex, MutexGuard};

use minke_storage::{
    BigDataItem, CommitRequest, Compressed, Compression as StoredCompression, CreateImage, ImageId,
    Images, LayerId, LayerStage, Layers, Store, Timestamp,
};

use super::{MANIFEST_KEY, failed, find_layer, layer_id, manifest_key, theirs};
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::media_type::{Compression, MediaType};
use crate::name::ImageName;
use crate::reference::ImageReference;
use crate::transport::{CopiedImage, ImageDestination, Layer, LayerForm};

/// An image on its way into a store.
///
/// Layers are unpacked with no lock held and become visible, together with the image, in
/// [`ImageDestination::commit`].
#[derive(Debug)]
pub struct StorageDestination {
    name: ImageName,
    names: Vec<String>,
    store: Store,
    staged: Mutex<BTreeMap<usize, Staged>>,
}

#[derive(Debug)]
struct Staged {
    stage: LayerStage,
    blob: Descriptor,
}

impl StorageDestination {
    /// Prepares `store` for an image called `names`, each of which it takes from the image that
    /// has it now. Without names the image has only its ID.
    pub fn new(store: Store, names: &[ImageReference]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        StorageDestination {
            name: ImageName::ContainersStorage {
                store: None,
                image: names.first().cloned().unwrap_or_default(),
            },
            names,
            store,
            staged: Mutex::default(),
        }
    }

    /// Takes a layer that is made here: an uncompressed tar stream whose digest nobody knows
    /// before. Gives its descriptor, which says `media_type`; `index` is its place, from 0 at
    /// the base.
    ///
    /// # Errors
    /// The stream's own error, or as the store fails.
    pub fn put_new_layer(
        &self,
        index: usize,
        media_type: MediaType,
        stream: &mut dyn Read,
    ) -> Result<Descriptor> {
        let unpacking = || failed("unpacking a new layer");
        let mut stage = self.store.stage().map_err(unpacking())?;
        let summary = stage.apply(stream).map_err(unpacking())?;
        let digest = super::ours(&summary.diff_id)?;
        let blob = Descriptor::new(media_type, digest, summary.size);
        let staged = Staged {
            stage,
            blob: blob.clone(),
        };
        self.staged().insert(index, staged);
        Ok(blob)
    }

    fn staged(&self) -> MutexGuard<'_, BTreeMap<usize, Staged>> {
        self.staged
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl ImageDestination for StorageDestination {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn layer_form(&self) -> LayerForm {
        LayerForm::Tar
    }

    fn checks_diff_ids(&self) -> bool {
        true
    }

    fn find_layer(&self, layer: &Layer<'_>) -> Result<Option<Descriptor>> {
        let layers = self.store.layers().map_err(failed("reading the layers"))?;
        let mut parent = None;
        for diff_id in layer.chain {
            match find_layer(&layers, parent, diff_id) {
                Some(found) => parent = Some(&found.id),
                None => return Ok(None),
            }
        }
        Ok(parent.map(|_| layer.descriptor.clone()))
    }

    fn put_layer(&self, layer: &Layer<'_>, stream: &mut dyn Read) -> Result<Descriptor> {
        let digest = &layer.descriptor.digest;
        let unpacking = || failed(format!("unpacking layer {digest}"));
        let mut stage = self.store.stage().map_err(unpacking())?;
        let summary = stage.apply(stream).map_err(unpacking())?;
        let found = super::ours(&summary.diff_id)?;
        if let Some(expected) = layer.diff_id().filter(|expected| **expected != found) {
            return Err(Error::DigestMismatch {
                what: format!("the tar of layer {digest}"),
                expected: expected.clone(),
                found,
            });
        }
        let blob = layer.descriptor.clone();
        self.staged().insert(layer.index, Staged { stage, blob });
        Ok(layer.descriptor.clone())
    }

    fn commit(&mut self, image: &CopiedImage<'_>) -> Result<()> {
        let staged = std::mem::take(&mut *self.staged());
        let id = image.manifest.config().digest.hex();
        let storing = || failed(format!("storing image {id}"));
        let mut layers = self.store.write_layers().map_err(storing())?;
        let top_layer = commit_layers(&mut layers, staged, image.diff_ids)?;
        let mut images = layers.images().map_err(storing())?;
        let request = describe(image, top_layer, &self.names)?;
        record(&mut images, request).map_err(storing())?
    }
}

/// Records the staged layers that nobody recorded meanwhile; gives the top one's ID.
fn commit_layers(
    layers: &mut Layers<'_>,
    mut staged: BTreeMap<usize, Staged>,
    diff_ids: &[Digest],
) -> Result<Option<LayerId>> {
    let mut parent: Option<LayerId> = None;
    let mut requests = Vec::new();
    for (index, diff_id) in diff_ids.iter().enumerate() {
        if let Some(found) = find_layer(layers, parent.as_ref(), diff_id) {
            parent = Some(found.id.clone());
            continue;
        }
        let id = layer_id(parent.as_ref(), diff_id)?;
        let Staged { stage, blob } = staged.remove(&index).ok_or_else(|| Error::Store {
            action: format!("storing layer {id}"),
            source: "another process removed the layer while it was being pulled".into(),
        })?;
        let mut request = CommitRequest::new(id.clone()).parent(parent.take());
        request.compressed = compressed(&blob, diff_id)?;
        requests.push((stage, request));
        parent = Some(id);
    }
    layers
        .commit_all(requests)
        .map_err(failed("storing the layers"))?;
    Ok(parent)
}

/// What is remembered of the blob that a layer came as.
fn compressed(blob: &Descriptor, diff_id: &Digest) -> Result<Option<Compressed>> {
    if blob.digest == *diff_id {
        return Ok(None);
    }
    let compression = match blob.media_type.layer_compression() {
        Some(Compression::Gzip) => StoredCompression::Gzip,
        Some(Compression::Zstd) => StoredCompression::Zstd,
        _ => StoredCompression::None,
    };
    Ok(Some(Compressed {
        digest: theirs(&blob.digest)?,
        size: blob.size_bytes,
        compression,
    }))
}

fn describe(
    image: &CopiedImage<'_>,
    top_layer: Option<LayerId>,
    names: &[String],
) -> Result<CreateImage> {
    let manifest = image.manifest;
    let config = &manifest.config().digest;
    let id: ImageId = config.hex().parse().map_err(failed("naming an image"))?;
    let digest = manifest.digest();
    let mut request = CreateImage::new(id).big_data(config.to_string(), image.config.to_vec());
    if let Some(index) = image.index {
        request = request.big_data(manifest_key(&index.digest()), index.bytes.clone());
    }
    let mut request = request
        .big_data(manifest_key(&digest), manifest.raw().to_vec())
        .big_data(MANIFEST_KEY, manifest.raw().to_vec());
    request.digest = Some(theirs(&digest)?);
    request.names = names.to_vec();
    request.top_layer = top_layer;
    request.created = created(image.config);
    request.metadata = "{}".to_owned();
    Ok(request)
}

fn created(config: &[u8]) -> Option<Timestamp> {
    let text = ImageConfig::parse(config).ok()?.created?;
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

/// Creates the image; one that is there already gets the data items and names.
fn record(
    images: &mut Images<'_>,
    request: CreateImage,
) -> Result<Result<()>, minke_storage::Error> {
    let Some(known) = images.get(request.id.as_str()) else {
        images.create(request)?;
        return Ok(Ok(()));
    };
    if known.top_layer != request.top_layer {
        return Ok(Err(Error::Store {
            action: format!("storing image {}", request.id),
            source: "it is there already, on other layers".into(),
        }));
    }
    let missing: Vec<BigDataItem> = request
        .big_data
        .into_iter()
        .filter(|item| item.key == MANIFEST_KEY || !known.big_data_names.contains(&item.key))
        .collect();
    for item in missing {
        images.set_big_data(&request.id, item)?;
    }
    images.add_names(&request.id, &request.names)?;
    Ok(Ok(()))
}
