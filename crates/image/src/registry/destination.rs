//! Images in registries, to write.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Body, Method, Response, Url};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::client::Link;
use super::failure::Failure;
use super::http::{Request, RequestBody};
use super::{Access, Registry, RegistryOptions};
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, ErrorKind, Result};
use crate::media_type::MediaType;
use crate::name::ImageName;
use crate::reference::ImageReference;
use crate::transport::{CopiedImage, ImageDestination, Layer, LayerForm};

const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS_AHEAD: usize = 4;

/// An image to be pushed.
#[derive(Debug)]
pub struct RegistryDestination {
    name: ImageName,
    reference: ImageReference,
    registry: Registry,
}

impl RegistryDestination {
    /// Connects to where `reference` is to be pushed.
    ///
    /// # Errors
    /// As [`Registry::connect`].
    pub fn open(reference: &ImageReference, options: &RegistryOptions) -> Result<Self> {
        Ok(RegistryDestination {
            name: ImageName::Docker(reference.clone()),
            reference: reference.clone(),
            registry: Registry::connect(reference, Access::Push, options)?,
        })
    }

    /// Uploads `stream`; `known` if its digest and size are certain beforehand.
    fn upload(&self, stream: &mut dyn Read, known: Option<&Descriptor>) -> Result<(Digest, u64)> {
        let link = self.registry.link().clone();
        let known = known.map(|descriptor| (descriptor.digest.clone(), descriptor.size_bytes));
        let (sender, receiver) = channel(CHUNKS_AHEAD);
        let (told, hash) = tokio::sync::oneshot::channel();
        let what = known.as_ref().map(|(digest, _)| format!("blob {digest}"));
        let what = what.unwrap_or_else(|| "a new blob".to_owned());
        let attempted = format!("uploading {what} to {}", link.repository());
        let upload = async move {
            let result = upload(&link, receiver, known, hash).await;
            result.map_err(|failure| failure.while_(attempted))
        };
        let finished = self.registry.network().spawn(upload);
        let fed = feed(stream, &sender);
        drop(sender);
        if let Ok(pair) = &fed {
            let _ = told.send(pair.0.clone());
        }
        // If the upload stopped first, its error is the cause.
        match (finished(), fed) {
            (Ok(()), Ok(pair)) => Ok(pair),
            (_, Err(Fed::Stream(error))) => Err(Error::from_stream(error, "layer")),
            (Err(error), _) => Err(error),
            (Ok(()), Err(Fed::Unread)) => Err(Failure::new(
                ErrorKind::Registry,
                "the registry answered before it had everything",
            )
            .while_("uploading a blob")),
        }
    }
}

/// Why a stream was not sent whole.
enum Fed {
    Stream(io::Error),
    Unread,
}

/// Sends `stream` to the network thread, hashing it; an error ends the request unfinished.
fn feed(stream: &mut dyn Read, sender: &Sender<io::Result<Bytes>>) -> Result<(Digest, u64), Fed> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut total = 0;
    loop {
        let mut chunk = BytesMut::zeroed(CHUNK_BYTES);
        let count = match stream.read(&mut chunk) {
            Ok(0) => return Ok((hasher.finish(), total)),
            Ok(count) => count,
            Err(error) => {
                let abort = io::Error::other("the source failed");
                let _ = sender.blocking_send(Err(abort));
                return Err(Fed::Stream(error));
            }
        };
        chunk.truncate(count);
        hasher.update(&chunk);
        total += count as u64;
        if sender.blocking_send(Ok(chunk.freeze())).is_err() {
            return Err(Fed::Unread);
        }
    }
}

type DigestLater = tokio::sync::oneshot::Receiver<Digest>;

/// With a known digest: POST, then one PUT with everything. Else POST, PATCH, and PUT of the
/// digest that was found.
async fn upload(
    link: &Link,
    chunks: Receiver<io::Result<Bytes>>,
    known: Option<(Digest, u64)>,
    hash: DigestLater,
) -> Result<(), Failure> {
    let started = link
        .send(Request::new(Method::POST, link.upload_url()))
        .await?;
    let location = location(&started)?;
    let body = RequestBody::Stream(Some(body(chunks)));
    match known {
        Some((digest, size_bytes)) => {
            let mut request = upload_request(Method::PUT, with_digest(location, &digest), body);
            let length = HeaderValue::from(size_bytes);
            request.headers.insert(CONTENT_LENGTH, length);
            link.send(request).await?;
        }
        None => {
            let request = upload_request(Method::PATCH, location, body);
            let patched = link.send(request).await?;
            let aborted = |_| Failure::new(ErrorKind::Aborted, "the source failed");
            let digest = hash.await.map_err(aborted)?;
            let location = with_digest(self::location(&patched)?, &digest);
            let request = upload_request(Method::PUT, location, RequestBody::Empty);
            link.send(request).await?;
        }
    }
    Ok(())
}

fn upload_request(method: Method, url: Url, body: RequestBody) -> Request {
    let mut request = Request::new(method, url);
    let octets = HeaderValue::from_static("application/octet-stream");
    request.headers.insert(CONTENT_TYPE, octets);
    request.body = body;
    request
}

fn body(chunks: Receiver<io::Result<Bytes>>) -> Body {
    let next = |mut chunks: Receiver<io::Result<Bytes>>| async {
        chunks.recv().await.map(|chunk| (chunk, chunks))
    };
    Body::wrap_stream(stream::unfold(chunks, next))
}

fn location(response: &Response) -> Result<Url, Failure> {
    response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|location| response.url().join(location).ok())
        .filter(|url| matches!(url.scheme(), "https") || url.scheme() == response.url().scheme())
        .ok_or_else(|| {
            Failure::new(
                ErrorKind::Registry,
                "the registry gave no usable place to upload to",
            )
        })
}

fn with_digest(mut location: Url, digest: &Digest) -> Url {
    location
        .query_pairs_mut()
        .append_pair("digest", digest.as_str());
    location
}

impl ImageDestination for RegistryDestination {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn layer_form(&self) -> LayerForm {
        LayerForm::Compressed
    }

    fn find_layer(&self, layer: &Layer<'_>) -> Result<Option<Descriptor>> {
        let found = self.registry.blob_size(&layer.descriptor.digest)?;
        Ok(found.map(|_| layer.descriptor.clone()))
    }

    fn put_layer(&self, layer: &Layer<'_>, stream: &mut dyn Read) -> Result<Descriptor> {
        let Some(compression) = layer.recompressed else {
            self.upload(stream, Some(layer.descriptor))?;
            return Ok(layer.descriptor.clone());
        };
        let (digest, size_bytes) = self.upload(stream, None)?;
        let docker = layer.descriptor.media_type.is_docker();
        let mut descriptor = layer.descriptor.clone();
        descriptor.media_type = MediaType::layer(docker, compression);
        descriptor.digest = digest;
        descriptor.size_bytes = size_bytes;
        Ok(descriptor)
    }

    fn commit(&mut self, image: &CopiedImage<'_>) -> Result<()> {
        let config = image.manifest.config();
        if self.registry.blob_size(&config.digest)?.is_none() {
            self.upload(&mut &image.config[..], Some(config))?;
        }
        let manifest = image.manifest;
        let what = match self.reference.digest() {
            Some(digest) => {
                digest.verify(manifest.raw(), "manifest")?;
                digest.as_str()
            }
            None => self.reference.tag_or_digest(),
        };
        self.registry
            .put_manifest(what, manifest.raw(), manifest.media_type())
    }
}
