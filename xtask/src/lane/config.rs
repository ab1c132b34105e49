//! config.json of a container, beside the one that Debian's podman makes of the same options.
//!
//! Both documents become lines, one a value; what differs must be explained by a [`RULES`]
//! entry, which holds for every option set.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::{Outcome, cases};
use crate::program::Program;

cases![
    process_options_make_podmans_config,
    place_options_make_podmans_config,
    privilege_options_make_podmans_config,
    limit_options_make_podmans_config,
];

/// Why a line may be in one document only: the beginning of the line, and the reason.
const RULES: &[(&str, &str)] = &[
    ("ociVersion", "runtime-spec 1.0.2 and 1.2"),
    ("annotations.io.", "Podman's own bookkeeping"),
    (
        "annotations.org.opencontainers.image.stopSignal",
        "Podman's own bookkeeping",
    ),
    ("root.path", "each engine's own layer"),
    ("root.readonly=false", "the default"),
    ("process.terminal=false", "the default"),
    ("process.noNewPrivileges=false", "the default"),
    ("hostname=", "the container's id, or the host's own name"),
    ("linux.cgroupsPath", "each engine's own group"),
    ("linux.seccomp", "the profile's version; see crates/seccomp"),
    ("linux.maskedPaths=", "the list grew since Podman 4"),
    ("process.env.container=", "names the engine"),
    ("process.env.container_uuid=", "made of the id"),
    ("process.env.HOSTNAME=", "the container's id"),
    (
        "process.env.TERM=xterm",
        "Podman 5 sets it with a terminal only",
    ),
    ("process.env.HOME=/", "runc adds it where Podman 4 does not"),
    ("process.rlimits", "lowered to this host's limits"),
    (
        "mounts[/dev/shm].",
        "bind and rbind of one mount on the host, or the runtime's own",
    ),
    ("mounts[/dev].options=noexec", "Podman 5 leaves it out"),
    (
        "mounts[/dev].options=ro",
        "Podman 5 seals it with the rest where nothing is writable",
    ),
    (
        "mounts[/x/etc/resolv.conf]",
        "Podman 4 leaves it out without a network",
    ),
    ("mounts[/etc/passwd]", "Podman writes into the layer"),
    ("mounts[/etc/group]", "Podman writes into the layer"),
    (
        "mounts[/etc/resolv.conf]",
        "Podman 4 leaves it out without a network",
    ),
    (
        "mounts[/run/.containerenv]",
        "Podman leaves it out where /run is memory",
    ),
    (
        "mounts[/sys/fs/cgroup].options=r",
        "Podman 5 makes it writable when it is unmasked",
    ),
    ("linux.resources.memory.swap=-1", "Podman 4 drops no limit"),
    (
        "linux.resources.pids.limit=-1",
        "Podman 4 says 0 for no limit",
    ),
    (
        "linux.resources.pids.limit=0",
        "Podman 4 says 0 for no limit",
    ),
    ("linux.devices[/dev/full]", "every runtime makes it"),
    ("linux.devices[/dev/null]", "every runtime makes it"),
    ("linux.devices[/dev/ptmx]", "every runtime makes it"),
    ("linux.devices[/dev/random]", "every runtime makes it"),
    ("linux.devices[/dev/tty].", "every runtime makes it"),
    ("linux.devices[/dev/urandom]", "every runtime makes it"),
    ("linux.devices[/dev/zero]", "every runtime makes it"),
];

const PROCESS: &[&str] = &[
    "",
    "-it",
    "-t",
    "-i",
    "-u sailor",
    "-u 1000",
    "-u 1000:2000",
    "-u sailor:harbour",
    "-u 4242",
    "-u 0:0",
    "--group-add harbour",
    "--group-add 7,8",
    "-u sailor --group-add 99",
    "-w /tmp",
    "-w /",
    "-e A=1",
    "-e A=1 -e B=2",
    "-e GREETING=bye",
    "-e EMPTY=",
    "--env-merge P=${PATH}:/x",
    "--env-merge GREETING=$GREETING!",
    "--unsetenv GREETING",
    "--unsetenv-all",
    "--unsetenv-all -e A=1",
    "--unsetenv PATH",
    "--entrypoint sh",
    "--entrypoint [\"sh\",\"-c\"]",
    "--umask 077",
    "--umask 0002",
    "--personality LINUX32",
    "--http-proxy=false",
    "--annotation a=b",
    "--annotation run.x/y=1 --annotation z=2",
    "--hostname boat",
    "--systemd always",
    "--systemd=false",
    "--systemd always --read-only",
    "--oom-score-adj 500",
    "--oom-score-adj=-0",
    "--label a=b",
    "--stop-signal 9",
    "--expose 80",
    "--group-add keep-groups",
];

