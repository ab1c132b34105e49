//! What a process of a container sees and may do.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use serde_json::{Value, json};

use crate::bundle::{Bundle, CAPABILITIES, able, text};

#[test]
fn every_namespace_is_new() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new(
        "for n in pid ipc uts mnt net cgroup user; do readlink /proc/self/ns/$n; done; hostname; echo $$",
    );
    add_user_namespace(&mut bundle);
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "cgroup"}));
    let output = bundle.output();
    let lines: Vec<&str> = output.lines().collect();
    for (line, name) in lines
        .iter()
        .zip(["pid", "ipc", "uts", "mnt", "net", "cgroup", "user"])
    {
        let ours = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(*line, ours.to_str().unwrap());
    }
    assert_eq!(lines[7..], ["box", "1"]);
}

fn add_user_namespace(bundle: &mut Bundle) {
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    bundle.config["linux"]["uidMappings"] = map.clone();
    bundle.config["linux"]["gidMappings"] = map;
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
}

#[test]
fn namespaces_are_joined_by_path() {
    if !able() {
        return;
    }
    let mut holder = Bundle::new("exec sleep 300");
    add_user_namespace(&mut holder);
    holder.up();
    let pid = holder.pid();
    for names in [
        &["network"][..],
        &["ipc", "uts"],
        &["pid"],
        &["user", "network", "pid"],
    ] {
        let mut bundle =
            Bundle::new("for n in pid ipc uts net user; do readlink /proc/self/ns/$n; done");
        let listed = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
        listed.retain(|each| !names.contains(&each["type"].as_str().unwrap()));
        for name in names {
            let file = if *name == "network" { "net" } else { name };
            listed.push(json!({"type": name, "path": format!("/proc/{pid}/ns/{file}")}));
        }
        if names.contains(&"uts") {
            bundle.config["hostname"] = Value::Null;
        }
        let output = bundle.output();
        for (line, file) in output.lines().zip(["pid", "ipc", "uts", "net", "user"]) {
            let name = if file == "net" { "network" } else { file };
            let theirs = fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
            assert_eq!(
                line == theirs.to_str().unwrap(),
                names.contains(&name),
                "{names:?} {file}"
            );
        }
        bundle.assert_nothing_left();
    }
    holder.clean();
}

#[test]
fn a_mount_namespace_can_be_joined() {
    if !able() {
        return;
    }
    let holder = Bundle::new("mkdir /tmp/mark; exec sleep 300");
    holder.up();
    let mut bundle = Bundle::new("test -d /tmp/mark && echo same");
    bundle.config["linux"]["namespaces"] =
        json!([{"type": "mount", "path": format!("/proc/{}/ns/mnt", holder.pid())}]);
    bundle.config["hostname"] = Value::Null;
    assert_eq!(bundle.output(), "same\n");
    holder.clean();
}

#[test]
fn ids_are_mapped_in_a_user_namespace() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("id -u; cat /proc/self/uid_map; exec sleep 300");
    add_user_namespace(&mut bundle);
    bundle.config["process"]["rlimits"] =
        json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}]);
    bundle.up();
    let pid = bundle.pid();
    let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    let fields: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(fields, ["0", "100000", "65536"]);
    assert_eq!(
        fs::metadata(format!("/proc/{pid}/cwd/dev/null"))
            .unwrap()
            .uid(),
        0
    );
    let output = bundle.exec(&[], &["id", "-u"]);
    assert_eq!(output.stdout, b"0\n", "{}", text(&output));
    bundle.clean();
}

