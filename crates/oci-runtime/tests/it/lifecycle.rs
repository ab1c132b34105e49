//! From create to delete, and what the commands say on the way.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::bundle::{Bundle, able, eventually, text};

#[test]
fn a_container_goes_through_its_states() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("exec sleep 300");
    let pid_file = bundle.dir().join("pid");
    bundle.create_with(&["--pid-file", pid_file.to_str().unwrap()]);
    assert_eq!(bundle.status(), "created");
    let pid = bundle.pid();
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), pid.to_string());
    let exists = bundle.must_fail(&["create", &bundle.id]);
    assert!(exists.contains("already exists"), "{exists}");
    bundle.must(&["start", &bundle.id]);
    assert_eq!(bundle.status(), "running");
    assert!(bundle.must_fail(&["start", &bundle.id]).contains("running"));
    assert!(
        bundle
            .must_fail(&["delete", &bundle.id])
            .contains("running")
    );
    bundle.must(&["kill", &bundle.id, "KILL"]);
    bundle.wait_status("stopped");
    assert_eq!(bundle.state()["pid"], 0);
    let late = bundle.must_fail(&["kill", &bundle.id, "TERM"]);
    assert!(late.contains("not running"), "{late}");
    bundle.must(&["delete", &bundle.id]);
    let unknown = bundle.must_fail(&["state", &bundle.id]);
    assert!(unknown.contains("does not exist"), "{unknown}");
    bundle.assert_nothing_left();
}

#[test]
fn list_shows_json_a_table_and_ids() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("exec sleep 300");
    assert_eq!(bundle.must(&["list", "--quiet"]), "");
    bundle.up();
    let listed: Value = serde_json::from_str(&bundle.must(&["list", "-f", "json"])).unwrap();
    assert_eq!(listed[0]["id"], json!(bundle.id));
    assert_eq!(listed[0]["status"], "running");
    assert_eq!(listed[0]["bundle"], json!(bundle.dir()));
    let table = bundle.must(&["list"]);
    let mut lines = table.lines();
    let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let row: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(
        row[..3],
        [&*bundle.id, &bundle.pid().to_string(), "running"]
    );
    assert_eq!(bundle.must(&["list", "-q"]), format!("{}\n", bundle.id));
    bundle.clean();
}

#[test]
fn run_gives_the_commands_exit_code() {
    if !able() {
        return;
    }
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$; exit 1", 1)] {
        let bundle = Bundle::new(script);
        assert_eq!(bundle.run().status.code(), Some(code), "{script}");
        bundle.assert_nothing_left();
    }
    let mut missing = Bundle::new("");
    missing.config["process"]["args"] = json!(["no-such-command"]);
    assert!(missing.refusal().contains("not found in $PATH"));
    missing.config["process"]["args"] = json!(["/etc"]);
    assert!(missing.refusal().contains("not a regular file"));
    missing.config["process"]["args"] = json!(["/etc/passwd"]);
    assert!(missing.refusal().contains("not executable"));
    missing.assert_nothing_left();
}

#[test]
fn a_command_of_no_known_format_says_so() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("");
    let path = bundle.rootfs().join("bin/odd");
    fs::write(&path, "not a program").unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bundle.config["process"]["args"] = json!(["/bin/odd"]);
    let output = bundle.run();
    assert_eq!(output.status.code(), Some(126), "{}", text(&output));
    assert!(text(&output).contains("/bin/odd: exec format error"));
}

