//! Requests for bridges, veth pairs, addresses and routes, and how their names are chosen.

use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::Request;

/// Metric of the routes in a container where nothing else is asked for, as netavark's.
pub(crate) const DEFAULT_METRIC: u32 = 100;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl Mac {
    /// Reads `02:00:00:00:00:01`, also with dashes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2)?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        // A multicast address cannot be an interface's own.
        (parts.next().is_none() && bytes[0] & 1 == 0).then_some(Self(bytes))
    }

    /// A locally administered address that follows from `seed`: a bridge with an address of its
    /// own does not change it with each port that comes and goes.
    pub(crate) fn derived(seed: &str) -> Self {
        let hash = fnv1a(&[seed]).to_be_bytes();
        Self([0x02, hash[3], hash[4], hash[5], hash[6], hash[7]])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Name of a container interface's other end on the host.
///
/// It follows from what it connects, so that teardown finds it with no record, also when the
/// container's namespace is gone.
pub(crate) fn host_interface(container: &str, network_id: &str, interface: &str) -> String {
    let hash = fnv1a(&[container, network_id, interface]);
    format!("veth{:011x}", hash & 0xfff_ffff_ffff)
}

/// FNV-1a over `parts`, each ended by a zero byte. Stable for ever: names depend on it.
fn fnv1a(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Asks for the link called `name`.
pub(crate) fn get(name: &str) -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    Request {
        message: RouteNetlinkMessage::GetLink(link),
        flags: 0,
    }
}

/// Asks for the links that are ports of the bridge `index`.
pub(crate) fn get_ports(index: u32) -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::Controller(index));
    Request {
        message: RouteNetlinkMessage::GetLink(link),
        flags: NLM_F_DUMP,
    }
}

/// Makes a bridge that is up; `EEXIST` if there is a link of that name.
pub(crate) fn new_bridge(name: &str, mac: Mac, mtu: Option<u32>) -> Request {
    let mut link = LinkMessage::default();
    raise(&mut link);
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Address(mac.0.to_vec()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ];
    link.attributes.extend(mtu.map(LinkAttribute::Mtu));
    create(RouteNetlinkMessage::NewLink(link))
}

/// The end of a veth pair that belongs to the container.
#[derive(Debug)]
pub(crate) struct Peer<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: Option<Mac>,
    pub(crate) netns: BorrowedFd<'a>,
}

/// Makes a veth pair: one end called `name`, up and a port of the bridge `bridge`; the other
/// down in its namespace from the first moment.
pub(crate) fn new_veth(name: &str, bridge: u32, mtu: Option<u32>, peer: &Peer<'_>) -> Request {
    let mut other = LinkMessage::default();
    other.attributes = vec![
        LinkAttribute::IfName(peer.name.to_owned()),
        LinkAttribute::NetNsFd(peer.netns.as_raw_fd()),
    ];
    let mac = peer.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec()));
    other.attributes.extend(mac);
    other.attributes.extend(mtu.map(LinkAttribute::Mtu));

    let mut link = LinkMessage::default();
    raise(&mut link);
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Controller(bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other))),
        ]),
    ];
    link.attributes.extend(mtu.map(LinkAttribute::Mtu));
    create(RouteNetlinkMessage::NewLink(link))
}

/// Lets the bridge send a frame back by the port it came from: a container that reaches its own
/// published port needs that where bridged frames pass the firewall (`br_netfilter`).
pub(crate) fn hairpin(name: &str) -> Request {
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(
                true,
            )])),
        ]),
    ];
    Request {
        message: RouteNetlinkMessage::NewLink(link),
        flags: 0,
    }
}

/// Removes the link called `name`; `ENODEV` if there is none.
pub(crate) fn delete(name: &str) -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    Request {
        message: RouteNetlinkMessage::DelLink(link),
        flags: 0,
    }
}

