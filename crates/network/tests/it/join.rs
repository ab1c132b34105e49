//! A container on a bridge: addresses, routes, ways in and out.

use minke_network::config::{Network, Subnet};
use minke_network::{ErrorKind, Retain};

use crate::world::{address, in_world, links, options, run};

#[test]
fn a_container_gets_an_address_and_a_route() {
    in_world(|world| {
        let container = world.namespace("one");
        let options = options("one", &Network::default_bridge(), &[]);
        let status = world.setup(&options, &container).unwrap();
        assert_eq!(address(&status["podman"]).to_string(), "10.88.0.2");
        let routes = container.within(|| run("ip", &["route"]));
        assert_eq!(
            routes.lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                "default via 10.88.0.1 dev eth0 proto static metric 100",
                "10.88.0.0/16 dev eth0 proto kernel scope link src 10.88.0.2",
            ]
        );
        let mac = &status["podman"].interfaces.as_ref().unwrap()["eth0"].mac_address;
        assert!(
            container
                .within(|| run("ip", &["link", "show", "eth0"]))
                .contains(mac)
        );
        assert!(links().contains("podman0"));

        let server = container.serve("0.0.0.0:80", 1);
        assert_eq!(
            crate::world::ask("10.88.0.2:80").unwrap().to_string(),
            "10.88.0.1"
        );
        server.join().unwrap();
        world.teardown(&options).unwrap();
        world.assert_clean();
    });
}

#[test]
fn containers_reach_each_other_and_the_outside_by_the_hosts_address() {
    in_world(|world| {
        let outside = world.outside();
        let network = Network::default_bridge();
        let (one, two) = (world.namespace("one"), world.namespace("two"));
        world.setup(&options("one", &network, &[]), &one).unwrap();
        world.setup(&options("two", &network, &[]), &two).unwrap();

        let server = one.serve("0.0.0.0:80", 1);
        assert_eq!(two.ask("10.88.0.2:80").unwrap().to_string(), "10.88.0.3");
        server.join().unwrap();

        let server = outside.serve("192.0.2.2:80", 1);
        assert_eq!(two.ask("192.0.2.2:80").unwrap().to_string(), "192.0.2.1");
        server.join().unwrap();

        world.teardown(&options("one", &network, &[])).unwrap();
        assert!(links().contains("podman0"));
        world.teardown(&options("two", &network, &[])).unwrap();
        run("ip", &["link", "del", "up0"]);
        world.assert_clean();
    });
}

#[test]
fn two_stacks_and_a_fixed_hardware_address() {
    in_world(|world| {
        let mut network = Network::default_bridge();
        network.ipv6_enabled = true;
        network.options = Some([("mtu".to_owned(), "1400".to_owned())].into());
        network.subnets.as_mut().unwrap().push(Subnet {
            subnet: "fd00:88::/64".parse().unwrap(),
            gateway: "fd00:88::1".parse().ok(),
            lease_range: None,
        });
        let mut options = options("one", &network, &[]);
        let part = options.networks.get_mut("podman").unwrap();
        part.static_mac = Some("02:42:ac:11:00:07".to_owned());
        part.static_ips = Some(vec!["10.88.3.3".parse().unwrap()]);
        let container = world.namespace("one");
        world.setup(&options, &container).unwrap();
        let shown = container.within(|| run("ip", &["addr", "show", "eth0"]));
        for part in [
            "10.88.3.3/16",
            "fd00:88::2/64",
            "02:42:ac:11:00:07",
            "mtu 1400",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let server = container.serve("[::]:80", 1);
        assert!(crate::world::ask("[fd00:88::2]:80").is_ok());
        server.join().unwrap();
        world.teardown(&options).unwrap();
        world.assert_clean();
    });
}

#[test]
fn an_internal_network_has_no_way_out() {
    in_world(|world| {
        let outside = world.outside();
        outside.within(|| run("ip", &["route", "add", "default", "via", "192.0.2.1"]));
        let mut network = Network::default_bridge();
        network.internal = true;
        let container = world.namespace("one");
        let options = options("one", &network, &[]);
        world.setup(&options, &container).unwrap();
        assert!(
            !container
                .within(|| run("ip", &["route"]))
                .contains("default")
        );
        // Even with a route of its own, and a host that forwards, nothing passes.
        run("sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
        run("sysctl", &["-qw", "net.ipv4.conf.podman0.forwarding=1"]);
        container.within(|| run("ip", &["route", "add", "default", "via", "10.88.0.1"]));
        let refused = container.within(|| {
            let address = "192.0.2.2:80".parse().unwrap();
            let patience = std::time::Duration::from_millis(700);
            std::net::TcpStream::connect_timeout(&address, patience).unwrap_err()
        });
        // The outside would answer with a reset, had it been asked.
        assert_eq!(refused.kind(), std::io::ErrorKind::TimedOut);
        world.teardown(&options).unwrap();
        run("ip", &["link", "del", "up0"]);
        world.assert_clean();
    });
}

#[test]
fn a_container_cannot_reach_the_hosts_loopback() {
    in_world(|world| {
        let container = world.namespace("one");
        let options = options("one", &Network::default_bridge(), &[]);
        world.setup(&options, &container).unwrap();
        let _listener = std::net::TcpListener::bind("127.0.0.1:7777").unwrap();
        container.within(|| {
            run("sysctl", &["-qw", "net.ipv4.conf.eth0.route_localnet=1"]);
            run("ip", &["addr", "flush", "dev", "lo"]);
            run("ip", &["route", "add", "127.0.0.1", "via", "10.88.0.1"]);
        });
        let error = container.within(|| {
            let address = "127.0.0.1:7777".parse().unwrap();
            let patience = std::time::Duration::from_millis(700);
            std::net::TcpStream::connect_timeout(&address, patience).map(drop)
        });
        assert!(error.is_err());
        world.teardown(&options).unwrap();
    });
}

#[test]
fn a_link_that_is_not_ours_is_refused_and_kept() {
    in_world(|world| {
        run(
            "ip",
            &[
                "link", "add", "podman0", "type", "veth", "peer", "name", "other",
            ],
        );
        let container = world.namespace("one");
        let options = options("one", &Network::default_bridge(), &[]);
        let error = world.setup(&options, &container).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(links().contains("podman0"));
        run("ip", &["link", "del", "podman0"]);
        world.assert_clean();
    });
}

#[test]
fn a_retained_network_serves_the_next_container() {
    in_world(|world| {
        let network = Network::default_bridge();
        for id in ["one", "two"] {
            let container = world.namespace(id);
            let options = options(id, &network, &[]);
            world.setup(&options, &container).unwrap();
            world.teardown_retaining(&options, Retain::Network).unwrap();
            assert!(links().contains("podman0"));
            assert_eq!(links().len(), 2);
        }
        world.teardown(&options("two", &network, &[])).unwrap();
        world.assert_clean();
    });
}
