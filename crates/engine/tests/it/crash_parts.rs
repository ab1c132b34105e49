//! Any process of a container is killed at any moment: the next command converges, without force,
//! and leaves nothing.

use std::time::{Duration, Instant};

use minke_engine::{ContainerState, Engine, RemoveRequest};
use rustix::process::{Pid, Signal, kill_process};

use crate::Test;
use crate::place::{Place, at_once, everything, processes_with, until};

pub const TESTS: &[Test] = &[
    ("monitors_may_be_killed", monitors_may_be_killed, false),
    ("runtimes_may_be_killed", runtimes_may_be_killed, false),
    ("containers_may_be_killed", containers_may_be_killed, false),
    ("all_may_be_killed", all_may_be_killed, false),
];

const ROUNDS: u64 = 8;
const VERBS: [&str; 4] = ["start", "exec", "stop", "remove"];

fn monitors_may_be_killed() {
    kill_through(|line| line.contains(" conmon "));
}

fn runtimes_may_be_killed() {
    kill_through(|line| line.contains(" oci "));
}

fn containers_may_be_killed() {
    kill_through(|line| line.starts_with("sleep 7654"));
}

fn all_may_be_killed() {
    kill_through(|_| true);
}

/// Lets a client do each verb, and a moment later, from round to round another, kills what of its
/// processes is a victim.
fn kill_through(is_victim: fn(&str) -> bool) {
    let place = Place::new();
    let engine = place.engine();
    let mut ids = Vec::new();
    for verb in VERBS {
        for round in 0..ROUNDS {
            ids.push(place.create("c", &["sleep", "7654"]));
            if verb != "start" {
                engine.start("c").unwrap();
            }
            let mut client = place.act(verb, "c");
            std::thread::sleep(Duration::from_micros(round * 4000 + round * 997 % 3000));
            kill(&place, is_victim);
            // Not hindered by what it lost, nor waiting for it for ever.
            client.wait().unwrap();
            converge(&place, &engine, &format!("{verb} {round}"));
        }
    }
    place.assert_nothing_left(&ids);
}

fn kill(place: &Place, is_victim: fn(&str) -> bool) {
    let root = place.path("").display().to_string();
    let mut found = processes_with(&root);
    // A container's own command line names no place: it is known by its words, and its parent.
    let ours: Vec<i32> = found.iter().map(|(pid, _)| *pid).collect();
    found.extend(processes_with("sleep 7654").into_iter().filter(|(pid, _)| {
        let parent = parent_of(*pid);
        parent.is_some_and(|parent| ours.contains(&parent))
    }));
    for (pid, line) in found.into_iter().filter(|(_, line)| is_victim(line)) {
        if line.contains(" cleanup ") && !is_victim("cleanup") {
            continue;
        }
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// A list, and then what a user would do by what it shows.
fn converge(place: &Place, engine: &Engine, round: &str) {
    let begun = Instant::now();
    let listed = engine.list(&everything()).unwrap();
    let took = begun.elapsed();
    if took > Duration::from_secs(1) {
        println!("{round}: the next command took {took:?}");
    }
    let Some(container) = listed.first() else {
        return;
    };
    if container.state.is_alive() {
        engine.stop("c", &at_once()).unwrap_or_else(|error| {
            panic!("{round}: {}", error.chain());
        });
        until("it has ended", || {
            !engine.state("c").is_ok_and(ContainerState::is_alive)
        });
    }
    // Left by nobody to be cleaned up: what it needed to run is gone before it is.
    until("its mount is gone", || {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = place.path("").display().to_string();
        let _ = engine.list(&everything());
        !mounts
            .lines()
            .any(|line| line.contains("/merged") && line.contains(&root))
    });
    let removed = engine.remove("c", &RemoveRequest::default());
    removed.unwrap_or_else(|error| panic!("{round}: {}", error.chain()));
}
