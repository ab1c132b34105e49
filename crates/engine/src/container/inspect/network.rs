//! The section `NetworkSettings`.

use std::collections::BTreeMap;

use minke_network::netavark::{NetAddress, NetInterface};
use serde_json::{Value, json};

use crate::container::list::published;
use crate::container::record::Record;

pub(super) fn section(record: &Record) -> Value {
    let mut networks = serde_json::Map::new();
    let mut first = Interface::default();
    for (name, block) in &record.state.addresses {
        for interface in block.interfaces.iter().flatten() {
            let found = Interface::of(interface.1);
            if first.address.is_empty() {
                first = found.clone();
            }
            networks.insert(
                name.clone(),
                json!({
                    "EndpointID": "",
                    "Gateway": found.gateway,
                    "IPAddress": found.address,
                    "IPPrefixLen": found.prefix,
                    "IPv6Gateway": found.gateway6,
                    "GlobalIPv6Address": found.address6,
                    "GlobalIPv6PrefixLen": found.prefix6,
                    "MacAddress": found.mac,
                    "NetworkID": name,
                    "DriverOpts": null,
                    "IPAMConfig": null,
                    "Links": null,
                    "Aliases": [record.id.chars().take(12).collect::<String>()],
                }),
            );
        }
    }
    json!({
        "EndpointID": "",
        "Gateway": first.gateway,
        "IPAddress": first.address,
        "IPPrefixLen": first.prefix,
        "IPv6Gateway": first.gateway6,
        "GlobalIPv6Address": first.address6,
        "GlobalIPv6PrefixLen": first.prefix6,
        "MacAddress": first.mac,
        "Bridge": "",
        "SandboxID": "",
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": ports(record),
        "SandboxKey": record.state.netns,
        "Networks": networks,
    })
}

/// The first address of an interface, of each family.
#[derive(Debug, Clone, Default)]
struct Interface {
    address: String,
    prefix: u8,
    gateway: String,
    address6: String,
    prefix6: u8,
    gateway6: String,
    mac: String,
}

impl Interface {
    fn of(interface: &NetInterface) -> Self {
        let subnets = || interface.subnets.iter().flatten();
        let (address, prefix, gateway) =
            parts(subnets().find(|subnet| subnet.ipnet.ip().is_ipv4()));
        let (address6, prefix6, gateway6) =
            parts(subnets().find(|subnet| subnet.ipnet.ip().is_ipv6()));
        Self {
            address,
            prefix,
            gateway,
            address6,
            prefix6,
            gateway6,
            mac: interface.mac_address.clone(),
        }
    }
}

/// Address, prefix and gateway; empty where there is none.
fn parts(subnet: Option<&NetAddress>) -> (String, u8, String) {
    let Some(subnet) = subnet else {
        return (String::new(), 0, String::new());
    };
    let gateway = subnet.gateway.map(|gateway| gateway.to_string());
    (
        subnet.ipnet.ip().to_string(),
        subnet.ipnet.prefix(),
        gateway.unwrap_or_default(),
    )
}

/// `{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`, with what the image exposes.
pub(super) fn ports(record: &Record) -> BTreeMap<String, Value> {
    let mut ports: BTreeMap<String, Value> = record
        .config
        .image
        .exposed_ports
        .keys()
        .map(|port| (port.clone(), Value::Null))
        .collect();
    for port in published(record) {
        for offset in 0..port.range {
            for protocol in port.protocol.split(',') {
                let key = format!("{}/{protocol}", port.container_port.saturating_add(offset));
                let host = port.host_port.saturating_add(offset).to_string();
                let binding = json!({"HostIp": port.host_ip, "HostPort": host});
                match ports.entry(key).or_insert(Value::Null) {
                    Value::Array(list) => list.push(binding),
                    other => *other = json!([binding]),
                }
            }
        }
    }
    ports
}
