//! Options of the form `KEY=VALUE`.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

type Pairs = BTreeMap<String, String>;

/// Reads `--label`; a key alone has no value.
pub fn labels(texts: &[String]) -> Result<Pairs> {
    collect(texts, |text| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() {
            return Err(format!("invalid label format: {text:?}"));
        }
        Ok((key, value))
    })
}

/// Reads `--annotation`.
pub fn annotations(texts: &[String]) -> Result<Pairs> {
    collect(texts, |text| {
        text.split_once('=')
            .ok_or_else(|| "annotations must be formatted KEY=VALUE".to_owned())
    })
}

/// Reads `--env-merge`.
pub fn merged(texts: &[String]) -> Result<Pairs> {
    collect(texts, |text| {
        text.split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid variable {text:?}: it is KEY=VALUE"))
    })
}

/// Reads `--sysctl`.
pub fn sysctls(texts: &[String]) -> Result<Pairs> {
    collect(texts, |text| {
        text.split_once('=').ok_or_else(|| {
            format!("{text} is invalid, sysctl values must be in the form of KEY=VALUE")
        })
    })
}

/// Reads `--log-opt`.
pub fn log_options(texts: &[String]) -> Result<Pairs> {
    collect(texts, |text| {
        text.split_once('=')
            .ok_or_else(|| format!("invalid log option {text:?}: must be in the form of KEY=VALUE"))
    })
}

/// Reads `--add-host`: names, with `;` between them, and an address.
pub fn hosts(texts: &[String]) -> Result<Pairs> {
    let mut hosts = Pairs::new();
    for text in texts {
        let parts = text.split_once(':');
        let parts = parts.filter(|(names, address)| !names.is_empty() && !address.is_empty());
        let (names, address) =
            parts.ok_or_else(|| Error::refused(format!("bad format for add-host: {text:?}")))?;
        let address = address
            .strip_prefix('[')
            .and_then(|address| address.strip_suffix(']'))
            .unwrap_or(address);
        let is_address = address.parse::<std::net::IpAddr>().is_ok();
        if !is_address && address != "host-gateway" {
            return Err(Error::refused(format!(
                "invalid IP address in add-host: {address:?}"
            )));
        }
        for name in names.split(';') {
            hosts.insert(name.to_owned(), address.to_owned());
        }
    }
    Ok(hosts)
}

fn collect(
    texts: &[String],
    split: impl Fn(&str) -> Result<(&str, &str), String>,
) -> Result<Pairs> {
    let mut pairs = Pairs::new();
    for text in texts {
        let (key, value) = split(text).map_err(Error::Refused)?;
        pairs.insert(key.to_owned(), value.to_owned());
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reader = fn(&[String]) -> Result<Pairs>;

    const CASES: &[(Reader, &str, Option<&str>)] = &[
        (labels, "a=b=c", Some("a=b=c")),
        (labels, "a", Some("a=")),
        (labels, "=b", None),
        (annotations, "a", None),
        (sysctls, "net.x=1", Some("net.x=1")),
        (sysctls, "net.x", None),
        (log_options, "max-size=1m", Some("max-size=1m")),
        (log_options, "max-size", None),
        (hosts, "web:10.0.0.1", Some("web=10.0.0.1")),
        (hosts, "a;b:::1", Some("a=::1 b=::1")),
        (hosts, "a:[::1]", Some("a=::1")),
        (hosts, "a:host-gateway", Some("a=host-gateway")),
        (hosts, "a:b", None),
        (hosts, "a", None),
    ];

    #[test]
    fn pairs_are_read_or_refused() {
        let read = |reader: Reader, text: &str| {
            let pairs = reader(&[text.to_owned()]).ok()?;
            let pairs = pairs.iter().map(|(key, value)| format!("{key}={value}"));
            Some(pairs.collect::<Vec<_>>().join(" "))
        };
        for &(reader, text, expected) in CASES {
            assert_eq!(read(reader, text).as_deref(), expected, "{text}");
        }
    }
}