#[test]
fn capabilities_are_the_listed_ones_and_none_is_inheritable() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("grep -E '^Cap|^NoNew' /proc/self/status");
    bundle.config["process"]["capabilities"] = json!({
        "bounding": ["CAP_KILL", "CAP_CHOWN"],
        "effective": ["CAP_CHOWN"],
        "permitted": ["CAP_KILL", "CAP_CHOWN"],
        "inheritable": [], "ambient": [],
    });
    let field = |output: &str, name: &str| -> String {
        let line = output.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let root = bundle.output();
    assert_eq!(field(&root, "CapBnd"), "0000000000000021");
    assert_eq!(field(&root, "CapPrm"), "0000000000000021");
    assert_eq!(field(&root, "CapInh"), "0000000000000000");
    assert_eq!(field(&root, "CapAmb"), "0000000000000000");
    assert_eq!(field(&root, "NoNewPrivs"), "1");
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    bundle.config["process"]["noNewPrivileges"] = json!(false);
    let user = bundle.output();
    assert_eq!(field(&user, "CapEff"), "0000000000000000");
    assert_eq!(field(&user, "NoNewPrivs"), "0");
    // Ambient ones survive the exec of a user that is not root.
    let one = json!(["CAP_KILL"]);
    bundle.config["process"]["capabilities"] = json!({
        "bounding": one, "effective": one, "permitted": one, "inheritable": one, "ambient": one,
    });
    assert_eq!(field(&bundle.output(), "CapEff"), "0000000000000020");
}

#[test]
fn a_seccomp_filter_acts_with_and_without_new_privileges() {
    if !able() {
        return;
    }
    for no_new_privileges in [true, false] {
        let mut bundle = Bundle::new("mkdir /tmp/x; echo $?; grep ^Seccomp: /proc/self/status");
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bundle.config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
        });
        let output = bundle.run();
        assert!(
            text(&output).contains("1\nSeccomp:\t2"),
            "{}",
            text(&output)
        );
        assert!(text(&output).contains("not supported"), "{}", text(&output));
    }
}

#[test]
fn the_default_profile_lets_a_shell_work_and_refuses_the_rest() {
    if !able() {
        return;
    }
    let conditions = minke_seccomp::Conditions {
        capabilities: Default::default(),
        arch: minke_seccomp::Architecture::native().unwrap(),
        kernel_version: None,
    };
    let policy = minke_seccomp::Profile::default_policy();
    let seccomp = minke_seccomp::resolve(policy, &conditions)
        .unwrap()
        .unwrap();
    for no_new_privileges in [true, false] {
        let mut bundle = Bundle::new(
            "grep ^Seccomp: /proc/self/status; mkdir /tmp/d; mount -t tmpfs x /tmp/d 2>/dev/null || echo refused; \
             busybox rmdir /tmp/d && echo done",
        );
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bundle.config["process"]["user"] = json!({"uid": 0, "gid": 0, "additionalGids": [3]});
        bundle.config["linux"]["seccomp"] = serde_json::to_value(&seccomp).unwrap();
        assert_eq!(bundle.output(), "Seccomp:\t2\nrefused\ndone\n");
        // The second time the compiled filter comes from its cache.
        assert!(bundle.output().starts_with("Seccomp:\t2\n"));
    }
}

#[test]
fn masked_paths_are_empty_and_read_only_ones_refuse() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new(
        "wc -c </etc/secret; ls /etc/hidden; touch /etc/fixed/x || echo refused; \
         echo 1 >/proc/sys/kernel/panic || echo refused; cat /proc/keys 2>/dev/null | wc -c",
    );
    let etc = bundle.rootfs().join("etc");
    fs::write(etc.join("secret"), "s3cret").unwrap();
    fs::create_dir_all(etc.join("hidden/below")).unwrap();
    fs::create_dir(etc.join("fixed")).unwrap();
    bundle.config["linux"]["maskedPaths"] =
        json!(["/etc/secret", "/etc/hidden", "/proc/keys", "/no/such"]);
    bundle.config["linux"]["readonlyPaths"] = json!(["/etc/fixed", "/proc/sys", "/no/such"]);
    assert_eq!(bundle.output(), "0\nrefused\nrefused\n0\n");
}

#[test]
fn a_read_only_root_cannot_be_written() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("touch /x || echo refused; touch /dev/shm/y && echo written");
    bundle.config["root"]["readonly"] = json!(true);
    assert_eq!(bundle.output(), "refused\nwritten\n");
    assert!(!bundle.rootfs().join("x").exists());
}

