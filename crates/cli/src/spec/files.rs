//! What the engine writes into a container, and where its root comes from.

use minke_runtime_spec::container::{Attachment, Files, Rootfs};
use std::collections::{BTreeMap, BTreeSet};

use super::flags::{PlaceFlags, ProcessFlags};
use crate::error::{Error, Result};

pub(super) fn files(place: &PlaceFlags, process: &ProcessFlags) -> Result<Files> {
    if place.no_hosts && !place.add_host.is_empty() {
        return Err(Error::refused(
            "--no-hosts and --add-host cannot be set together",
        ));
    }
    if place.no_hosts && place.hosts_file.is_some() {
        return Err(Error::refused(
            "--no-hosts and --hosts-file cannot be set together",
        ));
    }
    if let Some(dir) = place.chrootdirs.iter().find(|dir| !dir.starts_with('/')) {
        return Err(Error::refused(format!(
            "chroot directory {dir:?} is not an absolute path"
        )));
    }
    Ok(Files {
        no_passwd: process.passwd == Some(false),
        passwd_entry: process.passwd_entry.clone(),
        group_entry: process.group_entry.clone(),
        host_users: process.hostuser.clone(),
        hosts_base: place.hosts_file.clone(),
        no_hosts: place.no_hosts,
        no_hostname: place.no_hostname,
        chroot_dirs: place.chrootdirs.clone(),
    })
}

/// `DIR[:O|:idmap[=MAPPING]]`. Any other word after a colon is a part of the name.
pub(super) fn rootfs(text: &str) -> Result<Rootfs> {
    let (mut overlay, mut idmap) = (false, None);
    let mut path = text;
    if let Some((before, word)) = text.rsplit_once(':') {
        overlay = word == "O";
        idmap = match word {
            "idmap" => Some(String::new()),
            _ => word.strip_prefix("idmap=").map(str::to_owned),
        };
        if overlay || idmap.is_some() {
            path = before;
        }
    }
    Ok(Rootfs {
        path: std::path::absolute(path).map_err(Error::io(format!("resolve {path}")))?,
        overlay,
        idmap,
    })
}

/// Reads `--expose`: `PORT[-PORT][/PROTOCOL]`.
pub(super) fn expose(texts: &[String]) -> Result<BTreeSet<String>> {
    let mut exposed = BTreeSet::new();
    for text in texts {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let refuse = || {
            Error::refused(format!(
                "invalid port {text:?} to expose: it is PORT[-PORT][/PROTOCOL]"
            ))
        };
        let number = |text: &str| {
            let port = text.parse::<u16>().ok().filter(|&port| port > 0);
            port.ok_or_else(refuse)
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last) = (number(first)?, number(last)?);
        if first > last || !matches!(protocol, "tcp" | "udp" | "sctp") {
            return Err(refuse());
        }
        exposed.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(exposed)
}

/// What `--ip`, `--mac-address` and `--network-alias` ask, on top of `of_networks`: the words
/// after each network's name. Addresses are the first network's, aliases every one's.
pub(super) fn attachments(
    flags: &PlaceFlags,
    mut of_networks: BTreeMap<String, Attachment>,
) -> Result<BTreeMap<String, Attachment>> {
    let ips: Vec<_> = flags.ip.into_iter().chain(flags.ip6).collect();
    if flags.ip.is_some_and(|ip| ip.is_ipv6()) || flags.ip6.is_some_and(|ip| ip.is_ipv4()) {
        return Err(Error::refused(
            "--ip takes an IPv4 address and --ip6 an IPv6 one",
        ));
    }
    let asked = Attachment {
        ips,
        mac: flags.mac_address.clone(),
        aliases: flags.network_alias.clone(),
        interface: None,
    };
    if let Some(mac) = &asked.mac {
        check_mac(mac)?;
    }
    if asked != Attachment::default() {
        of_networks.insert(String::new(), asked);
    }
    Ok(of_networks)
}

/// The words after a network's name: `ip=`, `ip6=`, `mac=`, `alias=`, `interface_name=`.
pub(super) fn attachment(words: &str) -> Result<Attachment> {
    let mut asked = Attachment::default();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let (key, value) = word
            .split_once('=')
            .ok_or_else(|| Error::refused(format!("network option {word:?} needs a value")))?;
        match key {
            "ip" | "ip6" => asked.ips.push(
                value
                    .parse()
                    .map_err(|_| Error::refused(format!("invalid ip address {value:?}")))?,
            ),
            "mac" => {
                check_mac(value)?;
                asked.mac = Some(value.to_owned());
            }
            "alias" if !value.is_empty() => asked.aliases.push(value.to_owned()),
            "interface_name" | "name" if !value.is_empty() => {
                asked.interface = Some(value.to_owned());
            }
            _ => {
                return Err(Error::refused(format!(
                    "invalid network option {word:?}: unknown bridge network option"
                )));
            }
        }
    }
    Ok(asked)
}

fn check_mac(text: &str) -> Result<()> {
    let bytes: Vec<&str> = text.split([':', '-']).collect();
    let is_byte =
        |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if bytes.len() == 6 && bytes.iter().all(is_byte) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "address {text}: invalid MAC address"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_read() {
        for (text, expected) in [
            ("/r", Some((false, None))),
            ("/r:O", Some((true, None))),
            ("/r:idmap", Some((false, Some("")))),
            ("/r:idmap=uids=0-1-2", Some((false, Some("uids=0-1-2")))),
            ("/r:bogus", Some((false, None))),
            ("/a:b/c:O", Some((true, None))),
        ] {
            let read = rootfs(text).ok();
            let read = read
                .as_ref()
                .map(|root| (root.overlay, root.idmap.as_deref()));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn exposed_ports_are_read() {
        for (text, expected) in [
            ("80", Some("80/tcp")),
            ("80-81/udp", Some("80/udp 81/udp")),
            ("0", None),
            ("2-1", None),
            ("80/x", None),
        ] {
            let read = expose(&[text.to_owned()]).ok();
            let read = read.map(|ports| ports.into_iter().collect::<Vec<_>>().join(" "));
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn network_options_are_read() {
        let read = attachment("ip=10.0.0.9,mac=02:00:00:00:00:01,alias=a,alias=b").unwrap();
        assert_eq!(read.aliases, ["a", "b"]);
        assert_eq!(read.ips.len(), 1);
        for wrong in ["ip=x", "mac=1:2", "bogus=1", "ip"] {
            assert!(attachment(wrong).is_err(), "{wrong}");
        }
    }
}
