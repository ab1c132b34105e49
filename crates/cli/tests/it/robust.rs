//! The command dies, the container does not; and the next command works.

use crate::archive::IMAGE;
use crate::scratch::{Scratch, until};

#[test]
fn a_killed_command_leaves_a_container_that_can_be_used() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let mut running = scratch
        .command()
        .args([
            "run",
            "--network",
            "none",
            "--name",
            "c",
            IMAGE,
            "sleep",
            "1000",
        ])
        .spawn()
        .unwrap();
    until("the container runs", || scratch.ok("ps -q").len() == 12);
    running.kill().unwrap(); // SIGKILL
    running.wait().unwrap();
    assert_eq!(scratch.state("c"), "running");
    assert_eq!(scratch.ok("exec c echo alive"), "alive");
    assert_eq!(scratch.ok("rm -f -t 0 c"), "c");
    assert_eq!(scratch.ok("ps -aq"), "");
}

#[test]
fn a_command_killed_at_any_moment_leaves_a_store_that_works() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for milliseconds in [1, 5, 10, 20, 40, 80] {
        let mut running = scratch
            .command()
            .args(["run", "--rm", "--network", "none", IMAGE, "sleep", "1000"])
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        running.kill().unwrap();
        running.wait().unwrap();
        assert_eq!(scratch.script("", "echo works").out, "works\n");
        scratch.ok("rm -f -a -t 0");
    }
}

#[test]
fn a_detached_container_survives_its_command() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.sleeper("c");
    let pid: u32 = scratch
        .ok("inspect --format {{.State.Pid}} c")
        .parse()
        .unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(scratch.ok("exec c echo alive"), "alive");
}
