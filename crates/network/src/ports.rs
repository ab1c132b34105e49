//! Which container holds which host port.
//!
//! One file for all networks, under a lock: published ports belong to the host. A port is
//! free if no container holds it and no process listens on it. Ranges stay ranges here, so
//! that thousands of ports are one record.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::netavark::{PortMapping, Protocol};
use crate::state::{self, StateFile};
use crate::{Error, Result};

const STATE_NAME: &str = "ports";

/// Ports of the host that a container publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The container's ID.
    pub container: String,
    /// Their protocol.
    pub protocol: Protocol,
    /// Their host address; `None` is every address of both families.
    pub host: Option<IpAddr>,
    /// The first host port.
    pub host_port: u16,
    /// The first port in the container.
    pub container_port: u16,
    /// How many.
    pub count: u16,
}

impl Published {
    /// What `mappings` publish for `container`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a port 0, a range past 65535, an unknown protocol or a bad address.
    pub fn of(container: &str, mappings: &[PortMapping]) -> Result<Vec<Self>> {
        let mut published = Vec::new();
        for mapping in mappings {
            check_range("host port", mapping.host_port, mapping.count())?;
            check_range("container port", mapping.container_port, mapping.count())?;
            for protocol in mapping.protocols()? {
                published.push(Self {
                    container: container.to_owned(),
                    protocol,
                    host: mapping.host_address()?,
                    host_port: mapping.host_port,
                    container_port: mapping.container_port,
                    count: mapping.count(),
                });
            }
        }
        Ok(published)
    }

    /// Host port and container port of each.
    pub fn pairs(&self) -> impl Iterator<Item = (u16, u16)> {
        let (host, container) = (self.host_port, self.container_port);
        (0..self.count).map(move |offset| (host + offset, container + offset))
    }

    /// Whether packets to `address` may be meant.
    pub(crate) fn covers_family_of(&self, address: IpAddr) -> bool {
        self.host
            .is_none_or(|host| host.is_ipv4() == address.is_ipv4())
    }

    /// A host port both claim.
    fn clash(&self, other: &Self) -> Option<u16> {
        let start = self.host_port.max(other.host_port);
        let end = |it: &Self| u32::from(it.host_port) + u32::from(it.count);
        let shared = u32::from(start) < end(self).min(end(other));
        (shared && self.protocol == other.protocol && hosts_clash(self.host, other.host))
            .then_some(start)
    }

