//! Joins a container to its networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use ipnetwork::IpNetwork;
use nix::errno::Errno;

use crate::firewall::{Firewall, Forward};
use crate::ipam::{Assigned, Leases};
use crate::link::{self, DEFAULT_METRIC, Mac, Peer};
use crate::netavark::{NetAddress, NetInterface, NetworkOptions, StatusBlock, StatusBlocks};
use crate::netlink::{Request, RouteSocket};
use crate::plan::{Attachment, Plan};
use crate::teardown::{Retain, TeardownRequest, teardown};
use crate::{Error, Result, netns, ports, sysctl};

/// What joining needs.
#[derive(Clone, Copy)]
pub struct SetupRequest<'a> {
    /// The container and its networks.
    pub options: &'a NetworkOptions,
    /// The container's network namespace.
    pub netns: BorrowedFd<'a>,
    /// Where leases and ports are recorded: a directory that a reboot empties.
    pub state_dir: &'a Path,
    /// The backend for masquerade and published ports.
    pub firewall: &'a dyn Firewall,
}

/// Joins a container to all its networks and publishes its ports.
///
/// The calling thread's network namespace is the host. If anything fails, everything done for
/// this container is undone. After a kill, `setup` may be repeated as it was.
///
/// # Errors
/// [`Error::PortTaken`] before any link is made; [`Error::AddressTaken`], [`Error::Exhausted`],
/// [`Error::SubnetTaken`]; [`Error::Invalid`] and [`Error::Unsupported`] before anything is
/// changed; [`Error::Kernel`] and [`Error::File`].
pub fn setup(request: &SetupRequest<'_>) -> Result<StatusBlocks> {
    let plan = Plan::new(request.options)?;
    let host = netns::current()?;
    if netns::same(&host, request.netns)
        .map_err(|source| Error::kernel("compare network namespaces", source))?
    {
        return Err(Error::invalid(
            format!("container {}", plan.container),
            "its network namespace is the host's",
        ));
    }
    let undo = Undo {
        request,
        armed: true,
    };
    ports::reserve(request.state_dir, plan.container, &plan.published)?;
    let mut route = open_route()?;
    let mut status = StatusBlocks::new();
    let mut addresses = Vec::new();
    for attachment in &plan.attachments {
        let (block, assigned) = attach(request, &plan, attachment, &mut route)?;
        status.insert(attachment.name.to_owned(), block);
        if !attachment.network.internal {
            addresses.extend(assigned.iter().map(|one| one.address.ip()));
        }
    }
    let rules: Vec<_> = plan.attachments.iter().map(Attachment::rules).collect();
    request.firewall.add(&rules, &forwards(&plan, &addresses))?;
    undo.commit();
    Ok(status)
}

/// Takes back what setup did, unless committed.
struct Undo<'a> {
    request: &'a SetupRequest<'a>,
    armed: bool,
}

impl Undo<'_> {
    fn commit(mut self) {
        self.armed = false;
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let request = TeardownRequest {
            options: self.request.options,
            state_dir: self.request.state_dir,
            firewall: self.request.firewall,
            retain: Retain::Nothing,
            namespace_gone: false,
        };
        if let Err(error) = teardown(&request) {
            let container = &self.request.options.container_id;
            tracing::warn!(%container, %error, "cannot undo a network setup that failed");
        }
    }
}

fn open_route() -> Result<RouteSocket> {
    RouteSocket::open().map_err(|source| Error::kernel("open a netlink socket", source))
}

/// Published ports lead to the first address of each family.
fn forwards(plan: &Plan<'_>, addresses: &[IpAddr]) -> Vec<Forward> {
    let mut forwards = Vec::new();
    for ipv4 in [true, false] {
        let Some(to) = addresses.iter().find(|address| address.is_ipv4() == ipv4) else {
            continue;
        };
        for published in &plan.published {
            if published.covers_family_of(*to) {
                forwards.extend(Forward::of(published, *to));
            }
        }
    }
    if forwards.is_empty() && !plan.published.is_empty() {
        let container = plan.container;
        tracing::warn!(%container, "no network to publish the container's ports from");
    }
    forwards
}

