//! Tar as layers come in it: ustar, GNU and pax, read strictly and exactly once.

pub(crate) mod header;
pub(crate) mod pax;
pub(crate) mod reader;
pub(crate) mod source;
pub(crate) mod sparse;
pub(crate) mod split;
pub(crate) mod writer;

/// The unit of a tar stream.
pub(crate) const BLOCK: usize = 512;

/// The most that a pax header, a long name or a sparse map may claim.
pub(crate) const MAX_SPECIAL_BYTES: u64 = 1 << 20;

/// Bytes that pad `size` to whole blocks.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
