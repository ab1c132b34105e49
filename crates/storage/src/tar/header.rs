//! One header block.

use super::BLOCK;

/// A header block whose checksum is right.
#[derive(Clone)]
pub(crate) struct Header(Box<[u8; BLOCK]>);

/// What is wrong with a header.
pub(crate) type Fault = String;

/// Which extension of the old header this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    V7,
    Ustar,
    Gnu,
}

impl Header {
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Self, Fault> {
        let header = Self(Box::new(*block));
        let claimed = header.number(148, 8, "checksum")?;
        if claimed != header.sum(u64::from) && claimed != header.signed_sum() {
            return Err("the checksum of a header is wrong".to_owned());
        }
        Ok(header)
    }

    fn sum(&self, value: impl Fn(u8) -> u64) -> u64 {
        let without_checksum = self.0[..148].iter().chain(&[b' '; 8]).chain(&self.0[156..]);
        without_checksum.fold(0, |sum, byte| sum.wrapping_add(value(*byte)))
    }

    /// Some old writers added signed characters.
    fn signed_sum(&self) -> u64 {
        self.sum(|byte| i64::from(byte as i8) as u64)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match &self.0[257..265] {
            b"ustar\x0000" => Dialect::Ustar,
            b"ustar  \0" => Dialect::Gnu,
            magic if magic.starts_with(b"ustar\0") => Dialect::Ustar,
            _ => Dialect::V7,
        }
    }

    pub(crate) fn typeflag(&self) -> u8 {
        self.0[156]
    }

    /// The name with the ustar prefix before it.
    pub(crate) fn name(&self) -> Vec<u8> {
        let name = self.text(0, 100);
        let prefix = match self.dialect() {
            Dialect::Ustar => self.text(345, 155),
            Dialect::V7 | Dialect::Gnu => &[],
        };
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    pub(crate) fn link_name(&self) -> Vec<u8> {
        self.text(157, 100).to_vec()
    }

    pub(crate) fn mode(&self) -> Result<u64, Fault> {
        self.number(100, 8, "mode")
    }

    pub(crate) fn uid(&self) -> Result<u64, Fault> {
        self.number(108, 8, "uid")
    }

    pub(crate) fn gid(&self) -> Result<u64, Fault> {
        self.number(116, 8, "gid")
    }

    pub(crate) fn size(&self) -> Result<u64, Fault> {
        self.number(124, 12, "size")
    }

    /// Seconds, which may lie before 1970.
    pub(crate) fn mtime(&self) -> Result<i64, Fault> {
        numeric(&self.0[136..148]).ok_or_else(|| "the mtime of a header is no number".to_owned())
    }

    pub(crate) fn device(&self) -> Result<(u64, u64), Fault> {
        match self.dialect() {
            Dialect::V7 => Ok((0, 0)),
            Dialect::Ustar | Dialect::Gnu => Ok((
                self.number(329, 8, "device major")?,
                self.number(337, 8, "device minor")?,
            )),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8; BLOCK] {
        &self.0
    }

    fn text(&self, start: usize, length: usize) -> &[u8] {
        let field = &self.0[start..start + length];
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
        &field[..end]
    }

    fn number(&self, start: usize, length: usize, what: &str) -> Result<u64, Fault> {
        unsigned(&self.0[start..start + length])
            .ok_or_else(|| format!("the {what} of a header is no number"))
    }
}

/// A number that may not be negative.
pub(crate) fn unsigned(field: &[u8]) -> Option<u64> {
    numeric(field).and_then(|number| u64::try_from(number).ok())
}

/// Octal text, or base 256 where the first bit is set.
fn numeric(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(field),
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    digits[..end]
        .iter()
        .try_fold(0_i64, |number, byte| match byte {
            b'0'..=b'7' => number.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
            _ => None,
        })
}

fn base256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let first = if negative { field[0] } else { field[0] & 0x7f };
    let mut number: i128 = if negative { -1 } else { 0 };
    for byte in std::iter::once(&first).chain(&field[1..]) {
        number = (number << 8) | i128::from(*byte);
        if i64::try_from(number).is_err() {
            return None;
        }
    }
    i64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_their_spellings() {
        for (field, number) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"        ", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"00009\0\0\0", None),
            (b"-1\0\0\0\0\0\0", None),
            (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(numeric(field), number, "{field:?}");
        }
        assert_eq!(unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }

    #[test]
    fn checksum_is_checked() {
        let mut header = tar::Header::new_ustar();
        header.set_path("a/b").unwrap();
        header.set_size(7);
        header.set_cksum();
        let mut block = *header.as_bytes();
        let parsed = Header::parse(&block).unwrap();
        assert_eq!(parsed.name(), b"a/b");
        assert_eq!(parsed.size().unwrap(), 7);
        block[0] ^= 1;
        assert!(Header::parse(&block).is_err());
    }
}
