//! The ordinary life of containers.

use minke_engine::spec::container::RestartPolicy;
use minke_engine::{
    ContainerState, ErrorKind, ListRequest, LogsRequest, RemoveRequest, StopRequest, UpdateRequest,
    WaitRequest,
};

use crate::Test;
use crate::archive::IMAGE;
use crate::place::{Place, at_once, by_force, create, spec, until};

pub const TESTS: &[Test] = &[
    (
        "policy_and_health_change_while_it_runs",
        policy_and_health_change_while_it_runs,
        false,
    ),
    (
        "a_container_lives_and_is_gone",
        a_container_lives_and_is_gone,
        false,
    ),
    (
        "signals_and_the_freezer_reach_it",
        signals_and_the_freezer_reach_it,
        false,
    ),
    (
        "list_and_inspect_tell_of_it",
        list_and_inspect_tell_of_it,
        false,
    ),
    (
        "names_are_unique_and_prefixes_find",
        names_are_unique_and_prefixes_find,
        false,
    ),
    (
        "a_missing_command_leaves_it_created",
        a_missing_command_leaves_it_created,
        false,
    ),
    (
        "a_bridge_is_joined_and_left",
        a_bridge_is_joined_and_left,
        true,
    ),
    (
        "two_engines_do_the_same_at_once",
        two_engines_do_the_same_at_once,
        false,
    ),
    ("sixteen_run_at_once", sixteen_run_at_once, false),
    (
        "an_image_of_a_container_stays",
        an_image_of_a_container_stays,
        false,
    ),
];

