//! Images in a store, to read.

use std::io::{self, PipeReader, Read};
use std::thread::JoinHandle;

use minke_storage::{Image, Layer as LayerRecord, LayerExport, LayerId, Store};

use super::{MANIFEST_KEY, failed, manifest_key, ours};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::manifest::{ImageManifest, RawManifest};
use crate::media_type::{Compression, MediaType};
use crate::name::ImageName;
use crate::transport::ImageSource;

/// An image in a store.
///
/// Layers are served as the tar streams they were unpacked from: a store keeps files, not
/// blobs.
#[derive(Debug)]
pub struct StorageSource {
    name: ImageName,
    store: Store,
    image: Image,
}

impl StorageSource {
    /// Opens the image that `image` is the ID, the name or the start of the ID of.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn open(store: Store, image: &str) -> Result<Self> {
        let images = store.images().map_err(failed("reading the images"))?;
        let record = images.lookup(image);
        let record = record.map_err(failed(format!("opening image {image}")))?;
        Ok(StorageSource {
            name: ImageName::ContainersStorage {
                store: None,
                image: image.to_owned(),
            },
            image: record.clone(),
            store,
        })
    }

    /// The image's record.
    pub fn image(&self) -> &Image {
        &self.image
    }

    fn item(&self, key: &str) -> Result<Vec<u8>> {
        let reading = || failed(format!("reading {key} of image {}", self.image.id));
        self.store
            .image_big_data(&self.image.id, key)
            .map_err(reading())
    }

    /// The image's layers, base first.
    fn layers(&self) -> Result<Vec<LayerRecord>> {
        let layers = self.store.layers().map_err(failed("reading the layers"))?;
        let mut chain = Vec::new();
        let mut next = self.image.top_layer.clone();
        while let Some(id) = next.take() {
            let vanished = || Error::Store {
                action: format!("reading layer {id}"),
                source: "it is not in the store".into(),
            };
            let layer = layers.get(id.as_str()).ok_or_else(vanished)?;
            if chain.len() > layers.len() {
                return Err(vanished());
            }
            next.clone_from(&layer.parent);
            chain.push(layer.clone());
        }
        chain.reverse();
        Ok(chain)
    }

    fn size_bytes(&self, layer: &LayerRecord) -> Result<u64> {
        if let Some(size) = layer.diff_size.and_then(|size| u64::try_from(size).ok()) {
            return Ok(size);
        }
        let mut count = Count(0);
        self.store
            .export_layer(&layer.id, &mut count)
            .map_err(failed(format!("reading layer {}", layer.id)))?;
        Ok(count.0)
    }
}

struct Count(u64);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ImageSource for StorageSource {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn manifest(&self, instance: Option<&Digest>) -> Result<RawManifest> {
        let key = instance.map_or_else(|| MANIFEST_KEY.to_owned(), manifest_key);
        let bytes = self.item(&key)?;
        if let Some(digest) = instance {
            digest.verify(&bytes, "manifest")?;
        }
        let media_type = None;
        Ok(RawManifest { bytes, media_type })
    }

    fn blob(&self, blob: &Descriptor, start_bytes: u64) -> Result<Box<dyn Read + Send + '_>> {
        if self
            .image
            .big_data_names
            .iter()
            .any(|key| key == blob.digest.as_str())
        {
            let mut bytes = self.item(blob.digest.as_str())?;
            bytes.drain(..bytes.len().min(start_bytes as usize));
            return Ok(Box::new(io::Cursor::new(bytes)));
        }
        let has_digest = |layer: &LayerRecord| {
            let diff_id = layer.diff_id.as_ref();
            diff_id.is_some_and(|id| id.to_string() == blob.digest.as_str())
        };
        let layer = self.layers()?.into_iter().find(has_digest);
        let layer = layer.ok_or_else(|| Error::Store {
            action: format!("reading blob {}", blob.digest),
            source: "the image has no such layer".into(),
        })?;
        let mut export = Export::start(self.store.clone(), layer.id)?;
        io::copy(&mut export.by_ref().take(start_bytes), &mut io::sink())
            .map_err(|error| Error::from_stream(error, "layer"))?;
        Ok(Box::new(export))
    }

    fn served_layers(&self, manifest: &ImageManifest) -> Result<Option<Vec<Descriptor>>> {
        let docker = manifest.media_type().is_docker();
        let describe = |layer: &LayerRecord| {
            let diff_id = layer.diff_id.as_ref().ok_or_else(|| Error::Store {
                action: format!("reading layer {}", layer.id),
                source: "the store does not know its digest".into(),
            })?;
            let media_type = MediaType::layer(docker, Compression::None);
            Ok(Descriptor::new(
                media_type,
                ours(diff_id)?,
                self.size_bytes(layer)?,
            ))
        };
        let layers = self.layers()?;
        layers.iter().map(describe).collect::<Result<_>>().map(Some)
    }
}

/// A layer's tar stream, made on a thread of its own.
struct Export {
    stream: PipeReader,
    thread: Option<JoinHandle<Result<LayerExport, minke_storage::Error>>>,
}

impl Export {
    fn start(store: Store, layer: LayerId) -> Result<Self> {
        let broken = |source| Error::Stream {
            what: "a stored layer".to_owned(),
            source,
        };
        let (stream, mut output) = io::pipe().map_err(broken)?;
        let export = move || store.export_layer(&layer, &mut output);
        let thread = std::thread::Builder::new().spawn(export).map_err(broken)?;
        Ok(Export {
            stream,
            thread: Some(thread),
        })
    }

    /// An export that failed half-way must not look like one that ended.
    fn check(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => Err(failed("reading a stored layer")(error)),
            Some(Err(_)) => Err(Error::Aborted),
            _ => Ok(()),
        }
    }
}

impl Read for Export {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.check().map_err(Error::into_stream)?;
        }
        Ok(count)
    }
}