#[test]
fn bind_mounts_have_the_options_asked_for() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new(
        "grep ' /a ' /proc/self/mountinfo; grep ' /b ' /proc/self/mountinfo; \
         grep ' /f ' /proc/self/mountinfo; grep ' /s ' /proc/self/mountinfo; cat /f",
    );
    let source = bundle.dir().join("volume");
    fs::create_dir(&source).unwrap();
    fs::write(bundle.dir().join("file"), "content\n").unwrap();
    bundle.mount(
        json!({"destination": "/a", "type": "bind", "source": source,
        "options": ["rbind", "rprivate", "ro", "nosuid"]}),
    );
    bundle
        .mount(json!({"destination": "/b", "source": source, "options": ["bind", "rro", "nodev"]}));
    // Relative to the bundle.
    bundle.mount(json!({"destination": "/f", "source": "file", "options": ["bind", "noexec"]}));
    bundle.mount(json!({"destination": "/s", "source": source, "options": ["bind", "rshared"]}));
    let output = bundle.output();
    let lines: Vec<&str> = output.lines().collect();
    let attributes = |line: &str| line.split(' ').nth(5).unwrap().to_owned();
    assert!(attributes(lines[0]).starts_with("ro,nosuid"), "{output}");
    assert!(
        !lines[0].contains("master:") && !lines[0].contains("shared:"),
        "{output}"
    );
    assert!(attributes(lines[1]).starts_with("ro,nodev"), "{output}");
    assert!(attributes(lines[2]).starts_with("rw,noexec"), "{output}");
    // What the container mounts below must not show on the host unless that is asked for.
    assert!(!lines[2].contains("shared:"), "{output}");
    assert!(lines[3].contains("shared:"), "{output}");
    assert_eq!(lines[4], "content");
}

#[test]
fn mount_points_are_made_where_links_lead_inside_the_image() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("cat /etc/resolv.conf; readlink /etc/resolv.conf");
    symlink(
        "../run/deep/resolv.conf",
        bundle.rootfs().join("etc/resolv.conf"),
    )
    .unwrap();
    fs::write(bundle.dir().join("resolv"), "nameserver 1.2.3.4\n").unwrap();
    bundle
        .mount(json!({"destination": "/etc/resolv.conf", "source": "resolv", "options": ["bind"]}));
    assert_eq!(
        bundle.output(),
        "nameserver 1.2.3.4\n../run/deep/resolv.conf\n"
    );
}

#[test]
fn tmpcopyup_starts_with_the_images_files() {
    if !able() {
        return;
    }
    let mut bundle =
        Bundle::new("cat /data/sub/f; stat -c %a /data/sub; touch /data/new && echo ok");
    let data = bundle.rootfs().join("data/sub");
    fs::create_dir_all(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(data.join("f"), "from the image\n").unwrap();
    bundle.mount(json!({"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup"]}));
    assert_eq!(bundle.output(), "from the image\n750\nok\n");
    assert!(!bundle.rootfs().join("data/new").exists());
}

#[test]
fn devices_have_their_modes_and_only_the_allowed_open() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new(
        "stat -c '%a %t:%T %u:%g' /dev/null /dev/mine; readlink /dev/fd; readlink /dev/ptmx; \
         head -c1 /dev/zero | wc -c; mknod /tmp/kmsg c 1 11; head -c1 /tmp/kmsg || echo refused",
    );
    bundle.config["linux"]["devices"] = json!([
        {"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 3, "gid": 4},
    ]);
    assert_eq!(
        bundle.output(),
        "666 1:3 0:0\n640 1:3 3:4\n/proc/self/fd\npts/ptmx\n1\nrefused\n"
    );
    // No rules at all is no leave either.
    bundle.config["linux"]["resources"] = json!({});
    assert!(bundle.output().ends_with("refused\n"));
}

