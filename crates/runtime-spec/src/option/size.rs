//! Sizes in Docker's units: `512m`, `1.5g`, `100`, `10 kb`, `2GiB`.

use crate::{Error, Result};

/// What is wrong with a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SizeError {
    /// No number, or a negative one.
    #[error("invalid size: '{text}'")]
    Number {
        /// As given.
        text: String,
    },
    /// No unit.
    #[error("invalid suffix: '{suffix}'")]
    Suffix {
        /// As given.
        suffix: String,
    },
}

/// Reads a size for `what`, in bytes. Units are powers of 1024 in any case.
///
/// # Errors
/// [`Error::Size`].
pub fn parse(what: &'static str, text: &str) -> Result<u64> {
    read(text).map_err(|reason| Error::Size { what, reason })
}

/// As [`parse`], where -1 means unlimited.
///
/// # Errors
/// [`Error::Size`].
pub fn parse_or_unlimited(what: &'static str, text: &str) -> Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    let bytes = parse(what, text)?;
    Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Reads a size whose units are powers of 1000 in any case.
///
/// # Errors
/// What is wrong with it.
pub fn parse_decimal(text: &str) -> Result<u64, SizeError> {
    read_in(text, 1000.0)
}

fn read(text: &str) -> Result<u64, SizeError> {
    read_in(text, 1024.0)
}

fn read_in(text: &str, base: f64) -> Result<u64, SizeError> {
    let invalid = || SizeError::Number {
        text: text.to_owned(),
    };
    let is_numeric = |c: char| c.is_ascii_digit() || c == '.' || c == ' ';
    let last = text.rfind(is_numeric).ok_or_else(invalid)?;
    let (number, suffix) = text.split_at(last + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let number: f64 = number.parse().map_err(|_| invalid())?;
    if !number.is_finite() || number < 0.0 {
        return Err(invalid());
    }
    let bytes = number * unit(suffix, base)?;
    if bytes >= 9.0e18 {
        return Err(invalid());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded above
    Ok(bytes as u64)
}

fn unit(suffix: &str, base: f64) -> Result<f64, SizeError> {
    let refuse = || SizeError::Suffix {
        suffix: suffix.to_owned(),
    };
    let lower = suffix.to_ascii_lowercase();
    let mut letters = lower.chars();
    let Some(first) = letters.next() else {
        return Ok(1.0);
    };
    let rest = letters.as_str();
    if first == 'b' {
        return if rest.is_empty() {
            Ok(1.0)
        } else {
            Err(refuse())
        };
    }
    let power = "kmgtp".find(first).ok_or_else(refuse)?;
    if !matches!(rest, "" | "b" | "ib") {
        return Err(refuse());
    }
    Ok(base.powi(i32::try_from(power + 1).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_does() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("100", Ok(100)),
            ("100b", Ok(100)),
            ("1k", Ok(1024)),
            ("512m", Ok(512 << 20)),
            ("1.5g", Ok(3 << 29)),
            ("2GiB", Ok(2 << 30)),
            ("10 KB", Ok(10 << 10)),
            ("1t", Ok(1 << 40)),
            ("10x", Err("invalid suffix: 'x'")),
            ("10bb", Err("invalid suffix: 'bb'")),
            ("10kx", Err("invalid suffix: 'kx'")),
            ("", Err("invalid size: ''")),
            ("m", Err("invalid size: 'm'")),
            ("-5m", Err("invalid size: '-5m'")),
            ("1.2.3", Err("invalid size: '1.2.3'")),
        ] {
            let read = parse("memory", text).map_err(|error| error.to_string());
            let expected = expected.map_err(|text| format!("invalid value for memory: {text}"));
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(parse_or_unlimited("memory-swap", "-1").unwrap(), -1);
        assert_eq!(parse_decimal("1.5k"), Ok(1500));
    }
}
