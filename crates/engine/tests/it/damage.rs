//! What a reboot, a dead monitor, a lost layer or a bad row leave: the next command works.

use std::fs;

use minke_engine::{ContainerState, ErrorKind, ListRequest, RemoveRequest, WaitRequest};
use minke_sys::pidfd::PidFd;

use crate::Test;
use crate::place::{Place, at_once, by_force, until};

pub const TESTS: &[Test] = &[
    (
        "a_reboot_ends_and_keeps_containers",
        a_reboot_ends_and_keeps_containers,
        false,
    ),
    (
        "a_dead_monitor_costs_the_code_only",
        a_dead_monitor_costs_the_code_only,
        false,
    ),
    (
        "a_lost_layer_can_be_removed",
        a_lost_layer_can_be_removed,
        false,
    ),
    (
        "a_damaged_row_is_one_container",
        a_damaged_row_is_one_container,
        false,
    ),
    (
        "a_lost_runtime_keeps_nothing",
        a_lost_runtime_keeps_nothing,
        false,
    ),
    (
        "a_killed_stop_stops_nothing",
        a_killed_stop_stops_nothing,
        false,
    ),
    (
        "an_end_during_removal_is_no_error",
        an_end_during_removal_is_no_error,
        false,
    ),
];

fn pid(place: &Place, key: &str) -> i32 {
    place.engine().inspect("c").unwrap()["State"][key]
        .as_i64()
        .unwrap() as i32
}

/// Kills init and monitor at once, so that nothing is written, as power loss does.
fn lose_power(place: &Place) {
    let monitor = PidFd::open(pid(place, "ConmonPid")).unwrap();
    let init = PidFd::open(pid(place, "Pid")).unwrap();
    monitor.signal(libc::SIGKILL).unwrap();
    monitor.wait_ended(None).unwrap();
    init.signal(libc::SIGKILL).unwrap();
    init.wait_ended(None).unwrap();
}

fn reboot(place: &Place, layer_mounts: bool) {
    let groups: Vec<String> = place
        .engine()
        .container_names()
        .unwrap()
        .into_iter()
        .map(|c| c.0)
        .collect();
    lose_power(place);
    if layer_mounts {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = place.path("root").to_str().unwrap().to_owned();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        for point in points.filter(|point| point.starts_with(&root) && point.ends_with("merged")) {
            rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH).unwrap();
        }
    }
    for id in groups {
        for entry in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = fs::remove_dir(entry.path().join(format!("minke-{id}")));
        }
    }
    // The run root's own mount, if it is one, is the store's affair.
    let run = place.path("run/overlay-containers");
    let _ = fs::remove_dir_all(run);
    fs::remove_dir_all(place.path("run/minke")).unwrap();
    let _ = fs::remove_file(place.path("run/overlay-layers/mountpoints.json"));
    let changed = place.database().execute(
        "UPDATE containers SET state = json_set(state, '$.boot_id', 'another')",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
}

fn a_reboot_ends_and_keeps_containers() {
    let place = Place::new();
    let engine = place.engine();
    place.create("c", &["sleep", "1000"]);
    engine.start("c").unwrap();
    reboot(&place, true);
    assert!(engine.list(&ListRequest::default()).unwrap().is_empty());
    assert_eq!(engine.state("c").unwrap(), ContainerState::Exited);
    engine.start("c").unwrap();
    assert_eq!(engine.state("c").unwrap(), ContainerState::Running);
    reboot(&place, true);
    engine.stop("c", &at_once()).unwrap();
    engine.remove("c", &RemoveRequest::default()).unwrap();
    place.end();
}

fn a_dead_monitor_costs_the_code_only() {
    let place = Place::new();
    let engine = place.engine();
    place.create("c", &["sleep", "1000"]);
    engine.start("c").unwrap();
    let monitor = PidFd::open(pid(&place, "ConmonPid")).unwrap();
    monitor.signal(libc::SIGKILL).unwrap();
    monitor.wait_ended(None).unwrap();
    assert_eq!(engine.state("c").unwrap(), ContainerState::Running);
    engine.stop("c", &at_once()).unwrap();
    assert_eq!(engine.wait("c", &WaitRequest::default()).unwrap(), -1);
    engine.start("c").unwrap();
    lose_power(&place);
    assert_eq!(engine.state("c").unwrap(), ContainerState::Exited);
    engine.start("c").unwrap();
    place.end();
}