#[test]
fn signals_start_at_their_defaults() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("");
    bundle.config["process"]["args"] =
        json!(["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]);
    let output = bundle.output();
    for line in output.lines() {
        assert!(line.ends_with("\t0000000000000000"), "{output}");
    }
}

#[test]
fn run_passes_signals_on() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done");
    bundle.save();
    let mut child = bundle
        .command()
        .args(["run", &bundle.id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    bundle.assert_nothing_left();
}

#[test]
fn pause_stops_and_resume_goes_on() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("exec sleep 300");
    bundle.up();
    bundle.must(&["pause", &bundle.id]);
    assert_eq!(bundle.status(), "paused");
    let refused = text(&bundle.exec(&[], &["true"]));
    assert!(refused.contains("paused"), "{refused}");
    assert!(bundle.must_fail(&["pause", &bundle.id]).contains("paused"));
    bundle.must(&["resume", &bundle.id]);
    assert_eq!(bundle.status(), "running");
    bundle.must(&["pause", &bundle.id]);
    bundle.must(&["kill", &bundle.id, "KILL"]);
    bundle.wait_status("stopped");
    bundle.clean();
}

#[test]
fn kill_all_reaches_every_process() {
    if !able() {
        return;
    }
    // A shared pid namespace: nothing but the cgroup holds the processes together.
    let mut bundle = Bundle::new("sleep 300 & sleep 300 & wait");
    bundle.config["linux"]["namespaces"] = json!([{"type": "mount"}]);
    bundle.config["hostname"] = Value::Null;
    bundle.mount(
        json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind"]}),
    );
    bundle.up();
    let count = || {
        let listed: Vec<i32> = serde_json::from_str(&bundle.must(&["ps", &bundle.id])).unwrap();
        listed.len()
    };
    eventually("three processes", || count() == 3);
    bundle.must(&["kill", "--all", &bundle.id, "KILL"]);
    eventually("no process", || count() == 0);
    bundle.wait_status("stopped");
    bundle.must(&["kill", "--all", &bundle.id, "KILL"]);
    bundle.clean();
}

#[test]
fn delete_force_ends_what_runs_and_does_not_mind_what_is_not_there() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("exec sleep 300");
    bundle.must(&["delete", "--force", "never-made"]);
    assert!(
        bundle
            .must_fail(&["delete", "never-made"])
            .contains("does not exist")
    );
    bundle.up();
    bundle.clean();
    bundle.create();
    bundle.clean();
    bundle.up();
    bundle.must(&["pause", &bundle.id]);
    bundle.clean();
}

#[test]
fn spec_writes_a_config_that_runs() {
    if !able() {
        return;
    }
    for rootless in [false, true] {
        let mut bundle = Bundle::new("");
        let flags: &[&str] = if rootless {
            &["spec", "--rootless"]
        } else {
            &["spec"]
        };
        bundle.must(flags);
        assert!(bundle.must_fail(flags).contains("exists"));
        let text = fs::read(bundle.dir().join("config.json")).unwrap();
        bundle.config = serde_json::from_slice(&text).unwrap();
        bundle.config["process"]["terminal"] = json!(false);
        bundle.config["process"]["args"] = json!(["/bin/sh", "-c", "echo works"]);
        bundle.config["linux"]["cgroupsPath"] = json!(bundle.cgroup());
        assert_eq!(bundle.output(), "works\n", "rootless {rootless}");
    }
}

#[test]
fn an_unused_feature_is_refused_by_name() {
    if !able() {
        return;
    }
    let table = [
        (
            "/linux/mountLabel",
            json!("system_u:object_r:x"),
            "linux.mountLabel",
        ),
        (
            "/process/apparmorProfile",
            json!("x"),
            "process.apparmorProfile",
        ),
        ("/linux/intelRdt", json!({"closID": "x"}), "linux.intelRdt"),
    ];
    for (pointer, value, name) in table {
        let mut bundle = Bundle::new("true");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        bundle.config.pointer_mut(parent).unwrap()[key] = value;
        let refusal = bundle.refusal();
        assert!(refusal.contains(name), "{refusal}");
        bundle.assert_nothing_left();
    }
}

#[test]
fn update_changes_limits_of_what_is_there() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("exec sleep 300");
    bundle.up();
    let tasks = || fs::read_to_string(bundle.cgroup_file("pids", "pids.max")).unwrap();
    bundle.must(&["update", "--pids-limit", "77", &bundle.id]);
    assert_eq!(tasks().trim(), "77");
    let path = bundle.dir().join("limits.json");
    fs::write(&path, r#"{"pids": {"limit": 55}}"#).unwrap();
    bundle.must(&["update", "-r", path.to_str().unwrap(), &bundle.id]);
    assert_eq!(tasks().trim(), "55");
    fs::write(&path, "{").unwrap();
    let refused = bundle.must_fail(&["update", "-r", path.to_str().unwrap(), &bundle.id]);
    assert!(refused.contains("cannot parse"), "{refused}");
    bundle.must(&["kill", &bundle.id, "KILL"]);
    bundle.wait_status("stopped");
    assert!(
        bundle
            .must_fail(&["update", "--pids-limit", "7", &bundle.id])
            .contains("stopped")
    );
    bundle.clean();
}
