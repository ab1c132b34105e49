//! nftables by netlink: table `inet minke`.
//!
//! The table, its base chains and its rules are made once, in one transaction, and look things
//! up in sets and maps:
//!
//! | set or map | holds |
//! |---|---|
//! | `bridges` | the bridge of every network |
//! | `bridged` | bridge . bridge, for traffic that stays in a network |
//! | `internal` | bridges of internal networks |
//! | `subnets4`, `subnets6` | subnets of networks with a way out |
//! | `publish4`, `publish6` | protocol . port to container address . port |
//! | `publish4_at`, `publish6_at` | host address . protocol . port to the same |
//!
//! The table goes with the last network: the transaction that removes it holds a request that
//! the kernel refuses as long as `bridges` has an element, so no other process's network is lost.

mod attribute;
mod batch;
mod expression;
mod ruleset;

use std::net::{IpAddr, SocketAddr};

use ipnetwork::IpNetwork;
use nix::errno::Errno;

use super::{Firewall, Forward, HostPort, NetworkRules};
use crate::ports::Published;
use crate::{Error, Result};
use batch::{Batch, Failure};

const TABLE: &str = "minke";

/// Elements in one message: attributes are bounded by 64 KiB.
const ELEMENTS_PER_MESSAGE: usize = 400;

/// How often a transaction is tried anew because another process changed the table meanwhile.
const ATTEMPTS: usize = 16;

/// The nftables backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nftables;

/// One element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Element {
    key: Vec<u8>,
    data: Option<Vec<u8>>,
    interval_end: bool,
}

impl Element {
    fn key(key: Vec<u8>) -> Self {
        Self {
            key,
            data: None,
            interval_end: false,
        }
    }
}

/// Some elements of one set, and whose error a refusal is.
#[derive(Debug)]
struct Elements<'a> {
    set: &'static str,
    elements: Vec<Element>,
    about: About<'a>,
}

/// What a request in a batch is about.
#[derive(Debug, Clone, Copy)]
enum About<'a> {
    Network(&'a NetworkRules),
    /// The first of some forwards of one map.
    Forward(&'a Forward),
}

impl Firewall for Nftables {
    fn add(&self, networks: &[NetworkRules], forwards: &[Forward]) -> Result<()> {
        let elements = elements_to_add(networks, forwards);
        let mut with_table = false;
        for _ in 0..ATTEMPTS {
            match try_add(&elements, with_table)? {
                Ok(()) => return Ok(()),
                // No table yet, or no longer.
                Err(failure) if !with_table && failure.errno == Errno::ENOENT => {
                    with_table = true;
                }
                // Another process made it first.
                Err(failure)
                    if with_table && failure.tag.is_none() && failure.errno == Errno::EEXIST =>
                {
                    with_table = false;
                }
                Err(failure) => return Err(refused(&elements, failure)),
            }
        }
        Err(Error::kernel("set up nftables rules", Errno::EAGAIN))
    }

    fn remove_ports(&self, ports: &[HostPort]) -> Result<()> {
        let elements = ports.iter().map(|port| {
            let element = Element::key(port_key(port));
            (port_map(port), element)
        });
        remove(elements.collect(), "remove published ports from nftables")
    }

    fn remove_network(&self, network: &NetworkRules) -> Result<()> {
        let elements = network_elements(network)
            .into_iter()
            .flat_map(|(set, elements)| elements.into_iter().map(move |element| (set, element)));
        remove(elements.collect(), "remove a network from nftables")
    }

    fn remove_unused(&self) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete_rules(TABLE);
        batch.delete_empty_set(TABLE, ruleset::BRIDGES);
        batch.delete_table(TABLE);
        match commit(batch, "remove the nftables table")? {
            Ok(()) => Ok(()),
            Err(failures) => {
                let gone =
                    |failure: &Failure| matches!(failure.errno, Errno::ENOENT | Errno::EBUSY);
                match failures.into_iter().find(|failure| !gone(failure)) {
                    None => Ok(()),
                    Some(failure) => Err(Error::kernel("remove the nftables table", failure.errno)),
                }
            }
        }
    }
}

