//! Whole configs: one as text, others by what an option changes.

use minke_runtime_spec::container::{NamespaceMode, NetworkMode, Seccomp, UserMode};
use minke_runtime_spec::host::{Cgroup, DeviceNode, IdMapping};
use minke_runtime_spec::option::ulimit::Rlimit;
use minke_runtime_spec::option::{device, tmpfs, ulimit, volume};
use minke_runtime_spec::user::ResolvedUser;
use minke_runtime_spec::{ContainerSpec, Error, Generated, Host, ImageConfig, generate, to_json};
use serde_json::Value;

fn host() -> Host {
    Host {
        container_id: "0123456789abcdef".into(),
        rootfs: "/run/example/rootfs".into(),
        cgroup: Cgroup::V2,
        cgroups_path: Some("/minke/0123456789abcdef".into()),
        default_pids_limit: Some(2048),
        hard_limits: [(Rlimit::Nofile, 20_000)].into(),
        hosts: Some("/run/example/hosts".into()),
        netns: Some("/run/netns/example".into()),
        user: ResolvedUser {
            home: "/root".into(),
            ..ResolvedUser::default()
        },
        default_seccomp: None,
        ..Host::default()
    }
}

fn image() -> ImageConfig {
    ImageConfig {
        env: vec!["LANG=C".into()],
        cmd: vec!["sh".into()],
        ..ImageConfig::default()
    }
}

fn json(spec: &ContainerSpec, host: &Host) -> Value {
    let generated = generate(spec, &image(), host).unwrap();
    serde_json::from_str(&to_json(&generated.spec)).unwrap()
}

fn refusal(spec: &ContainerSpec, host: &Host) -> Error {
    generate(spec, &image(), host).unwrap_err()
}

fn mount<'a>(config: &'a Value, target: &str) -> Option<&'a Value> {
    let mounts = config["mounts"].as_array().unwrap();
    mounts.iter().find(|mount| mount["destination"] == target)
}

#[test]
fn a_default_container_is_as_recorded() {
    let spec = ContainerSpec {
        command: vec!["echo".into(), "hi".into()],
        mounts: vec![volume::parse("/srv:/data:ro").unwrap()],
        ..ContainerSpec::default()
    };
    let Generated {
        spec,
        clamps,
        warnings,
    } = generate(&spec, &image(), &host()).unwrap();
    assert_eq!(to_json(&spec), include_str!("../golden/default.json"));
    assert!(warnings.is_empty());
    let [clamp] = clamps.as_slice() else {
        panic!("{clamps:?}")
    };
    assert_eq!(
        (clamp.limit, clamp.wanted, clamp.given),
        (Rlimit::Nofile, 1_048_576, 20_000)
    );
}

#[test]
fn entry_point_and_command_combine_as_dockers() {
    let image = ImageConfig {
        entrypoint: vec!["/entry".into()],
        cmd: vec!["default".into()],
        ..ImageConfig::default()
    };
    for (entrypoint, command, expected) in [
        (None, &[][..], &["/entry", "default"][..]),
        (None, &["x"][..], &["/entry", "x"][..]),
        (Some(&["/mine"][..]), &[][..], &["/mine"][..]),
        (Some(&["/mine"][..]), &["x"][..], &["/mine", "x"][..]),
        (Some(&[""][..]), &["x"][..], &["x"][..]),
        (Some(&[""][..]), &[][..], &[""][..]),
    ] {
        let owned = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let spec = ContainerSpec {
            entrypoint: entrypoint.map(owned),
            command: owned(command),
            ..ContainerSpec::default()
        };
        let generated = generate(&spec, &image, &host()).unwrap();
        let process = generated.spec.process().as_ref().unwrap();
        assert_eq!(
            process.args().as_deref().unwrap(),
            expected,
            "{entrypoint:?} {command:?}"
        );
    }
}

