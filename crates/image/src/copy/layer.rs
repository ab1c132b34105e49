//! One layer's way through a copy.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread::Scope;

use super::ahead::{ReadAhead, read_ahead, read_ahead_with};
use super::inflate::Inflate;
use super::{Run, lock};
use crate::descriptor::Descriptor;
use crate::digest::VerifyingReader;
use crate::error::{Error, Result};
use crate::media_type::Compression;
use crate::progress::{BlobKind, Event};
use crate::transport::{Layer, LayerForm};

impl Run<'_> {
    /// Copies one layer unless the destination has it; gives its descriptor there.
    pub(super) fn layer(&self, mut layer: Layer<'_>) -> Result<Descriptor> {
        let descriptor = layer.descriptor;
        let digest = &descriptor.digest;
        if descriptor.media_type.is_encrypted() {
            return Err(Error::Unsupported {
                what: format!("the encrypted layer {digest}"),
                hint: String::new(),
            });
        }
        let size_bytes = descriptor.size_bytes;
        if let Some(found) = self.destination.find_layer(&layer)? {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            self.progress.event(Event::Skipped { digest, size_bytes });
            return Ok(found);
        }
        let kind = BlobKind::Layer;
        self.progress.event(Event::Started {
            digest,
            kind,
            size_bytes,
        });
        if self.compresses(descriptor) {
            layer.recompressed = Some(Compression::Gzip);
        }
        let written = std::thread::scope(|scope| self.transfer(scope, &layer))?;
        self.progress.event(Event::Done { digest, kind });
        Ok(written)
    }

    fn compresses(&self, descriptor: &Descriptor) -> bool {
        self.destination.layer_form() == LayerForm::Compressed
            && descriptor.media_type.layer_compression() == Some(Compression::None)
    }

    fn transfer<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        layer: &'scope Layer<'scope>,
    ) -> Result<Descriptor> {
        let fetched = self.fetch(scope, layer.descriptor);
        let mut stream = self.shape(scope, layer, fetched)?;
        let failure = Mutex::new(None);
        let mut stream = Remember {
            stream: &mut stream,
            failure: &failure,
        };
        let result = self
            .destination
            .put_layer(layer, &mut stream)
            .and_then(|written| finish(&mut stream).map(|()| written));
        // What went wrong in the stream tells more than what the destination made of it.
        match lock(&failure).take() {
            Some(error) => Err(error),
            None => result,
        }
    }

    /// Reads and checks the blob on a thread of its own.
    fn fetch<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        descriptor: &'scope Descriptor,
    ) -> ReadAhead {
        read_ahead_with(scope, move || {
            let blob = self.source.blob(descriptor, 0);
            let counted = Counted {
                stream: blob.map_err(Error::into_stream)?,
                run: self,
                descriptor,
            };
            Ok(VerifyingReader::new(
                counted,
                format!("layer {}", descriptor.digest),
                descriptor.digest.clone(),
                Some(descriptor.size_bytes),
            ))
        })
    }

    /// Brings the blob into the form the destination takes.
    fn shape<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        layer: &Layer<'_>,
        fetched: ReadAhead,
    ) -> Result<Box<dyn Read + Send + 'scope>> {
        if layer.recompressed.is_some() {
            let level = flate2::Compression::new(self.options.gzip_level.min(9));
            let encoder = flate2::read::GzEncoder::new(fetched, level);
            return Ok(Box::new(read_ahead(scope, encoder)));
        }
        if self.destination.layer_form() != LayerForm::Tar {
            return Ok(Box::new(fetched));
        }
        let what = format!("layer {}", layer.descriptor.digest);
        let inflate = Inflate::new(Box::new(fetched), &what, self.options.limits)?;
        let tar: Box<dyn Read + Send> = match inflate.compression() {
            Compression::None => Box::new(inflate),
            _ => Box::new(read_ahead(scope, inflate)),
        };
        let trusting = self.destination.checks_diff_ids();
        Ok(match layer.diff_id().filter(|_| !trusting) {
            Some(diff_id) => Box::new(VerifyingReader::new(
                tar,
                format!("the tar of {what}"),
                diff_id.clone(),
                None,
            )),
            None => tar,
        })
    }
}

/// Reads what a destination left, so that every check at the stream's end has been made.
fn finish(stream: &mut dyn Read) -> Result<()> {
    io::copy(stream, &mut io::sink())
        .map(drop)
        .map_err(|error| Error::from_stream(error, "layer"))
}

/// Reports progress, and ends the stream when the copy has failed elsewhere.
struct Counted<'a, R> {
    stream: R,
    run: &'a Run<'a>,
    descriptor: &'a Descriptor,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.run.aborted.load(Ordering::Relaxed) {
            return Err(Error::Aborted.into_stream());
        }
        let count = self.stream.read(buffer)?;
        if count > 0 {
            self.run.progress.event(Event::Advanced {
                digest: &self.descriptor.digest,
                bytes: count as u64,
            });
        }
        Ok(count)
    }
}

/// Keeps the stream's first error, which a destination may wrap beyond recognition.
struct Remember<'a> {
    stream: &'a mut dyn Read,
    failure: &'a Mutex<Option<Error>>,
}

impl Read for Remember<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).map_err(|error| {
            let error = Error::from_stream(error, "layer");
            let text = io::Error::other(error.to_string());
            lock(self.failure).get_or_insert(error);
            text
        })
    }
}
