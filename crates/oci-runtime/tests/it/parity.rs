//! The same config.json through runc and through us: the process must not see a difference.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::{Bundle, able, text};

const RUNC: &str = "/usr/sbin/runc";

const SCRIPT: &str = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Umask|Sig)' /proc/self/status; \
    cat /proc/self/cgroup; ulimit -n; umask; pwd; hostname; ls /dev; \
    while read a b c d e f rest; do echo mount $d $e $f ${rest##* - }; done </proc/self/mountinfo; exit 3";

/// What differs from run to run or is the host's.
fn normalised(shown: &str, id: &str) -> Vec<String> {
    let mut lines: Vec<String> = shown.replace(id, "ID").lines().map(str::to_owned).collect();
    for line in lines.iter_mut().filter(|line| line.starts_with("mount ")) {
        // Read-only is set on the mount alone, and masks are the host's null device.
        let (place, about) = line.split_once(" - ").unwrap();
        let super_options = about.rsplit_once(' ').unwrap().1.replacen("ro", "rw", 1);
        let kind = about.split(' ').next().unwrap();
        let mut place: Vec<&str> = place.split(' ').collect();
        let masked = place[1] == "/null";
        place[1] = if place[2] == "/" { "ROOTFS" } else { place[1] };
        *line = match masked {
            true => place[..3].join(" "),
            false => format!("{} {kind} {super_options}", place.join(" ")),
        };
    }
    // runc leaves SIGSYS ignored, and counts of queued signals are the machine's.
    lines.retain(|line| !line.starts_with("SigIgn") && !line.starts_with("SigQ"));
    lines
}

fn shown_by(runtime: &Path, change: &dyn Fn(&mut Value)) -> (Option<i32>, Vec<String>) {
    let mut bundle = Bundle::of(runtime, SCRIPT);
    change(&mut bundle.config);
    let output = bundle.run();
    (output.status.code(), normalised(&text(&output), &bundle.id))
}

#[test]
fn a_process_sees_what_it_sees_under_runc() {
    if !able() {
        return;
    }
    if !Path::new(RUNC).exists() {
        eprintln!("skipped: runc is not installed");
        return;
    }
    type Change = (&'static str, Box<dyn Fn(&mut Value)>);
    let table: Vec<Change> = vec![
        ("plain", Box::new(|_| {})),
        (
            "user",
            Box::new(|config| {
                config["process"]["user"] =
                    json!({"uid": 7, "gid": 8, "additionalGids": [9], "umask": 63});
            }),
        ),
        (
            "no capabilities",
            Box::new(|config| {
                config["process"]
                    .as_object_mut()
                    .unwrap()
                    .remove("capabilities");
            }),
        ),
        (
            "new privileges",
            Box::new(|config| config["process"]["noNewPrivileges"] = json!(false)),
        ),
        (
            "read-only root",
            Box::new(|config| config["root"]["readonly"] = json!(true)),
        ),
        (
            "cgroup namespace",
            Box::new(|config| {
                let list = config["linux"]["namespaces"].as_array_mut().unwrap();
                list.push(json!({"type": "cgroup"}));
            }),
        ),
        (
            "seccomp",
            Box::new(|config| {
                config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]});
            }),
        ),
        (
            "limits",
            Box::new(|config| {
                config["process"]["rlimits"] =
                    json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
            }),
        ),
        (
            "working directory",
            Box::new(|config| config["process"]["cwd"] = json!("/tmp")),
        ),
        (
            "no such command",
            Box::new(|config| {
                config["process"]["args"] = json!(["/no/such"]);
            }),
        ),
    ];
    for (name, change) in table {
        let theirs = shown_by(Path::new(RUNC), &change);
        let ours = shown_by(Path::new(env!("CARGO_BIN_EXE_minke-oci")), &change);
        assert_eq!(ours.0, theirs.0, "{name}: exit code");
        if theirs.0 == Some(3) {
            assert_eq!(ours.1, theirs.1, "{name}");
        }
    }
}
