//! `-p [[IP:]HOST[-END]:]CONTAINER[-END][/PROTOCOL]`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A range of ports of the container, reachable from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// The host's address; absent is all of them.
    pub host_ip: Option<IpAddr>,
    /// The first port on the host; absent lets the engine find free ones.
    pub host_port: Option<u16>,
    /// The first port in the container.
    pub container_port: u16,
    /// How many.
    pub range: u16,
    /// `tcp`, `udp`, `sctp`; several with commas as typed.
    pub protocol: String,
}

/// Parses the option.
///
/// # Errors
/// [`Error::Syntax`].
pub fn parse(text: &str) -> Result<PortMapping> {
    let (ports, protocol) = match text.split_once('/') {
        None => (text, "tcp"),
        Some((_, rest)) if rest.contains('/') => {
            return Err(refuse(
                "invalid port format - protocol can only be specified once",
            ));
        }
        Some((_, "")) => return Err(refuse("must provide a non-empty protocol to publish")),
        Some(parts) => parts,
    };
    if let Some(unknown) = protocol
        .split(',')
        .find(|name| !matches!(*name, "tcp" | "udp" | "sctp"))
    {
        return Err(refuse(format!(
            "unrecognized protocol {unknown:?} in port mapping"
        )));
    }
    let (address, host, container) = split(ports)?;
    if container.is_empty() {
        return Err(refuse("must provide a non-empty container port to publish"));
    }
    let (container_port, range) =
        range(container).map_err(|why| within("parsing container port", why))?;
    Ok(PortMapping {
        host_ip: address.map(parse_address).transpose()?,
        host_port: host_port(host, range)?,
        container_port,
        range,
        protocol: protocol.to_owned(),
    })
}

type Parts<'a> = (Option<&'a str>, Option<&'a str>, &'a str);

/// Address, host ports and container ports, none of them checked.
fn split(text: &str) -> Result<Parts<'_>> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return Err(refuse(
                "invalid port format - IPv6 addresses must be enclosed by []",
            ));
        };
        let Some(rest) = rest.strip_prefix(':') else {
            return Err(refuse(
                "invalid port format - IPv6 address must be followed by a colon (':')",
            ));
        };
        return match rest.split(':').collect::<Vec<_>>()[..] {
            [host, container] => Ok((Some(address), Some(host), container)),
            [_] => Err(refuse(
                "invalid port format - must provide host and destination port if specifying an IP",
            )),
            _ => Err(refuse(
                "invalid port format - when v6 address specified, must be [ipv6]:hostPort:ctrPort",
            )),
        };
    }
    if text.contains(']') {
        return Err(refuse(
            "invalid port format - IPv6 addresses must be enclosed by []",
        ));
    }
    match text.split(':').collect::<Vec<_>>()[..] {
        [container] => Ok((None, None, container)),
        [host, container] => Ok((None, Some(host), container)),
        [address, host, container] => Ok((Some(address), Some(host), container)),
        _ => Err(refuse(
            "invalid port format - format is [[hostIP:]hostPort:]containerPort",
        )),
    }
}

fn parse_address(text: &str) -> Result<IpAddr> {
    if text.is_empty() {
        return Err(refuse(
            "must provide a non-empty container host IP to publish",
        ));
    }
    text.parse()
        .map_err(|_| refuse(format!("cannot parse {text:?} as an IP address")))
}

fn host_port(text: Option<&str>, container_range: u16) -> Result<Option<u16>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let (first, range) = range(text).map_err(|why| within("parsing host port", why))?;
    if range != container_range {
        return Err(refuse(format!(
            "host and container port ranges have different lengths: {range} vs {container_range}"
        )));
    }
    Ok(Some(first))
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = match text.split('-').collect::<Vec<_>>()[..] {
        [one] => (one, None),
        [first, last] => (first, Some(last)),
        _ => {
            return Err(
                "invalid port format - port ranges are formatted as startPort-stopPort".into(),
            );
        }
    };
    if first.is_empty() {
        return Err("port numbers cannot be negative".into());
    }
    let first = number(first)?;
    let Some(last) = last else {
        return Ok((first, 1));
    };
    if last.is_empty() {
        return Err("must provide ending number for port range".into());
    }
    let last = number(last)?;
    if last <= first {
        return Err(format!(
            "the end port of a range must be higher than the start port - {last} is not higher than {first}"
        ));
    }
    Ok((first, last - first + 1))
}

fn number(text: &str) -> Result<u16, String> {
    let number: i64 = text.parse().map_err(|_| {
        format!("invalid port number: strconv.Atoi: parsing {text:?}: invalid syntax")
    })?;
    match u16::try_from(number) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!(
            "port numbers must be between 1 and 65535 (inclusive), got {number}"
        )),
    }
}

fn within(what: &str, why: String) -> Error {
    refuse(format!("{what}: {why}"))
}

fn refuse(message: impl Into<String>) -> Error {
    Error::syntax("--publish", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        for (text, ip, host, container, range, protocol) in [
            ("80", None, None, 80, 1, "tcp"),
            ("8080:80", None, Some(8080), 80, 1, "tcp"),
            (":80", None, None, 80, 1, "tcp"),
            (
                "127.0.0.1:8080:80/udp",
                Some("127.0.0.1"),
                Some(8080),
                80,
                1,
                "udp",
            ),
            ("127.0.0.1::80", Some("127.0.0.1"), None, 80, 1, "tcp"),
            ("[::1]:8080:80", Some("::1"), Some(8080), 80, 1, "tcp"),
            ("[fd00::1]::80/sctp", Some("fd00::1"), None, 80, 1, "sctp"),
            ("8000-8009:9000-9009", None, Some(8000), 9000, 10, "tcp"),
            ("9000-9001", None, None, 9000, 2, "tcp"),
            ("1-65535:1-65535", None, Some(1), 1, 65535, "tcp"),
        ] {
            let mapping = parse(text).unwrap();
            let expected = PortMapping {
                host_ip: ip.map(|ip| ip.parse().unwrap()),
                host_port: host,
                container_port: container,
                range,
                protocol: protocol.into(),
            };
            assert_eq!(mapping, expected, "{text}");
        }
    }

    #[test]
    fn wrong_mappings_are_refused() {
        for (text, fragment) in [
            ("", "must provide a non-empty container port"),
            ("80/", "non-empty protocol"),
            ("80/tcp/udp", "protocol can only be specified once"),
            ("80/icmp", "unrecognized protocol"),
            (
                "0:80",
                "port numbers must be between 1 and 65535 (inclusive), got 0",
            ),
            (
                "70000:80",
                "port numbers must be between 1 and 65535 (inclusive), got 70000",
            ),
            ("a:80", "invalid port number"),
            ("-1:80", "port numbers cannot be negative"),
            ("8-7:80", "must be higher than the start port"),
            ("80-82:80-81", "different lengths: 3 vs 2"),
            ("::1:80:80", "format is [[hostIP:]hostPort:]containerPort"),
            ("[::1]:80", "must provide host and destination port"),
            ("[::1:80:80", "must be enclosed by []"),
            (
                "999.1.1.1:80:80",
                "cannot parse \"999.1.1.1\" as an IP address",
            ),
        ] {
            let refusal = parse(text).unwrap_err().to_string();
            assert!(refusal.contains(fragment), "{text}: {refusal}");
        }
    }
}
