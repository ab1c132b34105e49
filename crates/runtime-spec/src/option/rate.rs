//! `--device-read-bps PATH:RATE` and the like, `--blkio-weight-device PATH:WEIGHT`.

use super::size;
use crate::container::DeviceRate;
use crate::{Error, Result};

/// Parses bytes a second, with a unit.
///
/// # Errors
/// [`Error::Syntax`].
pub fn bytes(text: &str) -> Result<DeviceRate> {
    let (path, number) = split(text, "--device-read-bps")?;
    let rate = size::parse("device rate", number).map_err(|_| {
        let message = format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        );
        Error::syntax("--device-read-bps", message)
    })?;
    Ok(DeviceRate {
        path: path.to_owned(),
        rate,
    })
}

/// Parses operations a second.
///
/// # Errors
/// [`Error::Syntax`].
pub fn operations(text: &str) -> Result<DeviceRate> {
    let (path, number) = split(text, "--device-read-iops")?;
    let rate = number.parse().map_err(|_| {
        let message = format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        );
        Error::syntax("--device-read-iops", message)
    })?;
    Ok(DeviceRate {
        path: path.to_owned(),
        rate,
    })
}

/// Parses a weight of 10 to 1000, or 0 for none.
///
/// # Errors
/// [`Error::Syntax`].
pub fn weight(text: &str) -> Result<DeviceRate> {
    let (path, number) = split(text, "--blkio-weight-device")?;
    let rate = number.parse().ok();
    let rate = rate.filter(|&weight| weight == 0 || (10..=1000).contains(&weight));
    let rate = rate.ok_or_else(|| {
        let message = format!("invalid weight for device: {text}");
        Error::syntax("--blkio-weight-device", message)
    })?;
    Ok(DeviceRate {
        path: path.to_owned(),
        rate,
    })
}

fn split<'t>(text: &'t str, option: &'static str) -> Result<(&'t str, &'t str)> {
    let (path, number) = text
        .split_once(':')
        .ok_or_else(|| Error::syntax(option, format!("bad format: {text}")))?;
    if !path.starts_with("/dev/") {
        let message = format!("bad format for device path: {text}");
        return Err(Error::syntax(option, message));
    }
    Ok((path, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        type Parse = fn(&str) -> Result<DeviceRate>;
        for (parse, text, expected) in [
            (bytes as Parse, "/dev/sda:1mb", Some(1 << 20)),
            (bytes, "/dev/sda:x", None),
            (operations, "/dev/sda:100", Some(100)),
            (operations, "/dev/sda:1mb", None),
            (weight, "/dev/sda:500", Some(500)),
            (weight, "/dev/sda:5", None),
            (weight, "sda:500", None),
            (weight, "/dev/sda", None),
        ] {
            assert_eq!(parse(text).ok().map(|read| read.rate), expected, "{text}");
        }
    }
}
