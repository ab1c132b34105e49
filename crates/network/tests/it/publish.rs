//! Published ports: from where they answer, and when they are refused.

use std::net::{TcpListener, UdpSocket};

use minke_network::ErrorKind;
use minke_network::config::Network;

use crate::world::{PATIENCE, ask, in_world, options, port, run};

#[test]
fn a_port_answers_from_everywhere_with_the_clients_address() {
    in_world(|world| {
        let outside = world.outside();
        let network = Network::default_bridge();
        let options_one = options("one", &network, &[port("", 8080, 80, "tcp")]);
        let (one, two) = (world.namespace("one"), world.namespace("two"));
        world.setup(&options_one, &one).unwrap();
        world.setup(&options("two", &network, &[]), &two).unwrap();
        let server = one.serve("0.0.0.0:80", 6);

        // From another machine: its own address, not the host's.
        let seen = outside.ask("192.0.2.1:8080").unwrap();
        assert_eq!(seen.to_string(), "192.0.2.2");
        // From the host, by loopback and by each address.
        assert_eq!(ask("127.0.0.1:8080").unwrap().to_string(), "10.88.0.1");
        ask("192.0.2.1:8080").unwrap();
        ask("10.88.0.1:8080").unwrap();
        // From a neighbour, and from the container itself through its gateway.
        two.ask("10.88.0.1:8080").unwrap();
        one.ask("10.88.0.1:8080").unwrap();

        server.join().unwrap();
        world.teardown(&options_one).unwrap();
        assert_eq!(
            ask("127.0.0.1:8080").unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused
        );
        world.teardown(&options("two", &network, &[])).unwrap();
        run("ip", &["link", "del", "up0"]);
        world.assert_clean();
    });
}

#[test]
fn a_port_on_one_address_answers_there_only() {
    in_world(|world| {
        let outside = world.outside();
        let network = Network::default_bridge();
        let options = options("one", &network, &[port("127.0.0.1", 8080, 80, "tcp")]);
        let container = world.namespace("one");
        world.setup(&options, &container).unwrap();
        let server = container.serve("0.0.0.0:80", 1);
        let refused = outside.ask("192.0.2.1:8080").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        ask("127.0.0.1:8080").unwrap();
        server.join().unwrap();
        world.teardown(&options).unwrap();
        run("ip", &["link", "del", "up0"]);
        world.assert_clean();
    });
}

#[test]
fn udp_and_ranges_are_forwarded() {
    in_world(|world| {
        let network = Network::default_bridge();
        let mut range = port("", 9000, 7000, "tcp");
        range.range = 1000;
        let mappings = [port("", 5353, 53, "udp"), range];
        let options = options("one", &network, &mappings);
        let container = world.namespace("one");
        world.setup(&options, &container).unwrap();

        let socket = container.within(|| UdpSocket::bind("0.0.0.0:53").unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect("127.0.0.1:5353").unwrap();
        client.send(b"question").unwrap();
        let mut buffer = [0; 64];
        let (length, peer) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"question");
        socket.send_to(b"answer", peer).unwrap();
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"answer");

        for (host, inside) in [(9000, 7000), (9999, 7999)] {
            let server = container.serve(&format!("0.0.0.0:{inside}"), 1);
            ask(&format!("127.0.0.1:{host}")).unwrap();
            server.join().unwrap();
        }
        world.teardown(&options).unwrap();
        world.assert_clean();
    });
}

#[test]
fn a_taken_port_is_refused_and_its_holder_keeps_it() {
    in_world(|world| {
        let network = Network::default_bridge();
        let ports = [port("", 8080, 80, "tcp")];
        let (one, two) = (world.namespace("one"), world.namespace("two"));
        world
            .setup(&options("one", &network, &ports), &one)
            .unwrap();
        let error = world
            .setup(&options("two", &network, &ports), &two)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InUse);
        assert_eq!(
            error.to_string(),
            "cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use"
        );
        world.teardown(&options("two", &network, &ports)).unwrap();
        let server = one.serve("0.0.0.0:80", 1);
        ask("127.0.0.1:8080").unwrap();
        server.join().unwrap();
        world.teardown(&options("one", &network, &ports)).unwrap();

        let _listener = TcpListener::bind("127.0.0.1:8080").unwrap();
        let error = world
            .setup(&options("two", &network, &ports), &two)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InUse);
        world.assert_clean();
    });
}

#[test]
fn a_port_another_engine_put_in_our_table_is_refused() {
    in_world(|world| {
        let network = Network::default_bridge();
        let (one, two) = (world.namespace("one"), world.namespace("two"));
        let first = options("one", &network, &[]);
        world.setup(&first, &one).unwrap();
        let element = "{ tcp . 8080 : 10.77.0.2 . 80 }";
        run(
            "nft",
            &["add", "element", "inet", "minke", "publish4", element],
        );
        let second = options("two", &network, &[port("", 8080, 80, "tcp")]);
        let error = world.setup(&second, &two).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
        world.teardown(&first).unwrap();
    });
}
