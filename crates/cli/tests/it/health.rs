//! Health checks, made by the monitor and by hand.

use crate::archive::IMAGE;
use crate::scratch::{Scratch, until};

/// A container with `flags` that sleeps, and is well while `/well` is there.
fn checked(scratch: &Scratch, flags: &[&str]) {
    let fixed = ["run", "-d", "--network", "none", "--name", "c"];
    let command = ["sh", "-c", "touch /well; exec sleep 1000"];
    let words = [&fixed[..], flags, &[IMAGE], &command].concat();
    let ran = scratch.run(&words);
    assert_eq!(ran.code, 0, "{ran:?}");
}

const FAST: [&str; 4] = ["--health-cmd", "cat /well", "--health-interval", "100ms"];

fn told(scratch: &Scratch, field: &str) -> String {
    scratch.ok(&format!("inspect --format {{{{.{field}}}}} c"))
}

fn health(scratch: &Scratch) -> String {
    told(scratch, "State.Health.Status")
}

#[test]
fn the_monitor_checks_and_everybody_sees_it() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    checked(&scratch, &[&FAST[..], &["--health-retries", "2"]].concat());
    assert_eq!(scratch.ok("wait --condition healthy c"), "-1");
    assert!(scratch.ok("ps").contains("(healthy)"));
    assert_eq!(scratch.ok("healthcheck run c"), "");
    scratch.ok("exec c busybox rm /well");
    assert_eq!(scratch.ok("wait --condition unhealthy c"), "-1");
    assert!(scratch.ok("ps").contains("(unhealthy)"));
    let by_hand = scratch.minke("healthcheck run c");
    assert_eq!((by_hand.code, by_hand.out.trim()), (1, "unhealthy"));
    let log = told(&scratch, "State.Health.Log");
    assert!(log.contains("/well"), "{log}");
    let count = ["inspect", "--format", "{{len .State.Health.Log}}", "c"];
    until("the log is full", || scratch.run(&count).out.trim() == "5");
    scratch.ok("exec c touch /well");
    assert_eq!(scratch.ok("wait --condition healthy c"), "-1");
    assert_eq!(told(&scratch, "State.Health.FailingStreak"), "0");
    scratch.ok("stop -t 0 c");
    assert!(!scratch.ok("ps -a").contains("healthy"));
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.sleeper("c");
    let id = told(&scratch, "Id");
    let refusal = |word: &str| {
        let refused = scratch.minke("healthcheck run c");
        assert_eq!(refused.code, 125);
        assert_eq!(refused.err.trim(), format!("Error: container {id} {word}"));
    };
    refusal("has no defined healthcheck");
    scratch.ok("stop -t 0 c");
    refusal("is not running");
    scratch.ok("rm c");
    checked(
        &scratch,
        &[
            "--health-cmd",
            "no-such-command",
            "--health-interval",
            "disable",
        ],
    );
    let by_hand = scratch.minke("healthcheck run c");
    assert_eq!((by_hand.code, by_hand.out.trim()), (1, "unhealthy"));
    assert_eq!(health(&scratch), "starting", "one failure is not three");
}

#[test]
fn a_check_that_takes_too_long_is_ended() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let flags = ["--health-cmd", "sleep 999", "--health-interval", "disable"];
    checked(
        &scratch,
        &[&flags[..], &["--health-timeout", "1s"]].concat(),
    );
    let late = scratch.minke("healthcheck run c");
    assert_eq!(late.code, 125, "{late:?}");
    assert!(late.err.contains("exceeded timeout of 1s"), "{late:?}");
    assert!(told(&scratch, "State.Health.Log").contains("-1"));
    let left = scratch.ok("exec c ps");
    assert!(!left.contains("sleep 999"), "{left}");
}

#[test]
fn unhealthy_containers_are_killed_stopped_or_started_again() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for (action, code) in [("kill", "137"), ("stop", "143")] {
        let once = ["--health-retries", "1", "--health-on-failure", action];
        checked(&scratch, &[&FAST[..], &once].concat());
        scratch.ok("wait --condition healthy c");
        scratch.ok("exec c busybox rm /well");
        let ended = scratch.ok("wait c");
        assert!([code, "137"].contains(&ended.as_str()), "{action}: {ended}");
        until("it stays ended", || scratch.state("c") == "exited");
        scratch.ok("rm c");
    }
    let once = ["--health-retries", "1", "--health-on-failure", "restart"];
    checked(
        &scratch,
        &[&FAST[..], &once, &["--stop-timeout", "0"]].concat(),
    );
    scratch.ok("wait --condition healthy c");
    scratch.ok("exec c busybox rm /well");
    until("it was started again and is well", || {
        told(&scratch, "RestartCount") == "1" && health(&scratch) == "healthy"
    });
}

#[test]
fn a_startup_check_comes_first() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let startup = [
        "--health-startup-cmd",
        "cat /ready",
        "--health-startup-interval",
        "100ms",
    ];
    checked(&scratch, &[&FAST[..], &startup].concat());
    until("it was checked", || {
        told(&scratch, "State.Health.Log").contains("/ready")
    });
    assert_eq!(health(&scratch), "starting");
    let by_hand = scratch.minke("healthcheck run c");
    assert_eq!((by_hand.code, by_hand.out.trim()), (1, "starting"));
    scratch.ok("exec c touch /ready");
    scratch.ok("wait --condition healthy c");
    scratch.ok("exec c busybox rm /ready");
    scratch.ok("healthcheck run c");
    scratch.ok("rm -f -t 0 c");
    let twice = ["--health-startup-retries", "2", "--stop-timeout", "0"];
    checked(&scratch, &[&FAST[..], &startup, &twice].concat());
    until("it was started again", || {
        told(&scratch, "RestartCount") != "0"
    });
}
