//! Restart policies: started again by the monitor, or by the next command where it was killed.

use std::fs;

use crate::archive::IMAGE;
use crate::scratch::{Scratch, until};

/// A container of policy `policy` that runs `script`.
fn policed(scratch: &Scratch, policy: &str, script: &str) {
    let flags = ["run", "-d", "--network", "none", "--name", "c", "--restart"];
    let words = [&flags[..], &[policy, IMAGE, "sh", "-c", script]].concat();
    let ran = scratch.run(&words);
    assert_eq!(ran.code, 0, "{ran:?}");
}

fn told(scratch: &Scratch, field: &str) -> String {
    scratch.ok(&format!("inspect --format {{{{.{field}}}}} c"))
}

/// Kills the process that the field names and waits until it is gone.
fn kill(scratch: &Scratch, field: &str) {
    let pid: i32 = told(scratch, field).parse().unwrap();
    let killed = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(killed, rustix::process::Signal::KILL).unwrap();
    until("it is gone", || {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    });
}

#[test]
fn failures_are_counted_and_then_it_stays_ended() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    policed(&scratch, "on-failure:2", "echo life; sleep 0.2; exit 3");
    assert_eq!(
        scratch.ok("logs -f c"),
        "life\nlife\nlife",
        "followed over lives"
    );
    until("it has given up", || {
        told(&scratch, "RestartCount") == "2" && scratch.state("c") == "exited"
    });
    assert_eq!(told(&scratch, "State.ExitCode"), "3");
    assert_eq!(scratch.ok("logs c"), "life\nlife\nlife");
    // By hand it begins anew.
    scratch.ok("start c");
    until("it has given up again", || {
        scratch.state("c") == "exited" && scratch.ok("logs c").lines().count() == 6
    });
    policed_ends_after_success(&scratch);
}

fn policed_ends_after_success(scratch: &Scratch) {
    scratch.ok("rm c");
    policed(scratch, "on-failure", "exit 0");
    until("it has ended", || scratch.state("c") == "exited");
    assert_eq!(told(scratch, "RestartCount"), "0");
}

#[test]
fn what_waits_for_its_next_start_can_be_stopped_started_and_removed() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    policed(&scratch, "always", "exit 1");
    let waits = || scratch.state("c") == "restarting";
    let waits_long = || waits() && told(&scratch, "RestartCount").parse::<u32>().unwrap() > 3; // for a second or so
    until("it waits long", waits_long);
    assert_eq!(told(&scratch, "State.Restarting"), "true");
    scratch.ok("stop c");
    assert_eq!(scratch.state("c"), "exited");
    let count = told(&scratch, "RestartCount");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert_eq!(told(&scratch, "RestartCount"), count, "nobody tries again");
    scratch.ok("start c");
    until("it waits", waits_long);
    // Between two attempts it runs for a moment.
    until("it can be removed", || scratch.minke("rm c").code == 0);
    assert_eq!(scratch.ok("ps -aq"), "");
}

#[test]
fn stopped_and_killed_by_somebody_it_stays_ended_but_not_by_accident() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    policed(&scratch, "unless-stopped", "sleep 1000");
    kill(&scratch, "State.Pid");
    until("it runs again", || {
        scratch.state("c") == "running" && told(&scratch, "RestartCount") == "1"
    });
    scratch.ok("kill c");
    until("it has ended", || scratch.state("c") == "exited");
    scratch.ok("start c");
    assert_eq!(told(&scratch, "RestartCount"), "0");
    scratch.ok("stop -t 0 c");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(scratch.state("c"), "exited");
}

#[test]
fn addresses_and_ports_stay_over_a_restart() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let below = scratch.path("below");
    fs::create_dir(&below).unwrap();
    let flags = format!(
        "run -d --name c --restart always -v {}:/x:O",
        below.display()
    );
    scratch.ok(&format!("{flags} {IMAGE} sleep 1000"));
    let address = told(&scratch, "NetworkSettings.IPAddress");
    assert!(!address.is_empty());
    kill(&scratch, "State.Pid");
    until("it runs again", || {
        scratch.state("c") == "running" && told(&scratch, "RestartCount") == "1"
    });
    assert_eq!(told(&scratch, "NetworkSettings.IPAddress"), address);
    let inside = scratch.ok("exec c ip -4 addr show eth0");
    assert!(inside.contains(&address), "{inside}");
    assert_eq!(scratch.ok("exec c cat /proc/1/comm"), "sleep");
    assert_eq!(told(&scratch, "State.Error"), "", "at the first attempt");
}

