//! Content digests: parsed once, compared as values, computed while streaming.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

use crate::error::{Error, Result};

/// The hash functions accepted in a digest. Anything else is refused, never passed on as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the one in general use.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name before the colon.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// How many hex digits follow the colon.
    pub const fn hex_len(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

/// A digest such as `sha256:e3b0...`: a known algorithm and exactly its number of lower-case hex digits.
///
/// Being well formed it is safe as a file name component ([`Digest::hex`]) and in a URL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    text: Box<str>,
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Makes a SHA-256 digest of 64 hex digits.
    ///
    /// # Errors
    /// [`Error::InvalidDigest`] if `hex` is anything else.
    pub fn from_sha256_hex(hex: &str) -> Result<Self> {
        format!("sha256:{hex}").parse()
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hex digits after the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }

    /// `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `bytes` hash to this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = Hasher::new(self.algorithm);
        hasher.update(bytes);
        hasher.finish() == *self
    }

    /// Checks `bytes` against this digest; `what` names them in the error.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`].
    pub fn verify(&self, bytes: &[u8], what: &str) -> Result<()> {
        let mut hasher = Hasher::new(self.algorithm);
        hasher.update(bytes);
        let found = hasher.finish();
        if found == *self {
            return Ok(());
        }
        Err(Error::DigestMismatch {
            what: what.to_owned(),
            expected: self.clone(),
            found,
        })
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::InvalidDigest {
            text: text.chars().take(160).collect(),
        };
        let (name, hex) = text.split_once(':').ok_or_else(invalid)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(invalid()),
        };
        let lower_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != algorithm.hex_len() || !hex.bytes().all(lower_hex) {
            return Err(invalid());
        }
        Ok(Digest {
            algorithm,
            text: text.into(),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes a stream piece by piece.
#[derive(Clone, Debug)]
pub struct Hasher {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// An empty hasher of `algorithm`.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        };
        Hasher { state }
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(hash) => hash.update(bytes),
            State::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(hash) => digest_of(Algorithm::Sha256, &hash.finalize()),
            State::Sha512(hash) => digest_of(Algorithm::Sha512, &hash.finalize()),
        }
    }
}

fn digest_of(algorithm: Algorithm, raw: &[u8]) -> Digest {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let name = algorithm.name();
    let mut text = String::with_capacity(name.len() + 1 + raw.len() * 2);
    text.push_str(name);
    text.push(':');
    for byte in raw {
        text.push(HEX[usize::from(byte >> 4)] as char);
        text.push(HEX[usize::from(byte & 15)] as char);
    }
    Digest {
        algorithm,
        text: text.into(),
    }
}

/// Passes a stream through while hashing it and holding it to its digest and size.
///
/// Reading past `size` or ending before it, or ending with another digest, gives an
/// [`io::Error`] that carries an [`Error`]; see [`Error::from_stream`]. End of file is only
/// ever reported for a stream that is right.
#[derive(Debug)]
pub struct VerifyingReader<R> {
    inner: R,
    what: String,
    expected: Digest,
    size_bytes: Option<u64>,
    seen_bytes: u64,
    hasher: Option<Hasher>,
}

impl<R: Read> VerifyingReader<R> {
    /// Wraps `inner`, which should hold `size_bytes` bytes (if known) hashing to `expected`.
    pub fn new(inner: R, what: String, expected: Digest, size_bytes: Option<u64>) -> Self {
        let hasher = Some(Hasher::new(expected.algorithm()));
        VerifyingReader {
            inner,
            what,
            expected,
            size_bytes,
            seen_bytes: 0,
            hasher,
        }
    }

    fn check_end(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else {
            return Ok(());
        };
        if let Some(expected) = self.size_bytes.filter(|size| *size != self.seen_bytes) {
            return Err(Error::SizeMismatch {
                what: self.what.clone(),
                expected,
                found: self.seen_bytes,
            });
        }
        let found = hasher.finish();
        if found != self.expected {
            return Err(Error::DigestMismatch {
                what: self.what.clone(),
                expected: self.expected.clone(),
                found,
            });
        }
        Ok(())
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            self.check_end().map_err(Error::into_stream)?;
            return Ok(0);
        }
        self.seen_bytes += count as u64;
        if let Some(expected) = self.size_bytes.filter(|size| *size < self.seen_bytes) {
            return Err(Error::SizeMismatch {
                what: self.what.clone(),
                expected,
                found: self.seen_bytes,
            }
            .into_stream());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_empty_digest_is_known() {
        assert_eq!(Digest::of(b"").as_str(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap().hex(), &EMPTY[7..]);
    }

    #[test]
    fn malformed_digests_are_refused() {
        let long = format!("{EMPTY}0");
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        let cases = [
            "",
            "sha256:",
            "sha256",
            &EMPTY[..70],
            &long,
            &upper,
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha256:../../../../../../../../../../../../../../../../../../../etc/passwd",
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85\n",
        ];
        for text in cases {
            let error = text.parse::<Digest>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}");
        }
    }

    #[test]
    fn sha512_streams_in_pieces() {
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"ab");
        hasher.update(b"c");
        let digest = hasher.finish();
        assert!(digest.as_str().starts_with("sha512:ddaf35a193617aba"));
        assert!(digest.matches(b"abc"));
        assert!(!digest.matches(b"abd"));
    }

    #[test]
    fn a_verified_stream_ends_only_when_right() {
        let data = b"layer bytes";
        let table: [(&[u8], Option<u64>, Option<ErrorKind>); 5] = [
            (data, Some(11), None),
            (data, None, None),
            (&data[..5], Some(11), Some(ErrorKind::SizeMismatch)),
            (
                b"layer bytes and more",
                Some(11),
                Some(ErrorKind::SizeMismatch),
            ),
            (b"layer BYTES", Some(11), Some(ErrorKind::DigestMismatch)),
        ];
        for (stream, size, expected) in table {
            let mut reader = VerifyingReader::new(stream, "blob".into(), Digest::of(data), size);
            let result = io::copy(&mut reader, &mut io::sink());
            let kind = result
                .err()
                .map(|error| Error::from_stream(error, "blob").kind());
            assert_eq!(kind, expected);
        }
    }
}
