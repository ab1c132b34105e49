//! A client is killed at any moment of an operation: the next one works, and nothing is left.

use std::time::Duration;

use minke_engine::{ContainerState, ErrorKind};

use crate::Test;
use crate::place::{Place, at_once, by_force};

pub const TESTS: &[Test] = &[
    ("create_may_be_killed", create_may_be_killed, false),
    ("start_may_be_killed", start_may_be_killed, false),
    ("stop_may_be_killed", stop_may_be_killed, false),
    ("remove_may_be_killed", remove_may_be_killed, false),
];

const ROUNDS: u64 = 15;

/// Kills a client after a while that differs from round to round: short steps over what an
/// operation takes here, with a part nobody chose.
fn kill(place: &Place, verb: &str, round: u64) {
    let mut client = place.act(verb, "c");
    let chance = u64::from(std::process::id() ^ client.id()) * 7919 % 2500;
    std::thread::sleep(Duration::from_micros(round * 3000 + chance));
    client.kill().unwrap();
    client.wait().unwrap();
}

fn create_may_be_killed() {
    let place = Place::new();
    let engine = place.engine();
    for round in 0..ROUNDS {
        kill(&place, "create", round);
        match engine.state("c") {
            // Without its layer it cannot start; either way it can go.
            Ok(_) => drop(engine.start("c")),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
        let _ = engine.remove("c", &by_force());
        place.create("c", &["sleep", "1000"]);
        engine.start("c").unwrap();
        engine.remove("c", &by_force()).unwrap();
    }
    place.end();
}

fn start_may_be_killed() {
    let place = Place::new();
    let engine = place.engine();
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        ids.push(place.create("c", &["sleep", "1000"]));
        kill(&place, "start", round);
        if round % 2 == 0 {
            engine
                .start("c")
                .unwrap_or_else(|error| panic!("round {round}: {}", error.chain()));
            assert_eq!(engine.state("c").unwrap(), ContainerState::Running);
            engine.stop("c", &at_once()).unwrap();
            assert_eq!(engine.wait("c", &Default::default()).unwrap(), 137);
        }
        engine.remove("c", &by_force()).unwrap();
    }
    place.assert_nothing_left(&ids);
}

fn stop_may_be_killed() {
    let place = Place::new();
    let engine = place.engine();
    let id = place.create("c", &["sleep", "1000"]);
    for round in 0..ROUNDS {
        engine.start("c").unwrap();
        kill(&place, "stop", round);
        assert_ne!(engine.state("c").unwrap(), ContainerState::Stopping);
        if round % 2 == 0 {
            engine.stop("c", &at_once()).unwrap();
            assert_eq!(engine.wait("c", &Default::default()).unwrap(), 137);
        }
    }
    engine.remove("c", &by_force()).unwrap();
    place.assert_nothing_left(&[id]);
}

fn remove_may_be_killed() {
    let place = Place::new();
    let engine = place.engine();
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        ids.push(place.create("c", &["sleep", "1000"]));
        engine.start("c").unwrap();
        kill(&place, "remove", round);
        match engine.remove("c", &by_force()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.chain()),
        }
    }
    place.assert_nothing_left(&ids);
}
