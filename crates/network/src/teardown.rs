//! Takes a container out of its networks, and removes networks nobody is in.

use std::path::Path;

use nix::errno::Errno;

use crate::firewall::Firewall;
use crate::ipam::Leases;
use crate::link::{self, Mac};
use crate::netavark::NetworkOptions;
use crate::netlink::{Request, RouteSocket};
use crate::plan::{Attachment, Plan};
use crate::{Error, Result, ports};

/// What leaving needs. The container's namespace is not: it may be gone.
#[derive(Clone, Copy)]
pub struct TeardownRequest<'a> {
    /// The container and its networks, as given to [`crate::setup`].
    pub options: &'a NetworkOptions,
    /// The directory given to [`crate::setup`].
    pub state_dir: &'a Path,
    /// The backend given to [`crate::setup`].
    pub firewall: &'a dyn Firewall,
    /// What stays when the last container leaves a network.
    pub retain: Retain,
    /// The container's namespace was deleted just now and nobody else holds it: its interfaces
    /// go with it on the kernel's own time, and are not waited for.
    pub namespace_gone: bool,
}

/// What stays when the last container leaves a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retain {
    /// Nothing: bridge, rules and tables go.
    #[default]
    Nothing,
    /// The bridge, its rules and the firewall's base rules, for the next container: the kernel
    /// takes tens of milliseconds to remove them, waiting for packets in flight.
    Network,
}

/// Takes a container out of all its networks.
///
/// What is gone already is success, so that teardown may be repeated after a kill. Every step is
/// tried, whatever became of the others; ports and leases are given back last, when nothing
/// leads to them any more.
///
/// # Errors
/// The first failure; the others are in the log.
pub fn teardown(request: &TeardownRequest<'_>) -> Result<()> {
    let plan = Plan::new(request.options)?;
    let mut outcome = Outcome::default();
    let held = ports::held(request.state_dir, plan.container);
    let held = outcome.note(held).unwrap_or_default();
    outcome.note(request.firewall.remove_ports(&plan.host_ports(&held)));
    let mut unused = false;
    for attachment in &plan.attachments {
        let removed = outcome.note(detach(request, plan.container, attachment));
        unused |= removed == Some(true);
    }
    if outcome.first.is_none() {
        outcome.note(ports::release(request.state_dir, plan.container));
    }
    if unused {
        outcome.note(request.firewall.remove_unused());
    }
    outcome.first.map_or(Ok(()), Err)
}

/// Remembers the first failure and logs the others.
#[derive(Default)]
struct Outcome {
    first: Option<Error>,
}

impl Outcome {
    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) if self.first.is_none() => {
                self.first = Some(error);
                None
            }
            Err(error) => {
                tracing::warn!(%error, "another failure while leaving networks");
                None
            }
        }
    }
}

/// Takes the container out of one network; whether the network went with it.
fn detach(
    request: &TeardownRequest<'_>,
    container: &str,
    attachment: &Attachment<'_>,
) -> Result<bool> {
    let mut route =
        RouteSocket::open().map_err(|source| Error::kernel("open a netlink socket", source))?;
    let mut leases = Leases::open(request.state_dir, &attachment.network.id)?;
    if !request.namespace_gone {
        delete(&mut route, &attachment.host_interface)?;
    }
    leases.release(container, &attachment.options.interface_name)?;
    if request.retain == Retain::Network {
        return Ok(false);
    }
    let bridge = Bridge::look(&mut route, attachment)?;
    if bridge == Bridge::Used {
        return Ok(false);
    }
    request.firewall.remove_network(&attachment.rules())?;
    if bridge == Bridge::Unused {
        delete(&mut route, attachment.bridge)?;
    }
    leases.forget_if_unused()?;
    Ok(true)
}

/// Removes a link; a missing one is success.
fn delete(route: &mut RouteSocket, name: &str) -> Result<()> {
    let fail =
        |source: std::io::Error| Error::kernel(format!("delete the interface {name}"), source);
    let answers = route.exchange(&[link::delete(name)]).map_err(fail)?;
    match answers.outcomes[0] {
        Ok(()) | Err(Errno::ENODEV) => Ok(()),
        Err(errno) => Err(fail(errno.into())),
    }
}

/// What became of a network's bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bridge {
    /// There is no such link, or it is one that somebody else made: not ours to remove.
    NotOurs,
    /// Something is connected to it.
    Used,
    /// We made it, and nothing is connected to it.
    Unused,
}

impl Bridge {
    /// A bridge we made is known by its hardware address, which follows from the network.
    fn look(route: &mut RouteSocket, attachment: &Attachment<'_>) -> Result<Self> {
        let name = attachment.bridge;
        let mut ask = |request: Request| {
            route
                .exchange(&[request])
                .map_err(|source| Error::kernel(format!("list the ports of {name}"), source))
        };
        let links = ask(link::get(name))?.links;
        let Some(bridge) = links.first().filter(|link| link::is_bridge(link)) else {
            return Ok(Self::NotOurs);
        };
        let index = bridge.header.index;
        let ports = ask(link::get_ports(index))?.links;
        if ports.iter().any(|port| link::is_port_of(port, index)) {
            return Ok(Self::Used);
        }
        let ours = link::mac(bridge) == Some(Mac::derived(&attachment.network.id));
        Ok(if ours { Self::Unused } else { Self::NotOurs })
    }
}
