//! Undoing a layer's compression, told by its first bytes and bounded in what it may become.

use std::io::{self, BufRead, BufReader, Read};

use crate::error::{Error, Result};
use crate::media_type::Compression;

/// Bounds on what a compressed layer may expand to.
#[derive(Debug, Clone, Copy)]
pub struct InflateLimits {
    /// The most a layer may expand to.
    pub max_bytes: u64,
    /// The greatest ratio of output to input, once past `ratio_floor_bytes` of output.
    pub max_ratio: u64,
    /// Output up to here is never judged by ratio.
    pub ratio_floor_bytes: u64,
    /// The largest window a zstd frame may ask for, as a power of two.
    pub zstd_window_log: u32,
}

impl Default for InflateLimits {
    /// 1 TiB; 1000 to 1 past 1 GiB; 128 MiB windows. DEFLATE cannot exceed 1032 to 1.
    fn default() -> Self {
        InflateLimits {
            max_bytes: 1 << 40,
            max_ratio: 1000,
            ratio_floor_bytes: 1 << 30,
            zstd_window_log: 27,
        }
    }
}

/// Tells the compression of a stream by its first bytes, however it is labelled.
pub fn detect(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        // A skippable frame; zstd:chunked layers may start with one.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// A stream with its compression undone.
pub struct Inflate<'a> {
    decoder: Decoder<'a>,
    what: String,
    limits: InflateLimits,
    out_bytes: u64,
}

enum Decoder<'a> {
    Plain(Peeked<'a>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Peeked<'a>>>),
    Zstd(zstd::stream::read::Decoder<'static, Peeked<'a>>),
}

/// The compressed side: counts what the decoder takes.
struct Peeked<'a> {
    inner: BufReader<Box<dyn Read + Send + 'a>>,
    taken_bytes: u64,
}

const BUFFER_BYTES: usize = 128 << 10;

impl<'a> Inflate<'a> {
    /// Wraps `stream`, which is named `what` in errors.
    ///
    /// # Errors
    /// As `stream` fails while its first bytes are read.
    pub fn new(
        stream: Box<dyn Read + Send + 'a>,
        what: &str,
        limits: InflateLimits,
    ) -> Result<Self> {
        let mut peeked = Peeked {
            inner: BufReader::with_capacity(BUFFER_BYTES, stream),
            taken_bytes: 0,
        };
        let head = peeked.inner.fill_buf();
        let head = head.map_err(|error| Error::from_stream(error, what))?;
        let decoder = match detect(head) {
            Compression::None => Decoder::Plain(peeked),
            Compression::Gzip => {
                Decoder::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(peeked)))
            }
            Compression::Zstd => Decoder::Zstd(zstd_decoder(peeked, what, limits)?),
        };
        Ok(Inflate {
            decoder,
            what: what.to_owned(),
            limits,
            out_bytes: 0,
        })
    }

    /// The compression found.
    pub fn compression(&self) -> Compression {
        match self.decoder {
            Decoder::Plain(_) => Compression::None,
            Decoder::Gzip(_) => Compression::Gzip,
            Decoder::Zstd(_) => Compression::Zstd,
        }
    }

    fn taken_bytes(&self) -> u64 {
        match &self.decoder {
            Decoder::Plain(inner) => inner.taken_bytes,
            Decoder::Gzip(decoder) => decoder.get_ref().taken_bytes,
            Decoder::Zstd(decoder) => decoder.get_ref().taken_bytes,
        }
    }

    fn check_limits(&self) -> Result<()> {
        let InflateLimits {
            max_bytes,
            max_ratio,
            ratio_floor_bytes,
            ..
        } = self.limits;
        if self.out_bytes > max_bytes {
            return Err(Error::TooLarge {
                what: self.what.clone(),
                limit: max_bytes,
            });
        }
        let bound = self.taken_bytes().saturating_mul(max_ratio);
        if self.out_bytes > ratio_floor_bytes && self.out_bytes > bound {
            return Err(Error::Bomb {
                what: self.what.clone(),
                ratio: max_ratio,
                floor: ratio_floor_bytes,
            });
        }
        Ok(())
    }
}

