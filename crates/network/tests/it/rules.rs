//! The rules as the nft tool reads them back.

use minke_network::config::{Network, Subnet};

use crate::world::{in_world, options, port, run};

const GOLDEN: &str = include_str!("ruleset.golden");

#[test]
fn nft_lists_what_was_meant() {
    in_world(|world| {
        let mut network = Network::default_bridge();
        network.subnets.as_mut().unwrap().push(Subnet {
            subnet: "fd00:88::/64".parse().unwrap(),
            gateway: "fd00:88::1".parse().ok(),
            lease_range: None,
        });
        let ports = [
            port("", 8080, 80, "tcp"),
            port("127.0.0.1", 5353, 53, "udp"),
            port("::1", 8443, 443, "tcp"),
        ];
        let options = options("one", &network, &ports);
        let container = world.namespace("one");
        world.setup(&options, &container).unwrap();
        assert_eq!(run("nft", &["list", "table", "inet", "minke"]), GOLDEN);
        world.teardown(&options).unwrap();
        world.assert_clean();
    });
}

#[test]
fn a_network_is_gone_from_the_sets_while_another_stays() {
    in_world(|world| {
        let network = Network::default_bridge();
        let mut other = network.clone();
        other.name = "other".to_owned();
        other.id = "a".repeat(64);
        other.network_interface = Some("podman1".to_owned());
        other.subnets.as_mut().unwrap()[0] = Subnet {
            subnet: "10.89.0.0/24".parse().unwrap(),
            gateway: "10.89.0.1".parse().ok(),
            lease_range: None,
        };
        let (one, two) = (world.namespace("one"), world.namespace("two"));
        world.setup(&options("one", &network, &[]), &one).unwrap();
        world.setup(&options("two", &other, &[]), &two).unwrap();
        world.teardown(&options("one", &network, &[])).unwrap();
        let table = run("nft", &["list", "table", "inet", "minke"]);
        assert!(
            table.contains("podman1") && !table.contains("podman0"),
            "{table}"
        );
        assert!(
            table.contains("10.89.0.0/24") && !table.contains("10.88.0.0"),
            "{table}"
        );
        world.teardown(&options("two", &other, &[])).unwrap();
        world.assert_clean();
    });
}