const PLACE: &[&str] = &[
    "-v /etc:/x",
    "-v /etc:/x:ro",
    "-v /etc:/x:rw,z",
    "-v /etc:/x:Z,ro",
    "-v /etc:/x:noexec",
    "-v /etc:/x:nosuid,nodev",
    "-v /etc:/x:exec,suid,dev",
    "-v /etc:/x:bind,private",
    "-v /etc:/x:rslave",
    "-v /etc:/x:shared",
    "-v /etc:/x:slave",
    "-v /etc:/x:private",
    "-v /etc:/x:rshared",
    "-v /etc:/x:unbindable",
    "-v /etc/hostname:/x",
    "-v /etc:/x -v /usr:/y:ro",
    "-v /etc:/tmp",
    "-v one:/x",
    "-v one:/x:ro",
    "-v one:/x:rslave",
    "-v one:/x:noexec",
    "-v one:/x:z",
    "--tmpfs /x",
    "--tmpfs /x:size=1m",
    "--tmpfs /x:ro",
    "--tmpfs /x:exec,mode=700",
    "--tmpfs /x:notmpcopyup",
    "--tmpfs /x:suid,dev",
    "--tmpfs /x:noexec,nosuid",
    "--tmpfs /tmp",
    "--tmpfs /run",
    "--mount type=bind,src=/etc,dst=/x",
    "--mount type=bind,src=/etc,target=/x,ro",
    "--mount type=bind,source=/etc,destination=/x,readonly=true",
    "--mount type=bind,src=/etc,dst=/x,bind-propagation=rslave",
    "--mount type=bind,src=/etc,dst=/x,bind-nonrecursive,bind-propagation=private",
    "--mount type=bind,src=/etc,dst=/x,relabel=shared",
    "--mount type=volume,src=one,dst=/x",
    "--mount type=volume,src=one,dst=/x,ro=true",
    "--mount type=tmpfs,dst=/x",
    "--mount type=tmpfs,dst=/x,tmpfs-size=1m",
    "--mount type=tmpfs,dst=/x,tmpfs-mode=1777",
    "--mount type=tmpfs,dst=/x,notmpcopyup",
    "--mount type=tmpfs,dst=/x,ro=true",
    "--mount type=devpts,dst=/x",
    "--read-only",
    "--read-only --read-only-tmpfs=false",
    "--read-only --tmpfs /x",
    "--shm-size 1m",
    "--shm-size 0",
    "--pid host",
    "--ipc host",
    "--ipc private",
    "--ipc shareable",
    "--ipc none",
    "--uts host",
    "--uts private",
    "--cgroupns private",
    "--cgroupns host",
    "--network host",
    "--network none --hostname x",
    "--pid host --ipc host --uts host --network host",
    "--no-hosts",
    "--network host --dns 1.1.1.1",
    "--add-host a:1.2.3.4",
    "--tz UTC",
    "--chrootdirs /x",
    "--uts host --network host",
];

const PRIVILEGE: &[&str] = &[
    "--cap-add NET_ADMIN",
    "--cap-add CAP_SYS_PTRACE",
    "--cap-add net_raw,sys_time",
    "--cap-add all",
    "--cap-drop all",
    "--cap-drop CHOWN",
    "--cap-drop all --cap-add CHOWN",
    "--cap-add all --cap-drop NET_ADMIN",
    "--cap-drop chown,kill --cap-add audit_write",
    "-u sailor --cap-add NET_ADMIN",
    "-u sailor --cap-drop all",
    "--privileged",
    "--privileged --cap-drop all",
    "--privileged -u sailor",
    "--privileged --security-opt no-new-privileges",
    "--security-opt no-new-privileges",
    "--security-opt seccomp=unconfined",
    "--security-opt mask=/proc/uptime",
    "--security-opt mask=/a:/b",
    "--security-opt unmask=all",
    "--security-opt unmask=/proc/acpi",
    "--security-opt unmask=/proc/*",
    "--security-opt unmask=/sys/fs/cgroup",
    "--security-opt systempaths=unconfined",
    "--security-opt label=disable",
    "--security-opt proc-opts=hidepid=2",
    "--security-opt apparmor=unconfined",
    "--device /dev/fuse",
    "--device /dev/fuse:/dev/x",
    "--device /dev/fuse:r",
    "--device /dev/fuse:/dev/x:rw",
    "--device /dev/null:/dev/a --device /dev/zero:/dev/b",
    "--device /dev/net",
    "--device-cgroup-rule=c_1:3_rwm",
    "--device-cgroup-rule=b_*:*_r",
    "--device-cgroup-rule=c_10:*_rw",
    "--sysctl net.ipv4.ip_forward=1",
    "--sysctl kernel.msgmax=8192",
    "--sysctl net.core.somaxconn=256 --sysctl kernel.shmmni=100",
    "--ulimit nofile=100:200",
    "--ulimit core=0",
    "--ulimit nproc=50",
];

