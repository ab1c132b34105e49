//! From `run` to `rm`.

use std::fs::File;

use crate::archive::IMAGE;
use crate::scratch::{Scratch, outcome, until};

#[test]
fn run_shows_output_and_ends_with_the_process_code() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let ran = scratch.script("", "echo out; echo err >&2; exit 7");
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (7, "out\n", "err\n")
    );
    // The first process of a pid namespace cannot end itself by a signal; its parent can.
    let killed = scratch.script("--pid host", "kill -9 $$");
    assert_eq!(killed.code, 137);
    assert_eq!(scratch.ok("ps -aq"), "", "--rm leaves nothing");
}

#[test]
fn run_passes_stdin_on() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let text = scratch.path("text");
    std::fs::write(&text, "one\ntwo\n").unwrap();
    let ran = outcome(
        scratch
            .command()
            .args(["run", "-i", "--rm", "--network", "none", IMAGE, "wc", "-l"])
            .stdin(File::open(&text).unwrap()),
    );
    assert_eq!((ran.code, ran.out.trim()), (0, "2"), "{ran:?}");
}

#[test]
fn a_container_lives_through_its_states() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let id = scratch.ok(&format!(
        "create --network none --name c {IMAGE} sleep 1000"
    ));
    assert_eq!(id.len(), 64);
    assert_eq!(scratch.state("c"), "created");
    assert_eq!(scratch.ok("start c"), "c");
    assert_eq!(scratch.state("c"), "running");
    assert_eq!(scratch.ok("start c"), "c", "starting what runs is success");
    assert_eq!(scratch.ok("ps -q"), id[..12]);
    let table = scratch.ok("ps");
    let (heading, row) = table.split_once('\n').unwrap();
    assert!(heading.starts_with("CONTAINER ID  IMAGE"), "{table}");
    assert!(row.contains("Up ") && row.ends_with(" c"), "{table}");
    assert_eq!(scratch.ok("stop -t 0 c"), "c");
    assert_eq!(scratch.state("c"), "exited");
    assert_eq!(scratch.ok("wait c"), "137");
    assert_eq!(scratch.ok("rm c"), "c");
    assert_eq!(scratch.minke("container exists c").code, 1);
}

#[test]
fn a_handled_stop_signal_gives_the_code() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    let arguments = [
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "c",
        IMAGE,
        "sh",
        "-c",
        script,
    ];
    assert_eq!(scratch.run(&arguments).code, 0);
    until("the trap is set", || scratch.ok("logs c") == "ready");
    scratch.ok("stop -t 20 c");
    assert_eq!(scratch.ok("wait c"), "9");
}

#[test]
fn exec_runs_beside_the_first_process() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.sleeper("c");
    assert_eq!(scratch.ok("exec c echo hi"), "hi");
    assert_eq!(scratch.ok("exec -e A=1 -w /tmp c sh -c pwd"), "/tmp");
    assert_eq!(scratch.ok("exec -u worker c id -u"), "1000");
    assert_eq!(scratch.run(&["exec", "c", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(
        scratch.run(&["exec", "c", "sh", "-c", "kill -9 $$"]).code,
        137
    );
    assert_eq!(scratch.ok("exec -d c touch /tmp/x").len(), 64);
    until("the file is there", || {
        scratch.minke("exec c test -e /tmp/x").code == 0
    });
}

#[test]
fn logs_keep_both_streams() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    // Between two streams only time makes an order.
    let script = "echo one; echo two >&2; sleep 0.3; echo three";
    let arguments = [
        "run",
        "--network",
        "none",
        "--name",
        "c",
        IMAGE,
        "sh",
        "-c",
        script,
    ];
    assert_eq!(scratch.run(&arguments).code, 0);
    let logs = scratch.minke("logs c");
    assert_eq!(
        (logs.out.as_str(), logs.err.as_str()),
        ("one\nthree\n", "two\n")
    );
    assert_eq!(scratch.ok("logs --tail 1 c"), "three");
    let stamped = scratch.ok("logs -t --tail 1 c");
    let (time, text) = stamped.split_once(' ').unwrap();
    assert_eq!(text, "three");
    assert!(time.starts_with("20") && time.contains('T'), "{stamped}");
    assert_eq!(scratch.ok("logs --since 1h -f c"), "one\nthree");
    assert_eq!(scratch.ok("logs --until 1h c"), "");
}

#[test]
fn inspect_and_ps_tell_the_same() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.sleeper("c");
    let found: serde_json::Value = serde_json::from_str(&scratch.ok("inspect c")).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&scratch.ok("ps --format json")).unwrap();
    assert_eq!(found[0]["Id"], listed[0]["Id"]);
    assert_eq!(listed[0]["State"], "running");
    assert_eq!(listed[0]["Names"], serde_json::json!(["c"]));
    assert_eq!(scratch.ok("ps --format {{.Names}}:{{.State}}"), "c:running");
    let partly = scratch.minke("inspect c nothing");
    assert_eq!(partly.code, 125);
    assert!(partly.out.starts_with("[\n    {"), "{partly:?}");
    assert!(
        partly.err.contains("no such object: \"nothing\""),
        "{partly:?}"
    );
    scratch.ok("kill c");
}

#[test]
fn images_are_listed_tagged_saved_and_removed() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let table = scratch.ok("images");
    assert!(
        table.starts_with("REPOSITORY         TAG         IMAGE ID"),
        "{table}"
    );
    assert!(table.contains("localhost/busybox  latest"), "{table}");
    scratch.ok("tag busybox localhost/other:1");
    assert_eq!(scratch.ok("images -n other").lines().count(), 1);
    let saved = scratch.path("saved.tar");
    scratch.ok(&format!("save -o {} localhost/other:1", saved.display()));
    assert_eq!(
        scratch.ok("rmi localhost/other:1"),
        "Untagged: localhost/other:1"
    );
    let loaded = scratch.ok(&format!("load -q -i {}", saved.display()));
    assert_eq!(loaded, "Loaded image: localhost/other:1");
    scratch.ok(&format!("create --name c --network none {IMAGE}"));
    scratch.ok("rmi localhost/other:1");
    let in_use = scratch.minke("rmi busybox");
    assert_eq!(in_use.code, 2, "{in_use:?}");
    assert!(
        in_use.err.contains("image is in use by a container"),
        "{in_use:?}"
    );
    scratch.ok("rm c");
    assert!(scratch.ok("rmi busybox").contains("Deleted: "));
    assert_eq!(scratch.minke("image exists busybox").code, 1);
}

#[test]
fn a_run_timeout_ends_it_and_leaves_nothing() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let flags = "run --network none --name c --timeout 1";
    let ran = scratch.minke(&format!("{flags} {IMAGE} sleep 1000"));
    assert_eq!(ran.code, 255, "{ran:?}");
    until("it is cleaned up", || scratch.state("c") == "exited");
    assert_eq!(
        scratch.ok("inspect --format {{.State.ExitCode}} c"),
        "-1",
        "as Podman has it"
    );
}
