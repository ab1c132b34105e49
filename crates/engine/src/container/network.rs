//! The networks of a container: a namespace, its interfaces and published ports, and their end.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use minke_network::config::{DEFAULT_NETWORK, Network, Networks};
use minke_network::firewall::Nftables;
use minke_network::netavark::{NetworkOptions, PerNetworkOptions, PortMapping, StatusBlock};
use minke_network::{Retain, SetupRequest, TeardownRequest, netns, ports};
use minke_runtime_spec::container::NetworkMode;
use minke_sys::lock::{Lock, LockKind};

use super::lock::Locked;
use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Makes the container's network namespace and joins it to its networks. What was done is
    /// in the record before it is done, so that whoever finds it can undo it.
    pub(crate) fn set_up_network(&self, locked: &mut Locked) -> Result<()> {
        let networks = match &locked.record.config.spec.namespaces.network {
            NetworkMode::Default => vec![DEFAULT_NETWORK.to_owned()],
            NetworkMode::Bridge(names) if names.is_empty() => vec![DEFAULT_NETWORK.to_owned()],
            NetworkMode::Bridge(names) => names.clone(),
            NetworkMode::Pasta(_) | NetworkMode::Slirp4netns(_) => {
                return self.set_up_user_network(locked);
            }
            _ => return Ok(()),
        };
        let state = &locked.record.state;
        if state.network.is_some() && !state.addresses.is_empty() {
            // Kept by a restart policy, with its addresses and ports.
            return Ok(());
        }
        let path = self.netns_path(&locked.record)?;
        let options = self.network_options(&locked.record, &networks)?;
        locked.record.state.netns = Some(path.clone());
        locked.record.state.network = Some(options.clone());
        locked.save(self)?;
        let netns = netns::create(&path)?;
        let state_dir = self.runtime_dir("network")?;
        let blocks = minke_network::setup(&SetupRequest {
            options: &options,
            netns: netns.as_fd(),
            state_dir: &state_dir,
            firewall: &Nftables,
        })?;
        locked.record.state.addresses = blocks;
        Ok(())
    }

    /// Undoes [`Engine::set_up_network`]; done already is success.
    pub(crate) fn tear_down_network(&self, locked: &mut Locked) -> Result<()> {
        if locked.record.state.user_network.is_some() {
            return self.tear_down_user_network(locked);
        }
        // The monitor's exit command sweeps idle networks; with no monitor nobody else will.
        let monitored = self.living_monitor(&locked.record.state).is_some();
        // With the namespace its interfaces go, on the kernel's own time.
        if let Some(path) = &locked.record.state.netns {
            netns::delete(path)?;
        }
        if let Some(options) = &locked.record.state.network {
            let shared = self.shares_network(&locked.record)?;
            let state_dir = self.runtime_dir("network")?;
            minke_network::teardown(&TeardownRequest {
                options,
                state_dir: &state_dir,
                firewall: &Nftables,
                retain: if monitored {
                    Retain::Network
                } else {
                    Retain::Nothing
                },
                namespace_gone: monitored && !shared,
            })?;
        }
        let state = &mut locked.record.state;
        state.netns = None;
        state.network = None;
        state.addresses = BTreeMap::<String, StatusBlock>::new();
        Ok(())
    }

    /// Whether a living container has joined this one's network namespace.
    fn shares_network(&self, record: &Record) -> Result<bool> {
        for (id, name) in self.database()?.network_guests()? {
            let joined = name == record.name || (name.len() >= 3 && record.id.starts_with(&name));
            if joined
                && let Some(other) = self.database()?.get(&id)?
                && self.status(&other).0.is_alive()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a container out of every network, where nothing tells which ones it was in.
    pub(crate) fn leave_all_networks(&self, record: &Record) -> Result<()> {
        if self.places.rootless {
            return self.leave_user_network(record);
        }
        netns::delete(&self.netns_path(record)?)?;
        let networks = Networks::load(&self.places.networks)?;
        let state_dir = self.runtime_dir("network")?;
        for network in networks.iter() {
            let name = network.name.clone();
            minke_network::teardown(&TeardownRequest {
                options: &NetworkOptions {
                    container_id: record.id.clone(),
                    container_name: record.name.clone(),
                    networks: [(name.clone(), PerNetworkOptions::named("eth0"))].into(),
                    network_info: [(name, network.clone())].into(),
                    ..NetworkOptions::default()
                },
                state_dir: &state_dir,
                firewall: &Nftables,
                retain: Retain::Network,
                namespace_gone: false,
            })?;
        }
        Ok(())
    }

    /// Removes bridges and rules of networks nobody has been in for `patience`. The kernel takes
    /// tens of milliseconds for it, and the next container would want them again: so nobody
    /// waits for it, and a while goes by before.
    ///
    /// Run at each container's end, by the monitor. At most two processes do it at once: one
    /// that sweeps, and one that will look again after it.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn sweep_networks(&self, patience: Duration) -> Result<()> {
        if self.places.rootless {
            return Ok(());
        }
        let dir = self.runtime_dir("network")?;
        let networks = Networks::load(&self.places.networks)?;
        // Where nobody ever took a lease, or the network went with it, there is nothing to do.
        let has_leases = |network: &Network| dir.join(format!("{}.json", network.id)).exists();
        let used: Vec<&Network> = networks
            .iter()
            .filter(|network| has_leases(network))
            .collect();
        if used.is_empty() {
            return Ok(());
        }
        let path = dir.join("sweep-next.lock");
        let next = Lock::try_open(&path, LockKind::Exclusive);
        let Some(next) = next.map_err(Error::path("lock", &path))? else {
            return Ok(());
        };
        let path = dir.join("sweep.lock");
        let _sweeping =
            Lock::open(&path, LockKind::Exclusive).map_err(Error::path("lock", &path))?;
        drop(next);
        std::thread::sleep(patience);
        // A run root that was taken away meanwhile leaves its networks all the same.
        let stand_in = (!dir.exists()).then(tempfile::tempdir).transpose();
        let stand_in = stand_in.map_err(Error::system("make a temporary directory"))?;
        let dir = stand_in.as_ref().map_or(&*dir, |stand_in| stand_in.path());
        for network in used {
            // Nobody leaves; if nobody is left, the network goes.
            let name = network.name.clone();
            let options = NetworkOptions {
                container_id: "sweep".into(),
                container_name: "sweep".into(),
                networks: [(name.clone(), PerNetworkOptions::named("eth0"))].into(),
                network_info: [(name, network.clone())].into(),
                ..NetworkOptions::default()
            };
            minke_network::teardown(&TeardownRequest {
                options: &options,
                state_dir: dir,
                firewall: &Nftables,
                retain: Retain::Nothing,
                namespace_gone: false,
            })?;
        }
        Ok(())
    }

    /// Refuses networks that nobody has defined.
    pub(crate) fn check_networks(&self, mode: &NetworkMode) -> Result<()> {
        let NetworkMode::Bridge(names) = mode else {
            return Ok(());
        };
        if names.is_empty() {
            return Ok(());
        }
        let known = Networks::load(&self.places.networks)?;
        for name in names {
            known.get(name)?;
        }
        Ok(())
    }

    pub(super) fn netns_path(&self, record: &Record) -> Result<PathBuf> {
        Ok(self.runtime_dir("netns")?.join(&record.id))
    }

    fn network_options(&self, record: &Record, names: &[String]) -> Result<NetworkOptions> {
        let known = Networks::load(&self.places.networks)?;
        let mut networks = BTreeMap::new();
        let mut network_info = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let network = known.get(name)?.clone();
            let options = attachment(record, &network.name, index);
            networks.insert(network.name.clone(), options);
            network_info.insert(network.name.clone(), network);
        }
        let mappings = port_mappings(record)?;
        Ok(NetworkOptions {
            container_id: record.id.clone(),
            container_name: record.name.clone(),
            container_hostname: record.config.spec.hostname.clone(),
            port_mappings: (!mappings.is_empty()).then_some(mappings),
            networks,
            network_info,
            dns_servers: None,
        })
    }
}

