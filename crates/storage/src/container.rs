use std::collections::BTreeMap;
use std::ops::Deref;

use minke_sys::atomic::Durability;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::index::{Entry, Index, Place, Record};
use crate::lastwrite::Held;
use crate::record::{IdMap, Timestamp, Unknown, deduplicate};
use crate::store::Inner;
use crate::{ContainerId, Digest, Error, Image, ImageId, LayerId, Result, bigdata};

/// The record of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Container {
    /// The id.
    pub id: ContainerId,
    /// Names, unique among containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The image it was made from; one made from a root directory has none.
    #[serde(rename = "image", default, with = "optional_id")]
    pub image: Option<ImageId>,
    /// The layer it writes to.
    pub layer: LayerId,
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
    /// User ids of its namespace.
    #[serde(rename = "uidmap", default, skip_serializing_if = "Vec::is_empty")]
    pub uid_map: Vec<IdMap>,
    /// Group ids of its namespace.
    #[serde(rename = "gidmap", default, skip_serializing_if = "Vec::is_empty")]
    pub gid_map: Vec<IdMap>,
    /// Free data about the container, such as `MountLabel` and `ProcessLabel`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<String, Value>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// An absent id is the empty text.
mod optional_id {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::ImageId;

    pub(super) fn serialize<S: Serializer>(
        id: &Option<ImageId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.as_ref().map_or("", ImageId::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ImageId>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(serde::de::Error::custom)
    }
}

impl Record for Container {
    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn unknown(reference: &str) -> Error {
        Error::ContainerUnknown {
            reference: reference.to_owned(),
        }
    }
}

impl Index<Container> {
    /// The container that writes to this layer.
    pub fn by_layer(&self, layer: &LayerId) -> Option<&Container> {
        self.iter().find(|container| container.layer == *layer)
    }
}

/// What container to make.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CreateContainer {
    /// The id; `None` takes a new one.
    pub id: Option<ContainerId>,
    /// Names to give it.
    pub names: Vec<String>,
    /// The image it is made from.
    pub image: Option<ImageId>,
    /// The id of its layer; `None` takes a new one.
    pub layer: Option<LayerId>,
    /// The layer to put its own upon; `None` takes the image's topmost.
    pub parent: Option<LayerId>,
    /// Names of its layer.
    pub layer_names: Vec<String>,
    /// Text kept for the caller. Podman keeps JSON with `image-name`, `image-id`, `name` and
    /// `created-at` there.
    pub metadata: String,
    /// Free data.
    pub flags: BTreeMap<String, Value>,
    /// The SELinux label to mount the layer with.
    pub mount_label: String,
    /// Whether it may be lost with the power: nothing of it is synced then.
    pub volatile: bool,
    /// User ids of its namespace: what is written to its layer has these owners.
    pub uid_map: Vec<IdMap>,
    /// Group ids of its namespace, recorded only.
    pub gid_map: Vec<IdMap>,
}

impl CreateContainer {
    /// A container of this image.
    pub fn new(image: &ImageId) -> Self {
        Self {
            image: Some(image.clone()),
            ..Self::default()
        }
    }
}

/// The containers, locked for writing.
#[derive(Debug)]
pub struct Containers<'s> {
    inner: &'s Inner,
    held: Held,
    index: Index<Container>,
}

impl<'s> Containers<'s> {
    pub(crate) fn lock(inner: &'s Inner) -> Result<Self> {
        let (held, index) = inner.containers.write_locked()?;
        Ok(Self { inner, held, index })
    }

    /// Records a container that writes to `layer`.
    ///
    /// See [`Store::create_container`](crate::Store::create_container) for one with its layer.
    ///
    /// # Errors
    /// [`Error::ContainerExists`], [`Error::NameInUse`].
    pub fn create(&mut self, request: CreateContainer, layer: LayerId) -> Result<Container> {
        let id = match request.id {
            Some(id) => id,
            None => ContainerId::random()?,
        };
        self.check_free(Some(&id), &request.names)?;
        let mut flags = request.flags;
        let place = if request.volatile || self.inner.is_transient() {
            flags.insert("Volatile".to_owned(), Value::Bool(true));
            Place::Volatile
        } else {
            Place::Stable
        };
        let record = Container {
            id,
            names: deduplicate(request.names),
            image: request.image,
            layer,
            metadata: request.metadata,
            big_data_names: Vec::new(),
            big_data_sizes: BTreeMap::new(),
            big_data_digests: BTreeMap::new(),
            created: Timestamp::now(),
            uid_map: request.uid_map,
            gid_map: request.gid_map,
            flags,
            unknown: Unknown::new(),
        };
        self.index.entries.push(Entry {
            record: record.clone(),
            place,
        });
        self.save(place)?;
        Ok(record)
    }

