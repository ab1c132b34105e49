use super::*;

use clap::Parser;
use minke_runtime_spec::container::{NamespaceMode, NetworkMode, Seccomp, SystemdMode};

#[derive(Parser)]
#[command(disable_help_flag = true)]
struct Line {
    #[command(flatten)]
    flags: ContainerFlags,
    #[arg(trailing_var_arg = true)]
    words: Vec<String>,
}

fn read(line: &str) -> Result<ContainerSpec> {
    let command = crate::flag::like_go(<Line as clap::CommandFactory>::command());
    let words = std::iter::once("run").chain(line.split_whitespace());
    let matches = command
        .try_get_matches_from(words)
        .expect("flags are known");
    let line = <Line as clap::FromArgMatches>::from_arg_matches(&matches).expect("flags match");
    let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
    container(
        &line.flags,
        &line.words,
        &environment,
        &ContainerDefaults::default(),
    )
}

/// A line of flags and what must hold of the container it asks for.
type Case = (&'static str, fn(&ContainerSpec) -> bool);

const CASES: &[Case] = &[
    ("--init --tz local --systemd=always i", |c| {
        c.init && c.timezone.as_deref() == Some("local") && c.systemd == SystemdMode::Always
    }),
    (
        "--device vendor.com/gpu=0 --gpus all --device /dev/a i",
        |c| c.cdi_devices == ["vendor.com/gpu=0", "nvidia.com/gpu=all"] && c.devices.len() == 1,
    ),
    (
        "--network one:ip=10.1.2.3 --network two --network-alias x i",
        |c| c.attachments["one"].ips.len() == 1 && c.attachments[""].aliases == ["x"],
    ),
    (
        "--device-write-iops /dev/a:5 --cgroup-conf memory.high=1g i",
        |c| c.resources.write_iops[0].rate == 5 && c.resources.unified["memory.high"] == "1g",
    ),
    ("--group-add keep-groups --rmi --requires a,b i", |c| {
        c.keep_groups && c.remove && c.remove_image && c.requires == ["a", "b"]
    }),
    ("--rootfs /r:O sh", |c| {
        c.image.is_empty() && c.rootfs.as_ref().is_some_and(|root| root.overlay)
    }),
    ("-it i", |c| c.terminal && c.stdin && c.image == "i"),
    ("--rm=false i a -b --rm", |c| {
        !c.remove && c.command == ["a", "-b", "--rm"]
    }),
    ("--name web -e A=1 -e HOME i", |c| {
        c.name.as_deref() == Some("web") && c.env["A"] == "1" && c.env["HOME"] == "/root"
    }),
    ("--entrypoint sh i -c exit", |c| {
        c.entrypoint == Some(vec!["sh".into()]) && c.command == ["-c", "exit"]
    }),
    ("--entrypoint [\"a\",\"b\"] i", |c| {
        c.entrypoint == Some(vec!["a".into(), "b".into()])
    }),
    ("--entrypoint= i", |c| {
        c.entrypoint == Some(vec![String::new()])
    }),
    ("-v /a:/b:ro --tmpfs /t i", |c| {
        c.mounts.len() == 2
            && matches!(&c.mounts[0].kind, MountKind::Bind { source } if source == "/a")
            && matches!(c.mounts[1].kind, MountKind::Tmpfs)
    }),
    ("--net none --pid host --ipc=container:x i", |c| {
        c.namespaces.network == NetworkMode::None
            && c.namespaces.pid == NamespaceMode::Host
            && c.namespaces.ipc == NamespaceMode::Container("x".into())
    }),
    (
        "-m 10m --memory-swap -1 --pids-limit -1 -c 512 --cpus 1.5 i",
        |c| {
            c.resources.memory_bytes == Some(10 << 20)
                && c.resources.memory_swap_bytes == Some(-1)
                && c.resources.pids_limit == Some(-1)
                && c.resources.cpu_shares == Some(512)
                && c.resources.cpus == Some(1.5)
        },
    ),
    ("--cap-add net_admin,CHOWN --cap-drop ALL i", |c| {
        c.security.cap_add == ["net_admin", "CHOWN"] && c.security.cap_drop == ["ALL"]
    }),
    ("--security-opt seccomp=unconfined --privileged i", |c| {
        c.security.seccomp == Seccomp::Unconfined && c.security.privileged
    }),
    ("-p 8080:80,9090:90 -h name i", |c| {
        c.ports.len() == 2 && c.hostname.as_deref() == Some("name")
    }),
    ("--ulimit nofile=10:20 --shm-size 1m --umask 027 i", |c| {
        c.ulimits[0].hard == 20 && c.shm_size_bytes == Some(1 << 20) && c.umask == Some(0o27)
    }),
    (
        "--restart on-failure:3 --stop-signal INT --stop-timeout 3 i",
        |c| {
            c.restart
                == RestartPolicy::OnFailure {
                    max_retries: Some(3),
                }
                && c.stop_signal == Some(2)
                && c.stop_timeout_seconds == Some(3)
        },
    ),
    ("--rm --restart no i", |c| c.remove),
    ("--read-only --read-only-tmpfs=false i", |c| {
        c.read_only && c.read_only_tmpfs == Some(false)
    }),
    (
        "-l a=b -l c --annotation d=e --add-host h:10.0.0.1 i",
        |c| {
            c.labels["a"] == "b"
                && c.labels["c"].is_empty()
                && c.annotations["d"] == "e"
                && c.add_hosts["h"] == "10.0.0.1"
        },
    ),
    ("--dns 1.1.1.1 --dns-search a,b --dns-opt ndots:1 i", |c| {
        c.dns.servers == ["1.1.1.1"] && c.dns.search == ["a", "b"] && c.dns.options == ["ndots:1"]
    }),
    (
        "--log-driver none --log-opt max-size=1m --cgroup-parent /x i",
        |c| {
            c.log.driver.as_deref() == Some("none")
                && c.log.options["max-size"] == "1m"
                && c.cgroup_parent.as_deref() == Some("/x")
        },
    ),
];

#[test]
fn flags_become_a_container() {
    for (line, holds) in CASES {
        let container = read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(holds(&container), "{line}: {container:?}");
    }
}

#[test]
fn nothing_is_asked_for_by_default() {
    let expected = ContainerSpec {
        image: "i".into(),
        ..ContainerSpec::default()
    };
    assert_eq!(read("i").unwrap(), expected);
}

#[test]
fn wrong_values_are_refused_in_podmans_words() {
    for (line, fragment) in [
        ("-m 10x i", "invalid value for memory: invalid suffix: 'x'"),
        ("--cap-add a i", "\"CAP_A\": unknown capability"),
        (
            "-v /a:b i",
            "invalid container path \"b\", must be an absolute path",
        ),
        ("--stop-signal X i", "invalid signal: X"),
        (
            "--rm --restart always i",
            "the --rm option conflicts with --restart",
        ),
        (
            "--restart bogus i",
            "\"bogus\" is not a valid restart policy: invalid argument",
        ),
        (
            "-p 99999:80 i",
            "port numbers must be between 1 and 65535 (inclusive), got 99999",
        ),
        ("--cpus 1 --cpu-quota 5 i", "cannot be set together"),
        ("--userns bogus i", "unrecognized user namespace mode"),
        ("--uidmap 0 i", "could not parse id mapping"),
        ("--pod web i", "no pod with name or ID web found"),
        ("--secret key i", "no such secret"),
        ("--group-add keep-groups,7 i", "is not allowed with"),
        (
            "--memory-swappiness 101 i",
            "valid memory swappiness range is 0-100",
        ),
        (
            "--blkio-weight 5 i",
            "range of blkio weight is from 10 to 1000",
        ),
        ("--cgroups odd i", "invalid cgroups mode"),
        (
            "--no-hosts --add-host a:1.2.3.4 i",
            "cannot be set together",
        ),
        ("--systemd sometimes i", "invalid value for systemd"),
        ("--device-read-bps sda:1 i", "bad format for device path"),
        ("--umask 9 i", "invalid umask"),
        ("--device-cgroup-rule x i", "invalid device cgroup rule"),
        (
            "--env-file /nonexistent/x i",
            "open /nonexistent/x: no such",
        ),
        ("--oom-score-adj 2000 i", "-1000 to 1000"),
    ] {
        let refusal = read(line).expect_err(line).text();
        assert!(refusal.contains(fragment), "{line}: {refusal}");
    }
}

#[test]
fn requests_follow_the_flags() {
    use minke_engine::PullPolicy;
    for (text, known) in [("always", true), ("Missing", true), ("sometimes", false)] {
        assert_eq!(flags::pull_policy(text).is_ok(), known, "{text}");
    }
    let flags = ContainerFlags::default();
    let request = flags.create_request().expect("defaults are right");
    assert!(matches!(request.pull.policy, PullPolicy::Missing));
    assert!(request.pull.platform.is_none());
    let mut flags = ContainerFlags::default();
    flags.source.cert_dir = Some("/c".into());
    let refusal = flags.create_request().unwrap_err().text();
    assert_eq!(refusal, "--cert-dir is not supported");
}