/// Brings the link `index` up.
pub(crate) fn up(index: u32) -> Request {
    let mut link = LinkMessage::default();
    link.header.index = index;
    raise(&mut link);
    Request {
        message: RouteNetlinkMessage::SetLink(link),
        flags: 0,
    }
}

/// Gives the link `index` an address, or leaves it the one it has.
pub(crate) fn address(index: u32, address: IpNetwork) -> Request {
    let ip = address.ip();
    let mut message = AddressMessage::default();
    message.header.family = family(ip);
    message.header.prefix_len = address.prefix();
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    match address {
        IpNetwork::V4(address) if address.prefix() < 31 => {
            let broadcast = AddressAttribute::Broadcast(address.broadcast());
            message.attributes.push(broadcast);
        }
        IpNetwork::V4(_) => {}
        // Ours to give: nobody else can have it, and waiting to make sure delays the start.
        IpNetwork::V6(_) => {
            let flags = AddressAttribute::Flags(AddressFlags::Nodad);
            message.attributes.push(flags);
        }
    }
    replace(RouteNetlinkMessage::NewAddress(message))
}

/// Routes `destination` by `gateway` out of the link `index`.
pub(crate) fn route(index: u32, destination: IpNetwork, gateway: IpAddr, metric: u32) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family(gateway);
    message.header.destination_prefix_length = destination.prefix();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Gateway(gateway.into()),
        RouteAttribute::Oif(index),
        RouteAttribute::Priority(metric),
    ];
    if destination.prefix() > 0 {
        let destination = RouteAttribute::Destination(destination.network().into());
        message.attributes.push(destination);
    }
    replace(RouteNetlinkMessage::NewRoute(message))
}

/// Whether a link is of the kind a bridge is.
pub(crate) fn is_bridge(link: &LinkMessage) -> bool {
    let info = link
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(info) => Some(info),
            _ => None,
        });
    info.is_some_and(|info| info.contains(&LinkInfo::Kind(InfoKind::Bridge)))
}

/// Whether a link is a port of the bridge `index`.
pub(crate) fn is_port_of(link: &LinkMessage, index: u32) -> bool {
    let controller = LinkAttribute::Controller(index);
    link.attributes.contains(&controller)
}

/// A link's hardware address.
pub(crate) fn mac(link: &LinkMessage) -> Option<Mac> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Address(bytes) => bytes.as_slice().try_into().ok().map(Mac),
            _ => None,
        })
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn raise(link: &mut LinkMessage) {
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
}

fn create(message: RouteNetlinkMessage) -> Request {
    Request {
        message,
        flags: NLM_F_CREATE | NLM_F_EXCL,
    }
}

fn replace(message: RouteNetlinkMessage) -> Request {
    Request {
        message,
        flags: NLM_F_CREATE | NLM_F_REPLACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_round_trip_and_bad_ones_are_refused() {
        let mac = Mac::parse("02:42:ac-11:00:ff").unwrap();
        assert_eq!(mac.to_string(), "02:42:ac:11:00:ff");
        for text in [
            "",
            "02:42",
            "02:42:ac:11:00:ff:00",
            "03:42:ac:11:00:ff",
            "2:42:ac:11:0:ff",
        ] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
        assert_eq!(Mac::derived("a").0[0], 2);
        assert_ne!(Mac::derived("a"), Mac::derived("b"));
    }

    #[test]
    fn host_interfaces_have_stable_names_that_fit() {
        let name = host_interface("6ce776ea58b5", "2f259bab93aa", "eth0");
        assert_eq!(name.len(), 15);
        assert_eq!(name, host_interface("6ce776ea58b5", "2f259bab93aa", "eth0"));
        assert_ne!(name, host_interface("6ce776ea58b5", "2f259bab93aa", "eth1"));
        // The published test vector of FNV-1a, extended by the final zero byte.
        let a = 0xaf63_dc4c_8601_ec8c_u64.wrapping_mul(0x0100_0000_01b3);
        assert_eq!(fnv1a(&["a"]), a);
    }
}
