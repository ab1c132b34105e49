//! The keys that leave a container running: `ctrl-p,ctrl-q`.

use minke_engine::Engine;

use crate::error::{Error, Result};

/// What is used where nothing was asked.
pub const DEFAULT: &str = "ctrl-p,ctrl-q";

/// The keys typed, else those of containers.conf, else the usual ones.
///
/// # Errors
/// As [`parse`].
pub fn chosen(typed: Option<&str>, engine: &Engine) -> Result<Vec<u8>> {
    match typed {
        Some(text) => parse(text),
        None => parse(engine.detach_keys()?.as_deref().unwrap_or(DEFAULT)),
    }
}

/// The bytes that the keys send. No text is no keys: detaching is off.
///
/// # Errors
/// If a key is neither one character nor `ctrl-` with a letter or one of ``@ [ \ ] ^ _``.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(byte).collect()
}

fn byte(key: &str) -> Result<u8> {
    let single = |text: &str| match text.as_bytes() {
        [byte] => Some(*byte),
        _ => None,
    };
    let found = match key.to_ascii_lowercase().strip_prefix("ctrl-") {
        Some(letter) => single(letter).and_then(control),
        None => single(key),
    };
    found.ok_or_else(|| Error::refused(format!("invalid detach keys: unknown character: {key:?}")))
}

fn control(letter: u8) -> Option<u8> {
    match letter {
        b'a'..=b'z' | b'@' | b'['..=b'_' => Some(letter & 0x1f),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        for (text, expected) in [
            (DEFAULT, Some(&[16, 17][..])),
            ("", Some(&[][..])),
            ("a", Some(&[b'a'][..])),
            ("A,ctrl-Z", Some(&[b'A', 26][..])),
            (
                "ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_",
                Some(&[0, 27, 28, 29, 30, 31][..]),
            ),
            ("ctrl-", None),
            ("ctrl-1", None),
            ("ctrl-ab", None),
            ("ab", None),
            ("a,,b", None),
        ] {
            assert_eq!(parse(text).ok().as_deref(), expected, "{text}");
        }
    }
}
