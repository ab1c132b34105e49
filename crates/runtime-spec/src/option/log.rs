//! `--log-opt KEY=VALUE`, what they mean together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::size;
use crate::{Error, Result};

/// What the options of a log driver ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// The file, in place of the engine's.
    pub path: Option<PathBuf>,
    /// A file that would grow beyond so many bytes is followed by a new one.
    pub max_size_bytes: Option<u64>,
    /// How many files there may be, the one that is written included; `None` is one.
    pub max_files: Option<u32>,
    /// What the journal shows beside a message.
    pub tag: Option<String>,
}

impl LogOptions {
    /// Reads the options of a [`LogConfig`](crate::container::LogConfig). Sizes are powers of
    /// 1000, as Podman reads this one; zero and below are no limit.
    ///
    /// # Errors
    /// [`Error::Syntax`]: an option that is not known, or a value that is not of its form.
    pub fn read(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut read = Self::default();
        for (key, value) in options {
            match key.to_ascii_lowercase().as_str() {
                "path" => read.path = Some(PathBuf::from(value)),
                "max-size" => read.max_size_bytes = limit(value)?,
                "max-file" => read.max_files = Some(count(value)?),
                "tag" => read.tag = Some(value.clone()),
                _ => return Err(refuse(format!("unknown log option {key:?}"))),
            }
        }
        Ok(read)
    }
}

fn refuse(message: String) -> Error {
    Error::syntax("--log-opt", message)
}

fn limit(text: &str) -> Result<Option<u64>> {
    if text.parse::<i64>().is_ok_and(|bytes| bytes <= 0) {
        return Ok(None);
    }
    let bytes = size::parse_decimal(text).map_err(|reason| refuse(reason.to_string()))?;
    Ok(Some(bytes).filter(|bytes| *bytes > 0))
}

fn count(text: &str) -> Result<u32> {
    let known = text.parse().ok().filter(|count| *count > 0);
    known.ok_or_else(|| {
        refuse(format!(
            "invalid log option max-file={text}: a number of 1 or more is needed"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<LogOptions> {
        let pairs = words.split_whitespace().filter_map(|w| w.split_once('='));
        LogOptions::read(&pairs.map(|(k, v)| (k.into(), v.into())).collect())
    }

    #[test]
    fn options_are_read() {
        let all = read("path=/l max-size=10k max-file=3 tag=t").unwrap();
        assert_eq!(all.path, Some(PathBuf::from("/l")));
        assert_eq!(all.max_size_bytes, Some(10_000));
        assert_eq!((all.max_files, all.tag.as_deref()), (Some(3), Some("t")));
        assert_eq!(read("max-size=-1").unwrap(), LogOptions::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, expected) in [
            ("max-size=x", "invalid size: 'x'"),
            (
                "max-file=0",
                "invalid log option max-file=0: a number of 1 or more is needed",
            ),
            ("compress=true", "unknown log option \"compress\""),
        ] {
            assert_eq!(read(words).unwrap_err().to_string(), expected);
        }
    }
}
