//! Network files: `/etc/containers/networks/*.json` of Podman 4 and later.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::Path;

use ipnetwork::IpNetwork;
use minke_sys::atomic::{self, Durability, ReplaceOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Name of the network that exists without a file.
pub const DEFAULT_NETWORK: &str = "podman";

/// ID of the network that exists without a file; Podman fixes it for every host.
pub const DEFAULT_NETWORK_ID: &str =
    "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9";

/// A network file larger than this is not read.
const LIMIT_BYTES: u64 = 1 << 20;

/// A network, as its file holds it. Fields of newer versions are kept in [`Network::other`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The name, which is also the name of the file.
    pub name: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// `bridge`, `macvlan`, `ipvlan`, or the name of a plugin.
    pub driver: String,
    /// The interface on the host: for `bridge`, the bridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_interface: Option<String>,
    /// When it was made, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The subnets its containers get addresses of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnets: Option<Vec<Subnet>>,
    /// Routes set in every container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Route>>,
    /// Whether any subnet is IPv6.
    #[serde(default)]
    pub ipv6_enabled: bool,
    /// Whether there is no way out of the network.
    #[serde(default)]
    pub internal: bool,
    /// Whether containers find each other by name.
    #[serde(default)]
    pub dns_enabled: bool,
    /// Name servers the network's own one asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_dns_servers: Option<Vec<IpAddr>>,
    /// The user's labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Options of the driver, such as `mtu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
    /// Options of address management: `driver` is `host-local`, `dhcp` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam_options: Option<BTreeMap<String, String>>,
    /// Fields this version does not know, written out as they were read.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Network address and prefix length.
    pub subnet: IpNetwork,
    /// The host's own address in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Where leases come from, if not from the whole subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_range: Option<LeaseRange>,
}

/// The part of a subnet that leases come from; both ends included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRange {
    /// First address; missing is the subnet's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ip: Option<IpAddr>,
    /// Last address; missing is the subnet's last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ip: Option<IpAddr>,
}

/// A route set in every container of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: IpNetwork,
    /// By which neighbour.
    pub gateway: IpAddr,
    /// Priority; lower wins, missing is 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

impl Network {
    /// The network `podman`: bridge `podman0`, 10.88.0.0/16, no name resolution.
    pub fn default_bridge() -> Self {
        Self {
            name: DEFAULT_NETWORK.to_owned(),
            id: DEFAULT_NETWORK_ID.to_owned(),
            driver: "bridge".to_owned(),
            network_interface: Some("podman0".to_owned()),
            subnets: Some(vec![Subnet {
                subnet: "10.88.0.0/16".parse().expect("a subnet"),
                gateway: Some("10.88.0.1".parse().expect("an address")),
                lease_range: None,
            }]),
            ipam_options: Some(BTreeMap::from([(
                "driver".to_owned(),
                "host-local".to_owned(),
            )])),
            ..Self::default()
        }
    }

    /// Its subnets; none is an empty slice.
    pub fn subnets(&self) -> &[Subnet] {
        self.subnets.as_deref().unwrap_or_default()
    }

    /// An option of the driver.
    pub fn option(&self, name: &str) -> Option<&str> {
        Some(self.options.as_ref()?.get(name)?.as_str())
    }

    /// Whether a subnet is IPv6.
    pub fn has_ipv6(&self) -> bool {
        self.subnets().iter().any(|subnet| subnet.subnet.is_ipv6())
    }

    /// Checks what every use relies on: the name, the ID, the interface, the subnets.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the network and the field.
    pub fn validate(&self) -> Result<()> {
        let fail =
            |problem: String| Err(Error::invalid(format!("network {:?}", self.name), problem));
        if !is_network_name(&self.name) {
            return fail("names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*".to_owned());
        }
        if self.id.len() != 64 || !self.id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return fail(format!("invalid network ID {:?}", self.id));
        }
        if let Some(name) = &self.network_interface
            && !is_interface_name(name)
        {
            return fail(format!("invalid interface name {name:?}"));
        }
        for subnet in self.subnets() {
            if let Err(problem) = subnet.check() {
                return fail(problem);
            }
        }
        Ok(())
    }
}