/// What the container asks of one of its networks.
fn attachment(record: &Record, network: &str, index: usize) -> PerNetworkOptions {
    let asked = &record.config.spec.attachments;
    let own = asked.get(network).cloned().unwrap_or_default();
    let general = asked.get("").cloned().unwrap_or_default();
    let mut ips = own.ips;
    let mut mac = own.mac;
    if index == 0 {
        ips.extend(general.ips);
        mac = mac.or(general.mac);
    }
    let mut aliases: Vec<String> = vec![record.id.chars().take(12).collect()];
    aliases.extend(own.aliases);
    aliases.extend(general.aliases);
    let interface = own.interface.unwrap_or_else(|| format!("eth{index}"));
    PerNetworkOptions {
        static_ips: (!ips.is_empty()).then_some(ips),
        static_mac: mac,
        aliases: Some(aliases),
        ..PerNetworkOptions::named(interface)
    }
}

/// The published ports; one without a host port gets a free one.
pub(super) fn port_mappings(record: &Record) -> Result<Vec<PortMapping>> {
    let mut mappings = Vec::new();
    for port in &record.config.spec.ports {
        let host_ip = port.host_ip;
        let host_port = match port.host_port {
            Some(host_port) => host_port,
            None => {
                let protocol = port.protocol.split(',').next().unwrap_or("tcp");
                let protocol = minke_network::netavark::Protocol::parse(protocol)?;
                ports::free(protocol, host_ip).map_err(Error::system("find a free port"))?
            }
        };
        mappings.push(PortMapping {
            container_port: port.container_port,
            host_port,
            host_ip: host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            protocol: port.protocol.clone(),
            range: port.range.max(1),
        });
    }
    Ok(mappings)
}
