//! The two seams of a copy: where an image comes from and where it goes.

use std::io::Read;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::Result;
use crate::manifest::{ImageManifest, RawManifest};
use crate::media_type::{Compression, MediaType};
use crate::name::ImageName;

/// A place one image can be read from.
///
/// Bytes are handed out as found; the reader checks them against their digests, save that
/// [`ImageSource::manifest`] of a digest must have it.
pub trait ImageSource: Send + Sync {
    /// What the image is called; the policy decides by it.
    fn name(&self) -> &ImageName;

    /// Reads the image's manifest or index; with `instance`, that member of its index.
    ///
    /// # Errors
    /// Kind `NotFound` if there is none; `DigestMismatch` if the bytes are not those of
    /// `instance` or of the digest the image was named by; `TooLarge`.
    fn manifest(&self, instance: Option<&Digest>) -> Result<RawManifest>;

    /// Opens a blob for reading from byte `start_bytes` on.
    ///
    /// # Errors
    /// Kind `NotFound` if there is none, or as the medium fails.
    fn blob(&self, blob: &Descriptor, start_bytes: u64) -> Result<Box<dyn Read + Send + '_>>;

    /// The layers as this source serves them, if that is not as `manifest` lists them: a store
    /// keeps what it unpacked, not what it downloaded.
    ///
    /// # Errors
    /// As the medium fails.
    fn served_layers(&self, manifest: &ImageManifest) -> Result<Option<Vec<Descriptor>>> {
        let _ = manifest;
        Ok(None)
    }
}

/// In which form a destination takes layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerForm {
    /// Exactly the bytes of the descriptor.
    Verbatim,
    /// As they are, but tars that are not compressed should be.
    Compressed,
    /// As uncompressed tar streams.
    Tar,
}

/// One layer on its way.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Its place, from 0 at the base.
    pub index: usize,
    /// The descriptor it has at the source.
    pub descriptor: &'a Descriptor,
    /// The diff IDs up to and including this layer's; empty for artifacts, whose layers are
    /// not tars.
    pub chain: &'a [Digest],
    /// Set if the stream is not the bytes of `descriptor` but its tar, newly compressed so:
    /// digest and size are known only at its end.
    pub recompressed: Option<Compression>,
}

impl Layer<'_> {
    /// The digest of this layer's uncompressed tar.
    pub fn diff_id(&self) -> Option<&Digest> {
        self.chain.last()
    }
}

/// The image a destination is asked to complete.
#[derive(Debug, Clone)]
pub struct CopiedImage<'a> {
    /// The manifest to record, as it fits the layers that were written.
    pub manifest: &'a ImageManifest,
    /// The index the image was chosen from, if it was.
    pub index: Option<&'a RawManifest>,
    /// The config's bytes.
    pub config: &'a [u8],
    /// Diff IDs of the layers; empty for artifacts.
    pub diff_ids: &'a [Digest],
}

/// A place one image can be written to.
///
/// Calls come in the order: any number of `find_layer` and `put_layer`, from several threads,
/// then `commit`. A destination dropped without `commit` leaves its place as it was.
pub trait ImageDestination: Send + Sync {
    /// What the image will be called.
    fn name(&self) -> &ImageName;

    /// The form in which layers are taken.
    fn layer_form(&self) -> LayerForm;

    /// Whether [`ImageDestination::put_layer`] itself holds a tar to the layer's diff ID, so
    /// that it need not be hashed twice. Only asked where tars are taken.
    fn checks_diff_ids(&self) -> bool {
        false
    }

    /// Whether manifests of this type can be recorded. If not, they are converted to OCI.
    fn accepts(&self, manifest: &MediaType) -> bool {
        manifest.is_image_manifest()
    }

    /// Looks for a layer that need not be copied, and returns its descriptor in this place.
    ///
    /// # Errors
    /// As the medium fails.
    fn find_layer(&self, layer: &Layer<'_>) -> Result<Option<Descriptor>>;

    /// Writes a layer. `stream` ends only if its digests are right; it must be read to its end
    /// before the layer counts as written. Returns the descriptor of what was written.
    ///
    /// # Errors
    /// The stream's own error (see [`crate::Error::from_stream`]), or as the medium fails.
    fn put_layer(&self, layer: &Layer<'_>, stream: &mut dyn Read) -> Result<Descriptor>;

    /// Makes the image visible: its config, manifest and names.
    ///
    /// # Errors
    /// As the medium fails; nothing is visible then.
    fn commit(&mut self, image: &CopiedImage<'_>) -> Result<()>;
}
