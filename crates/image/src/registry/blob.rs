//! Downloading a blob as a stream that survives broken connections.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::client::{Link, header};
use super::failure::Failure;
use super::http::Request;
use super::network::Network;
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};

/// How many network reads may wait for the reader.
const CHUNKS_AHEAD: usize = 16;

/// A blob being downloaded. Not verified: wrap it in [`crate::digest::VerifyingReader`].
#[derive(Debug)]
pub struct BlobReader {
    chunks: Receiver<Result<Bytes>>,
    current: Bytes,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.current.has_remaining() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk.map_err(Error::into_stream)?,
                None => return Ok(0),
            }
        }
        let count = self.current.remaining().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Asks for `blob` from `start_bytes` on, and lets the network thread read it.
pub(super) fn open(
    network: &Network,
    link: &Arc<Link>,
    blob: &Descriptor,
    start_bytes: u64,
) -> Result<BlobReader> {
    let download = Download {
        link: link.clone(),
        blob: blob.clone(),
        at: start_bytes,
    };
    let (sender, chunks) = channel(CHUNKS_AHEAD);
    network.run(async move {
        let response = download.request().await?;
        tokio::spawn(async move { download.pump(response, sender).await });
        Ok(())
    })?;
    Ok(BlobReader {
        chunks,
        current: Bytes::new(),
    })
}

struct Download {
    link: Arc<Link>,
    blob: Descriptor,
    at: u64,
}

impl Download {
    async fn request(&self) -> Result<Response> {
        let mut request = Request::new(Method::GET, self.link.blob_url(&self.blob.digest));
        if self.at > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.at));
            request.headers.insert(RANGE, range.expect("digits"));
        }
        let response = self.link.send(request).await;
        let response = response.map_err(|failure| self.failed(failure))?;
        self.check(&response)?;
        Ok(response)
    }

    /// Checks that the answer holds the bytes that were asked for, as far as it says.
    fn check(&self, response: &Response) -> Result<()> {
        let size = self.blob.size_bytes;
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = header(response, CONTENT_RANGE.as_str()).unwrap_or("");
            let start = range
                .strip_prefix("bytes ")
                .and_then(|range| range.split_once('-'))
                .and_then(|(start, _)| start.parse().ok());
            if start == Some(self.at) {
                return Ok(());
            }
            let problem = format!("asked for bytes from {}, got {range:?}", self.at);
            return Err(self.failed(Failure::new(ErrorKind::Registry, problem)));
        }
        match response.content_length() {
            Some(found) if found != size => Err(Error::SizeMismatch {
                what: format!("blob {}", self.blob.digest),
                expected: size,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Sends the blob's bytes on; when the connection breaks, asks for the rest.
    async fn pump(mut self, response: Response, sender: Sender<Result<Bytes>>) {
        let mut response = response;
        let mut breaks = 0;
        loop {
            let before = self.at;
            let broken = match self.forward(response, &sender).await {
                Ok(()) => return,
                Err(broken) => broken,
            };
            breaks = if self.at > before { 1 } else { breaks + 1 };
            if breaks > self.link.retries() {
                let _ = sender.send(Err(self.failed(broken))).await;
                return;
            }
            tracing::info!(blob = %self.blob.digest, at = self.at, "download broke, resuming");
            response = match self.request().await {
                Ok(response) => response,
                Err(error) => {
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
        }
    }

    /// Sends one answer's bytes on. Ends well at its end, or when nobody reads any more.
    async fn forward(
        &mut self,
        mut response: Response,
        sender: &Sender<Result<Bytes>>,
    ) -> Result<(), Failure> {
        let whole = response.status() != StatusCode::PARTIAL_CONTENT;
        let mut skip = if whole { self.at } else { 0 };
        loop {
            let chunk = response.chunk().await;
            let Some(mut chunk) = chunk.map_err(|error| Failure::network(&error))? else {
                return Ok(());
            };
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            chunk.advance(known);
            skip -= known as u64;
            self.at += chunk.len() as u64;
            let overlong = self.at > self.blob.size_bytes;
            if !chunk.is_empty() && sender.send(Ok(chunk)).await.is_err() {
                return Ok(());
            }
            if overlong {
                return Ok(()); // one byte too many shows the reader what is wrong
            }
        }
    }

    fn failed(&self, failure: Failure) -> Error {
        let (digest, repository) = (&self.blob.digest, self.link.repository());
        failure.while_(format!("reading blob {digest} in {repository}"))
    }
}