const LIMIT: &[&str] = &[
    "-m 64m",
    "-m 64m --memory-swap 128m",
    "-m 64m --memory-swap -1",
    "--memory-reservation 32m",
    "-m 64m --memory-reservation 32m",
    "-m 64m --memory-swappiness 50",
    "-m 64m --oom-kill-disable",
    "--cpus 0.5",
    "--cpus 2",
    "--cpu-shares 512",
    "-c 100",
    "--cpu-period 50000",
    "--cpu-quota 20000",
    "--cpu-period 50000 --cpu-quota 20000",
    "--cpuset-cpus 0",
    "--cpuset-cpus 0-1",
    "--cpuset-mems 0",
    "--pids-limit 100",
    "--pids-limit -1",
    "--pids-limit 0",
    "--device-read-bps /dev/null:1mb",
    "--device-write-bps /dev/null:1mb",
    "--device-read-iops /dev/null:100",
    "--device-write-iops /dev/null:100",
    "--device-read-bps /dev/null:1mb --device-read-bps /dev/zero:2mb",
    "--device-write-iops /dev/null:1 --device-read-iops /dev/zero:2",
    "-m 1g --cpus 1 --pids-limit 10",
    "--memory 100mb",
    "--cgroups no-conmon",
];

fn process_options_make_podmans_config(ground: &Ground) -> Result<Outcome> {
    compare_all(ground, PROCESS)
}

fn place_options_make_podmans_config(ground: &Ground) -> Result<Outcome> {
    compare_all(ground, PLACE)
}

fn privilege_options_make_podmans_config(ground: &Ground) -> Result<Outcome> {
    compare_all(ground, PRIVILEGE)
}

fn limit_options_make_podmans_config(ground: &Ground) -> Result<Outcome> {
    compare_all(ground, LIMIT)
}

fn compare_all(ground: &Ground, sets: &[&str]) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let capture = Capture::new(&site)?;
    let mut wrong = Vec::new();
    for set in sets {
        let pair = capture
            .ours(set)
            .and_then(|ours| Ok((ours, capture.theirs(set)?)));
        let found = match pair {
            Ok((ours, theirs)) => differences(&ours, &theirs),
            Err(error) => vec![format!("! {error:#}")],
        };
        if !found.is_empty() {
            wrong.push(format!("{set:?}\n    {}", found.join("\n    ")));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} option sets differ (+ ours, - podman's):\n  {}",
        wrong.len(),
        sets.len(),
        wrong.join("\n  ")
    );
    Ok(Passed)
}

/// A runtime that keeps the config.json it is given and fails: no kernel has a say in what is
/// compared, and every set takes two commands only.
const RUNTIME: &str = r#"#!/bin/sh
for word; do
    case $word in delete) exit 0 ;; esac
    case $before in --bundle|-b) cp "$word/config.json" "$(dirname "$0")/captured" ;; esac
    before=$word
done
exit 1
"#;

const CONTAINERS_CONF: &str = r#"
[containers]
default_capabilities = [
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID",
    "SETPCAP", "SETUID", "SYS_CHROOT",
]
default_sysctls = ["net.ipv4.ping_group_range=0 0"]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"#;

struct Capture<'a> {
    site: &'a Site<'a>,
    runtime: PathBuf,
    captured: PathBuf,
    conf: PathBuf,
    podman: Program,
}

