//! The JSON netavark takes and gives.
//!
//! Names and meaning follow netavark's `types.rs`; what it leaves out may be left out here.
//! [`crate::setup`] and [`crate::teardown`] use these types, so that a `netavark` role only
//! has to read and write them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::config::Network;
use crate::{Error, Result};

/// Everything about one container that setup and teardown need: netavark's standard input.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkOptions {
    /// The container's ID; leases and ports are held under it.
    pub container_id: String,
    /// The container's name.
    pub container_name: String,
    /// The container's host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_hostname: Option<String>,
    /// Ports published on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_mappings: Option<Vec<PortMapping>>,
    /// How the container takes part in each network, by network name.
    pub networks: BTreeMap<String, PerNetworkOptions>,
    /// The networks themselves, by the same names.
    pub network_info: BTreeMap<String, Network>,
    /// DNS servers the container asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_servers: Option<Vec<IpAddr>>,
}

/// How a container takes part in one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerNetworkOptions {
    /// Name of the interface in the container.
    pub interface_name: String,
    /// Addresses asked for, at most one a subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_ips: Option<Vec<IpAddr>>,
    /// Hardware address asked for, as `02:00:00:00:00:01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_mac: Option<String>,
    /// Names under which other containers of the network find this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Vec<String>>,
    /// Options of the network's driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
}

impl PerNetworkOptions {
    /// Takes part by an interface called `interface_name`, with nothing asked for.
    pub fn named(interface_name: impl Into<String>) -> Self {
        Self {
            interface_name: interface_name.into(),
            ..Self::default()
        }
    }
}

/// One published port, or a range of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// First port in the container.
    pub container_port: u16,
    /// First port on the host.
    pub host_port: u16,
    /// Address on the host; empty is every address of both families.
    #[serde(default)]
    pub host_ip: String,
    /// `tcp`, `udp`, `sctp`, or several separated by commas; empty is `tcp`.
    #[serde(default)]
    pub protocol: String,
    /// How many ports, counting up on both sides; 0 is 1.
    #[serde(default)]
    pub range: u16,
}

impl PortMapping {
    /// The protocols named in [`PortMapping::protocol`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other word.
    pub fn protocols(&self) -> Result<Vec<Protocol>> {
        if self.protocol.is_empty() {
            return Ok(vec![Protocol::Tcp]);
        }
        self.protocol.split(',').map(Protocol::parse).collect()
    }

    /// The host address, where it is not every address of both families.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is no IP address.
    pub fn host_address(&self) -> Result<Option<IpAddr>> {
        if self.host_ip.is_empty() {
            return Ok(None);
        }
        let text = self.host_ip.trim_matches(|c| c == '[' || c == ']');
        text.parse().map(Some).map_err(|_| {
            Error::invalid(
                "port mapping",
                format!("{:?} is no IP address", self.host_ip),
            )
        })
    }

    /// How many ports it publishes: never 0.
    pub fn count(&self) -> u16 {
        self.range.max(1)
    }
}

/// A transport protocol whose ports can be published.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Reads `tcp`, `udp` or `sctp`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other word.
    pub fn parse(text: &str) -> Result<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(Error::invalid(
                "port mapping",
                format!("unknown protocol {text:?}"),
            )),
        }
    }

    /// The word for it in JSON and on command lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Its number in an IP header.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

/// What setup made, by network name: netavark's standard output.
pub type StatusBlocks = BTreeMap<String, StatusBlock>;

/// What setup made of one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusBlock {
    /// Search domains for the container's `/etc/resolv.conf`.
    #[serde(default)]
    pub dns_search_domains: Option<Vec<String>>,
    /// Name servers for the container's `/etc/resolv.conf`.
    #[serde(default)]
    pub dns_server_ips: Option<Vec<IpAddr>>,
    /// The interfaces in the container, by name.
    #[serde(default)]
    pub interfaces: Option<BTreeMap<String, NetInterface>>,
}

/// An interface in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetInterface {
    /// Its hardware address.
    pub mac_address: String,
    /// Its addresses.
    #[serde(default)]
    pub subnets: Option<Vec<NetAddress>>,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetAddress {
    /// The gateway of its subnet, where there is one.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// The address itself with the prefix length of its subnet.
    pub ipnet: IpNetwork,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As podman 4.3 passes it for `run -p 8080:80 --network podman`.
    const INPUT: &str = r#"{
        "container_id": "6ce776ea58b5",
        "container_name": "testcontainer",
        "port_mappings": [
            {"host_ip": "", "container_port": 80, "host_port": 8080, "range": 1, "protocol": "tcp"}
        ],
        "networks": {"podman": {"interface_name": "eth0", "static_ips": ["10.88.0.2"]}},
        "network_info": {"podman": {
            "name": "podman",
            "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
            "driver": "bridge",
            "network_interface": "podman0",
            "created": "2022-08-15T12:38:44.12345+02:00",
            "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
            "ipv6_enabled": false,
            "internal": false,
            "dns_enabled": false,
            "ipam_options": {"driver": "host-local"}
        }}
    }"#;

    #[test]
    fn podmans_input_is_read_and_kept() {
        let options: NetworkOptions = serde_json::from_str(INPUT).unwrap();
        assert_eq!(options.networks["podman"].interface_name, "eth0");
        let ports = options.port_mappings.as_ref().unwrap();
        assert_eq!(ports[0].protocols().unwrap(), [Protocol::Tcp]);
        assert_eq!(ports[0].host_address().unwrap(), None);
        let before: serde_json::Value = serde_json::from_str(INPUT).unwrap();
        assert_eq!(serde_json::to_value(&options).unwrap(), before);
    }

    #[test]
    fn status_has_netavarks_shape() {
        let status = StatusBlock {
            dns_search_domains: Some(vec![]),
            dns_server_ips: Some(vec![]),
            interfaces: Some(BTreeMap::from([(
                "eth0".to_owned(),
                NetInterface {
                    mac_address: "02:00:00:00:00:01".to_owned(),
                    subnets: Some(vec![NetAddress {
                        gateway: Some("10.88.0.1".parse().unwrap()),
                        ipnet: "10.88.0.2/16".parse().unwrap(),
                    }]),
                },
            )])),
        };
        assert_eq!(
            serde_json::to_value(&status).unwrap(),
            serde_json::json!({
                "dns_search_domains": [],
                "dns_server_ips": [],
                "interfaces": {"eth0": {
                    "mac_address": "02:00:00:00:00:01",
                    "subnets": [{"gateway": "10.88.0.1", "ipnet": "10.88.0.2/16"}]
                }}
            })
        );
    }

    #[test]
    fn several_protocols_and_brackets_are_understood() {
        let mapping = PortMapping {
            host_ip: "[::1]".to_owned(),
            protocol: "tcp,UDP".to_owned(),
            ..PortMapping::default()
        };
        assert_eq!(mapping.protocols().unwrap(), [Protocol::Tcp, Protocol::Udp]);
        assert_eq!(
            mapping.host_address().unwrap(),
            Some("::1".parse().unwrap())
        );
        assert_eq!(mapping.count(), 1);
        assert!(Protocol::parse("icmp").is_err());
    }
}