#[test]
fn capabilities_are_never_inheritable_for_root() {
    let mut spec = ContainerSpec::default();
    spec.security.cap_add = vec!["NET_ADMIN".into()];
    let config = json(&spec, &host());
    let sets = &config["process"]["capabilities"];
    assert_eq!(sets["inheritable"], Value::Array(Vec::new()));
    assert_eq!(sets["ambient"], Value::Array(Vec::new()));
    assert!(
        sets["effective"]
            .as_array()
            .unwrap()
            .contains(&"CAP_NET_ADMIN".into())
    );

    spec.user = Some("1000".into());
    let config = json(&spec, &host());
    let sets = &config["process"]["capabilities"];
    assert_eq!(sets["effective"], serde_json::json!(["CAP_NET_ADMIN"]));
    assert_eq!(sets["ambient"], serde_json::json!(["CAP_NET_ADMIN"]));
    assert_eq!(sets["bounding"].as_array().unwrap().len(), 12);
}

#[test]
fn privileged_masks_and_filters_nothing() {
    let mut spec = ContainerSpec::default();
    spec.security.privileged = true;
    let config = json(
        &spec,
        &Host {
            default_seccomp: Host::default().default_seccomp,
            ..host()
        },
    );
    assert_eq!(config["linux"]["maskedPaths"], Value::Array(Vec::new()));
    assert_eq!(config["linux"]["readonlyPaths"], Value::Array(Vec::new()));
    assert!(config["linux"].get("seccomp").is_none());
    assert_eq!(config["linux"]["resources"]["devices"][0]["allow"], true);
    let sys = mount(&config, "/sys").unwrap();
    assert!(sys["options"].as_array().unwrap().contains(&"rw".into()));
}

#[test]
fn the_default_filter_is_resolved_against_the_capabilities() {
    let host = Host {
        default_seccomp: Host::default().default_seccomp,
        ..host()
    };
    let mut spec = ContainerSpec::default();
    assert!(json(&spec, &host)["linux"]["seccomp"]["syscalls"].is_array());
    spec.security.seccomp = Seccomp::Unconfined;
    assert!(json(&spec, &host)["linux"].get("seccomp").is_none());
    spec.security.seccomp = Seccomp::Path("/nope.json".into());
    let text = refusal(&spec, &host).to_string();
    assert!(
        text.starts_with("opening seccomp profile failed: open /nope.json:"),
        "{text}"
    );
}

#[test]
fn limits_above_the_hosts_are_clamped_with_the_reason() {
    let spec = ContainerSpec {
        ulimits: vec![ulimit::parse("nofile=30000").unwrap()],
        ..ContainerSpec::default()
    };
    let generated = generate(&spec, &ImageConfig::default(), &host()).unwrap();
    let clamp = generated
        .clamps
        .iter()
        .find(|clamp| clamp.limit == Rlimit::Nofile)
        .unwrap();
    assert_eq!((clamp.wanted, clamp.given), (30_000, 20_000));
    assert!(clamp.reason.contains("20000"), "{}", clamp.reason);
    assert_eq!(
        json(&spec, &host())["process"]["rlimits"][0]["hard"],
        20_000
    );
    let able = Host {
        may_raise_limits: true,
        ..host()
    };
    assert_eq!(json(&spec, &able)["process"]["rlimits"][0]["hard"], 30_000);
}

#[test]
fn sysctls_of_the_host_are_refused() {
    for (key, network, allowed) in [
        ("net.ipv4.ip_forward", NetworkMode::Default, true),
        ("net.ipv4.ip_forward", NetworkMode::Host, false),
        ("kernel.core_pattern", NetworkMode::Default, false),
        ("net.x+kernel.core_pattern", NetworkMode::Default, false),
        ("net/../kernel/core_pattern", NetworkMode::Default, false),
    ] {
        let mut spec = ContainerSpec::default();
        spec.namespaces.network = network;
        spec.sysctls = [(key.to_owned(), "1".to_owned())].into();
        assert_eq!(generate(&spec, &image(), &host()).is_ok(), allowed, "{key}");
    }
}