    /// Tries to listen on each port; what listens already is not ours.
    fn probe(&self) -> Result<()> {
        for (port, _) in self.pairs() {
            for address in self.probe_addresses() {
                match listen(self.protocol, SocketAddr::new(address, port)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                        return Err(self.taken(port, None));
                    }
                    // A host without IPv6 cannot hold an IPv6 port either.
                    Err(_) if self.host.is_none() && address.is_ipv6() => {}
                    Err(source) => {
                        return Err(Error::PortRefused {
                            protocol: self.protocol,
                            address: go_address(self.host, port),
                            source,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn probe_addresses(&self) -> Vec<IpAddr> {
        match self.host {
            Some(host) => vec![host],
            None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        }
    }

    pub(crate) fn taken(&self, port: u16, holder: Option<String>) -> Error {
        Error::PortTaken {
            protocol: self.protocol,
            address: go_address(self.host, port),
            holder,
        }
    }
}

/// Reserves `wanted`, all or none; what the same container holds already is replaced.
///
/// Must run in the host's network namespace.
///
/// # Errors
/// [`Error::PortTaken`] if a container or a process has one; [`Error::PortRefused`] if the host
/// lacks the address; [`Error::File`].
pub fn reserve(state_dir: &Path, container: &str, wanted: &[Published]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut state = StateFile::<Vec<Published>>::open(state_dir, STATE_NAME)?;
    state.record.retain(|held| held.container != container);
    for (index, one) in wanted.iter().enumerate() {
        for held in state.record.iter().chain(&wanted[..index]) {
            if let Some(port) = one.clash(held) {
                return Err(one.taken(port, Some(held.container.clone())));
            }
        }
        one.probe()?;
    }
    state.record.extend_from_slice(wanted);
    state.save()
}

/// Gives back what `container` holds; nothing held is success.
///
/// # Errors
/// [`Error::File`].
pub fn release(state_dir: &Path, container: &str) -> Result<()> {
    let Some(mut state) = open_existing(state_dir)? else {
        return Ok(());
    };
    let before = state.record.len();
    state.record.retain(|held| held.container != container);
    if state.record.is_empty() {
        return state.remove();
    }
    if state.record.len() == before {
        return Ok(());
    }
    state.save()
}

/// What `container` holds.
///
/// # Errors
/// [`Error::File`].
pub fn held(state_dir: &Path, container: &str) -> Result<Vec<Published>> {
    let Some(mut state) = open_existing(state_dir)? else {
        return Ok(Vec::new());
    };
    state.record.retain(|held| held.container == container);
    Ok(std::mem::take(&mut state.record))
}

/// A port of the host that nobody listens on now, for a mapping that leaves the choice open.
///
/// It is reserved only by [`reserve`], which may yet refuse it.
///
/// # Errors
/// As bind(2).
pub fn free(protocol: Protocol, host: Option<IpAddr>) -> io::Result<u16> {
    let address = SocketAddr::new(host.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), 0);
    match protocol {
        Protocol::Udp => Ok(UdpSocket::bind(address)?.local_addr()?.port()),
        Protocol::Tcp | Protocol::Sctp => Ok(TcpListener::bind(address)?.local_addr()?.port()),
    }
}

fn open_existing(state_dir: &Path) -> Result<Option<StateFile<Vec<Published>>>> {
    if !state::exists(state_dir, STATE_NAME) {
        return Ok(None);
    }
    StateFile::open(state_dir, STATE_NAME).map(Some)
}

fn check_range(what: &str, first: u16, count: u16) -> Result<()> {
    if first == 0 || u32::from(first) + u32::from(count) > 65536 {
        return Err(Error::invalid(
            "port mapping",
            format!("{what} {first} with a range of {count} is not within 1 to 65535"),
        ));
    }
    Ok(())
}

/// Whether two host addresses can receive the same packet.
fn hosts_clash(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one == other
                || (one.is_ipv4() == other.is_ipv4()
                    && (one.is_unspecified() || other.is_unspecified()))
        }
        _ => true,
    }
}

fn listen(protocol: Protocol, address: SocketAddr) -> io::Result<()> {
    match protocol {
        Protocol::Tcp => TcpListener::bind(address).map(drop),
        Protocol::Udp => UdpSocket::bind(address).map(drop),
        // The kernel's module may be missing here and is not needed to forward.
        Protocol::Sctp => Ok(()),
    }
}

/// An address as Go's net package prints it.
fn go_address(host: Option<IpAddr>, port: u16) -> String {
    match host {
        None => format!(":{port}"),
        Some(host) => SocketAddr::new(host, port).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(host_ip: &str, host_port: u16, range: u16) -> PortMapping {
        PortMapping {
            host_ip: host_ip.to_owned(),
            host_port,
            container_port: 80,
            range,
            ..PortMapping::default()
        }
    }

    fn published(host_ip: &str, host_port: u16, range: u16) -> Published {
        Published::of("a", &[mapping(host_ip, host_port, range)])
            .unwrap()
            .remove(0)
    }

    #[test]
    fn clashes_are_found_across_ranges_and_wildcards() {
        let cases = [
            (("", 80, 1), ("", 80, 1), Some(80)),
            (("", 80, 1), ("127.0.0.1", 80, 1), Some(80)),
            (("0.0.0.0", 80, 1), ("127.0.0.1", 80, 1), Some(80)),
            (("0.0.0.0", 80, 1), ("::1", 80, 1), None),
            (("127.0.0.1", 80, 1), ("127.0.0.2", 80, 1), None),
            (("", 80, 10), ("", 85, 10), Some(85)),
            (("", 80, 5), ("", 85, 10), None),
            (("", 65535, 1), ("", 65000, 536), Some(65535)),
        ];
        for (one, other, clash) in cases {
            let one = published(one.0, one.1, one.2);
            let other = published(other.0, other.1, other.2);
            assert_eq!(one.clash(&other), clash, "{one:?} {other:?}");
            assert_eq!(other.clash(&one), clash, "{one:?} {other:?}");
        }
    }

    #[test]
    fn impossible_ranges_are_refused() {
        for (port, range) in [(0, 1), (65535, 2), (1, u16::MAX)] {
            let result = Published::of("a", &[mapping("", port, range)]);
            // The last is fine on the host side, but not from container port 80.
            assert!(result.is_err(), "{port} {range}");
        }
        let last: Vec<_> = published("", 65534, 2).pairs().collect();
        assert_eq!(last, [(65534, 80), (65535, 81)]);
    }

    #[test]
    fn a_port_somebody_listens_on_is_refused_in_podmans_words() {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let wanted = [published("127.0.0.1", port, 1)];
        assert_eq!(
            reserve(dir.path(), "a", &wanted).unwrap_err().to_string(),
            format!(
                "cannot listen on the TCP port: listen tcp4 127.0.0.1:{port}: \
                 bind: address already in use"
            )
        );
        assert!(held(dir.path(), "a").unwrap().is_empty());
        drop(listener);
        reserve(dir.path(), "a", &wanted).unwrap();
        reserve(dir.path(), "a", &wanted).unwrap();
        assert!(reserve(dir.path(), "b", &wanted).is_err());
        assert_eq!(held(dir.path(), "a").unwrap(), wanted);
        release(dir.path(), "a").unwrap();
        release(dir.path(), "a").unwrap();
        reserve(dir.path(), "b", &wanted).unwrap();
    }

    #[test]
    fn an_address_the_host_lacks_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = reserve(dir.path(), "a", &[published("192.0.2.1", 18080, 1)]).unwrap_err();
        assert!(matches!(error, Error::PortRefused { .. }), "{error:?}");
    }
}