/// A view of the host in which the v2 tree is the only hierarchy.
const UNIFIED_ONLY: &str = "umount -l -a -t cgroup; \
    if grep -q ' - cgroup ' /proc/self/mountinfo; then exit 77; fi; exec \"$@\"";

#[test]
fn a_device_program_guards_a_container_on_v2_alone() {
    let unified =
        minke_sys::cgroup::Cgroups::detect().is_ok_and(|cgroups| cgroups.unified().is_some());
    if !able() || !unified {
        eprintln!("skipped: takes root and a v2 tree");
        return;
    }
    let mut bundle = Bundle::new(
        "mknod /tmp/log c 1 11; mknod /tmp/zero c 1 5; \
         for node in log zero; do \
             (: </tmp/$node) 2>/dev/null && echo $node r; \
             (: >/tmp/$node) 2>/dev/null && echo $node w; \
         done; grep -c . /proc/self/cgroup >/dev/null && echo end",
    );
    let run = |bundle: &Bundle| {
        let runtime = bundle.save().command();
        let output = Command::new("unshare")
            .args([
                "-m",
                "--propagation",
                "private",
                "sh",
                "-c",
                UNIFIED_ONLY,
                "sh",
            ])
            .arg(runtime.get_program())
            .args(runtime.get_args())
            .args(["run", &bundle.id])
            .current_dir(bundle.dir())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&bundle), "zero r\nzero w\nend\n");
    bundle.config["linux"]["resources"]["devices"] = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"},
    ]);
    assert_eq!(run(&bundle), "log w\nzero r\nzero w\nend\n");
    bundle.config["linux"]["resources"]["devices"] = json!([
        {"allow": true, "access": "rwm"},
        {"allow": false, "type": "c", "major": 1, "access": "w"},
    ]);
    assert!(!run(&bundle).contains("log w"));
    bundle.config["linux"]["resources"]["devices"] = json!([{"allow": true, "access": "rwm"}]);
    assert!(run(&bundle).contains("log w"));
    bundle.config["linux"]["resources"]["devices"] = json!([
        {"allow": true, "type": "p", "access": "r"},
    ]);
    assert!(bundle.refusal().contains("a, b or c"));
    bundle.assert_nothing_left();
}

#[test]
fn cgroup_limits_are_read_back() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("cat /proc/self/cgroup; exec sleep 300");
    bundle.config["linux"]["resources"] = json!({
        "memory": {"limit": 67_108_864, "swap": 134_217_728, "reservation": 33_554_432},
        "pids": {"limit": 33},
        "cpu": {"shares": 512, "quota": 20000, "period": 50000, "cpus": "0", "mems": "0"},
        "devices": [{"allow": false, "access": "rwm"},
                    {"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rw"}],
    });
    let cgroups = minke_sys::cgroup::Cgroups::detect().unwrap();
    if cgroups.mode() == minke_sys::cgroup::Mode::V2 {
        eprintln!("skipped: the host has no v1 controllers");
        return;
    }
    bundle.up();
    let table = [
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.soft_limit_in_bytes", "33554432"),
        ("pids", "pids.max", "33"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("cpu", "cpu.cfs_period_us", "50000"),
        ("cpuset", "cpuset.cpus", "0"),
    ];
    for (controller, file, value) in table {
        let path = bundle.cgroup_file(controller, file);
        assert_eq!(fs::read_to_string(path).unwrap().trim(), value, "{file}");
    }
    let rules = fs::read_to_string(bundle.cgroup_file("devices", "devices.list")).unwrap();
    assert!(
        rules.contains("c 10:200 rw") && !rules.contains("a *:*"),
        "{rules}"
    );
    let paths = minke_sys::cgroup::paths_of(bundle.pid()).unwrap();
    assert!(
        paths.iter().all(|(_, path)| *path == bundle.cgroup()),
        "{paths:?}"
    );
    bundle.clean();
}

