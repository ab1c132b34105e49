//! Maps of files with holes.

use super::header::{Fault, Header, unsigned};
use super::pax::decimal;
use super::{BLOCK, MAX_SPECIAL_BYTES};

/// A piece of a file that is stored: where it goes and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// A file of `size` bytes of which only `extents` are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SparseMap {
    pub(crate) size: u64,
    pub(crate) extents: Vec<Extent>,
}

impl SparseMap {
    /// Checks that the extents rise, stay inside the file and make up what is stored.
    pub(crate) fn new(size: u64, numbers: &[u64], stored: u64) -> Result<Self, Fault> {
        if !numbers.len().is_multiple_of(2) {
            return Err("a sparse map has an offset without a length".to_owned());
        }
        let mut end = 0;
        let mut total = 0_u64;
        let mut extents = Vec::with_capacity(numbers.len() / 2);
        for pair in numbers.chunks_exact(2) {
            let extent = Extent {
                offset: pair[0],
                length: pair[1],
            };
            let after = extent.offset.checked_add(extent.length);
            match after {
                Some(after) if extent.offset >= end && after <= size => end = after,
                _ => return Err("a sparse map does not fit its file".to_owned()),
            }
            total += extent.length;
            extents.push(extent);
        }
        if total != stored {
            return Err("a sparse map disagrees with the size stored".to_owned());
        }
        Ok(Self { size, extents })
    }
}

/// The map in an old GNU header and the blocks that follow it.
#[derive(Debug, Default)]
pub(crate) struct OldGnuMap {
    numbers: Vec<u64>,
    more: bool,
}

impl OldGnuMap {
    pub(crate) fn begin(header: &Header) -> Result<(Self, u64), Fault> {
        let bytes = header.bytes();
        let size =
            unsigned(&bytes[483..495]).ok_or("the real size of a sparse file is no number")?;
        let mut map = Self::default();
        map.take(&bytes[386..482], bytes[482])?;
        Ok((map, size))
    }

    pub(crate) fn wants_more(&self) -> bool {
        self.more
    }

    pub(crate) fn add(&mut self, block: &[u8; BLOCK]) -> Result<(), Fault> {
        self.take(&block[..504], block[504])
    }

    pub(crate) fn finish(self, size: u64, stored: u64) -> Result<SparseMap, Fault> {
        SparseMap::new(size, &self.numbers, stored)
    }

    fn take(&mut self, table: &[u8], extended: u8) -> Result<(), Fault> {
        for entry in table.chunks_exact(24) {
            if entry[0] == 0 {
                break;
            }
            for field in entry.chunks_exact(12) {
                let number = unsigned(field).ok_or("a sparse map holds no number")?;
                self.numbers.push(number);
            }
        }
        self.more = extended != 0;
        if self.numbers.len() as u64 > MAX_SPECIAL_BYTES / 16 {
            return Err("a sparse map is too long".to_owned());
        }
        Ok(())
    }
}

/// The map at the head of the data in pax version 1.0: decimal numbers, one a line.
#[derive(Debug, Default)]
pub(crate) struct DataMap {
    text: Vec<u8>,
    numbers: Vec<u64>,
    scanned: usize,
}

impl DataMap {
    /// Takes a block; true once the map is whole.
    pub(crate) fn add(&mut self, block: &[u8; BLOCK]) -> Result<bool, Fault> {
        self.text.extend_from_slice(block);
        if self.text.len() as u64 > MAX_SPECIAL_BYTES {
            return Err("a sparse map is too long".to_owned());
        }
        while !self.is_whole() {
            let rest = &self.text[self.scanned..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                return Ok(false);
            };
            self.numbers.push(decimal(&rest[..end], "sparse map")?);
            self.scanned += end + 1;
        }
        Ok(true)
    }

    fn is_whole(&self) -> bool {
        let wanted = self
            .numbers
            .first()
            .map(|count| count.saturating_mul(2).saturating_add(1));
        wanted.is_some_and(|wanted| self.numbers.len() as u64 >= wanted)
    }

    pub(crate) fn finish(self, size: u64, stored: u64) -> Result<SparseMap, Fault> {
        SparseMap::new(size, &self.numbers[1..], stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_checked() {
        assert!(SparseMap::new(100, &[0, 10, 50, 5], 15).is_ok());
        for (size, numbers, stored) in [
            (100, &[0, 10, 5, 5][..], 15),
            (100, &[0, 10, 99, 2], 12),
            (100, &[0, 10], 9),
            (100, &[0], 0),
            (100, &[u64::MAX, 2], 2),
        ] {
            assert!(
                SparseMap::new(size, numbers, stored).is_err(),
                "{numbers:?}"
            );
        }
    }

    #[test]
    fn data_map_spans_blocks() {
        let mut text = b"200\n".to_vec();
        for number in 0..200 {
            text.extend_from_slice(format!("{}\n1\n", number * 1000).as_bytes());
        }
        text.resize(text.len().next_multiple_of(BLOCK), 0);
        let mut map = DataMap::default();
        let mut whole = false;
        for block in text.chunks_exact(BLOCK) {
            assert!(!whole);
            whole = map.add(block.try_into().unwrap()).unwrap();
        }
        assert!(whole);
        assert_eq!(map.finish(200_000, 200).unwrap().extents.len(), 200);
    }
}
