use std::collections::BTreeMap;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use minke_sys::atomic::Durability;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::index::{Entry, Index, Place, Record};
use crate::lastwrite::Held;
use crate::mapped;
use crate::record::{IdMap, Timestamp, Unknown, deduplicate};
use crate::stage::LayerStage;
use crate::store::Inner;
use crate::tempdir::TempDir;
use crate::{Containers, Digest, Error, Images, LayerId, Result};

/// The flag of a layer that is being made or removed.
const INCOMPLETE: &str = "incomplete";

/// How the stream that a layer came from was compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// bzip2.
    Bzip2,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

impl TryFrom<u8> for Compression {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        const ALL: [Compression; 5] = [
            Compression::None,
            Compression::Bzip2,
            Compression::Gzip,
            Compression::Xz,
            Compression::Zstd,
        ];
        ALL.get(usize::from(number))
            .copied()
            .ok_or_else(|| format!("no compression {number}"))
    }
}

impl From<Compression> for u8 {
    fn from(compression: Compression) -> Self {
        compression as u8
    }
}

/// The record of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Layer {
    /// The id.
    pub id: LayerId,
    /// Names, unique among layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The layer below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<LayerId>,
    /// Text kept for the caller.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// The SELinux label to mount it with.
    #[serde(
        rename = "mountlabel",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub mount_label: String,
    /// When it was made.
    #[serde(default)]
    pub created: Timestamp,
    /// The digest of the blob as it came, compressed or not.
    #[serde(
        rename = "compressed-diff-digest",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub compressed_digest: Option<Digest>,
    /// The length of that blob.
    #[serde(
        rename = "compressed-size",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub compressed_size: Option<i64>,
    /// The digest of the uncompressed tar stream: the diff ID.
    #[serde(
        rename = "diff-digest",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub diff_id: Option<Digest>,
    /// The length of that stream; -1 where it is not known.
    #[serde(rename = "diff-size", default, skip_serializing_if = "Option::is_none")]
    pub diff_size: Option<i64>,
    /// How the blob was compressed.
    #[serde(default, skip_serializing_if = "is_uncompressed")]
    pub compression: Compression,
    /// The user ids in the layer.
    #[serde(rename = "uidset", default, skip_serializing_if = "Vec::is_empty")]
    pub uids: Vec<u32>,
    /// The group ids in the layer.
    #[serde(rename = "gidset", default, skip_serializing_if = "Vec::is_empty")]
    pub gids: Vec<u32>,
    /// Free data about the layer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<String, Value>,
    /// User ids of the namespace that its files are made for.
    #[serde(rename = "uidmap", default, skip_serializing_if = "Vec::is_empty")]
    pub uid_map: Vec<IdMap>,
    /// Group ids of the namespace that its files are made for.
    #[serde(rename = "gidmap", default, skip_serializing_if = "Vec::is_empty")]
    pub gid_map: Vec<IdMap>,
    /// Names of data items kept with the layer.
    #[serde(
        rename = "big-data-names",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub big_data_names: Vec<String>,
    #[serde(flatten)]
    unknown: Unknown,
}

fn is_uncompressed(compression: &Compression) -> bool {
    *compression == Compression::None
}

impl Layer {
    fn is_incomplete(&self) -> bool {
        self.flags.get(INCOMPLETE) == Some(&Value::Bool(true))
    }
}

impl Record for Layer {
    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn unknown(reference: &str) -> Error {
        Error::LayerUnknown {
            reference: reference.to_owned(),
        }
    }

    fn is_whole(&self) -> bool {
        !self.is_incomplete()
    }
}

impl Index<Layer> {
    /// The layers that came as a tar stream of this diff ID.
    pub fn by_diff_id(&self, diff_id: &Digest) -> impl Iterator<Item = &Layer> {
        self.iter()
            .filter(move |layer| layer.diff_id.as_ref() == Some(diff_id))
    }

    /// The layers that came as this blob.
    pub fn by_blob(&self, digest: &Digest) -> impl Iterator<Item = &Layer> {
        self.iter()
            .filter(move |layer| layer.compressed_digest.as_ref() == Some(digest))
    }
}

/// The blob that a layer came as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compressed {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// How it is compressed.
    pub compression: Compression,
}

