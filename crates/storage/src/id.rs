use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{hex, is_lower_hex};
use crate::{Algorithm, Digest, Error, Result};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// A new id that nobody has.
            ///
            /// # Errors
            /// [`Error::Io`] if the kernel gives no random bytes.
            pub fn random() -> Result<Self> {
                Ok(Self(hex(&random_bytes::<32>()?)))
            }

            /// The id that is a SHA-256 digest's hex.
            ///
            /// # Errors
            /// [`Error::Invalid`] for a digest of another length.
            pub fn from_digest(digest: &Digest) -> Result<Self> {
                match digest.algorithm() {
                    Algorithm::Sha256 => Ok(Self(digest.hex().into())),
                    _ => Err(Error::invalid($what, &digest.to_string(), "it must be sha256")),
                }
            }

            /// The 64 hex digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first 12 digits, as people are shown them.
            pub fn short(&self) -> &str {
                &self.0[..12]
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                if text.len() == 64 && is_lower_hex(text) {
                    return Ok(Self(text.into()));
                }
                Err(Error::invalid($what, text, "64 lower-case hex digits are needed"))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<std::path::Path> for $name {
            fn as_ref(&self) -> &std::path::Path {
                self.as_str().as_ref()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Names a layer: 64 hex digits.
    LayerId,
    "layer id"
);
id!(
    /// Names an image: the hex of its configuration's digest, by convention.
    ImageId,
    "image id"
);
id!(
    /// Names a container: 64 hex digits.
    ContainerId,
    "container id"
);

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += getrandom(&mut bytes[filled..]).map_err(Error::io("read", "random bytes"))?;
    }
    Ok(bytes)
}

fn getrandom(buffer: &mut [u8]) -> std::io::Result<usize> {
    Ok(rustix::rand::getrandom(
        buffer,
        rustix::rand::GetRandomFlags::empty(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_lower_case_digits() {
        assert!("a".repeat(64).parse::<LayerId>().is_ok());
        for bad in [
            "",
            "abc",
            &"A".repeat(64),
            &format!("../{}", "a".repeat(61)),
        ] {
            assert!(bad.parse::<LayerId>().is_err(), "{bad}");
        }
        assert_ne!(ImageId::random().unwrap(), ImageId::random().unwrap());
    }
}
