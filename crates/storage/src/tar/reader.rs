//! Entries of a tar stream, framed strictly: where readers could differ, we refuse.

use std::io::Read;

use super::header::Header;
use super::pax::Pax;
use super::source::Source;
use super::sparse::{DataMap, OldGnuMap, SparseMap};
use super::{BLOCK, MAX_SPECIAL_BYTES, padding};
use crate::{Digest, Result};

/// Larger sizes do not fit the octal field of a header.
const MAX_OCTAL_SIZE: u64 = 0o77_777_777_777;

/// Longer names the kernel does not take (`PATH_MAX`).
const MAX_NAME_BYTES: usize = 4096;

/// More entries than any image has: what is remembered of each must fit in memory.
const MAX_ENTRIES: u32 = 4 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// One entry, its extensions applied.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) name: Vec<u8>,
    pub(crate) link_name: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: (i64, u32),
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of content that follow in the stream.
    pub(crate) stored: u64,
    pub(crate) sparse: Option<SparseMap>,
}

/// What stands before a header and changes it.
#[derive(Default)]
struct Extensions {
    pax: Option<Pax>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

/// Reads entries; keeps the bytes between contents for who wants to record them.
pub(crate) struct Reader<R> {
    source: Source<R>,
    raw: Vec<u8>,
    left: u64,
    padding: u64,
    entries: u32,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: R, limit_bytes: u64) -> Self {
        Self {
            source: Source::new(input, limit_bytes),
            raw: Vec::new(),
            left: 0,
            padding: 0,
            entries: 0,
        }
    }

    /// The next entry, or `None` where the archive ends. Content not read is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        self.skip_content()?;
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.header()? else {
                if extensions.is_empty() {
                    return Ok(None);
                }
                return Err(self.source.fault("it ends after an extended header"));
            };
            match header.typeflag() {
                b'g' => {
                    let bytes = self.special(&header)?;
                    Pax::check_global(&bytes).map_err(|why| self.source.fault(why))?;
                }
                b'x' => {
                    let bytes = self.special(&header)?;
                    let pax = Pax::parse(&bytes).map_err(|why| self.source.fault(why))?;
                    if extensions.pax.replace(pax).is_some() {
                        return Err(self.source.fault("an entry has two extended headers"));
                    }
                }
                b'L' => extensions.long_name = Some(self.long_text(&header)?),
                b'K' => extensions.long_link = Some(self.long_text(&header)?),
                _ => return self.entry(&header, extensions).map(Some),
            }
        }
    }

    /// A piece of the content of the current entry; empty when it is at its end.
    pub(crate) fn content(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        if self.source.peek()?.is_empty() {
            return Err(self.source.fault("it ends within a file"));
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = self.source.peek()?;
        Ok(&piece[..piece.len().min(left)])
    }

    /// Marks the first bytes of [`Reader::content`] as used.
    pub(crate) fn consume(&mut self, length: usize) {
        self.left -= length as u64;
        self.source.consume(length);
    }

    /// Whether content of the current entry is left.
    pub(crate) fn has_content(&self) -> bool {
        self.left > 0
    }

    /// The bytes of headers and padding since last asked.
    pub(crate) fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    /// What follows the end of the archive; empty at the end of the stream.
    pub(crate) fn trailer(&mut self) -> Result<Vec<u8>> {
        let piece = self.source.peek()?.to_vec();
        self.source.consume(piece.len());
        Ok(piece)
    }

    pub(crate) fn fault(&self, why: impl Into<String>) -> crate::Error {
        self.source.fault(why)
    }

    /// The digest and length of the stream.
    pub(crate) fn finish(self) -> (Digest, u64) {
        self.source.finish()
    }

    fn skip_content(&mut self) -> Result<()> {
        while self.left > 0 {
            let length = self.content()?.len();
            self.consume(length);
        }
        let mut block = [0; BLOCK];
        let length = std::mem::take(&mut self.padding) as usize;
        // A stream that stops short of its last padding lost nothing; everybody accepts it.
        let filled = self.source.fill(&mut block[..length])?;
        self.raw.extend_from_slice(&block[..filled]);
        Ok(())
    }

    /// A header, or `None` at two empty blocks or at the end of the stream.
    fn header(&mut self) -> Result<Option<Header>> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block.iter().any(|byte| *byte != 0) {
            return Header::parse(&block)
                .map(Some)
                .map_err(|why| self.source.fault(why));
        }
        match self.block()? {
            Some(second) if second.iter().any(|byte| *byte != 0) => {
                Err(self.source.fault("an empty block stands before a header"))
            }
            _ => Ok(None),
        }
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        match self.source.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => {
                self.raw.extend_from_slice(&block);
                Ok(Some(block))
            }
            _ => Err(self.source.fault("it ends within a header")),
        }
    }

    /// The content of an extended header, kept among the raw bytes.
    fn special(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header.size().map_err(|why| self.source.fault(why))?;
        if size > MAX_SPECIAL_BYTES {
            return Err(self.source.fault("an extended header is too long"));
        }
        let mut bytes = vec![0; (size + padding(size)) as usize];
        if self.source.fill(&mut bytes)? < bytes.len() {
            return Err(self.source.fault("it ends within an extended header"));
        }
        self.raw.extend_from_slice(&bytes);
        if self.raw.len() as u64 > 16 * MAX_SPECIAL_BYTES {
            return Err(self
                .source
                .fault("extended headers follow each other without an entry"));
        }
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn long_text(&mut self, header: &Header) -> Result<Vec<u8>> {
        let mut bytes = self.special(header)?;
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        bytes.truncate(end);
        Ok(bytes)
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<Entry> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(self.source.fault("it has too many entries"));
        }
        let (mut entry, sparse) =
            describe(header, &extensions).map_err(|why| self.source.fault(why))?;
        self.left = entry.stored;
        self.padding = padding(entry.stored);
        entry.sparse = match sparse {
            Sparse::No => None,
            Sparse::OldGnu => Some(self.old_gnu_map(header, entry.stored)?),
            Sparse::Records(size, map) => Some(
                SparseMap::new(size, &map, entry.stored).map_err(|why| self.source.fault(why))?,
            ),
            Sparse::Data(size) => Some(self.data_map(size)?),
        };
        entry.stored = self.left;
        Ok(entry)
    }

    fn old_gnu_map(&mut self, header: &Header, stored: u64) -> Result<SparseMap> {
        let (mut map, size) = OldGnuMap::begin(header).map_err(|why| self.source.fault(why))?;
        while map.wants_more() {
            let Some(block) = self.block()? else {
                return Err(self.source.fault("it ends within a sparse map"));
            };
            map.add(&block).map_err(|why| self.source.fault(why))?;
        }
        map.finish(size, stored)
            .map_err(|why| self.source.fault(why))
    }

    fn data_map(&mut self, size: u64) -> Result<SparseMap> {
        let mut map = DataMap::default();
        loop {
            if self.left < BLOCK as u64 {
                return Err(self.source.fault("a sparse map is longer than its file"));
            }
            let Some(block) = self.block()? else {
                return Err(self.source.fault("it ends within a sparse map"));
            };
            self.left -= BLOCK as u64;
            if map.add(&block).map_err(|why| self.source.fault(why))? {
                return map
                    .finish(size, self.left)
                    .map_err(|why| self.source.fault(why));
            }
        }
    }
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }
}