#[test]
fn exec_enters_every_hierarchy_of_a_full_cgroup() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("exec sleep 300");
    bundle.config["linux"]["resources"] = json!({"pids": {"limit": 1}});
    bundle.up();
    let output = bundle.exec(&[], &["cat", "/proc/self/cgroup"]);
    assert!(output.status.success(), "{}", text(&output));
    let seen = String::from_utf8(output.stdout).unwrap();
    let own = bundle.cgroup();
    let own = own.to_str().unwrap();
    assert!(seen.lines().all(|line| line.ends_with(own)), "{seen}");
    assert!(!seen.is_empty());
    let output = bundle.exec(&[], &["ls", "-l", "/proc/1/fd"]);
    assert!(!text(&output).contains("cgroup"), "{}", text(&output));
    bundle.clean();
}

#[test]
fn the_cgroup_mount_shows_the_containers_own() {
    if !able() {
        return;
    }
    for own_namespace in [true, false] {
        let mut bundle = Bundle::new(
            "cat /sys/fs/cgroup/pids/pids.max; grep -c : /proc/self/cgroup; \
             mkdir /sys/fs/cgroup/pids/x || echo refused",
        );
        bundle.config["linux"]["resources"]["pids"] = json!({"limit": 44});
        bundle.mount(
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}),
        );
        if own_namespace {
            let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.push(json!({"type": "cgroup"}));
        }
        let output = bundle.output();
        assert!(
            output.starts_with("44\n") && output.ends_with("refused\n"),
            "{output}"
        );
    }
}

#[test]
fn sysctls_of_own_namespaces_are_set_and_others_refused() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni");
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel.shmmni": "777"});
    assert_eq!(bundle.output(), "1\n777\n");
    bundle.config["linux"]["sysctl"] = json!({"kernel.core_pattern": "|/x"});
    assert!(bundle.refusal().contains("kernel.core_pattern"));
    // The host's network is not the container's to set.
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    for path in [None, Some("/proc/self/ns/net")] {
        let listed = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
        listed.retain(|each| each["type"] != "network");
        if let Some(path) = path {
            listed.push(json!({"type": "network", "path": path}));
        }
        assert!(bundle.refusal().contains("net.ipv4.ip_forward"));
    }
}

#[test]
fn limits_are_set_and_those_above_the_hosts_refused() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("ulimit -Sn; ulimit -Hn");
    bundle.config["process"]["rlimits"] =
        json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}]);
    assert_eq!(bundle.output(), "77\n99\n");
    bundle.config["process"]["rlimits"] =
        json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 1_u64 << 40}]);
    let refusal = bundle.refusal();
    assert!(refusal.contains("RLIMIT_NOFILE"), "{refusal}");
    bundle.assert_nothing_left();
}

#[test]
fn user_groups_and_umask_are_exactly_those_asked_for() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("id -u; id -g; id -G; umask");
    bundle.config["process"]["user"] =
        json!({"uid": 1234, "gid": 5678, "additionalGids": [42, 43], "umask": 0o27});
    assert_eq!(bundle.output(), "1234\n5678\n5678 42 43\n0027\n");
    bundle.config["process"]["user"] = json!({"uid": 1, "gid": 2});
    assert_eq!(bundle.output().lines().nth(2), Some("2"));
}

#[test]
fn the_working_directory_is_entered_as_the_user() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("pwd");
    let private = bundle.rootfs().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    bundle.config["process"]["cwd"] = json!("/tmp");
    assert_eq!(bundle.output(), "/tmp\n");
    bundle.config["process"]["cwd"] = json!("/no/such");
    assert!(bundle.refusal().contains("chdir to `/no/such`"));
    bundle.config["process"]["cwd"] = json!("tmp");
    assert!(bundle.refusal().contains("must be absolute"));
}