fn attach(
    request: &SetupRequest<'_>,
    plan: &Plan<'_>,
    attachment: &Attachment<'_>,
    route: &mut RouteSocket,
) -> Result<(StatusBlock, Vec<Assigned>)> {
    let assigned = connect(request, plan, attachment, route)?;
    let mac = netns::within(request.netns, || configure(attachment, &assigned))
        .map_err(|source| Error::kernel("enter the container's network namespace", source))??;
    Ok((status(attachment, mac, &assigned), assigned))
}

/// Leases addresses and connects the container to the bridge, under the network's lock: whoever
/// leaves last meanwhile must not remove the bridge that is about to be used.
fn connect(
    request: &SetupRequest<'_>,
    plan: &Plan<'_>,
    attachment: &Attachment<'_>,
    route: &mut RouteSocket,
) -> Result<Vec<Assigned>> {
    let mut leases = Leases::open(request.state_dir, &attachment.network.id)?;
    let assigned = leases.assign(attachment.network, plan.container, attachment.options)?;
    let bridge = ensure_bridge(attachment, route)?;
    let peer = Peer {
        name: &attachment.options.interface_name,
        mac: attachment.mac,
        netns: request.netns.as_fd(),
    };
    let name = &attachment.host_interface;
    let requests = [
        link::new_veth(name, bridge, attachment.mtu, &peer),
        link::hairpin(name),
    ];
    let mut outcome = first_failure(route, &requests)?;
    // Left by a setup that was killed, unless the name is taken in the container.
    if outcome == Err(Errno::EEXIST) && first_failure(route, &[link::delete(name)])?.is_ok() {
        outcome = first_failure(route, &requests)?;
    }
    outcome.map_err(|errno| {
        let act = format!(
            "connect {} of the container to {}",
            peer.name, attachment.bridge
        );
        Error::kernel(act, errno)
    })?;
    Ok(assigned)
}

/// Makes the bridge unless it is there, gives it what it lacks, and returns its index.
fn ensure_bridge(attachment: &Attachment<'_>, route: &mut RouteSocket) -> Result<u32> {
    let name = attachment.bridge;
    let fail = |source: std::io::Error| Error::kernel(format!("create the bridge {name}"), source);
    let mac = Mac::derived(&attachment.network.id);
    let answers = route
        .exchange(&[link::new_bridge(name, mac, attachment.mtu), link::get(name)])
        .map_err(fail)?;
    if let Err(errno) = answers.outcomes[0]
        && errno != Errno::EEXIST
    {
        return Err(fail(errno.into()));
    }
    let bridge = answers
        .links
        .first()
        .ok_or_else(|| fail(Errno::ENODEV.into()))?;
    if !link::is_bridge(bridge) {
        return Err(Error::invalid(
            format!("network {}", attachment.name),
            format!("the interface {name} exists already and is no bridge"),
        ));
    }
    let index = bridge.header.index;
    set_bridge_sysctls(attachment)?;
    let subnets = attachment.network.subnets().iter();
    let mut requests: Vec<_> = subnets
        .filter_map(|subnet| Some((subnet.gateway?, subnet.subnet.prefix())))
        .filter_map(|(gateway, prefix)| IpNetwork::new(gateway, prefix).ok())
        .map(|gateway| link::address(index, gateway))
        .collect();
    requests.push(link::up(index));
    all(route, &requests, || format!("configure the bridge {name}"))?;
    Ok(index)
}

/// As netavark sets them on the host.
fn set_bridge_sysctls(attachment: &Attachment<'_>) -> Result<()> {
    let name = attachment.bridge;
    let ipv6 = attachment.network.has_ipv6();
    if attachment.network.internal {
        sysctl::set(&format!("ipv4/conf/{name}/forwarding"), "0")?;
    } else {
        sysctl::set("ipv4/ip_forward", "1")?;
        if ipv6 {
            sysctl::set("ipv6/conf/all/forwarding", "1")?;
        }
        // Ports published on the host's loopback; the firewall keeps containers off it.
        sysctl::set(&format!("ipv4/conf/{name}/route_localnet"), "1")?;
    }
    // Answers may take another way where a container is in several networks: loose mode.
    sysctl::set(&format!("ipv4/conf/{name}/rp_filter"), "2")?;
    sysctl::set_if_present(&format!("ipv6/conf/{name}/accept_ra"), "0")?;
    if ipv6 {
        sysctl::set_if_present(&format!("ipv6/conf/{name}/accept_dad"), "0")?;
    }
    Ok(())
}

