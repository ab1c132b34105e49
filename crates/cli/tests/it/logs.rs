//! What containers wrote, from rotated files too.

use std::process::Stdio;

use crate::archive::IMAGE;
use crate::scratch::{Scratch, outcome};

const LINES: usize = 4000;

/// A container that writes numbered lines into logs that are rotated many times, none removed.
fn chatty(scratch: &Scratch, driver: &str) {
    let script = format!("i=0; while [ $i -lt {LINES} ]; do echo line-$i; i=$((i+1)); done");
    let mut command = scratch.command();
    command.args(["create", "--network", "none", "--name", driver]);
    command.args(["--log-driver", driver, "--log-opt", "max-size=20k"]);
    command.args(["--log-opt", "max-file=100", IMAGE, "sh", "-c", &script]);
    assert_eq!(outcome(&mut command).code, 0);
}

fn numbered(from: usize) -> String {
    (from..LINES).map(|i| format!("line-{i}\n")).collect()
}

#[test]
fn followed_over_rotations_each_line_comes_once() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for driver in ["k8s-file", "json-file"] {
        chatty(&scratch, driver);
        scratch.ok(&format!("start {driver}"));
        let follower = scratch
            .command()
            .args(["logs", "-f", driver])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let followed = follower.wait_with_output().unwrap();
        assert!(followed.status.success());
        let followed = String::from_utf8(followed.stdout).unwrap();
        assert!(followed == numbered(0), "{driver}: {}", followed.len());
        let read = scratch.minke(&format!("logs {driver}")).out;
        assert!(read == numbered(0), "{driver}: {}", read.len());
        let tail = scratch.minke(&format!("logs --tail 700 {driver}")).out;
        assert!(tail == numbered(LINES - 700), "{driver}: {}", tail.len());
    }
}

#[test]
fn several_containers_are_told_apart() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for name in ["a", "b"] {
        scratch.ok(&format!(
            "run --network none --name {name} {IMAGE} echo from-{name}"
        ));
    }
    let text = scratch.ok("logs --names a b");
    assert_eq!(text, "a from-a\nb from-b");
    let text = scratch.ok("logs --color --names a b");
    assert_eq!(text, "\x1b[37ma from-a\x1b[0m\n\x1b[31mb from-b\x1b[0m");
    assert_eq!(scratch.ok("logs --names a"), "from-a");
    assert_eq!(scratch.ok("logs --latest"), "from-b");
    let missing = scratch.minke("logs a missing");
    assert_eq!((missing.code, missing.out.as_str()), (125, ""));
}

#[test]
fn drivers_that_keep_nothing_say_so() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let run = |driver: &str| {
        scratch.minke(&format!(
            "run --network none --name {driver} --log-driver {driver} {IMAGE} echo hello"
        ))
    };
    assert_eq!(run("none").out, "hello\n");
    assert_eq!(run("passthrough").out, "hello\n");
    for driver in ["none", "passthrough"] {
        let refused = scratch.minke(&format!("logs {driver}"));
        let expected = format!(
            "Error: this container is using the '{driver}' log driver, cannot read logs: this container is not logging output"
        );
        assert_eq!((refused.code, refused.err.trim()), (125, expected.as_str()));
    }
}