impl Subnet {
    fn check(&self) -> Result<(), String> {
        let subnet = self.subnet;
        if subnet.ip() != subnet.network() {
            return Err(format!("{subnet} is not a network address"));
        }
        let range = self.lease_range.clone().unwrap_or_default();
        for address in [self.gateway, range.start_ip, range.end_ip]
            .into_iter()
            .flatten()
        {
            if !subnet.contains(address) {
                return Err(format!("{address} is not in {subnet}"));
            }
        }
        match (range.start_ip, range.end_ip) {
            (Some(start), Some(end)) if start > end => {
                Err(format!("the lease range from {start} to {end} is empty"))
            }
            _ => Ok(()),
        }
    }
}

/// The networks of a directory, and the default one.
#[derive(Debug, Clone)]
pub struct Networks {
    by_name: BTreeMap<String, Network>,
}

impl Networks {
    /// Reads every `*.json` of `dir`, which may be missing.
    ///
    /// A file that is no valid network, or not named after its network, is left out and named
    /// in the log, as Podman does. [`Network::default_bridge`] is added unless a file defines it.
    ///
    /// # Errors
    /// [`Error::File`] if the directory cannot be read.
    pub fn load(dir: &Path) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        let entries = match fs::read_dir(dir) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::file("read", dir, source)),
        };
        for entry in entries.into_iter().flatten() {
            let path = entry
                .map_err(|source| Error::file("read", dir, source))?
                .path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(network) => {
                    by_name.insert(network.name.clone(), network);
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "network file left out");
                }
            }
        }
        by_name
            .entry(DEFAULT_NETWORK.to_owned())
            .or_insert_with(Network::default_bridge);
        Ok(Self { by_name })
    }

    /// The network called `name_or_id`, or whose ID starts so.
    ///
    /// # Errors
    /// [`Error::NetworkUnknown`]; [`Error::NetworkAmbiguous`] if several IDs start so.
    pub fn get(&self, name_or_id: &str) -> Result<&Network> {
        if let Some(network) = self.by_name.get(name_or_id) {
            return Ok(network);
        }
        let mut matches = self
            .iter()
            .filter(|network| !name_or_id.is_empty() && network.id.starts_with(name_or_id));
        match (matches.next(), matches.next()) {
            (Some(network), None) => Ok(network),
            (Some(_), Some(_)) => Err(Error::NetworkAmbiguous {
                id: name_or_id.to_owned(),
            }),
            (None, _) => Err(Error::NetworkUnknown {
                name: name_or_id.to_owned(),
            }),
        }
    }

    /// All networks, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Network> {
        self.by_name.values()
    }
}

/// Writes `network` to `<dir>/<name>.json`, in place of what was there.
///
/// # Errors
/// [`Error::Invalid`] before anything is written; [`Error::File`].
pub fn write(dir: &Path, network: &Network) -> Result<()> {
    network.validate()?;
    let path = dir.join(format!("{}.json", network.name));
    let options = ReplaceOptions {
        mode: 0o644,
        durability: Durability::Durable,
    };
    fs::create_dir_all(dir).map_err(|source| Error::file("create", dir, source))?;
    atomic::replace(&path, &to_text(network)?, &options)
        .map_err(|source| Error::file("write", &path, source))
}

/// The text of a network file: five blanks a level, as Podman writes it.
fn to_text(network: &Network) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"     ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    network.serialize(&mut serializer).map_err(|error| {
        Error::invalid(format!("network {:?}", network.name), error.to_string())
    })?;
    text.push(b'\n');
    Ok(text)
}

