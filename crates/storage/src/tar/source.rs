//! The stream of a layer: read in large pieces, each hashed once as it arrives.

use std::io::{self, Read};

use crate::digest::Hasher;
use crate::{Algorithm, Digest, Error, Result};

const BUFFER_BYTES: usize = 512 * 1024;

/// A buffered, counted and hashed stream.
pub(crate) struct Source<R> {
    input: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    hasher: Hasher,
    read_bytes: u64,
    limit_bytes: u64,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(input: R, limit_bytes: u64) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            hasher: Hasher::new(Algorithm::Sha256),
            read_bytes: 0,
            limit_bytes,
        }
    }

    /// Bytes consumed so far.
    pub(crate) fn offset(&self) -> u64 {
        self.read_bytes - (self.end - self.start) as u64
    }

    /// What is buffered; empty only at the end of the stream.
    pub(crate) fn peek(&mut self) -> Result<&[u8]> {
        if self.start == self.end {
            self.refill()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    pub(crate) fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
    }

    /// Fills `block`, or gives how many bytes were left before the end.
    pub(crate) fn fill(&mut self, block: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < block.len() {
            let piece = self.peek()?;
            if piece.is_empty() {
                break;
            }
            let length = piece.len().min(block.len() - filled);
            block[filled..filled + length].copy_from_slice(&piece[..length]);
            filled += length;
            self.consume(length);
        }
        Ok(filled)
    }

    pub(crate) fn fault(&self, why: impl Into<String>) -> Error {
        Error::Archive {
            offset: self.offset(),
            why: why.into(),
        }
    }

    /// The digest and length of everything read.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.read_bytes)
    }

    fn refill(&mut self) -> Result<()> {
        self.start = 0;
        self.end = 0;
        // Few large pieces, even from a pipe: each is hashed and written in one go.
        while self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(length) => self.end += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Stream { source }),
            }
        }
        self.read_bytes += self.end as u64;
        if self.read_bytes > self.limit_bytes {
            let why = format!("it is longer than the {} bytes allowed", self.limit_bytes);
            return Err(Error::Archive {
                offset: self.limit_bytes,
                why,
            });
        }
        self.hasher.update(&self.buffer[..self.end]);
        Ok(())
    }
}