#[test]
fn a_killed_monitor_does_not_lose_the_policy() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    policed(&scratch, "always", "sleep 1000");
    for round in 1..3 {
        kill(&scratch, "State.ConmonPid");
        kill(&scratch, "State.Pid");
        until("the next commands have started it again", || {
            scratch.ok("ps -a");
            scratch.state("c") == "running"
        });
        assert_eq!(told(&scratch, "RestartCount"), round.to_string());
    }
    scratch.ok("rm -f -t 0 c");
    policed(&scratch, "always", "exit 1");
    until("it waits long", || {
        scratch.state("c") == "restarting"
            && told(&scratch, "RestartCount").parse::<u32>().unwrap() > 2
    });
    let count = told(&scratch, "RestartCount");
    for monitor in monitors(&told(&scratch, "Id")) {
        let pid = rustix::process::Pid::from_raw(monitor).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    until("it is tried again", || {
        told(&scratch, "RestartCount") != count
    });
}

/// The processes whose command line holds the id.
fn monitors(id: &str) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_monitor = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("conmon") && line.contains(id)
    };
    numbers.filter(is_monitor).collect()
}

#[test]
fn with_another_conmon_the_exit_command_starts_it_again() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let conmon = "/usr/bin/conmon";
    if !std::path::Path::new(conmon).exists() {
        eprintln!("skipped: {conmon} is missing (package conmon)");
        return;
    }
    let flags = "run -d --network none --name c --restart on-failure:2";
    scratch.ok(&format!("--conmon {conmon} {flags} {IMAGE} false"));
    until("it has given up", || {
        told(&scratch, "RestartCount") == "2" && scratch.state("c") == "exited"
    });
}

#[test]
fn what_is_to_run_after_a_boot_is_started_by_one_command() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for policy in ["no", "always", "unless-stopped", "on-failure"] {
        let flags = format!("create --network none --name {policy} --restart {policy}");
        scratch.ok(&format!("{flags} {IMAGE} sleep 1000"));
    }
    scratch.ok("start unless-stopped");
    scratch.ok("stop -t 0 --for-shutdown unless-stopped");
    scratch.ok("start --all --filter should-start-on-boot=true");
    let running = |scratch: &Scratch| {
        let names = scratch.ok("ps --format {{.Names}}");
        let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(running(&scratch), "always unless-stopped");
    scratch.ok("stop -t 0 unless-stopped");
    scratch.ok("start --all --filter should-start-on-boot=true");
    assert_eq!(running(&scratch), "always");
    scratch.ok("start --filter restart-policy=on-failure");
    assert_eq!(running(&scratch), "always on-failure");
    let unknown = scratch.minke("start --all --filter colour=red");
    assert_eq!(unknown.code, 125);
    assert!(
        unknown.err.contains("colour is an invalid filter"),
        "{unknown:?}"
    );
}

#[test]
fn an_exit_command_without_its_monitor_waits_itself() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    policed(&scratch, "always", "sleep 1000");
    let id = told(&scratch, "Id");
    let pid = told(&scratch, "State.Pid");
    kill(&scratch, "State.ConmonPid");
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("it has ended", || {
        let status = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
        status.is_ok_and(|status| status.contains(") Z ")) || !alive(pid)
    });
    // Nobody would run it again: its parent, whoever adopted it, is no monitor.
    assert_eq!(scratch.ok(&format!("container cleanup --again {id}")), "");
    assert_eq!(scratch.state("c"), "running");
}

fn alive(pid: rustix::process::Pid) -> bool {
    rustix::process::test_kill_process(pid).is_ok()
}
