//! Text inside JSON strings.

/// Appends `bytes` as the inside of a JSON string, the way Go's encoder (and so Docker's log)
/// writes it: HTML's special characters are escaped, bytes that are no UTF-8 become U+FFFD.
pub(crate) fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        escape_str(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

fn escape_str(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        let short = match character {
            '"' => Some(b'"'),
            '\\' => Some(b'\\'),
            '\n' => Some(b'n'),
            '\r' => Some(b'r'),
            '\t' => Some(b't'),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => None,
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        match short {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => escape_code(out, character as u32),
        }
        plain = at + character.len_utf8();
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
}

fn escape_code(out: &mut Vec<u8>, code: u32) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(DIGITS[(code >> shift) as usize & 15]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain", "plain"),
            (b"a\"b\\c\n\r\t", "a\\\"b\\\\c\\n\\r\\t"),
            (b"\x00\x1b<&>", "\\u0000\\u001b\\u003c\\u0026\\u003e"),
            ("\u{2028}\u{e9}".as_bytes(), "\\u2028\u{e9}"),
            (b"\xff\xe9x", "\\ufffd\\ufffdx"),
            (b"", ""),
        ];
        for (bytes, expected) in cases {
            let mut out = Vec::new();
            escape(&mut out, bytes);
            assert_eq!(String::from_utf8(out).unwrap(), *expected);
        }
    }

    #[test]
    fn a_parser_reads_back_what_was_written() {
        let text: String = (0..0x3000).filter_map(char::from_u32).collect();
        let mut out = vec![b'"'];
        escape(&mut out, text.as_bytes());
        out.push(b'"');
        let read: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(read, text);
    }
}