    pub(crate) fn check_free(&self, id: Option<&ContainerId>, names: &[String]) -> Result<()> {
        if let Some(id) = id
            && self.index.get(id).is_some()
        {
            return Err(Error::ContainerExists { id: id.clone() });
        }
        for name in names {
            if let Some(holder) = self.index.by_name(name) {
                let holder = holder.id.to_string();
                return Err(Error::NameInUse {
                    name: name.clone(),
                    holder,
                });
            }
        }
        Ok(())
    }

    /// Gives the container these names and no others.
    ///
    /// # Errors
    /// [`Error::ContainerUnknown`]; [`Error::NameInUse`], since a container's name is not taken
    /// from it.
    pub fn set_names(&mut self, id: &ContainerId, names: Vec<String>) -> Result<()> {
        let names = deduplicate(names);
        let others = self.index.iter().filter(|other| other.id != *id);
        for other in others {
            if let Some(name) = names.iter().find(|name| other.names.contains(name)) {
                let holder = other.id.to_string();
                return Err(Error::NameInUse {
                    name: name.clone(),
                    holder,
                });
            }
        }
        let (record, place) = self.index.get_mut(id.as_str())?;
        record.names = names;
        self.save(place)
    }

    /// Replaces the text kept for the caller.
    ///
    /// # Errors
    /// [`Error::ContainerUnknown`].
    pub fn set_metadata(&mut self, id: &ContainerId, metadata: String) -> Result<()> {
        let (record, place) = self.index.get_mut(id.as_str())?;
        record.metadata = metadata;
        self.save(place)
    }

    /// Sets a piece of free data.
    ///
    /// # Errors
    /// [`Error::ContainerUnknown`].
    pub fn set_flag(&mut self, id: &ContainerId, flag: &str, value: Value) -> Result<()> {
        let (record, place) = self.index.get_mut(id.as_str())?;
        record.flags.insert(flag.to_owned(), value);
        self.save(place)
    }

    /// Stores a data item, replacing one of that name.
    ///
    /// # Errors
    /// [`Error::ContainerUnknown`]; [`Error::Invalid`] for the name of the item.
    pub fn set_big_data(&mut self, id: &ContainerId, key: &str, bytes: &[u8]) -> Result<()> {
        let directory = self.inner.container_directory(id);
        let durable = self.inner.is_durable();
        let (record, place) = self.index.get_mut(id.as_str())?;
        let durability = if durable && place == Place::Stable {
            Durability::Ordered
        } else {
            Durability::Cached
        };
        bigdata::write(&directory, key, bytes, durability)?;
        if !record.big_data_names.iter().any(|name| name == key) {
            record.big_data_names.push(key.to_owned());
        }
        record
            .big_data_sizes
            .insert(key.to_owned(), bytes.len() as i64);
        record
            .big_data_digests
            .insert(key.to_owned(), Digest::of(bytes));
        self.save(place)
    }

    /// Removes the record; the layer and the directories stay.
    ///
    /// # Errors
    /// [`Error::ContainerUnknown`].
    pub fn delete(&mut self, id: &ContainerId) -> Result<Container> {
        let unknown = || Container::unknown(id.as_str());
        let entry = self.index.remove(id.as_str()).ok_or_else(unknown)?;
        self.save(entry.place)?;
        Ok(entry.record)
    }

    pub(crate) fn user_of(&self, image: &Image) -> Option<&Container> {
        self.index
            .iter()
            .find(|container| container.image.as_ref() == Some(&image.id))
    }

    fn save(&self, place: Place) -> Result<()> {
        let durability = if self.inner.is_durable() {
            Durability::Durable
        } else {
            Durability::Cached
        };
        self.inner
            .containers
            .save(&self.held, &self.index, place, durability)
    }
}

impl Deref for Containers<'_> {
    type Target = Index<Container>;

    fn deref(&self) -> &Index<Container> {
        &self.index
    }
}