/// What to record of a staged layer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommitRequest {
    /// The id to give it.
    pub id: LayerId,
    /// The layer below.
    pub parent: Option<LayerId>,
    /// Names to give it.
    pub names: Vec<String>,
    /// The blob it came as; `None` if it came as the plain tar stream.
    pub compressed: Option<Compressed>,
    /// The diff ID it must have.
    pub expected_diff_id: Option<Digest>,
    /// The SELinux label to mount it with.
    pub mount_label: String,
    /// Whether the record may be lost with the power.
    pub volatile: bool,
    /// The layer it stands for, with other owners: it is put upon that one's directory, and
    /// its record has that one's digests.
    pub template: Option<LayerId>,
    /// Ids of the user namespace it is for.
    pub uid_map: Vec<IdMap>,
    /// As `uid_map`, for groups.
    pub gid_map: Vec<IdMap>,
}

impl CommitRequest {
    /// A layer without parent or names.
    pub fn new(id: LayerId) -> Self {
        Self {
            id,
            parent: None,
            names: Vec::new(),
            compressed: None,
            expected_diff_id: None,
            mount_label: String::new(),
            volatile: false,
            template: None,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
        }
    }

    /// Puts it on top of `parent`.
    #[must_use]
    pub fn parent(mut self, parent: Option<LayerId>) -> Self {
        self.parent = parent;
        self
    }

    /// Says what blob it came as.
    #[must_use]
    pub fn compressed(mut self, blob: Compressed) -> Self {
        self.compressed = Some(blob);
        self
    }

    /// Refuses the layer if its diff ID is another.
    #[must_use]
    pub fn expect(mut self, diff_id: Digest) -> Self {
        self.expected_diff_id = Some(diff_id);
        self
    }

    fn record(self, stage: &LayerStage, template: Option<&Layer>) -> Layer {
        let mut record = self.own_record(stage);
        if let Some(template) = template {
            record
                .compressed_digest
                .clone_from(&template.compressed_digest);
            record.compressed_size = template.compressed_size;
            record.diff_id.clone_from(&template.diff_id);
            record.diff_size = template.diff_size;
            record.compression = template.compression;
            record.uids.clone_from(&template.uids);
            record.gids.clone_from(&template.gids);
        }
        record
    }

    fn own_record(self, stage: &LayerStage) -> Layer {
        let summary = stage.summary();
        let diff_id = summary.map(|summary| summary.diff_id.clone());
        let size = summary.map(|summary| summary.size.cast_signed());
        let (digest, blob_size, compression) = match self.compressed {
            Some(blob) => (
                Some(blob.digest),
                Some(blob.size.cast_signed()),
                blob.compression,
            ),
            None => (diff_id.clone(), size, Compression::None),
        };
        Layer {
            id: self.id,
            names: self.names,
            parent: self.parent,
            metadata: String::new(),
            mount_label: self.mount_label,
            created: Timestamp::now(),
            compressed_digest: digest,
            compressed_size: blob_size,
            diff_id,
            diff_size: size,
            compression,
            uids: summary
                .map(|summary| summary.uids.clone())
                .unwrap_or_default(),
            gids: summary
                .map(|summary| summary.gids.clone())
                .unwrap_or_default(),
            flags: BTreeMap::from([(INCOMPLETE.to_owned(), Value::Bool(true))]),
            uid_map: self.uid_map,
            gid_map: self.gid_map,
            big_data_names: Vec::new(),
            unknown: Unknown::new(),
        }
    }
}

/// The layers, locked for writing.
#[derive(Debug)]
pub struct Layers<'s> {
    pub(crate) inner: &'s Inner,
    held: Held,
    index: Index<Layer>,
    /// What is removed once the lock is released, since that may take long.
    leaving: Vec<TempDir>,
}

impl<'s> Layers<'s> {
    /// Locks, reads, and removes what an interrupted writer left.
    pub(crate) fn lock(inner: &'s Inner) -> Result<Self> {
        let (held, index) = inner.layers.write_locked()?;
        let mut layers = Self {
            inner,
            held,
            index,
            leaving: Vec::new(),
        };
        layers.remove_incomplete()?;
        Ok(layers)
    }

    /// Records a staged layer.
    ///
    /// # Errors
    /// [`Error::LayerExists`] (harmless for who pulls: somebody was faster),
    /// [`Error::NameInUse`], [`Error::LayerUnknown`] for the parent, and
    /// [`Error::DigestMismatch`] against [`CommitRequest::expected_diff_id`]. Nothing of the
    /// layer is left then.
    pub fn commit(&mut self, stage: LayerStage, request: CommitRequest) -> Result<Layer> {
        let mut layers = self.commit_all(vec![(stage, request)])?;
        Ok(layers.pop().expect("one was recorded"))
    }

    /// Records staged layers in one go, each of which may be the parent of later ones.
    ///
    /// # Errors
    /// As [`Layers::commit`]; none is recorded then.
    pub fn commit_all(&mut self, staged: Vec<(LayerStage, CommitRequest)>) -> Result<Vec<Layer>> {
        let before = self.index.clone();
        let ids: Vec<_> = staged
            .iter()
            .map(|(_, request)| request.id.clone())
            .collect();
        match self.try_commit_all(staged) {
            Ok(layers) => Ok(layers),
            Err(error) => {
                self.give_up(before, &ids);
                Err(error)
            }
        }
    }

