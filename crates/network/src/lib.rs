//! Container networks: bridges, addresses, port forwarding, netavark's contract.
//!
//! A [`config::Network`] is what `/etc/containers/networks/*.json` holds. A container joins
//! networks by [`setup`] and leaves them by [`teardown`]; both take netavark's
//! [`netavark::NetworkOptions`], and `setup` answers with netavark's status blocks.
//! Both act on the network namespace of the calling thread as the host, and on the
//! container's namespace by descriptor.
//!
//! # State
//! Leases and reserved ports live in a directory handed in, one file a network and one for
//! ports, each replaced whole under a record lock. What the kernel holds has names that follow
//! from the container and the network, so whatever a killed process left is found again:
//! repeating `setup` or `teardown` converges. One state directory serves one host namespace.
//!
//! # Limits
//! The driver is `bridge`. Another table's forward policy of `drop` cannot be overridden from
//! ours: nftables asks every table, and one drop decides. A port published on `::1` cannot
//! be reached from the host's own loopback, since IPv6 has no `route_localnet`.
//!
//! A normal user has no bridge: there a program carries the traffic, see [`user`].
//!
//! # Example
//! ```no_run
//! use std::os::fd::AsFd;
//! use std::path::Path;
//!
//! use minke_network::config::Network;
//! use minke_network::firewall::Nftables;
//! use minke_network::netavark::{NetworkOptions, PerNetworkOptions};
//! use minke_network::{Retain, SetupRequest, TeardownRequest, netns, setup, teardown};
//!
//! # fn main() -> minke_network::Result<()> {
//! let path = Path::new("/run/netns/example");
//! let namespace = netns::create(path)?;
//! let network = Network::default_bridge();
//! let mut options = NetworkOptions {
//!     container_id: "0123456789ab".into(),
//!     container_name: "example".into(),
//!     ..NetworkOptions::default()
//! };
//! options.networks.insert("podman".into(), PerNetworkOptions::named("eth0"));
//! options.network_info.insert("podman".into(), network);
//!
//! let state_dir = Path::new("/run/example/networks");
//! let status = setup(&SetupRequest {
//!     options: &options,
//!     netns: namespace.as_fd(),
//!     state_dir,
//!     firewall: &Nftables,
//! })?;
//! println!("{:?}", status["podman"].interfaces);
//! teardown(&TeardownRequest {
//!     options: &options,
//!     state_dir,
//!     firewall: &Nftables,
//!     retain: Retain::Nothing,
//!     namespace_gone: false,
//! })?;
//! netns::delete(path)?;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod config; // network files of Podman 4 and later
mod error;
pub mod firewall; // masquerade and published ports
pub mod hosts; // content of /etc/hosts
pub mod ipam; // leases of addresses
mod link;
pub mod netavark; // netavark's JSON
mod netlink;
pub mod netns; // named network namespaces
mod plan;
pub mod ports; // which container holds which host port
pub mod resolv; // content of /etc/resolv.conf
mod setup;
mod state;
mod sysctl;
mod teardown;
pub mod user; // pasta and slirp4netns, for a normal user

pub use error::{Error, ErrorKind, Result};
pub use setup::{SetupRequest, setup};
pub use teardown::{Retain, TeardownRequest, teardown};