#[test]
fn hooks_run_in_order_with_the_state() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("true");
    let log = bundle.dir().join("log");
    let hook = |name: &str| {
        json!([{"path": "/bin/sh", "args": ["sh", "-c",
            format!("printf '%s ' {name} >>{0}; cat >>{0}; echo >>{0}", log.display())]}])
    };
    bundle.config["hooks"] = json!({
        "prestart": hook("prestart"), "createRuntime": hook("createRuntime"),
        "poststart": hook("poststart"), "poststop": hook("poststop"),
    });
    bundle.output();
    let written = fs::read_to_string(&log).unwrap();
    let lines: Vec<(&str, Value)> = written
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, state)| (name, serde_json::from_str(state).unwrap()))
        .collect();
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["prestart", "createRuntime", "poststart", "poststop"]
    );
    let words: Vec<&str> = lines
        .iter()
        .map(|(_, state)| state["status"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["creating", "creating", "running", "stopped"]);
    assert!(lines[0].1["pid"].as_i64().unwrap() > 0);
    bundle.config["hooks"] = json!({"createRuntime": [{"path": "/bin/false"}]});
    assert!(bundle.refusal().contains("/bin/false"));
    bundle.assert_nothing_left();
}

#[test]
fn preserved_descriptors_arrive_and_no_others() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("cat <&3; ls /proc/self/fd | wc -l");
    bundle.save();
    fs::write(bundle.dir().join("three"), "three\n").unwrap();
    let script = format!(
        "exec 3<three 4<three 7</; exec \"$0\" --root state run --preserve-fds 1 {}",
        bundle.id
    );
    let output = Command::new("/bin/sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_minke-oci")])
        .current_dir(bundle.dir())
        .output()
        .unwrap();
    // 0, 1, 2, 3 and the one that ls reads by.
    assert_eq!(output.stdout, b"three\n5\n", "{}", text(&output));
}

#[test]
fn scheduling_is_set() {
    if !able() {
        return;
    }
    let mut bundle =
        Bundle::new("head -c 300 /proc/self/stat | tr ' ' '\\n' | head -19 | tr '\\n' ' '");
    bundle.config["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": 7});
    bundle.config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 3});
    assert!(bundle.output().ends_with(" 7 "), "{}", bundle.output());
    let mut bundle = Bundle::new("cat /proc/self/personality 2>/dev/null; busybox uname -m");
    bundle.config["linux"]["personality"] = json!({"domain": "LINUX32"});
    assert!(bundle.output().contains("i686"));
}

#[test]
fn exec_runs_in_the_container() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("exec sleep 300");
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "cgroup"}));
    bundle.up();
    let pid = bundle.pid();
    let out = |flags: &[&str], script: &str| {
        let output = bundle.exec(flags, &["sh", "-c", script]);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    for name in ["pid", "ipc", "uts", "mnt", "net", "cgroup"] {
        let theirs = fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
        let seen = out(&[], &format!("readlink /proc/self/ns/{name}"));
        assert_eq!(seen.trim(), theirs.to_str().unwrap());
    }
    assert_eq!(
        out(&["--env", "A=b", "--cwd", "/tmp"], "echo $A; pwd"),
        "b\n/tmp\n"
    );
    assert_eq!(
        out(&["--user", "7:8", "-g", "9"], "id -u; id -g; id -G"),
        "7\n8\n8 9\n"
    );
    assert_eq!(
        bundle.exec(&[], &["sh", "-c", "exit 23"]).status.code(),
        Some(23)
    );
    assert!(text(&bundle.exec(&[], &["no-such"])).contains("not found in $PATH"));
    assert!(out(&[], "grep ^CapInh /proc/self/status").ends_with("0000000000000000\n"));
    let pid_file = bundle.dir().join("exec.pid");
    let status = bundle
        .command()
        .args([
            "exec",
            "--detach",
            "--pid-file",
            pid_file.to_str().unwrap(),
            &bundle.id,
        ])
        .args(["sleep", "299"])
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let inner: i32 = fs::read_to_string(&pid_file).unwrap().parse().unwrap();
    let paths = minke_sys::cgroup::paths_of(inner).unwrap();
    assert!(
        paths.iter().all(|(_, path)| *path == bundle.cgroup()),
        "{paths:?}"
    );
    let process = json!({"user": {"uid": 5, "gid": 6}, "args": ["id", "-u"], "cwd": "/", "env": ["PATH=/bin"]});
    let file = bundle.dir().join("process.json");
    fs::write(&file, process.to_string()).unwrap();
    let output = bundle.exec(&["--process", file.to_str().unwrap()], &[]);
    assert_eq!(output.stdout, b"5\n", "{}", text(&output));
    bundle.clean();
    assert!(!std::path::Path::new(&format!("/proc/{inner}/exe")).exists());
}