fn a_lost_layer_can_be_removed() {
    let place = Place::new();
    let engine = place.engine();
    let ids = [place.create("c", &["true"]), place.create("d", &["true"])];
    // The store forgets one container, and one layer.
    let file = place.path("root/overlay-containers/containers.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut list: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    list.retain(|container| container["id"] != ids[0].as_str());
    let layer = list[0]["layer"].as_str().unwrap().to_owned();
    fs::write(&file, serde_json::to_string(&list).unwrap()).unwrap();
    let file = place.path("root/overlay-layers/layers.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut list: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let before = list.len();
    list.retain(|found| found["id"] != layer.as_str());
    assert_eq!(list.len(), before - 1);
    fs::write(&file, serde_json::to_string(&list).unwrap()).unwrap();
    let engine_after = place.engine();
    assert!(engine_after.start("d").is_err());
    drop(engine);
    for name in ["c", "d"] {
        engine_after
            .remove(name, &RemoveRequest::default())
            .unwrap();
    }
    place.assert_nothing_left(&ids);
    let text = fs::read_to_string(&file).unwrap();
    let left: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(
        left.len(),
        before - 2,
        "the layer of the forgotten container is left"
    );
}

fn a_damaged_row_is_one_container() {
    let place = Place::new();
    let engine = place.engine();
    let mut ids = Vec::new();
    for name in ["c", "config", "facts"] {
        ids.push(place.create(name, &["sleep", "1000"]));
        engine.start(name).unwrap();
    }
    let spoil = |column: &str| {
        let text = format!("UPDATE containers SET {column} = '{{\"x' WHERE name = '{column}s'");
        let text = text.replace("configs", "config").replace("states", "facts");
        assert_eq!(place.database().execute(&text, []).unwrap(), 1);
    };
    spoil("config");
    spoil("state");
    let listed = engine.list(&crate::all_of_them()).unwrap();
    assert_eq!(listed.len(), 2);
    engine.stop("c", &at_once()).unwrap();
    let error = engine.start("config").unwrap_err();
    assert!(error.to_string().contains(&ids[1]), "{error}");
    engine.remove("config", &by_force()).unwrap();
    engine.start("facts").unwrap();
    assert_eq!(engine.state("facts").unwrap(), ContainerState::Running);
    place.end();
    place.assert_nothing_left(&ids);
}

fn a_lost_runtime_keeps_nothing() {
    let place = Place::new();
    let engine = place.engine();
    let id = place.create("c", &["sleep", "1000"]);
    engine.start("c").unwrap();
    let lose = "UPDATE containers SET config = json_set(config, '$.runtime', '/lost/crun')";
    place.database().execute(lose, []).unwrap();
    assert_eq!(engine.state("c").unwrap(), ContainerState::Running);
    engine.remove("c", &by_force()).unwrap();
    place.assert_nothing_left(&[id]);
}

fn a_killed_stop_stops_nothing() {
    let place = Place::new();
    let engine = place.engine();
    place.create("c", &["sh", "-c", "trap '' TERM; sleep 1000; sleep 1000"]);
    engine.start("c").unwrap();
    let mut stopper = place.act("stop-slowly", "c");
    until("it stops", || {
        engine.state("c").unwrap() == ContainerState::Stopping
    });
    stopper.kill().unwrap();
    stopper.wait().unwrap();
    assert_eq!(engine.state("c").unwrap(), ContainerState::Running);
    place.end();
}

/// `rm -f` while the exit command of an ending container is at work.
fn an_end_during_removal_is_no_error() {
    let place = Place::new();
    let engine = place.engine();
    for round in 0..10 {
        place.create("c", &["sh", "-c", "exit 3"]);
        engine.start("c").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(round));
        engine.remove("c", &by_force()).unwrap();
        assert_eq!(engine.state("c").unwrap_err().kind(), ErrorKind::NotFound);
    }
    place.end();
}
