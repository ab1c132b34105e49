//! A namespace that plays the host, and containers beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use minke_network::config::Network;
use minke_network::firewall::Nftables;
use minke_network::netavark::{
    NetworkOptions, PerNetworkOptions, PortMapping, StatusBlock, StatusBlocks,
};
use minke_network::{Result, Retain, SetupRequest, TeardownRequest, netns, setup, teardown};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// How long anything may take before a test fails; never waited for in full when it works.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    dir: tempfile::TempDir,
}

/// Runs `test` on a thread with mount and network namespaces of its own.
pub fn in_world(test: impl FnOnce(&World) + Send) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root to make network namespaces");
        return;
    }
    let outcome = thread::scope(|scope| {
        scope
            .spawn(|| {
                unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
                let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).unwrap();
                run("ip", &["link", "set", "lo", "up"]);
                let world = World {
                    dir: tempfile::tempdir().unwrap(),
                };
                test(&world);
            })
            .join()
    });
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl World {
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("networks")
    }

    /// A namespace called `name`, with nothing in it.
    pub fn namespace(&self, name: &str) -> Namespace {
        let path = self.dir.path().join(name);
        let fd = netns::create(&path).unwrap();
        Namespace { path, fd }
    }

    pub fn setup(&self, options: &NetworkOptions, namespace: &Namespace) -> Result<StatusBlocks> {
        setup(&SetupRequest {
            options,
            netns: namespace.fd.as_fd(),
            state_dir: &self.state_dir(),
            firewall: &Nftables,
        })
    }

    pub fn teardown(&self, options: &NetworkOptions) -> Result<()> {
        self.teardown_retaining(options, Retain::Nothing)
    }

    pub fn teardown_retaining(&self, options: &NetworkOptions, retain: Retain) -> Result<()> {
        teardown(&TeardownRequest {
            options,
            state_dir: &self.state_dir(),
            firewall: &Nftables,
            retain,
            namespace_gone: false,
        })
    }

    /// A namespace one hop away from the host: 192.0.2.2, the host being 192.0.2.1. It has no
    /// route to containers.
    pub fn outside(&self) -> Namespace {
        let outside = self.namespace("outside");
        let path = outside.path.to_str().unwrap();
        run(
            "ip",
            &[
                "link", "add", "up0", "type", "veth", "peer", "name", "up1", "netns", path,
            ],
        );
        run("ip", &["addr", "add", "192.0.2.1/24", "dev", "up0"]);
        run("ip", &["link", "set", "up0", "up"]);
        outside.within(|| {
            run("ip", &["addr", "add", "192.0.2.2/24", "dev", "up1"]);
            run("ip", &["link", "set", "up1", "up"]);
        });
        outside
    }

    /// Fails unless links, tables and state are as in the beginning.
    pub fn assert_clean(&self) {
        assert_eq!(links(), BTreeSet::from(["lo".to_owned()]));
        assert_eq!(run("nft", &["list", "tables"]), "");
        let state = fs::read_dir(self.state_dir()).unwrap();
        let records: Vec<_> = state
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .collect();
        assert!(records.is_empty(), "{records:?}");
    }
}

pub struct Namespace {
    pub path: PathBuf,
    fd: OwnedFd,
}

impl Namespace {
    pub fn within<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        netns::within(self.fd.as_fd(), task).unwrap()
    }

    /// A TCP server that tells each of `clients` clients its address and ends.
    pub fn serve(&self, address: &str, clients: usize) -> JoinHandle<()> {
        let listener = self.within(|| TcpListener::bind(address).unwrap());
        thread::spawn(move || {
            for _ in 0..clients {
                let (mut stream, peer) = listener.accept().unwrap();
                stream.write_all(peer.ip().to_string().as_bytes()).unwrap();
            }
        })
    }

    /// What the server at `address` says, asked from here.
    pub fn ask(&self, address: &str) -> std::io::Result<IpAddr> {
        self.within(|| ask(address))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = netns::delete(&self.path) {
            eprintln!("cannot delete {}: {error}", self.path.display());
        }
    }
}

/// What the server at `address` says, asked from the calling thread's namespace: the address
/// it sees its client at.
pub fn ask(address: &str) -> std::io::Result<IpAddr> {
    let address: SocketAddr = address.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.parse().unwrap())
}

/// Runs a tool in the calling thread's namespaces and returns what it prints.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Names of the links in the calling thread's namespace.
pub fn links() -> BTreeSet<String> {
    let json: serde_json::Value = serde_json::from_str(&run("ip", &["-j", "link"])).unwrap();
    let links = json.as_array().unwrap().iter();
    links
        .map(|link| link["ifname"].as_str().unwrap().to_owned())
        .collect()
}

/// A container called `id` in `network`, by `eth0`.
pub fn options(id: &str, network: &Network, ports: &[PortMapping]) -> NetworkOptions {
    let mut options = NetworkOptions {
        container_id: id.to_owned(),
        container_name: id.to_owned(),
        port_mappings: Some(ports.to_vec()),
        ..NetworkOptions::default()
    };
    let name = network.name.clone();
    let part = PerNetworkOptions::named("eth0");
    options.networks.insert(name.clone(), part);
    options.network_info.insert(name, network.clone());
    options
}

/// `-p host_ip:host_port:container_port/protocol`.
pub fn port(host_ip: &str, host_port: u16, container_port: u16, protocol: &str) -> PortMapping {
    PortMapping {
        container_port,
        host_port,
        host_ip: host_ip.to_owned(),
        protocol: protocol.to_owned(),
        range: 1,
    }
}

/// The first address of `eth0`.
pub fn address(status: &StatusBlock) -> IpAddr {
    let interfaces = status.interfaces.as_ref().unwrap();
    interfaces["eth0"].subnets.as_ref().unwrap()[0].ipnet.ip()
}
