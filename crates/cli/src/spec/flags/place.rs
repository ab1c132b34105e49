//! File systems, namespaces and networks.

use std::net::IpAddr;

use clap::Args;

// File systems and namespaces.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceFlags {
    /// Mount: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long)]
    pub volume: Vec<String>,
    /// Mount: type=TYPE,source=...,target=...
    #[arg(long)]
    pub mount: Vec<String>,
    /// Mount memory: TARGET[:OPTIONS]
    #[arg(long)]
    pub tmpfs: Vec<String>,
    /// Take over the mounts of a container: CONTAINER[:ro|rw]
    #[arg(long, value_delimiter = ',', value_name = "CONTAINER")]
    pub volumes_from: Vec<String>,
    /// What becomes of the image's volumes: anonymous, tmpfs, ignore
    #[arg(long, value_name = "MODE")]
    pub image_volume: Option<String>,
    /// Mount the root file system read-only
    #[arg(long)]
    pub read_only: bool,
    /// With --read-only, keep /dev, /dev/shm, /run, /tmp and /var/tmp writable (default true)
    #[arg(long)]
    pub read_only_tmpfs: Option<bool>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<String>,
    /// Network: none, host, bridge, container:NAME, ns:PATH, or a network's name
    #[arg(long, alias = "net", value_name = "MODE")]
    pub network: Vec<String>,
    /// Expose a port, for --publish-all: PORT[-PORT][/PROTOCOL]
    #[arg(long, value_delimiter = ',', value_name = "PORT")]
    pub expose: Vec<String>,
    /// Publish every exposed port at one the host picks
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Address on its network
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<IpAddr>,
    /// IPv6 address on its network
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<IpAddr>,
    /// Hardware address on its network
    #[arg(long, value_name = "ADDRESS")]
    pub mac_address: Option<String>,
    /// Name under which others on its networks find it
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub network_alias: Vec<String>,
    /// Leave the image's /etc/hosts as it is
    #[arg(long)]
    pub no_hosts: bool,
    /// What /etc/hosts starts from: a path, image, none
    #[arg(long, value_name = "FILE")]
    pub hosts_file: Option<String>,
    /// Leave the image's /etc/hostname as it is
    #[arg(long)]
    pub no_hostname: bool,
    /// Directory in which resolv.conf, hosts and hostname are mounted too
    #[arg(long, value_delimiter = ',', value_name = "DIR")]
    pub chrootdirs: Vec<String>,
    /// The first word is a directory to use as root file system, not an image
    #[arg(long)]
    pub rootfs: bool,
    /// Size of the memory systemd has for itself
    #[arg(long, value_name = "SIZE")]
    pub shm_size_systemd: Option<String>,
    /// Publish a port: [[IP:][HOST]:]CONTAINER[/PROTOCOL]
    #[arg(short, long, value_delimiter = ',')]
    pub publish: Vec<String>,
    /// Host name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Line for /etc/hosts: NAME:ADDRESS
    #[arg(long, value_delimiter = ',', value_name = "HOST")]
    pub add_host: Vec<String>,
    /// Name server
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS")]
    pub dns: Vec<String>,
    /// Search domain of name resolution
    #[arg(long, value_delimiter = ',', value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Option of name resolution
    #[arg(long, alias = "dns-opt", value_delimiter = ',', value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// Process namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// IPC namespace: private, shareable, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// Host name namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// User namespace: host, auto[:OPTIONS], private, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Mapping of users: CONTAINER:HOST[:SIZE]
    #[arg(long, value_delimiter = ',', value_name = "MAPPING")]
    pub uidmap: Vec<String>,
    /// Mapping of groups: CONTAINER:HOST[:SIZE]
    #[arg(long, value_delimiter = ',', value_name = "MAPPING")]
    pub gidmap: Vec<String>,
    /// Map the ids that /etc/subuid gives to this user
    #[arg(long, value_name = "USER")]
    pub subuidname: Option<String>,
    /// Map the ids that /etc/subgid gives to this group
    #[arg(long, value_name = "GROUP")]
    pub subgidname: Option<String>,
    /// Control group namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
}
