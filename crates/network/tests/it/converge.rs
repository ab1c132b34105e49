//! Whatever was interrupted, repeating it ends well.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use minke_network::config::Network;
use minke_network::firewall::Nftables;
use minke_network::{Retain, SetupRequest, TeardownRequest, netns, setup, teardown};

use crate::world::{in_world, options, port};

/// Where the process to be killed works; it is this test binary again.
const CHILD_DIR: &str = "MINKE_NETWORK_TEST_CHILD_DIR";

#[test]
fn setup_and_teardown_may_be_repeated() {
    in_world(|world| {
        let container = world.namespace("one");
        let options = options(
            "one",
            &Network::default_bridge(),
            &[port("", 8080, 80, "tcp")],
        );
        let first = world.setup(&options, &container).unwrap();
        let second = world.setup(&options, &container).unwrap();
        let subnets = |status: &minke_network::netavark::StatusBlocks| {
            status["podman"].interfaces.as_ref().unwrap()["eth0"]
                .subnets
                .clone()
        };
        assert_eq!(subnets(&first), subnets(&second));
        world.teardown(&options).unwrap();
        world.teardown(&options).unwrap();
        world.assert_clean();
    });
}

#[test]
fn teardown_works_when_the_namespace_is_gone() {
    in_world(|world| {
        let container = world.namespace("one");
        let options = options(
            "one",
            &Network::default_bridge(),
            &[port("", 8080, 80, "tcp")],
        );
        world.setup(&options, &container).unwrap();
        drop(container);
        world.teardown(&options).unwrap();
        world.assert_clean();
    });
}

#[test]
fn sixty_four_containers_at_once_leave_nothing() {
    in_world(|world| {
        let network = Network::default_bridge();
        thread::scope(|scope| {
            for number in 0..64u16 {
                let network = &network;
                scope.spawn(move || {
                    let id = format!("c{number}");
                    let container = world.namespace(&id);
                    let options = options(&id, network, &[port("", 8000 + number, 80, "tcp")]);
                    world.setup(&options, &container).unwrap();
                    world.teardown(&options).unwrap();
                });
            }
        });
        world.assert_clean();
    });
}

#[test]
fn a_kill_at_any_moment_costs_nothing() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        be_killed(dir.as_ref());
    }
    in_world(|world| {
        let container = world.namespace("one");
        let options = options(
            "one",
            &Network::default_bridge(),
            &[port("", 8080, 80, "tcp")],
        );
        for round in 0..25u64 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "converge::a_kill_at_any_moment_costs_nothing"])
                .env(CHILD_DIR, world.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Prime numbers of steps reach other places each time.
            thread::sleep(Duration::from_micros(20_000 + round * 4_777));
            child.kill().unwrap();
            child.wait().unwrap();
            if round % 2 == 0 {
                world.setup(&options, &container).unwrap();
                let server = container.serve("0.0.0.0:80", 1);
                crate::world::ask("127.0.0.1:8080").unwrap();
                server.join().unwrap();
            }
            world.teardown(&options).unwrap();
            world.assert_clean();
        }
    });
}

/// Joins and leaves for ever, in the namespaces of the test that started us.
fn be_killed(dir: &std::path::Path) -> ! {
    use std::os::fd::AsFd;
    let container = netns::open(&dir.join("one")).unwrap();
    let options = options(
        "one",
        &Network::default_bridge(),
        &[port("", 8080, 80, "tcp")],
    );
    let state_dir = &dir.join("networks");
    loop {
        setup(&SetupRequest {
            options: &options,
            netns: container.as_fd(),
            state_dir,
            firewall: &Nftables,
        })
        .unwrap();
        teardown(&TeardownRequest {
            options: &options,
            state_dir,
            firewall: &Nftables,
            retain: Retain::Nothing,
            namespace_gone: false,
        })
        .unwrap();
    }
}
