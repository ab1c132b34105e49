//! Netlink attributes written into a growing buffer.

/// The attribute holds others.
const NLA_F_NESTED: u16 = 0x8000;

/// Writes attributes at the end of a buffer; each ends aligned to four bytes.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn put(&mut self, kind: u16, value: &[u8]) {
        let start = self.begin(kind);
        self.bytes.extend_from_slice(value);
        self.end(start);
    }

    /// A number, which nftables carries in network order.
    pub(super) fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// A string, which ends with a zero byte.
    pub(super) fn put_str(&mut self, kind: u16, value: &str) {
        let start = self.begin(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.end(start);
    }

    /// An attribute whose value is what `write` puts.
    pub(super) fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        let start = self.begin(kind | NLA_F_NESTED);
        write(self);
        self.end(start);
    }

    fn begin(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn end(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start)
            .expect("callers bound what they put in one attribute");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        let aligned = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(aligned, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_aligned_and_nested() {
        let mut writer = Writer::default();
        writer.nest(1, |writer| writer.put_str(2, "ab"));
        let mut expected = Vec::new();
        expected.extend(12u16.to_ne_bytes());
        expected.extend(0x8001u16.to_ne_bytes());
        expected.extend(7u16.to_ne_bytes());
        expected.extend(2u16.to_ne_bytes());
        expected.extend(*b"ab\0\0");
        assert_eq!(writer.bytes, expected);
    }
}