    fn try_commit_all(&mut self, staged: Vec<(LayerStage, CommitRequest)>) -> Result<Vec<Layer>> {
        let mut places = Vec::new();
        let mut stages = Vec::new();
        for (stage, mut request) in staged {
            self.check(&stage, &request)?;
            request.names = deduplicate(request.names);
            let place = if request.volatile {
                Place::Volatile
            } else {
                Place::Stable
            };
            if !places.contains(&place) {
                places.push(place);
            }
            let template = request.template.clone();
            let like = template.as_ref().and_then(|id| self.index.get(id));
            let record = request.record(&stage, like);
            let below = template.clone().or_else(|| record.parent.clone());
            stages.push((stage, record.id.clone(), below, template));
            self.index.entries.push(Entry { record, place });
        }
        // Recorded as incomplete first, so that whoever comes after our death removes it.
        self.save_all(&places, Durability::Ordered)?;
        for (stage, id, below, template) in &mut stages {
            let split = self.inner.split_path(id);
            stage.install(self.inner.driver(), id, below.as_ref(), &split)?;
            if let Some(template) = template {
                self.copy_split(template, &split)?;
                self.give_root(id)?;
            }
        }
        if self.inner.is_durable() && places.contains(&Place::Stable) {
            self.inner.driver().sync()?;
        }
        let mut layers = Vec::new();
        for (_, id, ..) in &stages {
            let (record, _) = self.index.get_mut(id.as_str())?;
            record.flags.remove(INCOMPLETE);
            layers.push(record.clone());
        }
        self.save_all(&places, Durability::Durable)?;
        Ok(layers)
    }

    fn check(&self, stage: &LayerStage, request: &CommitRequest) -> Result<()> {
        if self
            .index
            .entries
            .iter()
            .any(|entry| entry.record.id == request.id)
        {
            return Err(Error::LayerExists {
                id: request.id.clone(),
            });
        }
        for below in request.parent.iter().chain(&request.template) {
            if !self
                .index
                .entries
                .iter()
                .any(|entry| entry.record.id == *below)
            {
                return Err(Layer::unknown(below.as_str()));
            }
        }
        for name in &request.names {
            if let Some(holder) = self.index.by_name(name) {
                let holder = holder.id.to_string();
                return Err(Error::NameInUse {
                    name: name.clone(),
                    holder,
                });
            }
        }
        match (&request.expected_diff_id, stage.summary()) {
            (Some(expected), Some(summary)) if *expected != summary.diff_id => {
                let found = summary.diff_id.clone();
                Err(Error::DigestMismatch {
                    expected: expected.clone(),
                    found,
                })
            }
            _ => Ok(()),
        }
    }

