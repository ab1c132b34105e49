//! Headers as we write them: ustar, with a pax header before it where ustar is too small.

use super::reader::{Entry, Kind};
use super::{BLOCK, padding};

/// The header blocks of `entry`, whose content is `entry.stored` bytes.
pub(crate) fn header_blocks(entry: &Entry) -> Vec<u8> {
    let mut records = Vec::new();
    let mut block = Block([0; BLOCK]);
    if !block.text(0, 100, &entry.name) {
        record(&mut records, b"path", &entry.name);
    }
    if !block.text(157, 100, &entry.link_name) {
        record(&mut records, b"linkpath", &entry.link_name);
    }
    block.octal(100, 8, u64::from(entry.mode));
    for (start, number, key) in [(108, entry.uid, b"uid"), (116, entry.gid, b"gid")] {
        if !block.octal(start, 8, u64::from(number)) {
            record(&mut records, key, number.to_string().as_bytes());
        }
    }
    if !block.octal(124, 12, entry.stored) {
        record(&mut records, b"size", entry.stored.to_string().as_bytes());
    }
    let (seconds, nanos) = entry.mtime;
    let fits = u64::try_from(seconds).is_ok_and(|seconds| block.octal(136, 12, seconds));
    if nanos != 0 || !fits {
        record(
            &mut records,
            b"mtime",
            decimal_time(seconds, nanos).as_bytes(),
        );
    }
    block.octal(329, 8, u64::from(entry.device.0));
    block.octal(337, 8, u64::from(entry.device.1));
    for (name, value) in &entry.xattrs {
        record(
            &mut records,
            &[b"SCHILY.xattr.", name.as_slice()].concat(),
            value,
        );
    }
    let mut blocks = Vec::new();
    if !records.is_empty() {
        blocks = extended(&records);
    }
    blocks.extend_from_slice(&block.finish(typeflag(entry.kind)));
    blocks
}

fn typeflag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

fn extended(records: &[u8]) -> Vec<u8> {
    let mut block = Block([0; BLOCK]);
    block.text(0, 100, b"PaxHeaders.0/entry");
    block.octal(100, 8, 0o644);
    block.octal(108, 8, 0);
    block.octal(116, 8, 0);
    block.octal(124, 12, records.len() as u64);
    block.octal(136, 12, 0);
    let mut blocks = block.finish(b'x').to_vec();
    blocks.extend_from_slice(records);
    blocks.resize(blocks.len() + padding(records.len() as u64) as usize, 0);
    blocks
}

/// Appends `"length key=value\n"`, where the length counts its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn decimal_time(seconds: i64, nanos: u32) -> String {
    if seconds < 0 && nanos > 0 {
        let (seconds, nanos) = (-(seconds + 1), 1_000_000_000 - nanos);
        return format!("-{seconds}.{nanos:09}");
    }
    if nanos == 0 {
        return seconds.to_string();
    }
    format!("{seconds}.{nanos:09}")
        .trim_end_matches('0')
        .to_owned()
}

struct Block([u8; BLOCK]);

impl Block {
    /// Writes text; false, cut short, if it does not fit or is not plain ASCII.
    fn text(&mut self, start: usize, length: usize, text: &[u8]) -> bool {
        let cut = &text[..text.len().min(length)];
        self.0[start..start + cut.len()].copy_from_slice(cut);
        text.len() <= length && text.is_ascii()
    }

    /// Writes an octal number; false, and zero, if it does not fit.
    fn octal(&mut self, start: usize, length: usize, number: u64) -> bool {
        let digits = length - 1;
        let fits = number < 1 << (3 * digits);
        let text = format!("{:0digits$o}\0", if fits { number } else { 0 });
        self.0[start..start + length].copy_from_slice(text.as_bytes());
        fits
    }

    fn finish(mut self, typeflag: u8) -> [u8; BLOCK] {
        self.0[156] = typeflag;
        self.0[257..265].copy_from_slice(b"ustar\x0000");
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::reader::Reader;

    #[test]
    fn what_is_written_is_read() {
        let plain = Entry {
            kind: Kind::File,
            name: b"a/b".to_vec(),
            link_name: Vec::new(),
            mode: 0o4755,
            uid: 1,
            gid: 2,
            mtime: (3, 0),
            device: (0, 0),
            xattrs: Vec::new(),
            stored: 0,
            sparse: None,
        };
        let large = Entry {
            kind: Kind::Symlink,
            name: "ü/".repeat(100).into_bytes(),
            link_name: vec![b'l'; 300],
            uid: u32::MAX - 1,
            mtime: (-5, 250_000_000),
            xattrs: vec![(b"user.x".to_vec(), b"\0\n=".to_vec())],
            ..plain.clone()
        };
        for entry in [plain, large] {
            let mut stream = header_blocks(&entry);
            stream.resize(stream.len() + 1024, 0);
            let mut reader = Reader::new(&stream[..], u64::MAX);
            let read = reader.next().unwrap().unwrap();
            assert_eq!(format!("{read:?}"), format!("{entry:?}"));
            assert!(reader.next().unwrap().is_none());
        }
    }
}
