//! The top layer of an image once more, with other owners, for user namespaces whose mapping the
//! kernel cannot apply when mounting.
//!
//! Kept as containers/storage does: the record has the parent and the digests of the layer it
//! stands for, the directory lies upon that one's and holds every file of the image, and the
//! image names it among its `mapped-layers`. Made once for an image and a mapping.

use std::fs::File;
use std::os::fd::AsFd;

use minke_sys::{idmap, tree};

use crate::record::IdMap;
use crate::{CommitRequest, Error, Image, ImageId, Index, Layer, LayerId, Record, Result, Store};

impl Store {
    /// The layer to put a container upon that has `map` in its user namespace: that of the
    /// image whose files have these owners, made first where there is none yet. `None` for an
    /// image without layers.
    ///
    /// No lock is held while files are copied. Killed meanwhile, what was copied is removed by
    /// the next who opens the store.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`]; [`Error::Io`] also for a file whose owner is not mapped.
    pub fn mapped_top_layer(
        &mut self,
        image: &ImageId,
        map: &idmap::IdMap,
    ) -> Result<Option<LayerId>> {
        let (uids, gids) = (recorded(&map.users), recorded(&map.groups));
        let record = self.image_record(image)?;
        let Some(top) = record.top_layer.clone() else {
            return Ok(None);
        };
        if let Some(made) = self.find_mapped(&record, &uids, &gids)? {
            return Ok(Some(made));
        }
        let stage = self.stage()?;
        let from = self.view(&top)?;
        let path = stage.directory().to_owned();
        let to = File::open(&path).map_err(Error::io("open", &path))?;
        tree::copy_mapped(from.as_fd(), to.as_fd(), map)
            .map_err(Error::io("copy an image with other owners to", &path))?;
        stage.sync()?;
        drop(from);

        let mut layers = self.write_layers()?;
        let template = layers
            .get(&top)
            .cloned()
            .ok_or_else(|| Layer::unknown(top.as_str()))?;
        // Again: somebody may have been faster, or have died before the image named it.
        let images = layers.images()?.clone();
        let named = images.get(image).map(|image| &image.mapped_top_layers[..]);
        let named = named.unwrap_or_default();
        let made = layers.iter().find(|layer| {
            let is_it = named.contains(&layer.id) || is_unnamed(layer, &template, &images);
            is_it && layer.uid_map == uids && layer.gid_map == gids
        });
        let id = match made {
            Some(made) if named.contains(&made.id) => return Ok(Some(made.id.clone())),
            Some(made) => made.id.clone(),
            None => {
                let id = LayerId::random()?;
                let mut commit = CommitRequest::new(id.clone()).parent(template.parent.clone());
                commit.mount_label.clone_from(&template.mount_label);
                commit.template = Some(top);
                commit.uid_map = uids;
                commit.gid_map = gids;
                layers.commit(stage, commit)?;
                id
            }
        };
        layers.images()?.add_mapped_top_layer(image, id.clone())?;
        Ok(Some(id))
    }

    fn find_mapped(
        &self,
        image: &Image,
        uids: &[IdMap],
        gids: &[IdMap],
    ) -> Result<Option<LayerId>> {
        let layers = self.layers()?;
        let is_it = |id: &&LayerId| {
            layers
                .get(id.as_str())
                .is_some_and(|layer| layer.uid_map == uids && layer.gid_map == gids)
        };
        Ok(image.mapped_top_layers.iter().find(is_it).cloned())
    }
}

/// Whether a layer stands for `template` with other owners and no image names it: its maker died
/// before.
pub(crate) fn is_unnamed(layer: &Layer, template: &Layer, images: &Index<Image>) -> bool {
    layer.id != template.id
        && !layer.uid_map.is_empty()
        && layer.diff_id.is_some()
        && layer.diff_id == template.diff_id
        && layer.parent == template.parent
        && !images.iter().any(|image| {
            image.top_layer.as_ref() == Some(&layer.id)
                || image.mapped_top_layers.contains(&layer.id)
        })
}

/// As records have it.
pub(crate) fn recorded(ranges: &[idmap::Range]) -> Vec<IdMap> {
    let record = |range: &idmap::Range| IdMap {
        container_id: range.inside,
        host_id: range.outside,
        size: range.size,
    };
    ranges.iter().map(record).collect()
}

/// As the kernel takes it; none where nothing is mapped.
pub(crate) fn from_record(uids: &[IdMap], gids: &[IdMap]) -> Option<idmap::IdMap> {
    let ranges = |maps: &[IdMap]| {
        let range = |map: &IdMap| idmap::Range {
            inside: map.container_id,
            outside: map.host_id,
            size: map.size,
        };
        maps.iter().map(range).collect()
    };
    (!uids.is_empty() || !gids.is_empty()).then(|| idmap::IdMap {
        users: ranges(uids),
        groups: ranges(gids),
    })
}