/// How a file tells of its holes.
enum Sparse {
    No,
    OldGnu,
    Records(u64, Vec<u64>),
    Data(u64),
}

fn describe(header: &Header, extensions: &Extensions) -> Result<(Entry, Sparse), String> {
    let none = Pax::default();
    let pax = extensions.pax.as_ref().unwrap_or(&none);
    let sparse = sparseness(header, pax)?;
    let name = [
        pax.sparse.name.clone(),
        pax.path.clone(),
        extensions.long_name.clone(),
    ]
    .into_iter()
    .flatten()
    .next()
    .unwrap_or_else(|| header.name());
    let link_name = [pax.link_path.clone(), extensions.long_link.clone()]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_else(|| header.link_name());
    if name.is_empty() {
        return Err("an entry has no name".to_owned());
    }
    if name.len().max(link_name.len()) > MAX_NAME_BYTES {
        return Err("the name of an entry is too long".to_owned());
    }
    let kind = kind(header, &name)?;
    let size = agreed_size(header, pax)?;
    let device = header.device()?;
    let entry = Entry {
        kind,
        link_name,
        mode: (header.mode()? & 0o7777) as u32,
        uid: narrow(pax.uid.map_or_else(|| header.uid(), Ok)?, "uid")?,
        gid: narrow(pax.gid.map_or_else(|| header.gid(), Ok)?, "gid")?,
        mtime: pax
            .mtime
            .map_or_else(|| header.mtime().map(|seconds| (seconds, 0)), Ok)?,
        device: (
            narrow(device.0, "device major")?,
            narrow(device.1, "device minor")?,
        ),
        xattrs: pax.xattrs.clone(),
        // The others have no content, whatever they claim.
        stored: if kind == Kind::File { size } else { 0 },
        sparse: None,
        name,
    };
    Ok((entry, sparse))
}

fn kind(header: &Header, name: &[u8]) -> Result<Kind, String> {
    Ok(match header.typeflag() {
        // Old archives have no other sign of a directory. Readers differ on whether content
        // follows, so there must be none.
        b'0' | 0 if name.ends_with(b"/") => match header.size()? {
            0 => Kind::Directory,
            _ => {
                return Err("an entry is a file by its type and a directory by its name".to_owned());
            }
        },
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            let other = char::from(other).escape_default();
            return Err(format!("an entry has the unknown type '{other}'"));
        }
    })
}

