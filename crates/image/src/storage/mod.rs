//! `containers-storage:`: images in a store shared with Podman, Buildah and Skopeo.
//!
//! What containers/image records, so that those find it: an image's ID is its config's digest;
//! data items are the config under its digest, the manifest under `manifest` and
//! `manifest-DIGEST`, and the index it was chosen from under the latter; the base layer's ID is
//! its diff ID, and every other one is the SHA-256 of `PARENT+DIFFID`.

mod destination;
mod source;

pub use destination::StorageDestination;
pub use source::StorageSource;

use minke_storage::{Index, Layer as LayerRecord, LayerId};

use crate::digest::Digest;
use crate::error::{Error, Result};

/// The data item that holds an image's manifest.
const MANIFEST_KEY: &str = "manifest";

fn manifest_key(digest: &Digest) -> String {
    format!("{MANIFEST_KEY}-{digest}")
}

/// The ID containers/image gives a layer of this diff ID on top of `parent`.
fn layer_id(parent: Option<&LayerId>, diff_id: &Digest) -> Result<LayerId> {
    let digest = match parent {
        None => diff_id.clone(),
        Some(parent) => Digest::of(format!("{parent}+{}", diff_id.hex()).as_bytes()),
    };
    digest.hex().parse().map_err(failed("naming a layer"))
}

/// The layer of this diff ID on top of `parent`, whatever it is called.
fn find_layer<'a>(
    layers: &'a Index<LayerRecord>,
    parent: Option<&LayerId>,
    diff_id: &Digest,
) -> Option<&'a LayerRecord> {
    let fits = |layer: &&LayerRecord| {
        layer.parent.as_ref() == parent
            && layer.uid_map.is_empty()
            && layer
                .diff_id
                .as_ref()
                .is_some_and(|id| id.to_string() == diff_id.as_str())
    };
    let usual = layer_id(parent, diff_id).ok();
    let usual = usual.and_then(|id| layers.get(id.as_str())).filter(fits);
    usual.or_else(|| layers.iter().find(fits))
}

fn ours(digest: &minke_storage::Digest) -> Result<Digest> {
    digest.to_string().parse()
}

fn theirs(digest: &Digest) -> Result<minke_storage::Digest> {
    digest.as_str().parse().map_err(failed("reading a digest"))
}

fn failed(action: impl Into<String>) -> impl FnOnce(minke_storage::Error) -> Error {
    let action = action.into();
    move |error| Error::Store {
        action,
        source: Box::new(error),
    }
}
