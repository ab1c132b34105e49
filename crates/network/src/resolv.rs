//! Content of a container's `/etc/resolv.conf`.

use std::fmt;
use std::net::IpAddr;

/// Asked where the host names only resolvers that a container cannot reach; Podman's choice.
pub const FALLBACK_NAMESERVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// `systemd-resolved`'s file with the servers behind its stub: the one to read where
/// [`ResolvConf::is_resolved_stub`] says so.
pub const RESOLVED_UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// A resolver configuration, see resolv.conf(5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers, with a zone where link-local: `fe80::1%eth0`.
    pub nameservers: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// Options, such as `ndots:2`.
    pub options: Vec<String>,
}

/// What a container's configuration is made of besides the host's.
#[derive(Debug, Clone, Default)]
pub struct ResolvRequest {
    /// Servers of the container's networks, asked first.
    pub network_nameservers: Vec<String>,
    /// Servers inside the network that pass questions on to the host's: asked before those.
    pub forwarders: Vec<String>,
    /// Search domains of the container's networks.
    pub network_search: Vec<String>,
    /// `--dns`; if any, the host's servers are not used.
    pub nameservers: Vec<String>,
    /// `--dns-search`; if any, no other search domain is used. A lone `.` is none at all.
    pub search: Vec<String>,
    /// `--dns-option`; if any, the host's options are not used.
    pub options: Vec<String>,
    /// The container is in the host's network namespace: its loopback is the host's.
    pub host_network: bool,
    /// The container has IPv6.
    pub ipv6: bool,
}

impl ResolvConf {
    /// Reads the text of a resolv.conf; what it does not know is left out.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let keyword = words.next().unwrap_or_default();
            let words = words.map(str::to_owned);
            match keyword {
                "nameserver" => conf.nameservers.extend(words.take(1)),
                // The last line of `search` or `domain` counts.
                "search" | "domain" => conf.search = words.collect(),
                "options" => conf.options.extend(words),
                _ => {}
            }
        }
        conf
    }

    /// Whether the only server is `systemd-resolved`'s stub.
    pub fn is_resolved_stub(&self) -> bool {
        self.nameservers == ["127.0.0.53"]
    }

    /// The configuration of a container on a host with this one.
    pub fn for_container(&self, request: &ResolvRequest) -> Self {
        Self {
            nameservers: self.container_nameservers(request),
            search: self.container_search(request),
            options: match request.options.as_slice() {
                [] => self.options.clone(),
                options => options.to_vec(),
            },
        }
    }

    fn container_nameservers(&self, request: &ResolvRequest) -> Vec<String> {
        let mut nameservers = request.network_nameservers.clone();
        if !nameservers.is_empty() {
            // The networks' own servers ask on: those of the host would not know the names.
            return nameservers;
        }
        if !request.nameservers.is_empty() {
            return request.nameservers.clone();
        }
        nameservers.extend(request.forwarders.iter().cloned());
        let usable = |server: &&String| request.host_network || is_reachable(server, request.ipv6);
        nameservers.extend(self.nameservers.iter().filter(usable).cloned());
        if nameservers.is_empty() && !request.host_network {
            nameservers = FALLBACK_NAMESERVERS.map(str::to_owned).to_vec();
        }
        nameservers
    }

    fn container_search(&self, request: &ResolvRequest) -> Vec<String> {
        if request.search == ["."] {
            return Vec::new();
        }
        if !request.search.is_empty() {
            return request.search.clone();
        }
        let mut search = request.network_search.clone();
        for domain in &self.search {
            if !search.contains(domain) {
                search.push(domain.clone());
            }
        }
        search
    }
}

impl fmt::Display for ResolvConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.search.is_empty() {
            writeln!(f, "search {}", self.search.join(" "))?;
        }
        for server in &self.nameservers {
            writeln!(f, "nameserver {server}")?;
        }
        if !self.options.is_empty() {
            writeln!(f, "options {}", self.options.join(" "))?;
        }
        Ok(())
    }
}

/// Whether a container with a network namespace of its own can ask `server`.
fn is_reachable(server: &str, ipv6: bool) -> bool {
    let bare = server.split('%').next().unwrap_or_default();
    match bare.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => false,
        // A zone is the name of an interface of the host.
        Ok(IpAddr::V6(_)) => ipv6 && bare == server,
        Ok(IpAddr::V4(_)) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# made by hand\n\
        domain old.example\n\
        search example.org corp.example ; two\n\
        nameserver 127.0.0.53\n\
        nameserver 192.0.2.53\n\
        nameserver 2001:db8::53\n\
        nameserver fe80::1%eth0\n\
        options edns0 trust-ad\n\
        sortlist 130.155.160.0\n";

    #[test]
    fn loopback_servers_stay_on_the_host() {
        let host = ResolvConf::parse(HOST);
        let text = |request: &ResolvRequest| host.for_container(request).to_string();
        assert_eq!(
            text(&ResolvRequest::default()),
            "search example.org corp.example\nnameserver 192.0.2.53\noptions edns0 trust-ad\n"
        );
        let with_ipv6 = host.for_container(&ResolvRequest {
            ipv6: true,
            ..ResolvRequest::default()
        });
        assert_eq!(with_ipv6.nameservers, ["192.0.2.53", "2001:db8::53"]);
        let on_host = host.for_container(&ResolvRequest {
            host_network: true,
            ..ResolvRequest::default()
        });
        assert_eq!(on_host, host);
    }

    #[test]
    fn what_the_user_asks_for_replaces_the_hosts() {
        let request = ResolvRequest {
            nameservers: vec!["192.0.2.1".to_owned()],
            search: vec![".".to_owned()],
            options: vec!["ndots:2".to_owned()],
            ..ResolvRequest::default()
        };
        assert_eq!(
            ResolvConf::parse(HOST).for_container(&request).to_string(),
            "nameserver 192.0.2.1\noptions ndots:2\n"
        );
    }

    #[test]
    fn a_network_with_names_answers_first() {
        let request = ResolvRequest {
            network_nameservers: vec!["10.89.0.1".to_owned()],
            network_search: vec!["dns.podman".to_owned()],
            ..ResolvRequest::default()
        };
        let conf = ResolvConf::parse(HOST).for_container(&request);
        assert_eq!(conf.nameservers, ["10.89.0.1"]);
        assert_eq!(conf.search, ["dns.podman", "example.org", "corp.example"]);
    }

    #[test]
    fn a_host_with_only_a_stub_falls_back() {
        let host = ResolvConf::parse("nameserver 127.0.0.53\n");
        assert!(host.is_resolved_stub());
        let conf = host.for_container(&ResolvRequest::default());
        assert_eq!(conf.nameservers, FALLBACK_NAMESERVERS);
    }
}
