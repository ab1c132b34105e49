//! What a service manager wants: readiness, descriptors, pid files.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::archive::IMAGE;
use crate::scratch::{Scratch, outcome, until};

/// A service manager's socket.
fn manager(scratch: &Scratch) -> UnixDatagram {
    let socket = UnixDatagram::bind(scratch.path("manager")).unwrap();
    let patience = Some(Duration::from_secs(20));
    socket.set_read_timeout(patience).unwrap();
    socket
}

fn heard(socket: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = socket.recv(&mut message).unwrap();
    String::from_utf8_lossy(&message[..length]).into_owned()
}

/// Runs `minke run -d` under the manager; gives the id.
fn run(scratch: &Scratch, flags: &str, command: &str) -> String {
    let line = format!("run -d --network none --name c {flags} {IMAGE}");
    let words: Vec<&str> = line
        .split_whitespace()
        .chain(["sh", "-c", command])
        .collect();
    let ran = outcome(
        scratch
            .command()
            .args(words)
            .env("NOTIFY_SOCKET", scratch.path("manager")),
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.out.trim().to_owned()
}

fn told(scratch: &Scratch, field: &str) -> String {
    scratch.ok(&format!("inspect --format {{{{.{field}}}}} c"))
}

#[test]
fn the_manager_is_told_when_it_is_ready() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let socket = manager(&scratch);
    let main = |scratch: &Scratch| format!("MAINPID={}", told(scratch, "State.ConmonPid"));
    run(&scratch, "--sdnotify conmon", "sleep 1000");
    assert_eq!(heard(&socket), format!("{}\nREADY=1", main(&scratch)));
    scratch.ok("rm -f -t 0 c");
    run(&scratch, "", "echo $NOTIFY_SOCKET; sleep 1000");
    assert_eq!(heard(&socket), main(&scratch));
    until("it has said where", || !scratch.ok("logs c").is_empty());
    assert_eq!(scratch.ok("logs c"), "/run/notify/notify.sock");
    let pid = told(&scratch, "State.Pid");
    let inside = format!("/proc/{pid}/root/run/notify/notify.sock");
    let container = UnixDatagram::unbound().unwrap();
    container.send_to(b"READY=1\nMAINPID=1", inside).unwrap();
    assert_eq!(heard(&socket), "READY=1");
    scratch.ok("rm -f -t 0 c");
    let check = "--health-cmd true --health-interval 100ms";
    run(
        &scratch,
        &format!("--sdnotify healthy {check}"),
        "sleep 1000",
    );
    assert_eq!(heard(&socket), main(&scratch));
    assert_eq!(heard(&socket), "READY=1");
    scratch.ok("rm -f -t 0 c");
    run(
        &scratch,
        "--sdnotify ignore",
        "echo [$NOTIFY_SOCKET]; sleep 1000",
    );
    until("it has said where", || !scratch.ok("logs c").is_empty());
    assert_eq!(scratch.ok("logs c"), "[]");
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 16]).is_err(), "nothing was told");
}

/// The command below a shell that has opened `three` and `four` as descriptors 3 and 4.
fn with_descriptors(scratch: &Scratch, words: &[&str]) -> crate::scratch::Outcome {
    for name in ["three", "four"] {
        fs::write(scratch.path(name), format!("{name}\n")).unwrap();
    }
    let minke = scratch.command();
    let mut shell = Command::new("/bin/sh");
    shell.args([
        "-c",
        "three=$1 four=$2; shift 2; exec \"$@\" 3<$three 4<$four",
        "sh",
    ]);
    shell.arg(scratch.path("three")).arg(scratch.path("four"));
    shell.arg(minke.get_program()).args(minke.get_args());
    outcome(shell.args(words))
}

#[test]
fn descriptors_are_passed_down_and_no_others() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let script = "cat <&3; cat <&4";
    let both = ["three", "four"].map(|name| format!("{name}\n")).concat();
    let run = ["run", "--rm", "--network", "none"];
    let command = [IMAGE, "sh", "-c", script];
    let of = |flags: &[&str]| with_descriptors(&scratch, &[&run[..], flags, &command].concat());
    assert_eq!(of(&["--preserve-fds", "2"]).out, both);
    assert_eq!(of(&["--preserve-fds", "1"]).out, "three\n");
    assert_eq!(of(&[]).out, "");
    assert_eq!(of(&["--preserve-fd", "4"]).out, "four\n");
    assert_eq!(of(&["--preserve-fd", "2"]).code, 126);
    scratch.sleeper("c");
    let exec = |flags: &[&str]| {
        let words = [&["exec"], flags, &["c", "sh", "-c", script]].concat();
        with_descriptors(&scratch, &words)
    };
    assert_eq!(exec(&["--preserve-fds", "2"]).out, both);
    assert_eq!(exec(&["--preserve-fd", "4", "--no-session"]).out, "four\n");
    assert_eq!(exec(&[]).out, "");
}

#[test]
fn pids_are_written_where_asked_and_go_with_the_end() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let (monitor, own) = (scratch.path("monitor.pid"), scratch.path("own.pid"));
    let flags = format!(
        "--conmon-pidfile {} --pidfile {}",
        monitor.display(),
        own.display()
    );
    run(&scratch, &flags, "sleep 1000");
    assert_eq!(
        fs::read_to_string(&own).unwrap(),
        told(&scratch, "State.Pid")
    );
    let pid = fs::read_to_string(&monitor).unwrap();
    assert_eq!(pid, told(&scratch, "State.ConmonPid"));
    assert_eq!(told(&scratch, "PidFile"), own.display().to_string());
    scratch.ok("stop -t 0 c");
    assert!(!own.exists() && !monitor.exists());
}

#[test]
fn detach_keys_come_from_the_configuration() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.sleeper("c");
    let conf = scratch.path("containers.conf");
    fs::write(&conf, "[engine]\ndetach_keys = \"too-long\"\n").unwrap();
    let mut attach = scratch.command();
    attach.args(["attach", "c"]).env("CONTAINERS_CONF", &conf);
    let refused = outcome(&mut attach);
    assert_eq!(refused.code, 125);
    assert!(refused.err.contains("too-long"), "{refused:?}");
}
