use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;

use minke_sys::atomic::Durability;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::index::{Entry, Index, Place, Record};
use crate::lastwrite::Held;
use crate::record::{Timestamp, Unknown, deduplicate};
use crate::store::Inner;
use crate::{Containers, Digest, Error, ImageId, LayerId, Result, bigdata};

/// Items whose names begin so are manifests: their digests name the image.
const MANIFEST: &str = "manifest";

/// The record of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// The id.
    pub id: ImageId,
    /// The digest of the manifest it was stored by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Names, unique among images: full references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Names it ever had, the newest first.
    #[serde(
        rename = "names-history",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub names_history: Vec<String>,
    /// The layer on top; an image may have none.
    #[serde(rename = "layer", default, skip_serializing_if = "Option::is_none")]
    pub top_layer: Option<LayerId>,
    /// Copies of the top layer for user namespaces.
    #[serde(
        rename = "mapped-layers",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub mapped_top_layers: Vec<LayerId>,
    /// Text kept for the caller.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// Names of the data items.
    #[serde(
        rename = "big-data-names",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub big_data_names: Vec<String>,
    /// Their lengths.
    #[serde(
        rename = "big-data-sizes",
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub big_data_sizes: BTreeMap<String, i64>,
    /// Their digests.
    #[serde(
        rename = "big-data-digests",
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub big_data_digests: BTreeMap<String, Digest>,
    /// When it was made.
    #[serde(default)]
    pub created: Timestamp,
    /// Free data about the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<String, Value>,
    #[serde(flatten)]
    unknown: Unknown,
}

impl Image {
    /// The digests that name the image: its own and those of its manifests.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        let manifests = self
            .big_data_digests
            .iter()
            .filter(|(key, _)| key.starts_with(MANIFEST));
        self.digest
            .iter()
            .chain(manifests.map(|(_, digest)| digest))
    }

    fn note(&mut self, key: &str, bytes: &[u8], digest: Digest) {
        if !self.big_data_names.iter().any(|name| name == key) {
            self.big_data_names.push(key.to_owned());
        }
        self.big_data_sizes
            .insert(key.to_owned(), bytes.len() as i64);
        if self.digest.is_none() && key.starts_with(MANIFEST) {
            self.digest = Some(digest.clone());
        }
        self.big_data_digests.insert(key.to_owned(), digest);
    }

    fn rename(&mut self, names: Vec<String>) {
        for name in &names {
            self.names_history.retain(|old| old != name);
            self.names_history.insert(0, name.clone());
        }
        self.names = names;
    }
}

impl Record for Image {
    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn unknown(reference: &str) -> Error {
        Error::ImageUnknown {
            reference: reference.to_owned(),
        }
    }
}

impl Index<Image> {
    /// The images that this digest names.
    pub fn by_digest(&self, digest: &Digest) -> impl Iterator<Item = &Image> {
        self.iter()
            .filter(move |image| image.digests().any(|other| other == digest))
    }
}

/// A data item to store with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BigDataItem {
    /// Its name: `manifest`, `manifest-<digest>`, the digest of the configuration, ...
    pub key: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its digest; `None` takes the SHA-256 of the bytes. Of old signed manifests the digest
    /// leaves out the signatures, and the caller must know it.
    pub digest: Option<Digest>,
}

/// What to record of an image.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CreateImage {
    /// The id to give it.
    pub id: ImageId,
    /// Names to give it, each taken from who has it.
    pub names: Vec<String>,
    /// The layer on top.
    pub top_layer: Option<LayerId>,
    /// The digest to name it by; `None` takes that of the first manifest item.
    pub digest: Option<Digest>,
    /// When it was made; `None` is now.
    pub created: Option<Timestamp>,
    /// Text kept for the caller.
    pub metadata: String,
    /// Data items to store with it.
    pub big_data: Vec<BigDataItem>,
}

impl CreateImage {
    /// An image without anything.
    pub fn new(id: ImageId) -> Self {
        Self {
            id,
            names: Vec::new(),
            top_layer: None,
            digest: None,
            created: None,
            metadata: String::new(),
            big_data: Vec::new(),
        }
    }

    /// Adds a name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Sets the layer on top.
    #[must_use]
    pub fn top_layer(mut self, layer: LayerId) -> Self {
        self.top_layer = Some(layer);
        self
    }

    /// Adds a data item.
    #[must_use]
    pub fn big_data(mut self, key: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.big_data.push(BigDataItem {
            key: key.into(),
            bytes,
            digest: None,
        });
        self
    }
}

/// The images, locked for writing.
#[derive(Debug)]
pub struct Images<'s> {
    pub(crate) inner: &'s Inner,
    held: Held,
    index: Index<Image>,
}

impl<'s> Images<'s> {
    pub(crate) fn lock(inner: &'s Inner) -> Result<Self> {
        let (held, index) = inner.images.write_locked()?;
        Ok(Self { inner, held, index })
    }