/// Configures the container's end; runs in its namespace. Returns the hardware address.
fn configure(attachment: &Attachment<'_>, assigned: &[Assigned]) -> Result<Mac> {
    let name = &attachment.options.interface_name;
    let fail = |source: std::io::Error| {
        Error::kernel(format!("configure {name} in the container"), source)
    };
    let mut route = open_route()?;
    let answers = route
        .exchange(&[link::get(name), link::get("lo")])
        .map_err(fail)?;
    let [interface, loopback] = answers.links.as_slice() else {
        return Err(fail(Errno::ENODEV.into()));
    };
    let mac = link::mac(interface).ok_or_else(|| fail(Errno::ENODEV.into()))?;
    set_container_sysctls(name, attachment.network.has_ipv6())?;
    let index = interface.header.index;
    let mut requests = vec![link::up(loopback.header.index), link::up(index)];
    requests.extend(assigned.iter().map(|one| link::address(index, one.address)));
    if !attachment.network.internal {
        requests.extend(default_routes(attachment, index, assigned));
    }
    for route in attachment.network.routes.iter().flatten() {
        let metric = route.metric.unwrap_or(DEFAULT_METRIC);
        requests.push(link::route(index, route.destination, route.gateway, metric));
    }
    all(&mut route, &requests, || {
        format!("configure {name} in the container")
    })?;
    Ok(mac)
}

/// Set while the interface is down, so that nothing is sent or believed before.
fn set_container_sysctls(name: &str, ipv6: bool) -> Result<()> {
    // Neighbours learn at once where an address moved to that another container had.
    sysctl::set(&format!("ipv4/conf/{name}/arp_notify"), "1")?;
    // Addresses and routes are ours to give, not a router's on the bridge.
    sysctl::set_if_present(&format!("ipv6/conf/{name}/autoconf"), "0")?;
    sysctl::set_if_present(&format!("ipv6/conf/{name}/accept_ra"), "0")?;
    if ipv6 {
        sysctl::set_if_present(&format!("ipv6/conf/{name}/accept_dad"), "0")
    } else {
        // A network without IPv6 has none, link-local addresses included (CVE-2024-32473).
        sysctl::set_if_present(&format!("ipv6/conf/{name}/disable_ipv6"), "1")
    }
}

fn default_routes(attachment: &Attachment<'_>, index: u32, assigned: &[Assigned]) -> Vec<Request> {
    let metric = attachment.network.option("metric");
    let metric = metric
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_METRIC);
    let gateways = assigned.iter().filter_map(|one| one.gateway);
    gateways
        .map(|gateway| {
            let anywhere = match gateway {
                IpAddr::V4(_) => IpNetwork::V4("0.0.0.0/0".parse().expect("a network")),
                IpAddr::V6(_) => IpNetwork::V6("::/0".parse().expect("a network")),
            };
            link::route(index, anywhere, gateway, metric)
        })
        .collect()
}

fn status(attachment: &Attachment<'_>, mac: Mac, assigned: &[Assigned]) -> StatusBlock {
    let subnets = assigned.iter().map(|one| NetAddress {
        gateway: one.gateway,
        ipnet: one.address,
    });
    let interface = NetInterface {
        mac_address: mac.to_string(),
        subnets: Some(subnets.collect()),
    };
    let name = attachment.options.interface_name.clone();
    StatusBlock {
        dns_search_domains: Some(Vec::new()),
        dns_server_ips: Some(Vec::new()),
        interfaces: Some(BTreeMap::from([(name, interface)])),
    }
}

/// Sends requests; the inner result is the kernel's first refusal.
fn first_failure(route: &mut RouteSocket, requests: &[Request]) -> Result<Result<(), Errno>> {
    let answers = route
        .exchange(requests)
        .map_err(|source| Error::kernel("talk to the kernel by netlink", source))?;
    Ok(answers.outcomes.into_iter().collect())
}

/// Sends requests that must all succeed.
fn all(route: &mut RouteSocket, requests: &[Request], act: impl Fn() -> String) -> Result<()> {
    first_failure(route, requests)?.map_err(|errno| Error::kernel(act(), errno))
}