impl<'a> Capture<'a> {
    fn new(site: &'a Site<'a>) -> Result<Capture<'a>> {
        let runtime = site.directory.join("capture");
        fs::write(&runtime, RUNTIME)?;
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755))?;
        // Both read it, so that defaults are the same. The limits are this host's.
        let conf = site.directory.join("containers.conf");
        fs::write(&conf, CONTAINERS_CONF)?;
        Ok(Capture {
            conf: conf.clone(),
            captured: site.directory.join("captured"),
            podman: site
                .podman()?
                .env("CONTAINERS_CONF", conf)
                .globals([format!("--runtime={}", runtime.display())]),
            runtime,
            site,
        })
    }

    fn ours(&self, set: &str) -> Result<Value> {
        let runtime = format!("--runtime={}", self.runtime.display());
        let minke = self.site.minke().env("CONTAINERS_CONF", &self.conf);
        self.config(&minke.globals([runtime]), set, "start")
    }

    fn theirs(&self, set: &str) -> Result<Value> {
        self.config(&self.podman, set, "init")
    }

    fn config(&self, engine: &Program, set: &str, begin: &str) -> Result<Value> {
        let _ = fs::remove_file(&self.captured);
        engine.ok(words(self.site, set))?;
        let begun = engine.call([begin, "c"])?;
        let text = fs::read(&self.captured).with_context(|| begun.to_string())?;
        engine.ok(["rm", "--force", "--volumes", "--time=0", "c"])?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// The words of a set; `_` stands for a space within one.
fn words<'a>(site: &Site<'_>, set: &'a str) -> Vec<String> {
    let mut words: Vec<String> = vec!["create".into(), "--name=c".into()];
    if !set.contains("--network") {
        words.push("--network=none".into());
    }
    let spaced = set.contains("--device-cgroup-rule");
    words.extend(set.split_whitespace().map(|word: &'a str| {
        if spaced {
            word.replace('_', " ")
        } else {
            word.to_owned()
        }
    }));
    words.extend([site.image(), "sleep".into(), "100".into()]);
    words
}

fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let (ours, theirs) = (lines(ours), lines(theirs));
    let explained = |line: &&String| RULES.iter().any(|(start, _)| line.starts_with(start));
    let only = |sign: &str, one: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
        one.difference(other)
            .filter(|line| !explained(line))
            .map(|line| format!("{sign} {line}"))
            .collect()
    };
    let mut found = only("+", &ours, &theirs);
    found.extend(only("-", &theirs, &ours));
    found
}

/// One line a value; what has a name of its own in a list is known by it, and words whose order
/// says nothing are sorted.
fn lines(document: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    add("", document, &mut lines);
    lines
}

/// The text with `ID` for every id of a container or volume, long and short.
fn without_ids(text: &str) -> String {
    let mut parts = Vec::new();
    for part in text.split_inclusive(['/', '"', '-']) {
        let word = part.trim_end_matches(['/', '"', '-']);
        let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && matches!(word.len(), 12 | 64) {
            parts.push(part.replace(word, "ID"));
        } else {
            parts.push(part.to_owned());
        }
    }
    parts.concat()
}

fn add(path: &str, value: &Value, lines: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                add(&path, value, lines);
            }
        }
        Value::Array(items) if path.ends_with(".env") => {
            let items = items.iter().filter_map(Value::as_str);
            lines.extend(items.map(|item| format!("{path}.{item}")));
        }
        Value::Array(items) if path != "process.args" => {
            if items.iter().all(Value::is_string) {
                let mut words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                words.sort_unstable();
                lines.extend(words.into_iter().map(|word| format!("{path}={word}")));
                return;
            }
            for item in items {
                let name = ["destination", "path", "type"]
                    .iter()
                    .find_map(|key| item[key].as_str());
                let path = match name {
                    Some(name) => format!("{path}[{name}]"),
                    None => format!("{path}[]"),
                };
                if path.contains("resources.devices") || name.is_none() {
                    lines.insert(format!("{path}={item}"));
                } else {
                    add(&path, item, lines);
                }
            }
        }
        // Podman leaves the file's type in the mode.
        Value::Number(mode) if path.ends_with(".fileMode") => {
            let mode = mode.as_u64().unwrap_or_default() & 0o7777;
            lines.insert(format!("{path}={mode:o}"));
        }
        _ if path.ends_with(".destination") => {}
        _ => drop(lines.insert(format!("{path}={}", without_ids(&value.to_string())))),
    }
}
