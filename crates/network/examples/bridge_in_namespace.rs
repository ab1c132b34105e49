//! Sets up a bridge in a fresh namespace, with one container behind it, and takes it down.
//!
//! Needs root; the host's own network is not touched, since the "host" here is a namespace too.

use std::error::Error;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use minke_network::config::Network;
use minke_network::firewall::Nftables;
use minke_network::netavark::{NetworkOptions, PerNetworkOptions, PortMapping};
use minke_network::{Retain, SetupRequest, TeardownRequest, netns, setup, teardown};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("minke-example-{}", std::process::id()));
    fs::create_dir(&dir)?;
    let host_path = dir.join("host");
    let container_path = dir.join("container");
    let host = netns::create(&host_path)?;
    let container = netns::create(&container_path)?;
    let outcome = netns::within(host.as_fd(), || {
        demonstrate(&dir.join("state"), container.as_fd()).map_err(|error| error.to_string())
    });
    netns::delete(&container_path)?;
    netns::delete(&host_path)?;
    fs::remove_dir_all(&dir)?;
    outcome??;
    Ok(())
}

fn demonstrate(state_dir: &Path, container: BorrowedFd<'_>) -> Result<(), Box<dyn Error>> {
    // A fresh namespace has even its loopback down.
    Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()?;
    let mut options = NetworkOptions {
        container_id: "example".into(),
        container_name: "example".into(),
        port_mappings: Some(vec![PortMapping {
            container_port: 80,
            host_port: 8080,
            ..PortMapping::default()
        }]),
        ..NetworkOptions::default()
    };
    let part = PerNetworkOptions::named("eth0");
    options.networks.insert("podman".into(), part);
    let network = Network::default_bridge();
    options.network_info.insert("podman".into(), network);

    let status = setup(&SetupRequest {
        options: &options,
        netns: container,
        state_dir,
        firewall: &Nftables,
    })?;
    println!("{}", serde_json::to_string_pretty(&status)?);

    let _listener = netns::within(container, || TcpListener::bind("0.0.0.0:80"))??;
    let client = TcpStream::connect_timeout(&"10.88.0.1:8080".parse()?, Duration::from_secs(5))?;
    println!("connected to the container through {}", client.peer_addr()?);

    teardown(&TeardownRequest {
        options: &options,
        state_dir,
        firewall: &Nftables,
        retain: Retain::Nothing,
        namespace_gone: false,
    })?;
    Ok(())
}
