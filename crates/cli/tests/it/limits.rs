//! What a container may do and use.

use std::process::Command;

use crate::archive::IMAGE;
use crate::scratch::{Scratch, outcome};

#[test]
fn flags_shape_the_process() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for (flags, script, expected) in [
        ("-e A=1", "echo $A", "1"),
        ("-u worker", "id -u", "1000"),
        ("-u 7:8", "echo $(id -u) $(id -g)", "7 8"),
        ("-w /tmp", "pwd", "/tmp"),
        ("-h name", "hostname", "name"),
        ("--tmpfs /t", "grep -c ' /t tmpfs' /proc/mounts", "1"),
        (
            "--read-only",
            "touch /x 2>/dev/null || echo refused",
            "refused",
        ),
        ("--read-only", "touch /tmp/x && echo written", "written"),
        ("--ulimit nofile=100:200", "ulimit -n", "100"),
        ("--umask 077", "umask", "0077"),
        ("--stop-timeout 1 --label a=b", "echo", ""),
        (
            "--cap-drop ALL",
            "grep CapEff /proc/self/status | grep -c 0000000000000000",
            "1",
        ),
        (
            "--cap-drop chown",
            "chown 1 /tmp 2>/dev/null || echo refused",
            "refused",
        ),
        (
            "--hostname alone",
            "ls /sys/class/net | grep -cv lo; true",
            "0",
        ),
    ] {
        let ran = scratch.script(flags, script);
        assert_eq!(
            (ran.code, ran.out.trim()),
            (0, expected),
            "{flags} {script}: {ran:?}"
        );
    }
}

#[test]
fn a_bind_mount_is_the_hosts_directory() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let directory = scratch.path("shared");
    std::fs::create_dir(&directory).unwrap();
    let source = directory.display();
    let ran = scratch.script(&format!("-v {source}:/data"), "echo hi > /data/file");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        std::fs::read_to_string(directory.join("file")).unwrap(),
        "hi\n"
    );
    let ran = scratch.script(&format!("-v {source}:/data:ro"), "echo x > /data/file");
    assert_ne!(ran.code, 0, "{ran:?}");
}

#[test]
fn memory_is_limited() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true";
    let ran = scratch.script("-m 64m", script);
    assert_eq!(ran.code, 0, "{ran:?}");
    if ran.out.is_empty() {
        eprintln!("skipped: this kernel shows the container no memory control group");
        return;
    }
    assert_eq!(ran.out.trim(), "67108864");
}

const INSIDE: &str = "MINKE_IT_INSIDE_NAMESPACES";

/// Runs itself again in its own network and mount namespaces, so that bridge and rules are not
/// this host's.
#[test]
fn a_bridged_container_has_an_address() {
    if std::env::var_os(INSIDE).is_none() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let inside = outcome(
            Command::new("unshare")
                .args(["-n", "-m", "--"])
                .arg(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "limits::a_bridged_container_has_an_address",
                    "--nocapture",
                ])
                .env(INSIDE, "1"),
        );
        assert_eq!(inside.code, 0, "{inside:?}");
        return;
    }
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let networks = scratch.path("networks");
    std::fs::create_dir(&networks).unwrap();
    let ran = outcome(
        scratch
            .command()
            .arg("--network-config-dir")
            .arg(&networks)
            .args([
                "run",
                "--rm",
                "--network",
                "bridge",
                IMAGE,
                "ip",
                "-4",
                "addr",
                "show",
            ]),
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("inet 10.88."), "{ran:?}");
}

#[test]
fn limits_change_at_once_or_not_at_all() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.ok(&format!(
        "run -d --name c --network none -m 40m {IMAGE} sleep 1000"
    ));
    let told = |field: &str| scratch.ok(&format!("inspect --format {{{{.HostConfig.{field}}}}} c"));
    scratch.ok("update --memory 60m --pids-limit 33 --restart on-failure:2 -e A=1 c");
    assert_eq!(told("Memory"), (60 << 20).to_string());
    assert_eq!(told("PidsLimit"), "33");
    assert_eq!(told("RestartPolicy.MaximumRetryCount"), "2");
    let limits = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; echo $A";
    let seen = scratch.run(&["exec", "c", "sh", "-c", limits]);
    assert_eq!(seen.out.trim(), "33", "{seen:?}");
    // Less than what it holds cannot be: all is as before.
    let refused = scratch.minke("update --memory 4096 --pids-limit 44 c");
    assert_eq!(refused.code, 125, "{refused:?}");
    assert_eq!(told("Memory"), (60 << 20).to_string());
    assert_eq!(told("PidsLimit"), "33");
    assert_eq!(scratch.minke("update --cpus x c").code, 125);
    scratch.ok("restart -t 0 c");
    let seen = scratch.run(&["exec", "c", "sh", "-c", "echo $A"]);
    assert_eq!(seen.out.trim(), "1", "{seen:?}");
    scratch.ok("rm -f -t 0 c");
}

#[test]
fn a_container_can_be_without_a_cgroup_of_its_own() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let groups = |path: &str| std::fs::read_to_string(path).unwrap();
    let id = scratch.ok(&format!(
        "run -d --network none --cgroups disabled --name c {IMAGE} sleep 1000"
    ));
    let pid = scratch.ok("inspect --format {{.State.Pid}} c");
    assert_eq!(
        groups(&format!("/proc/{pid}/cgroup")),
        groups("/proc/self/cgroup")
    );
    let shown = "inspect --format {{.HostConfig.Cgroups}}|{{.State.CgroupPath}}| c";
    assert_eq!(scratch.ok(shown), "disabled||");
    let none = "this container does not have a cgroup\n";
    let table =
        format!("Error: cannot run top on container {id} as it did not create a cgroup: {none}");
    for (line, expected) in [
        (
            "pause c",
            format!("Error: cannot pause without using Cgroups: {none}"),
        ),
        ("stats --no-stream c", table.clone()),
        ("top c", table),
        (
            "update --memory 100m c",
            format!("Error: cannot update resource limits: {none}"),
        ),
    ] {
        let refused = scratch.minke(line);
        assert_eq!((refused.code, refused.err), (125, expected), "{line}");
    }
    // Of all those that run it is left out.
    assert_eq!(scratch.ok("stats --no-stream --format {{.Name}}"), "");
    assert_eq!(scratch.ok("exec c echo in"), "in");
    scratch.ok("stop -t 0 c");
    scratch.ok("start c");
    scratch.ok("rm -f -t 0 c");
}

#[test]
fn without_a_cgroup_there_are_no_limits_to_ask_for() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    for (flags, expected) in [
        (
            "--memory 100m",
            "cannot specify resource limits when cgroups are disabled is specified",
        ),
        (
            "--cgroup-parent x",
            "cannot set cgroup parent if not creating cgroups: invalid argument",
        ),
        (
            "--cgroups split",
            "splitting the caller's control group (--cgroups split) is not supported",
        ),
    ] {
        let mode = if flags.contains("split") {
            ""
        } else {
            "--cgroups disabled"
        };
        let refused = scratch.minke(&format!("create {mode} {flags} {IMAGE} true"));
        let expected = format!("Error: {expected}\n");
        assert_eq!((refused.code, refused.err), (125, expected), "{flags}");
    }
    let refused = scratch.minke(&format!(
        "--runtime runc create --cgroups disabled {IMAGE} true"
    ));
    let expected = "requested OCI runtime runc is not compatible with NoCgroups: invalid argument";
    if refused.err.contains("was not found") {
        eprintln!("skipped: runc is not installed");
    } else {
        assert_eq!(refused.err, format!("Error: {expected}\n"));
    }
}
