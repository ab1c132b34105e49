//! The host goes down and comes up again: what runs after it follows from policy and intent.

use std::fs;

use minke_engine::spec::container::RestartPolicy;
use minke_engine::{ContainerState, Engine, ListRequest, StopRequest};

use crate::Test;
use crate::place::{Place, at_once, create, everything, groups, processes_with, spec, until};

pub const TESTS: &[Test] = &[(
    "after_a_boot_policy_and_intent_decide",
    after_a_boot_policy_and_intent_decide,
    true,
)];

/// What somebody did to a container before the host went down.
#[derive(Debug, Clone, Copy)]
enum Last {
    Created,
    Ran,
    Stopped,
    Killed,
    Halted,
}

const POLICIES: [(&str, RestartPolicy); 4] = [
    ("no", RestartPolicy::No),
    ("always", RestartPolicy::Always),
    ("unless-stopped", RestartPolicy::UnlessStopped),
    ("on-failure", RestartPolicy::OnFailure { max_retries: None }),
];

fn expected(policy: RestartPolicy, last: Last) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::UnlessStopped => !matches!(last, Last::Stopped | Last::Killed),
        _ => false,
    }
}

fn act(engine: &Engine, name: &str, last: Last) {
    if matches!(last, Last::Created) {
        return;
    }
    engine.start(name).unwrap();
    match last {
        Last::Stopped => drop(engine.stop(name, &at_once()).unwrap()),
        Last::Killed => drop(engine.kill(name, libc::SIGKILL).unwrap()),
        Last::Halted => {
            let request = StopRequest {
                for_shutdown: true,
                ..at_once()
            };
            engine.stop(name, &request).unwrap();
        }
        Last::Created | Last::Ran => {}
    }
}

/// Takes away what a host loses, and gives it another boot id.
fn reboot(place: &Place) {
    let root = place.path("").display().to_string();
    until("every process is gone", || {
        let mut pids: Vec<i32> = processes_with(&root).into_iter().map(|p| p.0).collect();
        pids.extend(processes_with("sleep 4321").into_iter().map(|p| p.0));
        for pid in &pids {
            let pid = rustix::process::Pid::from_raw(*pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        pids.is_empty()
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let ours: Vec<&str> = points.filter(|point| point.starts_with(&root)).collect();
    for point in ours.into_iter().rev() {
        let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
    }
    fs::remove_dir_all(place.path("run")).unwrap();
    for (id, _) in place.engine().container_names().unwrap() {
        for group in groups(&id) {
            until("its group is empty", || fs::remove_dir(&group).is_ok());
        }
    }
    let id = place.path("boot_id");
    fs::write(&id, "11111111-2222-3333-4444-555555555555\n").unwrap();
    rustix::mount::mount_bind(&id, "/proc/sys/kernel/random/boot_id").unwrap();
}

fn after_a_boot_policy_and_intent_decide() {
    let place = Place::new();
    let engine = place.engine();
    let lasts = [
        Last::Created,
        Last::Ran,
        Last::Stopped,
        Last::Killed,
        Last::Halted,
    ];
    let mut cases = Vec::new();
    for (word, policy) in POLICIES {
        for last in lasts {
            let name = format!("{word}-{last:?}");
            let mut spec = spec(&name, &["sleep", "4321"]);
            spec.restart = policy;
            create(&engine, &spec).unwrap();
            act(&engine, &name, last);
            cases.push((name, expected(policy, last)));
        }
    }
    until("the killed ones have ended", || {
        let listed = engine.list(&everything()).unwrap();
        let killed = listed.iter().filter(|c| c.name.ends_with("Killed"));
        killed
            .into_iter()
            .all(|c| c.state == ContainerState::Exited)
    });
    drop(engine);
    reboot(&place);
    let engine = place.engine();
    let listed = engine.list(&everything()).unwrap();
    for container in &listed {
        assert!(!container.state.is_alive(), "{} runs", container.name);
    }
    let filter = ("should-start-on-boot".to_owned(), vec!["true".to_owned()]);
    let wanted = ListRequest {
        filters: [filter].into(),
        ..everything()
    };
    for container in engine.list(&wanted).unwrap() {
        engine.start(&container.id).unwrap();
    }
    for (name, runs) in &cases {
        let state = engine.state(name).unwrap();
        assert_eq!(state == ContainerState::Running, *runs, "{name}: {state:?}");
    }
    place.end();
}