#[test]
fn a_normal_user_runs_with_one_mapped_id() {
    if !able() {
        return;
    }
    let shown = run_as(64_321, &[(0, 64_321, 1)]);
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(words.ends_with(&["0", "0", "64321", "1"]), "{shown}");
}

#[test]
fn a_normal_user_runs_with_the_ids_that_etc_subuid_grants() {
    if !able() {
        return;
    }
    let Some((uid, start)) = granted() else {
        eprintln!("skipped: /etc/subuid and /etc/subgid grant no user a range");
        return;
    };
    let shown = run_as(uid, &[(0, uid, 1), (1, start, 100)]);
    let words: Vec<&str> = shown.split_whitespace().collect();
    let start = start.to_string();
    assert!(words.ends_with(&["1", &start, "100"]), "{shown}");
}

/// The first user with the same range of at least 100 in both files.
fn granted() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let groups = fs::read_to_string("/etc/subgid").ok()?;
    let ranges = fs::read_to_string("/etc/subuid").ok()?;
    ranges.lines().find_map(|line| {
        let mut parts = line.split(':');
        let (name, start, count) = (parts.next()?, parts.next()?, parts.next()?);
        let user = users
            .lines()
            .find(|user| user.split(':').next() == Some(name))?;
        let uid: u32 = user.split(':').nth(2)?.parse().ok()?;
        let usable = uid != 0 && count.parse::<u32>().ok()? >= 100 && groups.contains(line);
        usable.then_some((uid, start.parse().ok()?))
    })
}

/// Runs a container as a normal user; gives what it shows of itself.
fn run_as(uid: u32, mappings: &[(u32, u32, u32)]) -> String {
    let mut bundle = Bundle::new("");
    bundle.must(&[
        "spec",
        "--rootless",
        "--bundle",
        bundle.dir().to_str().unwrap(),
    ]);
    let written = fs::read(bundle.dir().join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&written).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", "id -u; cat /proc/self/uid_map"]);
    config["process"]["capabilities"] = json!({"bounding": CAPABILITIES});
    let maps: Vec<Value> = mappings
        .iter()
        .map(|(inside, host, size)| json!({"containerID": inside, "hostID": host, "size": size}))
        .collect();
    for kind in ["uidMappings", "gidMappings"] {
        config["linux"][kind] = json!(maps);
    }
    bundle.config = config;
    bundle.save();
    std::os::unix::fs::chown(bundle.dir(), Some(uid), Some(uid)).unwrap();
    for entry in ["", "dev", "proc", "sys", "etc", "tmp", "run", "bin"] {
        std::os::unix::fs::chown(bundle.rootfs().join(entry), Some(uid), Some(uid)).unwrap();
    }
    // The build directory may be closed to others.
    let program = bundle.dir().join("minke-oci");
    fs::copy(env!("CARGO_BIN_EXE_minke-oci"), &program).unwrap();
    let id = uid.to_string();
    let output = Command::new("setpriv")
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
        .arg(&program)
        .args(["--root", "state", "run", &bundle.id])
        .current_dir(bundle.dir())
        .output()
        .unwrap();
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    shown
}

#[test]
fn without_a_cgroup_manager_there_is_no_cgroup() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("cat /proc/self/cgroup");
    let output = bundle
        .save()
        .call(&["--cgroup-manager", "disabled", "run", &bundle.id]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        fs::read_to_string("/proc/self/cgroup").unwrap()
    );
    let refused = bundle.must_fail(&["--cgroup-manager", "systemd", "run", &bundle.id]);
    assert!(refused.contains("systemd"), "{refused}");
}
