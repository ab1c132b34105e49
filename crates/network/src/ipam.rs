//! Leases of addresses, one file a network.
//!
//! [`Leases`] holds the network's lock as long as it lives: besides the leases it protects the
//! making and removing of the network's bridge. An address is given sequentially, starting
//! after the last one given, so that one just freed is not reused at once. A lease names its
//! container; asking again for the same container and interface gives the same addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::config::{Network, Subnet};
use crate::netavark::PerNetworkOptions;
use crate::state::StateFile;
use crate::{Error, Result};

/// The leases of one network, locked.
#[derive(Debug)]
pub struct Leases {
    state: StateFile<Record>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// Last address given, by subnet.
    last: BTreeMap<String, IpAddr>,
    leases: BTreeMap<IpAddr, Lease>,
}

/// Who holds an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The container's ID.
    pub container: String,
    /// The interface in the container.
    pub interface: String,
}

/// An address given to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The address with its subnet's prefix length.
    pub address: IpNetwork,
    /// The subnet's gateway.
    pub gateway: Option<IpAddr>,
}

impl Leases {
    /// Locks and reads the leases of the network with this ID below `state_dir`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(state_dir: &Path, network_id: &str) -> Result<Self> {
        let state = StateFile::open(state_dir, network_id)?;
        Ok(Self { state })
    }

    /// Gives `container` an address in each subnet of `network`, static ones as asked for.
    ///
    /// The leases are on disk when this returns. A network whose IPAM driver is `none` gives none.
    ///
    /// # Errors
    /// [`Error::AddressTaken`], [`Error::Exhausted`], [`Error::Invalid`] for an address outside
    /// every subnet, [`Error::File`]. Nothing is leased then.
    pub fn assign(
        &mut self,
        network: &Network,
        container: &str,
        options: &PerNetworkOptions,
    ) -> Result<Vec<Assigned>> {
        let lease = Lease {
            container: container.to_owned(),
            interface: options.interface_name.clone(),
        };
        let wanted = options.static_ips.as_deref().unwrap_or_default();
        check_inside(network, wanted)?;
        let mut assigned = Vec::new();
        if ipam_driver(network)? == IpamDriver::None {
            return Ok(assigned);
        }
        for subnet in network.subnets() {
            let wanted = wanted.iter().find(|ip| subnet.subnet.contains(**ip));
            let address = match wanted {
                Some(address) => self.check_static(network, subnet, *address, &lease)?,
                None => self.choose(network, subnet, &lease)?,
            };
            assigned.push(Assigned {
                address: IpNetwork::new(address, subnet.subnet.prefix())
                    .expect("the prefix length fits the address family"),
                gateway: subnet.gateway,
            });
        }
        let held = &mut self.state.record.leases;
        held.retain(|_, held| *held != lease);
        for given in &assigned {
            held.insert(given.address.ip(), lease.clone());
        }
        self.state.save()?;
        Ok(assigned)
    }

    /// The addresses `container` holds on `interface`.
    pub fn held(&self, container: &str, interface: &str) -> Vec<IpAddr> {
        let leases = self.state.record.leases.iter();
        leases
            .filter(|(_, lease)| lease.container == container && lease.interface == interface)
            .map(|(address, _)| *address)
            .collect()
    }

    /// Every lease, by address.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &Lease)> {
        let leases = self.state.record.leases.iter();
        leases.map(|(address, lease)| (*address, lease))
    }

    /// Gives back what `container` holds on `interface`; nothing held is success.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn release(&mut self, container: &str, interface: &str) -> Result<()> {
        self.reclaim(|lease| lease.container == container && lease.interface == interface)
    }

    /// Gives back every lease for which `gone` says yes, such as those of containers that are
    /// no more.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn reclaim(&mut self, mut gone: impl FnMut(&Lease) -> bool) -> Result<()> {
        let before = self.state.record.leases.len();
        self.state.record.leases.retain(|_, lease| !gone(lease));
        if self.state.record.leases.len() == before {
            return Ok(());
        }
        self.state.save()
    }

    /// Forgets the network: removes the file if nobody holds an address.
    pub(crate) fn forget_if_unused(&self) -> Result<()> {
        if self.state.record.leases.is_empty() {
            self.state.remove()?;
        }
        Ok(())
    }

    fn check_static(
        &self,
        network: &Network,
        subnet: &Subnet,
        address: IpAddr,
        lease: &Lease,
    ) -> Result<IpAddr> {
        let holder = match self.state.record.leases.get(&address) {
            _ if subnet.gateway == Some(address) => "the gateway".to_owned(),
            Some(held) if held != lease => format!("container {}", held.container),
            _ => return Ok(address),
        };
        Err(Error::AddressTaken {
            network: network.name.clone(),
            address,
            holder,
        })
    }

    /// The address held already, or the next free one.
    fn choose(&mut self, network: &Network, subnet: &Subnet, lease: &Lease) -> Result<IpAddr> {
        let (first, last) = bounds(subnet);
        let inside = |address: IpAddr| (first..=last).contains(&to_number(address));
        let record = &self.state.record;
        let mine = record.leases.iter().find(|(address, held)| {
            *held == lease && subnet.subnet.contains(**address) && inside(**address)
        });
        if let Some((address, _)) = mine {
            return Ok(*address);
        }
        let key = subnet.subnet.to_string();
        let previous = record.last.get(&key).copied().filter(|last| inside(*last));
        let start = previous.map_or(first, |address| to_number(address).saturating_add(1));
        let address = (start..=last)
            .chain(first..start.min(last.saturating_add(1)))
            .map(|number| from_number(number, subnet.subnet.is_ipv4()))
            // Among this many candidates one is free, if any is: IPv6 ranges have no end.
            .take(record.leases.len() + 2)
            .find(|address| {
                subnet.gateway != Some(*address) && !record.leases.contains_key(address)
            })
            .ok_or_else(|| Error::Exhausted {
                network: network.name.clone(),
                subnet: match &subnet.lease_range {
                    Some(_) => format!(
                        "{} to {}",
                        from_number(first, subnet.subnet.is_ipv4()),
                        from_number(last, subnet.subnet.is_ipv4())
                    ),
                    None => key.clone(),
                },
            })?;
        self.state.record.last.insert(key, address);
        Ok(address)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum IpamDriver {
    HostLocal,
    None,
}

fn ipam_driver(network: &Network) -> Result<IpamDriver> {
    let options = network.ipam_options.as_ref();
    match options
        .and_then(|options| options.get("driver"))
        .map(String::as_str)
    {
        None | Some("" | "host-local") => Ok(IpamDriver::HostLocal),
        Some("none") => Ok(IpamDriver::None),
        Some(other) => Err(Error::Unsupported {
            subject: format!("network {}", network.name),
            feature: format!("IPAM driver {other}"),
        }),
    }
}

fn check_inside(network: &Network, wanted: &[IpAddr]) -> Result<()> {
    for address in wanted {
        let subnets = network.subnets();
        if !subnets
            .iter()
            .any(|subnet| subnet.subnet.contains(*address))
        {
            return Err(Error::invalid(
                format!("network {}", network.name),
                format!("requested static ip {address} not in any subnet"),
            ));
        }
    }
    Ok(())
}

/// First and last address that may be leased, as numbers.
fn bounds(subnet: &Subnet) -> (u128, u128) {
    let network = to_number(subnet.subnet.network());
    let top = to_number(subnet.subnet.broadcast());
    // A /31, /32, /127 or /128 has no network or broadcast address to spare.
    let tiny = top - network < 2;
    let first = if tiny { network } else { network + 1 };
    let last = if tiny || subnet.subnet.is_ipv6() {
        top
    } else {
        top - 1
    };
    let range = subnet.lease_range.as_ref();
    let start = range.and_then(|range| range.start_ip).map(to_number);
    let end = range.and_then(|range| range.end_ip).map(to_number);
    (
        start.unwrap_or(first).clamp(first, last),
        end.unwrap_or(last).clamp(first, last),
    )
}

fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The inverse of [`to_number`]; `number` came from an address of that family.
fn from_number(number: u128, ipv4: bool) -> IpAddr {
    if ipv4 {
        let number = u32::try_from(number).expect("within an IPv4 subnet");
        IpAddr::V4(Ipv4Addr::from(number))
    } else {
        IpAddr::V6(Ipv6Addr::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    fn network(subnet: &str) -> Network {
        let mut network = Network::default_bridge();
        let subnet: IpNetwork = subnet.parse().unwrap();
        network.subnets = Some(vec![Subnet {
            subnet,
            gateway: Some(from_number(
                to_number(subnet.network()) + 1,
                subnet.is_ipv4(),
            )),
            lease_range: None,
        }]);
        network
    }

    fn ask(leases: &mut Leases, network: &Network, container: &str) -> Result<String> {
        let given = leases.assign(network, container, &PerNetworkOptions::named("eth0"))?;
        Ok(given[0].address.to_string())
    }

    #[test]
    fn addresses_are_sequential_and_not_reused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let network = network("10.88.0.0/16");
        let mut leases = Leases::open(dir.path(), &network.id).unwrap();
        assert_eq!(ask(&mut leases, &network, "a").unwrap(), "10.88.0.2/16");
        assert_eq!(ask(&mut leases, &network, "b").unwrap(), "10.88.0.3/16");
        assert_eq!(ask(&mut leases, &network, "a").unwrap(), "10.88.0.2/16");
        leases.release("a", "eth0").unwrap();
        leases.release("a", "eth0").unwrap();
        drop(leases);
        let mut leases = Leases::open(dir.path(), &network.id).unwrap();
        assert_eq!(ask(&mut leases, &network, "c").unwrap(), "10.88.0.4/16");
        assert_eq!(
            leases.held("b", "eth0"),
            ["10.88.0.3".parse::<IpAddr>().unwrap()]
        );
    }

    #[test]
    fn a_full_subnet_is_told_and_serves_again_after_a_release() {
        let dir = tempfile::tempdir().unwrap();
        let network = network("10.5.0.0/29");
        let mut leases = Leases::open(dir.path(), &network.id).unwrap();
        for container in ["a", "b", "c", "d", "e"] {
            ask(&mut leases, &network, container).unwrap();
        }
        let error = ask(&mut leases, &network, "f").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        assert_eq!(
            error.to_string(),
            "network podman: no free address left in 10.5.0.0/29"
        );
        leases.reclaim(|lease| lease.container == "b").unwrap();
        assert_eq!(ask(&mut leases, &network, "f").unwrap(), "10.5.0.3/29");
    }

    #[test]
    fn static_addresses_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let network = network("10.5.0.0/24");
        let mut leases = Leases::open(dir.path(), &network.id).unwrap();
        let options = |ip: &str| PerNetworkOptions {
            static_ips: Some(vec![ip.parse().unwrap()]),
            ..PerNetworkOptions::named("eth0")
        };
        let given = leases.assign(&network, "a", &options("10.5.0.77")).unwrap();
        assert_eq!(given[0].address.to_string(), "10.5.0.77/24");
        let mut kind = |container: &str, ip: &str| {
            let result = leases.assign(&network, container, &options(ip));
            result.map_err(|error| error.kind())
        };
        assert_eq!(kind("b", "10.5.0.77"), Err(ErrorKind::InUse));
        assert_eq!(kind("b", "10.5.0.1"), Err(ErrorKind::InUse));
        assert_eq!(kind("b", "10.6.0.1"), Err(ErrorKind::Invalid));
        assert!(kind("a", "10.5.0.77").is_ok());
    }

    #[test]
    fn ranges_and_ipv6_are_honoured() {
        let dir = tempfile::tempdir().unwrap();
        let mut network = network("fd00::/64");
        let mut leases = Leases::open(dir.path(), "six").unwrap();
        assert_eq!(ask(&mut leases, &network, "a").unwrap(), "fd00::2/64");
        network.subnets.as_mut().unwrap()[0].lease_range = Some(crate::config::LeaseRange {
            start_ip: Some("fd00::10".parse().unwrap()),
            end_ip: Some("fd00::10".parse().unwrap()),
        });
        assert_eq!(ask(&mut leases, &network, "b").unwrap(), "fd00::10/64");
        let error = ask(&mut leases, &network, "c").unwrap_err();
        assert_eq!(
            error.to_string(),
            "network podman: no free address left in fd00::10 to fd00::10"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_address_has_two_holders(steps in prop::collection::vec((0u8..12, any::<bool>()), 1..80)) {
            let dir = tempfile::tempdir().unwrap();
            let network = network("10.5.0.0/29");
            let mut leases = Leases::open(dir.path(), &network.id).unwrap();
            let mut model = BTreeMap::new();
            for (who, take) in steps {
                let container = who.to_string();
                if !take {
                    leases.release(&container, "eth0").unwrap();
                    model.remove(&container);
                    continue;
                }
                match ask(&mut leases, &network, &container) {
                    Ok(address) => {
                        if let Some(before) = model.insert(container.clone(), address.clone()) {
                            prop_assert_eq!(&before, &address);
                        }
                        let holders = model.values().filter(|held| **held == address).count();
                        prop_assert_eq!(holders, 1);
                    }
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::Exhausted);
                        prop_assert_eq!(model.len(), 5);
                    }
                }
            }
        }
    }
}
