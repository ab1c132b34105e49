//! What setup and teardown will do for one container, checked before anything is changed.

use crate::config::{Network, is_interface_name};
use crate::firewall::{HostPort, NetworkRules};
use crate::link::{Mac, host_interface};
use crate::netavark::{NetworkOptions, PerNetworkOptions};
use crate::ports::Published;
use crate::{Error, Result};

/// A container's part in all its networks.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) container: &'a str,
    pub(crate) attachments: Vec<Attachment<'a>>,
    pub(crate) published: Vec<Published>,
}

/// A container's part in one network.
#[derive(Debug)]
pub(crate) struct Attachment<'a> {
    pub(crate) name: &'a str,
    pub(crate) network: &'a Network,
    pub(crate) options: &'a PerNetworkOptions,
    pub(crate) bridge: &'a str,
    pub(crate) mtu: Option<u32>,
    pub(crate) mac: Option<Mac>,
    /// The end of the veth pair that stays on the host.
    pub(crate) host_interface: String,
}

impl<'a> Plan<'a> {
    /// Checks `options` and resolves what they leave open.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Unsupported`] or [`Error::NetworkUnknown`].
    pub(crate) fn new(options: &'a NetworkOptions) -> Result<Self> {
        if options.container_id.is_empty() {
            return Err(Error::invalid("network options", "no container ID"));
        }
        let mut attachments = Vec::new();
        for (name, part) in &options.networks {
            let network = options
                .network_info
                .get(name)
                .ok_or_else(|| Error::NetworkUnknown { name: name.clone() })?;
            attachments.push(Attachment::new(&options.container_id, name, network, part)?);
        }
        check_distinct(&attachments)?;
        let mappings = options.port_mappings.as_deref().unwrap_or_default();
        Ok(Self {
            container: &options.container_id,
            attachments,
            published: Published::of(&options.container_id, mappings)?,
        })
    }

    /// Every host port of the plan, in each family that a network of it has.
    pub(crate) fn host_ports(&self, published: &[Published]) -> Vec<HostPort> {
        let subnets = || {
            let networks = self.attachments.iter().map(|attachment| attachment.network);
            networks.flat_map(Network::subnets)
        };
        let mut ports = Vec::new();
        for ipv4 in [true, false] {
            if !subnets().any(|subnet| subnet.subnet.is_ipv4() == ipv4) {
                continue;
            }
            for one in published {
                if one.host.is_some_and(|host| host.is_ipv4() != ipv4) {
                    continue;
                }
                ports.extend(one.pairs().map(|(port, _)| HostPort {
                    ipv4,
                    address: one.host,
                    protocol: one.protocol,
                    port,
                }));
            }
        }
        ports
    }
}

impl<'a> Attachment<'a> {
    fn new(
        container: &str,
        name: &'a str,
        network: &'a Network,
        options: &'a PerNetworkOptions,
    ) -> Result<Self> {
        network.validate()?;
        if network.driver != "bridge" {
            return Err(Error::Unsupported {
                subject: format!("network {name}"),
                feature: format!("driver {}", network.driver),
            });
        }
        let fail = |problem: String| Error::invalid(format!("network {name}"), problem);
        let bridge = network
            .network_interface
            .as_deref()
            .ok_or_else(|| fail("no name for the bridge".to_owned()))?;
        if !is_interface_name(&options.interface_name) {
            let problem = format!("invalid interface name {:?}", options.interface_name);
            return Err(fail(problem));
        }
        let mac = match options.static_mac.as_deref() {
            None | Some("") => None,
            Some(text) => {
                let mac = Mac::parse(text);
                Some(mac.ok_or_else(|| fail(format!("invalid MAC address {text:?}")))?)
            }
        };
        let mtu = match network.option("mtu") {
            None | Some("" | "0") => None,
            Some(text) => {
                let mtu = text
                    .parse::<u32>()
                    .ok()
                    .filter(|mtu| (68..=65535).contains(mtu));
                Some(mtu.ok_or_else(|| fail(format!("invalid mtu {text:?}")))?)
            }
        };
        Ok(Self {
            name,
            network,
            options,
            bridge,
            mtu,
            mac,
            host_interface: host_interface(container, &network.id, &options.interface_name),
        })
    }

    /// What the firewall has to know of the network.
    pub(crate) fn rules(&self) -> NetworkRules {
        let subnets = self.network.subnets().iter();
        NetworkRules {
            bridge: self.bridge.to_owned(),
            subnets: subnets.map(|subnet| subnet.subnet).collect(),
            internal: self.network.internal,
        }
    }
}

fn check_distinct(attachments: &[Attachment<'_>]) -> Result<()> {
    for (index, one) in attachments.iter().enumerate() {
        let name = &one.options.interface_name;
        let mut others = attachments[..index].iter();
        if others.any(|other| other.options.interface_name == *name) {
            return Err(Error::invalid(
                format!("network {}", one.name),
                format!("interface name {name} is already taken by another network"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::netavark::PortMapping;

    fn options() -> NetworkOptions {
        let mut options = NetworkOptions {
            container_id: "6ce776ea58b5".to_owned(),
            ..NetworkOptions::default()
        };
        let part = PerNetworkOptions::named("eth0");
        options.networks.insert("podman".to_owned(), part);
        let network = Network::default_bridge();
        options.network_info.insert("podman".to_owned(), network);
        options
    }

    #[test]
    fn only_families_with_a_subnet_get_ports() {
        let mut options = options();
        options.port_mappings = Some(vec![PortMapping {
            host_port: 8080,
            container_port: 80,
            range: 2,
            ..PortMapping::default()
        }]);
        let plan = Plan::new(&options).unwrap();
        let ports = plan.host_ports(&plan.published);
        assert!(ports.iter().all(|port| port.ipv4));
        let numbers: Vec<_> = ports.iter().map(|port| port.port).collect();
        assert_eq!(numbers, [8080, 8081]);
    }

    #[test]
    fn hostile_options_are_refused_before_anything_happens() {
        let cases: [(fn(&mut NetworkOptions), ErrorKind); 6] = [
            (|options| options.container_id.clear(), ErrorKind::Invalid),
            (|options| options.network_info.clear(), ErrorKind::NotFound),
            (
                |options| {
                    options.networks.get_mut("podman").unwrap().interface_name = "../x".into()
                },
                ErrorKind::Invalid,
            ),
            (
                |options| {
                    options.networks.get_mut("podman").unwrap().static_mac = Some("ff:ff".into());
                },
                ErrorKind::Invalid,
            ),
            (
                |options| options.network_info.get_mut("podman").unwrap().driver = "ipvlan".into(),
                ErrorKind::Unsupported,
            ),
            (
                |options| {
                    let network = options.network_info.get_mut("podman").unwrap();
                    network.options = Some([("mtu".to_owned(), "12".to_owned())].into());
                },
                ErrorKind::Invalid,
            ),
        ];
        for (change, kind) in cases {
            let mut options = options();
            change(&mut options);
            assert_eq!(Plan::new(&options).unwrap_err().kind(), kind, "{options:?}");
        }
    }
}