fn try_add(elements: &[Elements<'_>], with_table: bool) -> Result<Result<(), Failure>> {
    let mut batch = Batch::new();
    if with_table {
        ruleset::create(&mut batch, TABLE);
    }
    for (index, group) in elements.iter().enumerate() {
        batch.tag(index);
        batch.add_elements(TABLE, group.set, &group.elements);
    }
    let outcome = commit(batch, "set up nftables rules")?;
    Ok(outcome.map_err(|mut failures| failures.swap_remove(0)))
}

/// Removes elements one a message, leaving out those the kernel says are gone.
fn remove(mut elements: Vec<(&'static str, Element)>, act: &str) -> Result<()> {
    for _ in 0..ATTEMPTS {
        if elements.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for (index, (set, element)) in elements.iter().enumerate() {
            batch.tag(index);
            batch.delete_element(TABLE, set, element);
        }
        let Err(failures) = commit(batch, act)? else {
            return Ok(());
        };
        if let Some(failure) = failures
            .iter()
            .find(|failure| failure.errno != Errno::ENOENT)
        {
            return Err(Error::kernel(act, failure.errno));
        }
        let gone: Vec<_> = failures.iter().filter_map(|failure| failure.tag).collect();
        let mut index = 0;
        elements.retain(|_| {
            index += 1;
            gone.binary_search(&(index - 1)).is_err()
        });
    }
    Err(Error::kernel(act, Errno::EAGAIN))
}

fn commit(batch: Batch, act: &str) -> Result<Result<(), Vec<Failure>>> {
    batch.commit().map_err(|source| Error::kernel(act, source))
}

fn refused(elements: &[Elements<'_>], failure: Failure) -> Error {
    let about = failure
        .tag
        .and_then(|tag| elements.get(tag))
        .map(|group| group.about);
    match (about, failure.errno) {
        (Some(About::Forward(forward)), Errno::EEXIST | Errno::EBUSY) => {
            let published = Published {
                container: String::new(),
                protocol: forward.from.protocol,
                host: forward.from.address,
                host_port: forward.from.port,
                container_port: forward.to.port(),
                count: 1,
            };
            published.taken(forward.from.port, None)
        }
        (Some(About::Network(network)), Errno::EEXIST | Errno::EBUSY | Errno::ENOTEMPTY) => {
            Error::SubnetTaken {
                network: network.bridge.clone(),
            }
        }
        (_, errno) => Error::kernel("set up nftables rules", errno),
    }
}

fn elements_to_add<'a>(networks: &'a [NetworkRules], forwards: &'a [Forward]) -> Vec<Elements<'a>> {
    let mut groups = Vec::new();
    for network in networks {
        for (set, elements) in network_elements(network) {
            groups.push(Elements {
                set,
                elements,
                about: About::Network(network),
            });
        }
    }
    for map in [
        ruleset::PUBLISH4,
        ruleset::PUBLISH6,
        ruleset::PUBLISH4_AT,
        ruleset::PUBLISH6_AT,
    ] {
        let members: Vec<_> = forwards
            .iter()
            .filter(|forward| port_map(&forward.from) == map)
            .collect();
        for chunk in members.chunks(ELEMENTS_PER_MESSAGE) {
            groups.push(Elements {
                set: map,
                elements: chunk
                    .iter()
                    .map(|forward| forward_element(forward))
                    .collect(),
                about: About::Forward(chunk[0]),
            });
        }
    }
    groups
}

fn network_elements(network: &NetworkRules) -> Vec<(&'static str, Vec<Element>)> {
    let name = interface_key(&network.bridge);
    let pair = [name.as_slice(), &name].concat();
    let mut groups = vec![
        (ruleset::BRIDGES, vec![Element::key(name.clone())]),
        (ruleset::BRIDGED, vec![Element::key(pair)]),
    ];
    if network.internal {
        groups.push((ruleset::INTERNAL, vec![Element::key(name)]));
        return groups;
    }
    for subnet in &network.subnets {
        let set = match subnet {
            IpNetwork::V4(_) => ruleset::SUBNETS4,
            IpNetwork::V6(_) => ruleset::SUBNETS6,
        };
        groups.push((set, interval(subnet)));
    }
    groups
}

/// A subnet in an interval set: its first address, and the first one after it.
fn interval(subnet: &IpNetwork) -> Vec<Element> {
    let start = Element::key(octets(subnet.network()));
    let after = match subnet.broadcast() {
        IpAddr::V4(last) => u32::from(last)
            .checked_add(1)
            .map(|next| next.to_be_bytes().to_vec()),
        IpAddr::V6(last) => u128::from(last)
            .checked_add(1)
            .map(|next| next.to_be_bytes().to_vec()),
    };
    let end = after.map(|key| Element {
        interval_end: true,
        ..Element::key(key)
    });
    [Some(start), end].into_iter().flatten().collect()
}

fn forward_element(forward: &Forward) -> Element {
    let mut data = octets(forward.to.ip());
    data.extend(padded_port(forward.to.port()));
    Element {
        data: Some(data),
        ..Element::key(port_key(&forward.from))
    }
}

fn port_map(port: &HostPort) -> &'static str {
    match (port.ipv4, specific(port)) {
        (true, None) => ruleset::PUBLISH4,
        (false, None) => ruleset::PUBLISH6,
        (true, Some(_)) => ruleset::PUBLISH4_AT,
        (false, Some(_)) => ruleset::PUBLISH6_AT,
    }
}

/// The key of a port: parts of a concatenation are padded to four bytes.
fn port_key(port: &HostPort) -> Vec<u8> {
    let mut key = specific(port).map(octets).unwrap_or_default();
    key.extend([port.protocol.number(), 0, 0, 0]);
    key.extend(padded_port(port.port));
    key
}

/// `0.0.0.0` and `::` are no addresses packets carry.
fn specific(port: &HostPort) -> Option<IpAddr> {
    port.address.filter(|address| !address.is_unspecified())
}

fn padded_port(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// An interface name as the kernel compares it: 16 bytes, the rest zero.
fn interface_key(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.resize(16, 0);
    key
}

impl Forward {
    /// The forwards of `published` to the container's address `to`.
    pub(crate) fn of(published: &Published, to: IpAddr) -> impl Iterator<Item = Self> {
        let (protocol, address) = (published.protocol, published.host);
        published.pairs().map(move |(host_port, port)| Self {
            from: HostPort {
                ipv4: to.is_ipv4(),
                address,
                protocol,
                port: host_port,
            },
            to: SocketAddr::new(to, port),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netavark::Protocol;

    #[test]
    fn keys_are_laid_out_as_the_registers_are() {
        let port = |address: Option<&str>| HostPort {
            ipv4: true,
            address: address.map(|text| text.parse().unwrap()),
            protocol: Protocol::Tcp,
            port: 8080,
        };
        assert_eq!(port_key(&port(None)), [6, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        assert_eq!(port_map(&port(Some("0.0.0.0"))), "publish4");
        assert_eq!(
            port_key(&port(Some("127.0.0.1"))),
            [127, 0, 0, 1, 6, 0, 0, 0, 0x1f, 0x90, 0, 0]
        );
        assert_eq!(port_map(&port(Some("127.0.0.1"))), "publish4_at");
    }

    #[test]
    fn a_subnet_at_the_end_of_the_space_has_no_end() {
        let keys = |text: &str| -> Vec<Vec<u8>> {
            let elements = interval(&text.parse().unwrap());
            elements.into_iter().map(|element| element.key).collect()
        };
        assert_eq!(keys("10.88.0.0/16"), [[10, 88, 0, 0], [10, 89, 0, 0]]);
        assert_eq!(keys("255.255.255.0/24"), [[255, 255, 255, 0]]);
    }
}
