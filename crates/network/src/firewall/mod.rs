//! What a container's network needs of the firewall, and the backends that do it.
//!
//! A [`Firewall`] acts on the network namespace of the calling thread. It keeps one set of
//! base rules as long as a network uses them; networks and published ports are elements of
//! sets and maps, so that start and stop are one small transaction whatever else runs.

mod nftables;

use std::net::{IpAddr, SocketAddr};

use ipnetwork::IpNetwork;

use crate::Result;
use crate::netavark::Protocol;

pub use nftables::Nftables;

/// What the firewall knows of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRules {
    /// The bridge.
    pub bridge: String,
    /// The subnets behind it.
    pub subnets: Vec<IpNetwork>,
    /// Whether nothing goes out of it or into it: no masquerade, no forwarding.
    pub internal: bool,
}

/// A port of the host as packets carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPort {
    /// The address family.
    pub ipv4: bool,
    /// The address; `None` is every one of the family.
    pub address: Option<IpAddr>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// A host port and where its packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Where they arrive.
    pub from: HostPort,
    /// The container's address and port, of the same family.
    pub to: SocketAddr,
}

/// A backend. Every operation may be repeated: what is there is not added twice, and removing
/// what is gone succeeds.
pub trait Firewall {
    /// Adds `networks` and `forwards` in one transaction, base rules included where missing.
    ///
    /// # Errors
    /// [`crate::Error::PortTaken`] if a host port leads elsewhere, [`crate::Error::SubnetTaken`] if
    /// a subnet overlaps another network's; nothing is changed then.
    fn add(&self, networks: &[NetworkRules], forwards: &[Forward]) -> Result<()>;

    /// Removes host ports, wherever they lead.
    ///
    /// # Errors
    /// As the kernel's.
    fn remove_ports(&self, ports: &[HostPort]) -> Result<()>;

    /// Removes a network.
    ///
    /// # Errors
    /// As the kernel's.
    fn remove_network(&self, network: &NetworkRules) -> Result<()>;

    /// Removes the base rules, unless a network still uses them.
    ///
    /// # Errors
    /// As the kernel's.
    fn remove_unused(&self) -> Result<()>;
}