    /// Keeps how `template` came, of which `split` is to be a copy; nothing where that is not known.
    fn copy_split(&self, template: &LayerId, split: &Path) -> Result<()> {
        match std::fs::copy(self.inner.split_path(template), split) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("write", split)(error))
            }
            _ => Ok(()),
        }
    }

    /// Whose the root of a layer with mapped owners is: the driver gives it the owner below.
    fn give_root(&mut self, id: &LayerId) -> Result<()> {
        let path = self.inner.driver().changes(id);
        let stat = std::fs::metadata(&path).map_err(Error::io("read", &path))?;
        let (layer, _) = self.index.get_mut(id.as_str())?;
        let map = mapped::from_record(&layer.uid_map, &layer.gid_map).unwrap_or_default();
        let owner = map.user(stat.uid()).zip(map.group(stat.gid()));
        let Some((uid, gid)) = owner else {
            return Ok(());
        };
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(Error::io("change", path))
    }

    /// Takes back what a failed commit did; what cannot be taken back stays incomplete.
    fn give_up(&mut self, before: Index<Layer>, ids: &[LayerId]) {
        let undone = ids
            .iter()
            .filter(|id| before.get(id).is_none())
            .try_for_each(|id| {
                match self
                    .index
                    .entries
                    .iter()
                    .any(|entry| entry.record.id == *id)
                {
                    true => self.remove_files(id),
                    false => Ok(()),
                }
            });
        let saved = undone.and_then(|()| {
            let changed = before.entries.len() != self.index.entries.len();
            self.index = before;
            match changed {
                true => self.save_all(&[Place::Stable, Place::Volatile], Durability::Ordered),
                false => Ok(()),
            }
        });
        if let Err(error) = saved {
            tracing::warn!(%error, "cannot take back an unfinished layer");
        }
    }

    /// Gives `id` these names and no others, taking each from who had it.
    ///
    /// # Errors
    /// [`Error::LayerUnknown`].
    pub fn set_names(&mut self, id: &LayerId, names: Vec<String>) -> Result<()> {
        let names = deduplicate(names);
        for entry in &mut self.index.entries {
            if entry.record.id != *id {
                entry.record.names.retain(|name| !names.contains(name));
            }
        }
        self.index.get_mut(id.as_str())?.0.names = names;
        self.save_all(&[Place::Stable, Place::Volatile], Durability::Durable)
    }

    /// Removes a layer that is no layer's parent. Images and containers built on it are not
    /// looked at: see [`Store::delete_image`](crate::Store::delete_image).
    ///
    /// # Errors
    /// [`Error::LayerUnknown`], [`Error::LayerInUse`].
    pub fn delete(&mut self, id: &LayerId) -> Result<()> {
        self.delete_all(std::slice::from_ref(id))
    }

    /// Removes layers, children before their parents.
    ///
    /// # Errors
    /// As [`Layers::delete`]; the layers before the one at fault are gone then.
    pub fn delete_all(&mut self, ids: &[LayerId]) -> Result<()> {
        let mut places = Vec::new();
        for id in ids {
            let user =
                |layer: &&Layer| layer.parent.as_ref() == Some(id) && !ids.contains(&layer.id);
            if let Some(child) = self.index.iter().find(user) {
                let user = format!("layer {}", child.id.short());
                return Err(Error::LayerInUse {
                    id: id.clone(),
                    user,
                });
            }
            let (record, place) = self.index.get_mut(id.as_str())?;
            record
                .flags
                .insert(INCOMPLETE.to_owned(), Value::Bool(true));
            if !places.contains(&place) {
                places.push(place);
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        self.save_all(&places, Durability::Ordered)?;
        for id in ids {
            self.remove_files(id)?;
            self.index.remove(id.as_str());
        }
        self.save_all(&places, Durability::Ordered)
    }

    /// The images, locked for writing beside the layers.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Index`].
    pub fn images(&mut self) -> Result<Images<'_>> {
        Images::lock(self.inner)
    }

    /// The containers, locked for writing beside the layers.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Index`].
    pub fn containers(&mut self) -> Result<Containers<'_>> {
        Containers::lock(self.inner)
    }

    fn remove_incomplete(&mut self) -> Result<()> {
        let left = self
            .index
            .entries
            .iter()
            .filter(|entry| entry.record.is_incomplete());
        let left: Vec<_> = left
            .map(|entry| (entry.record.id.clone(), entry.place))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        for (id, _) in &left {
            tracing::warn!(layer = %id, "removing a layer that was left unfinished");
            self.remove_files(id)?;
            self.index.remove(id.as_str());
        }
        let places: Vec<_> = left.into_iter().map(|(_, place)| place).collect();
        self.save_all(&places, Durability::Ordered)
    }

    fn remove_files(&mut self, id: &LayerId) -> Result<()> {
        let driver = self.inner.driver();
        let mut temporary = TempDir::new(driver.temporary_root())?;
        driver.remove(id, &mut temporary)?;
        self.leaving.push(temporary);
        let split = self.inner.split_path(id);
        match std::fs::remove_file(&split) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", split)(error));
            }
            _ => {}
        }
        let data = self.inner.layer_data(id);
        if data.exists() {
            let mut temporary = TempDir::new(&self.inner.layers_temporary())?;
            temporary.take_in(&data)?;
            self.leaving.push(temporary);
        }
        Ok(())
    }

    fn save_all(&self, places: &[Place], durability: Durability) -> Result<()> {
        let durability = if self.inner.is_durable() {
            durability
        } else {
            Durability::Cached
        };
        for place in [Place::Stable, Place::Volatile] {
            let empty = place == Place::Volatile
                && !self.inner.volatile_layers_path().exists()
                && self.index.entries.iter().all(|entry| entry.place != place);
            if places.contains(&place) && !empty {
                self.inner
                    .layers
                    .save(&self.held, &self.index, place, durability)?;
            }
        }
        Ok(())
    }
}

impl Deref for Layers<'_> {
    type Target = Index<Layer>;

    fn deref(&self) -> &Index<Layer> {
        &self.index
    }
}

impl Inner {
    pub(crate) fn split_path(&self, id: &LayerId) -> PathBuf {
        self.layers_directory().join(format!("{id}.tar-split.gz"))
    }

    pub(crate) fn layer_data(&self, id: &LayerId) -> PathBuf {
        self.layers_directory().join(id)
    }
}