fn read(path: &Path) -> Result<Network> {
    let file = File::open(path).map_err(|source| Error::file("read", path, source))?;
    let mut bytes = Vec::new();
    file.take(LIMIT_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::file("read", path, source))?;
    let network: Network = serde_json::from_slice(&bytes)
        .map_err(|source| Error::file("read", path, io::Error::from(source)))?;
    network.validate()?;
    if path.file_stem().and_then(|stem| stem.to_str()) != Some(network.name.as_str()) {
        return Err(Error::invalid(
            path.display().to_string(),
            format!("the file is not named after its network {:?}", network.name),
        ));
    }
    Ok(network)
}

/// Podman's rule for the names of networks; they become file names.
fn is_network_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 250
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// The kernel's rule for the names of interfaces, which also become file names.
pub(crate) fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'/' && b != b':' && b != b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by podman 4.3.1, `network create --subnet 10.99.0.0/24 --ip-range ... demo`,
    /// with one field no version has.
    const FILE: &str = r#"{
     "name": "demo",
     "id": "bd61fc8a1a1c3dd9d1f2bbf1c8a6a1a5aa0cb4b3c0e2a2dd3a1b6a4e9c1d2e3f",
     "driver": "bridge",
     "network_interface": "podman1",
     "created": "2026-05-02T11:02:03.123456789Z",
     "subnets": [
          {
               "subnet": "10.99.0.0/24",
               "gateway": "10.99.0.1",
               "lease_range": {
                    "start_ip": "10.99.0.129",
                    "end_ip": "10.99.0.255"
               }
          }
     ],
     "ipv6_enabled": false,
     "internal": false,
     "dns_enabled": true,
     "labels": {
          "purpose": "test"
     },
     "ipam_options": {
          "driver": "host-local"
     },
     "from_the_future": {
          "kept": [
               1,
               2
          ]
     }
}
"#;

    #[test]
    fn a_podman_file_comes_back_byte_for_byte() {
        let network: Network = serde_json::from_str(FILE).unwrap();
        network.validate().unwrap();
        assert_eq!(String::from_utf8(to_text(&network).unwrap()).unwrap(), FILE);
    }

    #[test]
    fn the_default_network_needs_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let networks = Networks::load(&dir.path().join("missing")).unwrap();
        let network = networks.get("podman").unwrap();
        assert_eq!(network, networks.get("2f259bab93aa").unwrap());
        network.validate().unwrap();
        assert_eq!(
            networks.get("nope").unwrap_err().to_string(),
            "unable to find network with name or ID nope: network not found"
        );
    }

    #[test]
    fn a_bad_file_hides_no_good_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("demo.json"), FILE).unwrap();
        fs::write(dir.path().join("other.json"), FILE).unwrap();
        fs::write(dir.path().join("broken.json"), "{").unwrap();
        fs::write(dir.path().join("notes.txt"), "not a network").unwrap();
        let networks = Networks::load(dir.path()).unwrap();
        let names: Vec<_> = networks.iter().map(|network| &network.name).collect();
        assert_eq!(names, ["demo", "podman"]);
    }

    #[test]
    fn hostile_definitions_are_refused() {
        let good = Network::default_bridge();
        let cases: [fn(&mut Network); 6] = [
            |network| network.name = "../escape".to_owned(),
            |network| network.id = "abc".to_owned(),
            |network| network.network_interface = Some("a/b".to_owned()),
            |network| network.network_interface = Some("name-longer-than-15".to_owned()),
            |network| network.subnets.as_mut().unwrap()[0].gateway = "10.1.1.1".parse().ok(),
            |network| network.subnets.as_mut().unwrap()[0].subnet = "10.88.0.7/16".parse().unwrap(),
        ];
        for change in cases {
            let mut network = good.clone();
            change(&mut network);
            assert!(network.validate().is_err(), "{network:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let network: Network = serde_json::from_str(FILE).unwrap();
        write(dir.path(), &network).unwrap();
        assert_eq!(
            Networks::load(dir.path()).unwrap().get("demo").unwrap(),
            &network
        );
    }
}
