//! Whatever is killed, the next command works and nothing is left.

use std::process::Stdio;
use std::time::Duration;

use crate::bundle::{Bundle, able, eventually, text};

#[test]
fn a_killed_create_leaves_nothing_in_the_way() {
    if !able() {
        return;
    }
    for round in 0..24u64 {
        let bundle = Bundle::new("exec sleep 300");
        bundle.save();
        let mut create = bundle
            .command()
            .args(["create", &bundle.id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(round * 900));
        let _ = create.kill();
        create.wait().unwrap();
        if round % 2 == 0 {
            again(&bundle);
        } else {
            // Without force: at most a container that is already set up has to be ended.
            let deleted = bundle.call(&["delete", &bundle.id]);
            let whole = text(&deleted).contains("is created");
            let unknown = text(&deleted).contains("does not exist");
            assert!(
                deleted.status.success() || whole || unknown,
                "{}",
                text(&deleted)
            );
        }
        bundle.clean();
        let marker = bundle.dir().to_str().unwrap().to_owned();
        eventually("no process is left", || !any_process_has(&marker));
    }
}

#[test]
fn delete_force_clears_a_container_whose_creation_was_killed_half_way() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("true");
    let note = bundle.dir().join("hook");
    let script = format!(
        "echo $$ >{0}.new; mv {0}.new {0}; exec sleep 300",
        note.display()
    );
    bundle.config["hooks"] = serde_json::json!({
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}],
    });
    bundle.save();
    let mut create = bundle
        .command()
        .args(["create", &bundle.id])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the hook runs", || note.exists());
    assert_eq!(bundle.status(), "creating");
    create.kill().unwrap();
    create.wait().unwrap();
    bundle.clean();
    let hook = std::fs::read_to_string(&note).unwrap();
    let hook = minke_sys::pidfd::PidFd::open(hook.trim().parse().unwrap()).unwrap();
    hook.signal(9).unwrap();
    assert!(
        bundle
            .must_fail(&["state", &bundle.id])
            .contains("does not exist")
    );
}

fn again(bundle: &Bundle) {
    // The child of the killed runtime may live for the moment it takes to see that.
    eventually("created again", || {
        // Not a pipe: the container would hold it open.
        let errors = bundle.dir().join("errors");
        let status = bundle
            .command()
            .args(["create", &bundle.id])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&errors).unwrap())
            .status()
            .unwrap();
        if status.success() {
            return true;
        }
        let reason = std::fs::read_to_string(&errors).unwrap();
        assert!(reason.contains("already exists"), "{reason}");
        match bundle.status().as_str() {
            "created" => true,
            _ => {
                bundle.must(&["delete", &bundle.id]);
                false
            }
        }
    });
    bundle.must(&["start", &bundle.id]);
    assert_eq!(bundle.status(), "running");
}

fn any_process_has(marker: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(marker))
    })
}

#[test]
fn of_two_creates_of_one_id_one_wins() {
    if !able() {
        return;
    }
    for _ in 0..6 {
        let bundle = Bundle::new("exec sleep 300");
        bundle.save();
        let spawn = || {
            bundle
                .command()
                .args(["create", &bundle.id])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut both = [spawn(), spawn(), spawn()];
        let won = both
            .iter_mut()
            .filter_map(|each| each.wait().unwrap().success().then_some(()))
            .count();
        assert_eq!(won, 1);
        bundle.must(&["start", &bundle.id]);
        assert_eq!(bundle.status(), "running");
        bundle.clean();
    }
}

#[test]
fn a_start_that_died_half_way_is_a_start() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("exec sleep 300");
    bundle.create();
    let fifo = bundle.state_root().join(&bundle.id).join("start.fifo");
    std::fs::write(&fifo, "1").unwrap();
    bundle.wait_status("running");
    assert!(bundle.must_fail(&["start", &bundle.id]).contains("running"));
    bundle.clean();
}

#[test]
fn a_damaged_record_is_in_nobodys_way() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("true");
    let dir = bundle.state_root().join(&bundle.id);
    for clear in [true, false] {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("state.json"), "").unwrap();
        assert!(
            bundle
                .must_fail(&["state", &bundle.id])
                .contains("cannot parse")
        );
        if clear {
            bundle.must(&["delete", "--force", &bundle.id]);
            assert!(!dir.exists());
        } else {
            assert_eq!(bundle.output(), "");
        }
    }
    bundle.assert_nothing_left();
}

#[test]
fn a_cgroup_in_use_is_refused() {
    if !able() {
        return;
    }
    let first = Bundle::new("exec sleep 300");
    first.up();
    let mut second = Bundle::new("true");
    second.config["linux"]["cgroupsPath"] = serde_json::json!(first.cgroup());
    assert!(second.refusal().contains("in use"));
    assert_eq!(first.status(), "running");
    first.clean();
}