    /// Records an image. The data items are on disk before the record.
    ///
    /// The layers are not looked at. To be sure that the top layer stays until the image is
    /// recorded, take the guard from [`Layers::images`](crate::Layers::images).
    ///
    /// # Errors
    /// [`Error::ImageExists`]; [`Error::Invalid`] for the name of an item.
    pub fn create(&mut self, request: CreateImage) -> Result<Image> {
        if self.index.get(&request.id).is_some() {
            return Err(Error::ImageExists { id: request.id });
        }
        let mut image = Image {
            id: request.id,
            digest: request.digest,
            names: Vec::new(),
            names_history: Vec::new(),
            top_layer: request.top_layer,
            mapped_top_layers: Vec::new(),
            metadata: request.metadata,
            big_data_names: Vec::new(),
            big_data_sizes: BTreeMap::new(),
            big_data_digests: BTreeMap::new(),
            created: request.created.unwrap_or_else(Timestamp::now),
            flags: BTreeMap::new(),
            unknown: Unknown::new(),
        };
        for item in request.big_data {
            self.write_item(&mut image, item)?;
        }
        let names = deduplicate(request.names);
        self.take_names(&names);
        image.rename(names);
        self.index.entries.push(Entry {
            record: image.clone(),
            place: Place::Stable,
        });
        self.save()?;
        Ok(image)
    }

    /// Gives the image these names and no others, taking each from who had it.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`].
    pub fn set_names(&mut self, id: &ImageId, names: Vec<String>) -> Result<()> {
        self.index.get_mut(id.as_str())?;
        let names = deduplicate(names);
        self.take_names(&names);
        self.index.get_mut(id.as_str())?.0.rename(names);
        self.save()
    }

    /// Adds names, taking each from who had it.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`].
    pub fn add_names(&mut self, id: &ImageId, names: &[String]) -> Result<()> {
        let mut all = self.index.get_mut(id.as_str())?.0.names.clone();
        all.extend_from_slice(names);
        self.set_names(id, all)
    }

    /// Takes names away; those it does not have are passed over.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`].
    pub fn remove_names(&mut self, id: &ImageId, names: &[String]) -> Result<()> {
        let mut left = self.index.get_mut(id.as_str())?.0.names.clone();
        left.retain(|name| !names.contains(name));
        self.set_names(id, left)
    }

    /// Stores a data item, replacing one of that name.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`]; [`Error::Invalid`] for the name of the item.
    pub fn set_big_data(&mut self, id: &ImageId, item: BigDataItem) -> Result<()> {
        let mut image = self.index.get_mut(id.as_str())?.0.clone();
        self.write_item(&mut image, item)?;
        *self.index.get_mut(id.as_str())?.0 = image;
        self.save()
    }

    /// Adds a layer that stands for the image's topmost with other owners.
    pub(crate) fn add_mapped_top_layer(&mut self, id: &ImageId, layer: LayerId) -> Result<()> {
        self.index
            .get_mut(id.as_str())?
            .0
            .mapped_top_layers
            .push(layer);
        self.save()
    }

    /// Replaces the text kept for the caller.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`].
    pub fn set_metadata(&mut self, id: &ImageId, metadata: String) -> Result<()> {
        self.index.get_mut(id.as_str())?.0.metadata = metadata;
        self.save()
    }

    /// Removes the record and its data items; layers stay.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`].
    pub fn delete(&mut self, id: &ImageId) -> Result<Image> {
        let entry = self
            .index
            .remove(id.as_str())
            .ok_or_else(|| Image::unknown(id.as_str()))?;
        self.save()?;
        let directory = self.inner.image_data(id);
        crate::tempdir::remove_tree(&directory).map_err(Error::io("remove", directory))?;
        Ok(entry.record)
    }

    /// The containers, locked for writing beside the images.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Index`].
    pub fn containers(&mut self) -> Result<Containers<'_>> {
        Containers::lock(self.inner)
    }

    fn write_item(&self, image: &mut Image, item: BigDataItem) -> Result<()> {
        let durability = if self.inner.is_durable() {
            Durability::Ordered
        } else {
            Durability::Cached
        };
        let directory = self.inner.image_data(&image.id);
        bigdata::write(&directory, &item.key, &item.bytes, durability)?;
        let digest = item.digest.unwrap_or_else(|| Digest::of(&item.bytes));
        image.note(&item.key, &item.bytes, digest);
        Ok(())
    }

    fn take_names(&mut self, names: &[String]) {
        for entry in &mut self.index.entries {
            entry.record.names.retain(|name| !names.contains(name));
        }
    }

    fn save(&self) -> Result<()> {
        let durability = if self.inner.is_durable() {
            Durability::Durable
        } else {
            Durability::Cached
        };
        self.inner
            .images
            .save(&self.held, &self.index, Place::Stable, durability)
    }
}

impl Deref for Images<'_> {
    type Target = Index<Image>;

    fn deref(&self) -> &Index<Image> {
        &self.index
    }
}

impl Inner {
    pub(crate) fn image_data(&self, id: &ImageId) -> PathBuf {
        self.images_directory().join(id)
    }
}
