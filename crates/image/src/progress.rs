//! What a copy tells while it runs.

use crate::digest::Digest;

/// What a blob is to its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// The image config.
    Config,
    /// A layer.
    Layer,
}

/// Something happened in a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A blob starts.
    Started {
        /// Which.
        digest: &'a Digest,
        /// What it is.
        kind: BlobKind,
        /// How long it is.
        size_bytes: u64,
    },
    /// More of a blob came in.
    Advanced {
        /// Which.
        digest: &'a Digest,
        /// How much more.
        bytes: u64,
    },
    /// A blob is complete and checked.
    Done {
        /// Which.
        digest: &'a Digest,
        /// What it is.
        kind: BlobKind,
    },
    /// A blob is at the destination already.
    Skipped {
        /// Which.
        digest: &'a Digest,
        /// How long it would have been.
        size_bytes: u64,
    },
    /// All blobs are there; the manifest is being recorded.
    WritingManifest,
}

/// Hears of a copy's events, from several threads.
pub trait Progress: Sync {
    /// Called for each event; should return soon.
    fn event(&self, event: Event<'_>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}

impl<F: Fn(Event<'_>) + Sync> Progress for F {
    fn event(&self, event: Event<'_>) {
        self(event);
    }
}