fn a_container_lives_and_is_gone() {
    let place = Place::new();
    let engine = place.engine();
    let id = place.create("c", &["sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(engine.state("c").unwrap(), ContainerState::Created);
    for _ in 0..2 {
        engine.start("c").unwrap();
        assert_eq!(engine.wait("c", &WaitRequest::default()).unwrap(), 7);
        until("it is cleaned up", || {
            engine.inspect("c").unwrap()["State"]["ExitCode"] == 7
        });
    }
    let mut texts = Vec::new();
    let mut keep = |line: &minke_engine::LogLine| {
        texts.push(String::from_utf8(line.text.clone()).unwrap());
        Ok(())
    };
    engine
        .logs(&["c"], &LogsRequest::default(), &mut keep)
        .unwrap();
    texts.sort();
    assert_eq!(texts, ["err", "err", "out", "out"]);
    assert_eq!(
        engine.remove("c", &RemoveRequest::default()).unwrap(),
        Some(id.clone())
    );
    let again = engine.remove("c", &RemoveRequest::default()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    place.assert_nothing_left(&[id]);
}

fn signals_and_the_freezer_reach_it() {
    let place = Place::new();
    let engine = place.engine();
    place.create("c", &["sleep", "1000"]);
    let refused = engine.kill("c", 15).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WrongState);
    engine.start("c").unwrap();
    engine.start("c").unwrap();
    engine.pause("c").unwrap();
    assert_eq!(engine.state("c").unwrap(), ContainerState::Paused);
    assert_eq!(engine.start("c").unwrap_err().kind(), ErrorKind::WrongState);
    assert_eq!(engine.pause("c").unwrap_err().kind(), ErrorKind::WrongState);
    engine.unpause("c").unwrap();
    assert_eq!(engine.state("c").unwrap(), ContainerState::Running);
    engine.pause("c").unwrap();
    engine.stop("c", &at_once()).unwrap();
    assert_eq!(engine.state("c").unwrap(), ContainerState::Exited);
    assert_eq!(engine.wait("c", &WaitRequest::default()).unwrap(), 137);
    engine.stop("c", &StopRequest::default()).unwrap();
    engine.start("c").unwrap();
    let running = engine.remove("c", &RemoveRequest::default()).unwrap_err();
    assert_eq!(running.kind(), ErrorKind::Running);
    engine.kill("c", libc::SIGKILL).unwrap();
    assert_eq!(engine.wait("c", &WaitRequest::default()).unwrap(), 137);
    place.end();
}

fn list_and_inspect_tell_of_it() {
    let place = Place::new();
    let engine = place.engine();
    let id = place.create("c", &["sleep", "1000"]);
    assert!(engine.list(&ListRequest::default()).unwrap().is_empty());
    engine.start("c").unwrap();
    let listed = engine.list(&ListRequest::default()).unwrap().remove(0);
    assert_eq!(
        (listed.id.as_str(), listed.name.as_str()),
        (id.as_str(), "c")
    );
    assert_eq!(listed.image, IMAGE);
    assert_eq!(listed.command, ["sleep", "1000"]);
    assert_eq!(listed.state, ContainerState::Running);
    let seen = engine.inspect("c").unwrap();
    assert_eq!(seen["State"]["Status"], "running");
    assert_eq!(seen["State"]["Pid"].as_i64(), listed.pid.map(i64::from));
    assert!(seen["State"]["ConmonPid"].as_i64().unwrap() > 0);
    assert_eq!(seen["HostConfig"]["NetworkMode"], "none");
    assert_eq!(seen["Path"], "sleep");
    assert!(!seen["EffectiveCaps"].as_array().unwrap().is_empty());
    engine.stop("c", &at_once()).unwrap();
    let listed = engine.list(&crate::all_of_them()).unwrap().remove(0);
    assert_eq!(
        (listed.state, listed.exit_code),
        (ContainerState::Exited, Some(137))
    );
    place.end();
}

fn names_are_unique_and_prefixes_find() {
    let place = Place::new();
    let engine = place.engine();
    let id = place.create("c", &["true"]);
    let taken = create(&engine, &spec("c", &["true"])).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::NameInUse);
    assert!(taken.to_string().contains(&id), "{taken}");
    assert_eq!(engine.state(&id[..8]).unwrap(), ContainerState::Created);
    assert_eq!(
        engine.state("nobody").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    place.end();
}

fn a_missing_command_leaves_it_created() {
    let place = Place::new();
    let engine = place.engine();
    place.create("c", &["nothing-like-it"]);
    for _ in 0..2 {
        let failed = engine.start("c").unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::CommandNotFound, "{failed}");
        assert_eq!(engine.state("c").unwrap(), ContainerState::Created);
    }
    assert_ne!(engine.inspect("c").unwrap()["State"]["Error"], "");
    place.end();
}

fn a_bridge_is_joined_and_left() {
    let place = Place::new();
    let engine = place.engine();
    let mut spec = spec("c", &["sleep", "1000"]);
    spec.namespaces.network = Default::default();
    let id = create(&engine, &spec).unwrap();
    engine.start("c").unwrap();
    let seen = engine.inspect("c").unwrap();
    let address = seen["NetworkSettings"]["IPAddress"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(address.starts_with("10.88."), "{address}");
    engine.remove("c", &by_force()).unwrap();
    place.assert_nothing_left(&[id]);
    engine.sweep_networks(std::time::Duration::ZERO).unwrap();
    // With a namespace its links go on the kernel's own time.
    until("the links are gone", || {
        let links = std::process::Command::new("ip")
            .args(["-o", "link"])
            .output();
        let links = String::from_utf8(links.unwrap().stdout).unwrap();
        !links.contains("veth") && !links.contains("podman0")
    });
}

fn two_engines_do_the_same_at_once() {
    let place = Place::new();
    for round in 0..6 {
        let name = format!("c{round}");
        place.create(&name, &["sleep", "1000"]);
        for verb in ["start", "stop", "remove"] {
            let mut both = [place.act(verb, &name), place.act(verb, &name)];
            let codes = both.each_mut().map(|child| child.wait().unwrap().success());
            // Of two removals one finds nothing.
            assert!(codes.contains(&true), "{verb} {codes:?}");
            assert!(
                verb == "remove" || !codes.contains(&false),
                "{verb} {codes:?}"
            );
        }
    }
    place.end();
}

fn sixteen_run_at_once() {
    let place = Place::new();
    let mut clients: Vec<_> = (0..16)
        .map(|each| place.act("run", &format!("c{each}")))
        .collect();
    for client in &mut clients {
        assert!(client.wait().unwrap().success());
    }
    until("all are gone", || {
        place
            .engine()
            .list(&crate::all_of_them())
            .unwrap()
            .is_empty()
    });
    place.end();
}

fn an_image_of_a_container_stays() {
    let place = Place::new();
    let engine = place.engine();
    place.create("c", &["true"]);
    let used = engine.remove_image(IMAGE, &Default::default()).unwrap_err();
    assert_eq!(used.kind(), ErrorKind::InUse);
    // One that is not ours stays, force or not.
    let forget = "DELETE FROM containers";
    place.database().execute(forget, []).unwrap();
    let force = minke_engine::RemoveImageRequest { force: true };
    let used = engine.remove_image(IMAGE, &force).unwrap_err();
    assert_eq!(used.kind(), ErrorKind::InUse, "{used}");
}

fn policy_and_health_change_while_it_runs() {
    let place = Place::new();
    let engine = place.engine();
    let id = place.create("c", &["sleep", "1000"]);
    engine.start("c").unwrap();
    let mut update = UpdateRequest {
        restart: Some(RestartPolicy::Always),
        ..UpdateRequest::default()
    };
    update.health.test = Some(vec!["CMD".into(), "true".into()]);
    update.health.interval = Some(50_000_000);
    assert_eq!(engine.update("c", &update).unwrap(), id);
    let told = |pointer: &str| engine.inspect("c").unwrap().pointer(pointer).cloned();
    until("it is checked", || {
        told("/State/Health/Status").is_some_and(|status| status == "healthy")
    });
    let pid = told("/State/Pid").and_then(|pid| pid.as_i64()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("it was started again", || {
        told("/RestartCount").is_some_and(|count| count == 1)
    });
    update.restart = Some(RestartPolicy::No);
    engine.update("c", &update).unwrap();
    engine.remove("c", &by_force()).unwrap();
    place.assert_nothing_left(&[id]);
}