fn zstd_decoder<'a>(
    peeked: Peeked<'a>,
    what: &str,
    limits: InflateLimits,
) -> Result<zstd::stream::read::Decoder<'static, Peeked<'a>>> {
    let stream = |error| Error::from_stream(error, what);
    let mut decoder = zstd::stream::read::Decoder::with_buffer(peeked).map_err(stream)?;
    decoder
        .window_log_max(limits.zstd_window_log)
        .map_err(stream)?;
    Ok(decoder)
}

impl Read for Inflate<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.decoder {
            Decoder::Plain(inner) => inner.read(buffer)?,
            Decoder::Gzip(decoder) => decoder.read(buffer)?,
            Decoder::Zstd(decoder) => decoder.read(buffer)?,
        };
        self.out_bytes += count as u64;
        self.check_limits().map_err(Error::into_stream)?;
        Ok(count)
    }
}

impl Read for Peeked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.taken_bytes += count as u64;
        Ok(count)
    }
}

impl BufRead for Peeked<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken_bytes += count as u64;
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::ErrorKind;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(data: &[u8], limits: InflateLimits) -> Result<(Compression, Vec<u8>)> {
        let mut inflate = Inflate::new(Box::new(data), "layer", limits)?;
        let mut out = Vec::new();
        let result = inflate.read_to_end(&mut out);
        result.map_err(|error| Error::from_stream(error, "layer"))?;
        Ok((inflate.compression(), out))
    }

    #[test]
    fn every_compression_is_told_and_undone() {
        let data = b"some layer, some layer, some layer".repeat(1000);
        let mut twice = gzip(&data[..100]);
        twice.extend(gzip(&data[100..]));
        let mut skippable = vec![0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        skippable.extend(zstd::encode_all(&data[..], 3).unwrap());
        let table = [
            (Compression::None, data.clone()),
            (Compression::Gzip, gzip(&data)),
            (Compression::Gzip, twice),
            (Compression::Zstd, zstd::encode_all(&data[..], 3).unwrap()),
            (Compression::Zstd, skippable),
        ];
        for (compression, bytes) in table {
            let (found, out) = inflate(&bytes, InflateLimits::default()).unwrap();
            assert_eq!(found, compression);
            assert!(out == data);
        }
        assert_eq!(inflate(b"", InflateLimits::default()).unwrap().1, b"");
    }

    #[test]
    fn damaged_streams_fail() {
        let data = b"layer".repeat(1000);
        let (zipped, zstd) = (gzip(&data), zstd::encode_all(&data[..], 3).unwrap());
        for bytes in [&zipped[..zipped.len() - 6], &zstd[..zstd.len() - 2]] {
            assert!(inflate(bytes, InflateLimits::default()).is_err());
        }
        let trailing = [&zipped[..], b"junk"].concat();
        assert!(inflate(&trailing, InflateLimits::default()).is_err());
    }

    #[test]
    fn bombs_are_stopped() {
        let zeros = vec![0; 8 << 20];
        let small = InflateLimits {
            max_bytes: 1 << 20,
            ..InflateLimits::default()
        };
        let ratio = InflateLimits {
            max_ratio: 100,
            ratio_floor_bytes: 1 << 20,
            ..InflateLimits::default()
        };
        for (limits, bytes) in [
            (small, gzip(&zeros)),
            (ratio, gzip(&zeros)),
            (ratio, zstd::encode_all(&zeros[..], 3).unwrap()),
        ] {
            let error = inflate(&bytes, limits).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        }
    }

    #[test]
    fn a_zstd_window_beyond_the_cap_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.window_log(28).unwrap();
        encoder.write_all(&vec![1; 1 << 20]).unwrap();
        let bytes = encoder.finish().unwrap();
        assert!(inflate(&bytes, InflateLimits::default()).is_err());
    }
}
