//! Reading JSON documents that someone else wrote.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::error::{Error, Result};

/// The largest manifest or index that is read.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;
/// The largest image config that is read.
pub const MAX_CONFIG_BYTES: u64 = 8 << 20;

/// Parses `bytes` as a `T`, refusing documents that other readers could read differently:
/// top-level keys that repeat, or differ only in case (Go's decoder takes those as one).
pub(crate) fn parse<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T> {
    let invalid = |error: serde_json::Error| Error::InvalidDocument {
        what,
        problem: error.to_string(),
    };
    serde_json::from_slice::<DistinctKeys>(bytes).map_err(invalid)?;
    serde_json::from_slice(bytes).map_err(invalid)
}

/// `null` is the default, as in Go.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

struct DistinctKeys;

impl<'de> Deserialize<'de> for DistinctKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DistinctKeys)
    }
}

impl<'de> Visitor<'de> for DistinctKeys {
    type Value = DistinctKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if !seen.insert(key.to_lowercase()) {
                return Err(serde::de::Error::custom(format_args!(
                    "the key {key:?} is given twice"
                )));
            }
        }
        Ok(DistinctKeys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_keys_are_refused() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"A":2}"#, "[]", "{", "3"] {
            assert!(parse::<serde_json::Value>("manifest", text.as_bytes()).is_err());
        }
        assert!(parse::<serde_json::Value>("manifest", br#"{"a":1,"b":{"a":2}}"#).is_ok());
    }

    #[test]
    fn deep_nesting_is_an_error_not_an_overflow() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse::<serde_json::Value>("manifest", deep.as_bytes()).is_err());
    }
}
