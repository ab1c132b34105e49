//! tar-split: everything of a tar stream but the contents, so that the stream can be made
//! again, byte for byte, from the unpacked files.
//!
//! One JSON object a line, in a gzip file: segments (type 2) hold raw bytes in base64, files
//! (type 1) name a file, its size and the CRC-64/GO-ISO of its content, big endian, in base64.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc::{CRC_64_GO_ISO, Crc, Table};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// The checksum of contents.
pub(crate) static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_GO_ISO);

/// A line that claims more is damage: padding after an archive comes in pieces of 1 MiB.
const MAX_LINE_BYTES: u64 = 64 << 20;

const FILE: u8 = 1;
const SEGMENT: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_raw: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    size: u64,
    payload: Option<String>,
    position: u64,
}

fn is_zero(size: &u64) -> bool {
    *size == 0
}

/// Records a stream.
pub(crate) struct SplitWriter<W: Write> {
    output: GzEncoder<W>,
    position: u64,
    seen: HashSet<Vec<u8>>,
}

impl<W: Write> SplitWriter<W> {
    pub(crate) fn new(output: W) -> Self {
        let output = GzEncoder::new(output, Compression::fast());
        Self {
            output,
            position: 0,
            seen: HashSet::new(),
        }
    }

    /// Raw bytes of the stream.
    pub(crate) fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(1 << 20) {
            self.line(Line {
                kind: SEGMENT,
                name: None,
                name_raw: None,
                size: 0,
                payload: Some(BASE64.encode(piece)),
                position: self.position,
            })?;
        }
        Ok(())
    }

    /// A content that is found in the file `name`. A name may come once only: gives false, and
    /// records nothing, for one that came before.
    pub(crate) fn file(&mut self, name: &[u8], size: u64, crc: u64) -> io::Result<bool> {
        if !self.seen.insert(clean(name)) {
            return Ok(false);
        }
        let (text, raw) = match std::str::from_utf8(name) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(BASE64.encode(name))),
        };
        self.line(Line {
            kind: FILE,
            name: text,
            name_raw: raw,
            size,
            payload: (size > 0).then(|| BASE64.encode(crc.to_be_bytes())),
            position: self.position,
        })?;
        Ok(true)
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        self.output.finish()
    }

    fn line(&mut self, line: Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.output, &line)?;
        self.position += 1;
        self.output.write_all(b"\n")
    }
}

/// The name without `.` components and doubled slashes.
fn clean(name: &[u8]) -> Vec<u8> {
    let parts = name.split(|byte| *byte == b'/');
    let parts: Vec<_> = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
    parts.join(&b'/')
}

/// A piece of a recorded stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes.
    Segment(Vec<u8>),
    /// The content of a file.
    File { name: Vec<u8>, size: u64, crc: u64 },
}

/// Reads a recording.
pub(crate) struct SplitReader<R> {
    input: BufReader<MultiGzDecoder<BufReader<R>>>,
    line: Vec<u8>,
}

impl<R: Read> SplitReader<R> {
    pub(crate) fn new(input: R) -> Self {
        let input = BufReader::new(MultiGzDecoder::new(BufReader::new(input)));
        Self {
            input,
            line: Vec::new(),
        }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            self.line.clear();
            let mut limited = self.input.by_ref().take(MAX_LINE_BYTES);
            if limited.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return piece(&self.line).map(Some);
            }
        }
    }
}

fn piece(line: &[u8]) -> io::Result<Piece> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let line: Line = serde_json::from_slice(line)?;
    let payload = BASE64
        .decode(line.payload.unwrap_or_default())
        .map_err(|_| bad("a payload is not base64"))?;
    match line.kind {
        SEGMENT => Ok(Piece::Segment(payload)),
        FILE => {
            let name = match line.name_raw {
                Some(raw) => BASE64
                    .decode(raw)
                    .map_err(|_| bad("a name is not base64"))?,
                None => line.name.unwrap_or_default().into_bytes(),
            };
            let crc = match payload.as_slice() {
                [] if line.size == 0 => 0,
                bytes => u64::from_be_bytes(
                    bytes
                        .try_into()
                        .map_err(|_| bad("a checksum is not 8 bytes"))?,
                ),
            };
            Ok(Piece::File {
                name,
                size: line.size,
                crc,
            })
        }
        _ => Err(bad("a line is of no known type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_form_others_read() {
        let mut writer = SplitWriter::new(Vec::new());
        writer.segment(b"head").unwrap();
        assert!(writer.file(b"a", 3, CRC.checksum(b"abc")).unwrap());
        assert!(!writer.file(b"./a", 0, 0).unwrap());
        assert!(writer.file(b"\xff", 0, 0).unwrap());
        let gz = writer.finish().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&gz[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(
            text,
            concat!(
                "{\"type\":2,\"payload\":\"aGVhZA==\",\"position\":0}\n",
                "{\"type\":1,\"name\":\"a\",\"size\":3,\"payload\":\"N3bEIAAAAAA=\",\"position\":1}\n",
                "{\"type\":1,\"name_raw\":\"/w==\",\"payload\":null,\"position\":2}\n",
            )
        );
        let mut reader = SplitReader::new(&gz[..]);
        assert_eq!(
            reader.next().unwrap(),
            Some(Piece::Segment(b"head".to_vec()))
        );
        let file = Piece::File {
            name: b"a".to_vec(),
            size: 3,
            crc: CRC.checksum(b"abc"),
        };
        assert_eq!(reader.next().unwrap(), Some(file));
        assert!(reader.next().unwrap().is_some());
        assert_eq!(reader.next().unwrap(), None);
    }
}
