//! The files a start makes for a container: resolv.conf, hosts, hostname, .containerenv.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use minke_network::hosts::{Entry, Hosts};
use minke_network::netavark::StatusBlock;
use minke_network::resolv::{ResolvConf, ResolvRequest};
use minke_runtime_spec::container::NetworkMode;
use minke_sys::rooted::Root;

use super::host::Prepared;
use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Writes the files below `dir` and notes them in `prepared`.
    pub(crate) fn write_files(
        &self,
        record: &Record,
        addresses: &BTreeMap<String, StatusBlock>,
        dir: &Path,
        root: &Root,
        prepared: &mut Prepared,
    ) -> Result<()> {
        let spec = &record.config.spec;
        if spec.dns.servers != ["none"] {
            let text = resolv_conf(record, addresses);
            prepared.resolv_conf = Some(write(dir, "resolv.conf", &text)?);
        }
        if !spec.files.no_hosts {
            let base = hosts_base(spec.files.hosts_base.as_deref(), root)?;
            prepared.hosts = Some(write(dir, "hosts", &hosts(record, addresses, &base)?)?);
        }
        if !spec.files.no_hostname {
            let hostname = hostname(record);
            prepared.hostname = Some(write(dir, "hostname", &format!("{hostname}\n"))?);
        }
        if let Some(zone) = super::zone::find(spec.timezone.as_deref())? {
            // A copy: the host's own may change, and its mount may be read-only or gone.
            let copy = dir.join("localtime");
            fs::copy(&zone, &copy).map_err(Error::path("copy", zone))?;
            prepared.localtime = Some(copy);
        }
        let containerenv = if spec.security.privileged {
            containerenv(record)
        } else {
            String::new()
        };
        prepared.containerenv = Some(write(dir, ".containerenv", &containerenv)?);
        Ok(())
    }
}

fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::write(&path, text).map_err(Error::path("write", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
        .map_err(Error::path("set the mode of", &path))?;
    Ok(path)
}

fn is_host_network(record: &Record) -> bool {
    matches!(record.config.spec.namespaces.network, NetworkMode::Host)
}

fn hostname(record: &Record) -> String {
    let spec = &record.config.spec;
    if let Some(name) = &spec.hostname {
        return name.clone();
    }
    if spec.namespaces.uts.is_host() {
        return rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
    }
    record.id.chars().take(12).collect()
}

fn resolv_conf(record: &Record, addresses: &BTreeMap<String, StatusBlock>) -> String {
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let dns = &record.config.spec.dns;
    let mut request = ResolvRequest::default();
    for block in addresses.values() {
        let servers = block.dns_server_ips.iter().flatten();
        request
            .network_nameservers
            .extend(servers.map(ToString::to_string));
        request
            .network_search
            .extend(block.dns_search_domains.iter().flatten().cloned());
    }
    if let Some(network) = &record.state.user_network {
        let servers = network.nameservers.iter();
        request.forwarders.extend(servers.map(ToString::to_string));
    }
    request.nameservers.clone_from(&dns.servers);
    request.search.clone_from(&dns.search);
    request.options.clone_from(&dns.options);
    request.host_network = is_host_network(record);
    ResolvConf::parse(&host).for_container(&request).to_string()
}

/// What `/etc/hosts` starts from.
fn hosts_base(asked: Option<&str>, root: &Root) -> Result<String> {
    const MAX_BYTES: u64 = 1 << 20;
    match asked {
        None | Some("") => Ok(fs::read_to_string("/etc/hosts").unwrap_or_default()),
        Some("none") => Ok(String::new()),
        Some("image") => {
            let bytes = root.read(Path::new("/etc/hosts"), MAX_BYTES);
            Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
        }
        Some(path) => fs::read_to_string(path).map_err(Error::path("read", path)),
    }
}

fn hosts(record: &Record, addresses: &BTreeMap<String, StatusBlock>, base: &str) -> Result<String> {
    let spec = &record.config.spec;
    let mut own: Vec<IpAddr> = Vec::new();
    let mut gateway: Option<IpAddr> = None;
    for interface in addresses
        .values()
        .flat_map(|block| block.interfaces.iter().flatten())
    {
        for subnet in interface.1.subnets.iter().flatten() {
            own.push(subnet.ipnet.ip());
            gateway = gateway.or(subnet.gateway);
        }
    }
    if let Some(network) = &record.state.user_network {
        own.extend(network.addresses.first());
        gateway = network.host;
    }
    let host = if is_host_network(record) {
        "127.0.0.1".parse().ok()
    } else {
        gateway
    };
    let mut names = vec![hostname(record), record.name.clone()];
    names.dedup();
    if own.is_empty() && matches!(spec.namespaces.network, NetworkMode::None) {
        own.extend("127.0.0.1".parse::<IpAddr>().ok());
    }
    let added = spec
        .add_hosts
        .iter()
        .map(|(name, address)| {
            Entry::parse_added(&format!("{name}:{address}"), host).map_err(Error::from)
        })
        .collect::<Result<Vec<_>>>()?;
    let container = if is_host_network(record) {
        Vec::new()
    } else {
        own.into_iter()
            .map(|address| Entry {
                address,
                names: names.clone(),
            })
            .collect()
    };
    Ok(Hosts {
        base,
        added,
        container,
        host,
    }
    .text())
}

/// What Podman tells a privileged container about itself.
fn containerenv(record: &Record) -> String {
    format!(
        "engine=\"minke-{}\"\nname=\"{}\"\nid=\"{}\"\nimage=\"{}\"\nimageid=\"{}\"\nrootless={}\n",
        env!("CARGO_PKG_VERSION"),
        record.name,
        record.id,
        record.config.image_name,
        record.config.image_id,
        0
    )
}