/// The size that frames the content: pax and header must not tell different stories, since a
/// reader that believes the other would see other entries.
fn agreed_size(header: &Header, pax: &Pax) -> Result<u64, String> {
    let plain = header.size()?;
    match pax.size {
        None => Ok(plain),
        Some(size) if size == plain || size > MAX_OCTAL_SIZE => Ok(size),
        Some(size) => Err(format!(
            "an entry has two sizes: {plain} and, in pax, {size}"
        )),
    }
}

fn sparseness(header: &Header, pax: &Pax) -> Result<Sparse, String> {
    let records = &pax.sparse;
    let is_file = matches!(header.typeflag(), b'0' | 0 | b'7');
    match (
        header.typeflag(),
        records.version,
        &records.map,
        records.real_size,
    ) {
        (b'S', ..) => Ok(Sparse::OldGnu),
        (_, None | Some((0, _)), Some(map), Some(size)) if is_file => {
            Ok(Sparse::Records(size, map.clone()))
        }
        (_, Some((1, 0)), None, Some(size)) if is_file => Ok(Sparse::Data(size)),
        (_, None, None, None) => Ok(Sparse::No),
        _ => Err("an entry is sparse in an unknown way".to_owned()),
    }
}

fn narrow(number: u64, what: &str) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("the {what} of an entry is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn header(name: &str, kind: u8, size: u64) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(1);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn padded(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn pax(records: &[u8]) -> Vec<u8> {
        [header("pax", b'x', records.len() as u64), padded(records)].concat()
    }

    fn names(stream: &[u8]) -> Result<Vec<String>> {
        let mut reader = Reader::new(stream, u64::MAX);
        let mut names = Vec::new();
        while let Some(entry) = reader.next()? {
            names.push(String::from_utf8_lossy(&entry.name).into_owned());
        }
        Ok(names)
    }

    #[test]
    fn pax_size_must_agree_with_the_header() {
        let content = padded(&header("hidden", b'0', 0));
        let end = vec![0; 1024];
        let good = [
            pax(b"12 size=512\n"),
            header("a", b'0', 512),
            content.clone(),
            end.clone(),
        ];
        assert_eq!(names(&good.concat()).unwrap(), ["a"]);
        for plain in [0, 1, 1024] {
            let bad = [
                pax(b"12 size=512\n"),
                header("a", b'0', plain),
                content.clone(),
                end.clone(),
            ];
            let error = names(&bad.concat()).unwrap_err();
            assert!(error.to_string().contains("two sizes"), "{error}");
        }
    }

    #[test]
    fn huge_and_truncated_sizes_end_in_errors() {
        let huge = header("a", b'0', MAX_OCTAL_SIZE);
        assert!(matches!(names(&huge), Err(Error::Archive { .. })));
        let special = header("a", b'x', 1 << 30);
        assert!(matches!(names(&special), Err(Error::Archive { .. })));
        assert!(matches!(names(&huge[..100]), Err(Error::Archive { .. })));
        let twice = [pax(b"7 a=bc\n"), pax(b"7 a=bc\n"), header("a", b'0', 0)].concat();
        assert!(matches!(names(&twice), Err(Error::Archive { .. })));
        let lonely = [vec![0; 512], header("a", b'0', 0)].concat();
        assert!(matches!(names(&lonely), Err(Error::Archive { .. })));
    }

    #[test]
    fn files_named_as_directories_have_no_content() {
        let kinds = |stream: &[u8]| {
            let mut reader = Reader::new(stream, u64::MAX);
            reader.next().map(|entry| entry.unwrap().kind)
        };
        assert_eq!(kinds(&header("d/", b'0', 0)).unwrap(), Kind::Directory);
        assert!(kinds(&header("d/", b'0', 512)).is_err());
    }

    #[test]
    fn links_have_no_content_whatever_they_claim() {
        let stream = [
            header("l", b'1', 512),
            header("next", b'0', 0),
            vec![0; 1024],
        ]
        .concat();
        assert_eq!(names(&stream).unwrap(), ["l", "next"]);
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2048)) {
            let _ = names(&bytes);
        }

        #[test]
        fn damaged_headers_never_panic(at in 0_usize..512, byte: u8) {
            let mut stream = [pax(b"12 size=512\n"), header("a", b'0', 512), vec![1; 512]].concat();
            stream[512 * 2 + at] = byte;
            let fixed = stream[1024..1536].iter().enumerate().map(|(index, byte)| {
                if (148..156).contains(&index) { 32 } else { u32::from(*byte) }
            }).sum::<u32>();
            stream[1024 + 148..1024 + 156].copy_from_slice(format!("{fixed:06o}\0 ").as_bytes());
            let _ = names(&stream);
        }
    }
}
