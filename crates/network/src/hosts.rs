//! Content of a container's `/etc/hosts`.

use std::net::IpAddr;

use crate::{Error, Result};

/// Names under which a container finds its host.
pub const HOST_NAMES: [&str; 2] = ["host.containers.internal", "host.docker.internal"];

/// The word that stands for the host's address in `--add-host`.
pub const HOST_GATEWAY: &str = "host-gateway";

/// One line: an address and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub address: IpAddr,
    /// The names, at least one.
    pub names: Vec<String>,
}

/// What the file is made of.
#[derive(Debug, Clone, Default)]
pub struct Hosts<'a> {
    /// Text of the file to start from: the host's, the image's, or nothing.
    pub base: &'a str,
    /// What the user asked for by `--add-host`; wins over everything else.
    pub added: Vec<Entry>,
    /// The container's own addresses and names.
    pub container: Vec<Entry>,
    /// The host's address as the container reaches it, for [`HOST_NAMES`].
    pub host: Option<IpAddr>,
}

impl Hosts<'_> {
    /// The text of the file.
    ///
    /// Order and precedence are Podman's: added entries, the base file, then loopback, host and
    /// container where no line before has their name already.
    pub fn text(&self) -> String {
        let mut entries = self.added.clone();
        entries.extend(parse(self.base));
        for address in ["127.0.0.1", "::1"] {
            let address: IpAddr = address.parse().expect("an address");
            let known = entries.iter().any(|entry| {
                entry.address.is_ipv4() == address.is_ipv4() && entry.has("localhost")
            });
            if !known {
                let names = ["localhost", "localhost.localdomain"];
                let names = names.map(str::to_owned).to_vec();
                entries.push(Entry { address, names });
            }
        }
        let host = self.host.map(|address| Entry {
            address,
            names: HOST_NAMES.map(str::to_owned).to_vec(),
        });
        for entry in host.iter().chain(&self.container) {
            add_new_names(&mut entries, entry);
        }
        entries.iter().map(Entry::line).collect()
    }
}

impl Entry {
    /// Reads `--add-host`'s `name:address` or `name;name:address`; `host` stands in for the
    /// address [`HOST_GATEWAY`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no name or no address.
    pub fn parse_added(text: &str, host: Option<IpAddr>) -> Result<Self> {
        let invalid = |problem: &str| Error::invalid(format!("host entry {text:?}"), problem);
        let (names, address) = text
            .split_once(':')
            .ok_or_else(|| invalid("expected a name, a colon and an address"))?;
        let names: Vec<_> = names.split(';').map(str::to_owned).collect();
        if !names.iter().all(|name| is_name(name)) {
            return Err(invalid("a name is empty or has a blank"));
        }
        let address = match address {
            HOST_GATEWAY => host.ok_or_else(|| invalid("the host's address is not known"))?,
            address => address
                .trim_matches(|c| c == '[' || c == ']')
                .parse()
                .map_err(|_| invalid("not an IP address"))?,
        };
        Ok(Self { address, names })
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    fn line(&self) -> String {
        format!("{}\t{}\n", self.address, self.names.join(" "))
    }
}

/// The entries of a hosts file; comments and what is no entry are left out.
pub fn parse(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let address = words.next()?.parse().ok()?;
    let names: Vec<_> = words.map(str::to_owned).collect();
    (!names.is_empty()).then_some(Entry { address, names })
}

/// Adds those names of `entry` that no line has for its family.
fn add_new_names(entries: &mut Vec<Entry>, entry: &Entry) {
    let known = |name: &&String| {
        !entries
            .iter()
            .any(|other| other.address.is_ipv4() == entry.address.is_ipv4() && other.has(name))
    };
    let names: Vec<_> = entry.names.iter().filter(known).cloned().collect();
    if !names.is_empty() {
        entries.push(Entry {
            address: entry.address,
            names,
        });
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str, names: &[&str]) -> Entry {
        Entry {
            address: address.parse().unwrap(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_file_has_podmans_order() {
        let hosts = Hosts {
            base: "127.0.0.1\tlocalhost # own\n# comment\nff02::1 ip6-allnodes\n192.0.2.9 web\n",
            added: vec![entry("192.0.2.7", &["db"])],
            container: vec![entry("10.88.0.2", &["6ce776ea58b5", "web", "db"])],
            host: Some("10.88.0.1".parse().unwrap()),
        };
        assert_eq!(
            hosts.text(),
            "192.0.2.7\tdb\n\
             127.0.0.1\tlocalhost\n\
             ff02::1\tip6-allnodes\n\
             192.0.2.9\tweb\n\
             ::1\tlocalhost localhost.localdomain\n\
             10.88.0.1\thost.containers.internal host.docker.internal\n\
             10.88.0.2\t6ce776ea58b5\n"
        );
    }

    #[test]
    fn nothing_still_has_localhost() {
        assert_eq!(
            Hosts::default().text(),
            "127.0.0.1\tlocalhost localhost.localdomain\n\
             ::1\tlocalhost localhost.localdomain\n"
        );
    }

    #[test]
    fn added_hosts_are_read() {
        let host = "10.88.0.1".parse().ok();
        let parse = |text: &str| Entry::parse_added(text, host);
        assert_eq!(
            parse("a;b:192.0.2.1").unwrap(),
            entry("192.0.2.1", &["a", "b"])
        );
        assert_eq!(parse("a:[::1]").unwrap(), entry("::1", &["a"]));
        assert_eq!(parse("a:host-gateway").unwrap(), entry("10.88.0.1", &["a"]));
        for text in [
            "",
            "a",
            ":192.0.2.1",
            "a b:192.0.2.1",
            "a:b",
            "a\n:192.0.2.1",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(Entry::parse_added("a:host-gateway", None).is_err());
    }
}
