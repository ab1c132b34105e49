//! What containers.conf and mounts.conf say where no flag does.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::archive::IMAGE;
use crate::scratch::{Outcome, Scratch, outcome};

/// Runs a script under `lines` of the table `[containers]`.
fn run(scratch: &Scratch, lines: &str, flags: &str, script: &str) -> Outcome {
    let conf = scratch.path("containers.conf");
    fs::write(&conf, format!("[containers]\n{lines}\n")).unwrap();
    let mut command = scratch.command();
    command
        .env("CONTAINERS_CONF", &conf)
        .env("HTTP_PROXY", "http://proxy.example")
        .env("OF_THE_HOST", "yes")
        .args(["run", "--rm"]);
    if !lines.contains("netns") {
        command.args(["--network", "none"]);
    }
    command.args(flags.split_whitespace());
    outcome(command.args([IMAGE, "sh", "-c", script]))
}

/// A namespace of this process, as the kernel names it.
fn namespace(kind: &str) -> String {
    let link = fs::read_link(format!("/proc/self/ns/{kind}"));
    link.unwrap().display().to_string()
}

#[test]
fn every_default_of_the_table_acts() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let hosts = scratch.path("hosts");
    fs::write(&hosts, "192.0.2.9 base.example\n").unwrap();
    let policy = scratch.path("seccomp.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
    fs::write(&policy, text).unwrap();
    let (hosts, policy) = (hosts.display(), policy.display());
    let dir = scratch.path("shared");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "here\n").unwrap();
    let init = scratch.path("init");
    fs::write(&init, "#!/bin/sh\nshift\necho mine\nexec \"$@\"\n").unwrap();
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).unwrap();
    let init = init.display();
    let host_pid = namespace("pid");
    let host_ipc = namespace("ipc");
    let host_uts = namespace("uts");
    let host_net = namespace("net");
    for (lines, flags, script, expected) in [
        (format!("base_hosts_file = \"{hosts}\""), "", "grep -c base.example /etc/hosts", "1"),
        ("cgroups = \"disabled\"".into(), "", "grep -c minke- /proc/self/cgroup", "0"),
        ("devices = [\"/dev/null:/dev/mine\"]".into(), "", "test -c /dev/mine && echo yes", "yes"),
        ("dns_servers = [\"192.0.2.1\"]\ndns_searches = [\"a.example\"]\ndns_options = [\"ndots:3\"]".into(), "",
            "cat /etc/resolv.conf", "search a.example\nnameserver 192.0.2.1\noptions ndots:3"),
        ("dns_servers = [\"192.0.2.1\"]".into(), "--dns 192.0.2.2", "grep -c 192.0.2.1 /etc/resolv.conf", "0"),
        ("env_host = true".into(), "", "echo $OF_THE_HOST", "yes"),
        ("".into(), "", "echo $OF_THE_HOST$HTTP_PROXY", "http://proxy.example"),
        ("http_proxy = false".into(), "", "echo x$HTTP_PROXY", "x"),
        (format!("init = true\ninit_path = \"{init}\""), "", "echo then", "mine\nthen"),
        ("ipcns = \"host\"".into(), "", "readlink /proc/self/ns/ipc", &host_ipc),
        ("mounts = [\"type=tmpfs,destination=/m\"]".into(), "", "grep -c ' /m tmpfs' /proc/mounts", "1"),
        ("netns = \"host\"".into(), "", "readlink /proc/self/ns/net", &host_net),
        ("no_hosts = true".into(), "", "grep -c '/etc/hosts ' /proc/mounts", "0"),
        ("no_hosts = true".into(), "--add-host a.example:192.0.2.4", "grep -c a.example /etc/hosts", "1"),
        ("pidns = \"host\"".into(), "", "readlink /proc/self/ns/pid", &host_pid),
        ("pidns = \"host\"".into(), "--pid private", "echo $$", "1"),
        ("privileged = true".into(), "", "grep -c Seccomp:.0 /proc/self/status", "1"),
        ("read_only = true".into(), "", "touch /new 2>/dev/null || echo refused", "refused"),
        (format!("seccomp_profile = \"{policy}\""), "", "mkdir /new 2>/dev/null || echo refused", "refused"),
        ("shm_size = \"3m\"".into(), "", "grep /dev/shm /proc/mounts | grep -c size=3072k", "1"),
        ("umask = \"0027\"".into(), "", "umask", "0027"),
        ("utsns = \"host\"".into(), "", "readlink /proc/self/ns/uts", &host_uts),
        (format!("volumes = [\"{}:/v:ro\"]", dir.display()), "", "cat /v/file; touch /v/new 2>/dev/null || echo refused", "here\nrefused"),
        (format!("volumes = [\"{}:/v:ro\"]", dir.display()), "--tmpfs /v", "ls /v; echo empty", "empty"),
    ] {
        let ran = run(&scratch, &lines, flags, script);
        assert_eq!(ran.out.trim_end(), expected, "{lines} {flags}: {ran:?}");
    }
}

#[test]
fn defaults_show_in_the_document() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let conf = scratch.path("containers.conf");
    let lines = "annotations = [\"a=1\", \"b=2\"]\ncgroupns = \"private\"\nlabel = false\nuserns = \"host\"";
    fs::write(&conf, format!("[containers]\n{lines}\n")).unwrap();
    let mut create = scratch.command();
    create.env("CONTAINERS_CONF", &conf);
    create.args([
        "create",
        "--name",
        "c",
        "--annotation",
        "b=3",
        IMAGE,
        "true",
    ]);
    let created = outcome(&mut create);
    assert_eq!(created.code, 0, "{created:?}");
    let shown = scratch.ok("inspect c");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let annotations = &shown[0]["Config"]["Annotations"];
    assert_eq!(
        (&annotations["a"], &annotations["b"]),
        (&"1".into(), &"3".into())
    );
    assert_eq!(shown[0]["HostConfig"]["CgroupMode"], "private");
    let refused = run(&scratch, "tz = \"No/Where\"", "", "true");
    assert_eq!(refused.code, 125, "{refused:?}");
    assert!(refused.err.contains("No/Where"), "{refused:?}");
}

#[test]
fn every_container_gets_a_copy_of_what_mounts_conf_names() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let dir = scratch.path("secret");
    fs::create_dir_all(dir.join("below")).unwrap();
    fs::write(dir.join("below/key"), "k").unwrap();
    let file = scratch.path("mounts.conf");
    let lines = format!(
        "{0}:/run/secrets/own\n{0}:/given\n/not/there:/x\n",
        dir.display()
    );
    fs::write(&file, lines).unwrap();
    let script =
        "cat /run/secrets/own/below/key; echo; touch /run/secrets/own/new; ls /given; ls -d /x";
    let file = file.to_str().unwrap();
    let ran = scratch.run(&[
        "--default-mounts-file",
        file,
        "run",
        "--rm",
        "--network",
        "none",
        "--tmpfs",
        "/given",
        IMAGE,
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(ran.out, "k\n", "{ran:?}");
    assert!(ran.err.contains("/not/there"), "{ran:?}");
    assert!(!dir.join("new").exists());
    fs::write(file, "relative\n").unwrap();
    let line = format!("--default-mounts-file {file} run --rm --network none {IMAGE} true");
    let refused = scratch.minke(&line);
    // It was created, and did not start.
    assert_eq!(refused.code, 126, "{refused:?}");
}