#[test]
fn a_rootless_container_binds_what_it_cannot_make() {
    let node = DeviceNode {
        block: false,
        major: 10,
        minor: 229,
        mode: 0o666,
        uid: 0,
        gid: 0,
    };
    let host = Host {
        rootless: true,
        available_gids: 1,
        cgroup: Cgroup::None,
        device_nodes: [("/dev/fuse".to_owned(), node)].into(),
        ..host()
    };
    let mut spec = ContainerSpec {
        devices: vec![device::parse("/dev/fuse").unwrap()],
        ..ContainerSpec::default()
    };
    spec.namespaces.network = NetworkMode::Host;
    spec.namespaces.pid = NamespaceMode::Host;
    spec.resources.memory_bytes = Some(1 << 20);
    let generated = generate(&spec, &image(), &host).unwrap();
    assert_eq!(generated.warnings.len(), 1);
    let config = json(&spec, &host);
    assert_eq!(mount(&config, "/dev/fuse").unwrap()["type"], "bind");
    assert_eq!(mount(&config, "/sys").unwrap()["type"], "bind");
    assert_eq!(mount(&config, "/proc").unwrap()["type"], "bind");
    let pts = mount(&config, "/dev/pts").unwrap()["options"]
        .as_array()
        .unwrap();
    assert!(!pts.contains(&"gid=5".into()));
    assert!(config["linux"].get("devices").is_none());
}

#[test]
fn a_user_namespace_carries_its_mappings() {
    let mapping = IdMapping {
        container_id: 0,
        host_id: 100_000,
        size: 65_536,
    };
    let host = Host {
        uid_mappings: vec![mapping],
        gid_mappings: vec![mapping],
        ..host()
    };
    let mut spec = ContainerSpec::default();
    spec.namespaces.user = UserMode::Private;
    let config = json(&spec, &host);
    assert_eq!(config["linux"]["uidMappings"][0]["hostID"], 100_000);
    let namespaces = config["linux"]["namespaces"].as_array().unwrap();
    assert!(
        namespaces
            .iter()
            .any(|namespace| namespace["type"] == "user")
    );
}

#[test]
fn mounts_replace_the_defaults_below_them() {
    let spec = ContainerSpec {
        read_only: true,
        mounts: vec![
            tmpfs::parse("/dev").unwrap(),
            volume::parse("/srv:/tmp").unwrap(),
        ],
        ..ContainerSpec::default()
    };
    let config = json(&spec, &host());
    assert!(mount(&config, "/dev/pts").is_none());
    assert_eq!(mount(&config, "/tmp").unwrap()["source"], "/srv");
    assert_eq!(mount(&config, "/run").unwrap()["type"], "tmpfs");
    assert_eq!(config["root"]["readonly"], true);
}

#[test]
fn what_is_unresolved_is_an_error() {
    let mut spec = ContainerSpec {
        mounts: vec![volume::parse("data:/data").unwrap()],
        ..ContainerSpec::default()
    };
    assert!(matches!(
        refusal(&spec, &host()),
        Error::MountUnresolved { kind: "volume", .. }
    ));
    spec.mounts.clear();
    spec.namespaces.pid = NamespaceMode::Container("other".into());
    assert!(matches!(
        refusal(&spec, &host()),
        Error::NamespaceUnresolved { kind: "pid" }
    ));
}

#[test]
fn a_spec_survives_json() {
    let spec = ContainerSpec {
        mounts: vec![volume::parse("/a:/b:ro,Z").unwrap()],
        ..ContainerSpec::default()
    };
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<ContainerSpec>(&text).unwrap(), spec);
    assert_eq!(
        serde_json::from_str::<ContainerSpec>("{}").unwrap(),
        ContainerSpec::default()
    );
}
