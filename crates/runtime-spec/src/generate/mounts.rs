use std::path::Path;

use oci_spec::runtime::Mount as OciMount;

use super::{Context, command, devices, namespaces, security, systemd};
use crate::container::{ContainerSpec, Mount, MountKind, NetworkMode, Propagation, UserMode};
use crate::host::IdMapping;
use crate::{Error, Result};

/// Podman's default, in bytes.
const SHM_SIZE: u64 = 65_536_000;

/// Everything that is mounted, outer targets first.
pub(super) fn mounts(context: &Context<'_>) -> Result<Vec<OciMount>> {
    let asked = asked(context)?;
    let mut all = kernel_mounts(context);
    all.extend(engine_files(context));
    all.extend(systemd::mounts(context));
    all.extend(scratch(context.spec).into_iter().filter(|mount| {
        // systemd has asked for some of them already.
        !systemd::is_on(context) || mount.destination() == Path::new("/var/tmp")
    }));
    // What was asked replaces what would be at or below its target.
    all.retain(|default| {
        asked
            .iter()
            .all(|mount| !default.destination().starts_with(mount.destination()))
    });
    all.extend(asked);
    all.extend(bound_devices(context)?);
    all.sort_by_key(|mount| mount.destination().components().count());
    Ok(all)
}

pub(super) fn mount(target: &str, typ: &str, source: &str, options: &[&str]) -> OciMount {
    let mut mount = OciMount::default();
    mount
        .set_destination(target.into())
        .set_typ(Some(typ.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(
            options.iter().map(|&option| option.to_owned()).collect(),
        ));
    mount
}

fn kernel_mounts(context: &Context<'_>) -> Vec<OciMount> {
    let mut all = vec![proc(context), dev(context.spec), pts(context)];
    if !context.spec.namespaces.no_shm {
        all.push(shm(context));
    }
    all.extend(mqueue(context));
    all.extend(sys(context));
    all
}

fn proc(context: &Context<'_>) -> OciMount {
    if context.in_user_namespace() && context.spec.namespaces.pid.is_host() {
        return mount(
            "/proc",
            "bind",
            "/proc",
            &["rbind", "nosuid", "noexec", "nodev"],
        );
    }
    let options = &context.spec.security.proc_options;
    if options.is_empty() {
        return mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    mount("/proc", "proc", "proc", &options)
}

fn dev(spec: &ContainerSpec) -> OciMount {
    let mut options = vec!["nosuid", "strictatime", "mode=755", "size=65536k"];
    if spec.read_only && !spec.has_read_only_tmpfs() {
        options.push("ro");
    }
    mount("/dev", "tmpfs", "tmpfs", &options)
}

/// Terminals belong to group 5 where the container has it.
fn pts(context: &Context<'_>) -> OciMount {
    let mut options = vec![
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
    ];
    let mappings = &context.host.gid_mappings;
    let mapped = mappings
        .iter()
        .any(|range| range.container_id <= 5 && 5 - range.container_id < range.size);
    let enough = !context.host.rootless || context.host.available_gids >= 5;
    if enough && (mappings.is_empty() || mapped) {
        options.push("gid=5");
    }
    mount("/dev/pts", "devpts", "devpts", &options)
}

fn shm(context: &Context<'_>) -> OciMount {
    if context.spec.namespaces.ipc.is_host() {
        return mount(
            "/dev/shm",
            "bind",
            "/dev/shm",
            &["rprivate", "nosuid", "noexec", "nodev", "rbind"],
        );
    }
    if let Some(path) = &context.host.shm {
        let mut bound = mount(
            "/dev/shm",
            "bind",
            "",
            &["rprivate", "nosuid", "noexec", "nodev", "rbind"],
        );
        bound.set_source(Some(path.clone()));
        return bound;
    }
    let size = format!("size={}", context.spec.shm_size_bytes.unwrap_or(SHM_SIZE));
    mount(
        "/dev/shm",
        "tmpfs",
        "shm",
        &["nosuid", "noexec", "nodev", "mode=1777", &size],
    )
}

fn mqueue(context: &Context<'_>) -> Option<OciMount> {
    let path = "/dev/mqueue";
    if !context.host.mqueue {
        return None;
    }
    if context.in_user_namespace() && context.spec.namespaces.ipc.is_host() {
        return Some(mount(
            path,
            "bind",
            path,
            &["bind", "nosuid", "noexec", "nodev"],
        ));
    }
    Some(mount(
        path,
        "mqueue",
        "mqueue",
        &["nosuid", "noexec", "nodev"],
    ))
}

/// Whether `/sys` is the host's: a namespace may mount sysfs only with a network of its own.
pub(super) fn binds_sys(context: &Context<'_>) -> bool {
    let network = &context.spec.namespaces.network;
    if network.is_host() && context.in_user_namespace() {
        return true;
    }
    context.spec.namespaces.user != UserMode::Host
        && (context.host.netns.is_some()
            || matches!(network, NetworkMode::Path(_) | NetworkMode::Container(_)))
}

fn sys(context: &Context<'_>) -> [OciMount; 2] {
    let base = ["rprivate", "nosuid", "noexec", "nodev"];
    let privileged = if context.privileged() { "rw" } else { "ro" };
    let with = |more: &[&'static str]| [&base[..], more].concat();
    if binds_sys(context) {
        return [
            mount("/sys", "bind", "/sys", &with(&[privileged, "rbind"])),
            mount(
                "/sys/fs/cgroup",
                "cgroup",
                "/sys/fs/cgroup",
                &with(&[privileged]),
            ),
        ];
    }
    let unmasked = security::unmasked("/sys/fs/cgroup", &context.spec.security.unmask);
    let cgroup = if context.privileged() || unmasked || systemd::owns_cgroup(context) {
        "rw"
    } else {
        "ro"
    };
    let sys = if context.privileged() {
        mount("/sys", "sysfs", "sysfs", &with(&["rw"]))
    } else {
        mount(
            "/sys",
            "sysfs",
            "sysfs",
            &["nosuid", "noexec", "nodev", "ro"],
        )
    };
    let group = mount(
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &with(&["relatime", cgroup]),
    );
    [sys, group]
}

/// The files the engine writes for the container.
fn engine_files(context: &Context<'_>) -> Vec<OciMount> {
    let host = context.host;
    let files = &context.spec.files;
    let init = host.init.as_ref().filter(|_| context.spec.init);
    let named = [
        ("/etc/resolv.conf", host.resolv_conf.as_ref(), false),
        ("/etc/hosts", host.hosts.as_ref(), false),
        ("/etc/hostname", host.hostname.as_ref(), false),
    ];
    let mut all: Vec<OciMount> = named
        .into_iter()
        .chain([
            ("/run/.containerenv", host.containerenv.as_ref(), false),
            ("/etc/passwd", host.passwd.as_ref(), false),
            ("/etc/group", host.group.as_ref(), false),
            ("/etc/localtime", host.localtime.as_ref(), false),
        ])
        .filter_map(|(target, source, read_only)| {
            Some(file(target, source?, read_only, context.spec.read_only))
        })
        .collect();
    all.extend(init.map(|init| file(command::INIT_PATH, init, true, false)));
    for dir in &files.chroot_dirs {
        let dir = dir.trim_end_matches('/');
        // Podman's programs in a chroot resolve names; who they are on is their own affair.
        let resolving = named.into_iter().filter(|named| named.0 != "/etc/hostname");
        all.extend(resolving.filter_map(|(target, source, _)| {
            let target = format!("{dir}{target}");
            Some(file(&target, source?, false, context.spec.read_only))
        }));
    }
    all
}

fn file(target: &str, source: &Path, read_only: bool, sealed: bool) -> OciMount {
    let options: &[&str] = match (sealed, read_only) {
        (true, _) => &["bind", "rprivate", "ro", "nosuid", "noexec", "nodev"],
        (false, true) => &["bind", "rprivate", "ro"],
        (false, false) => &["bind", "rprivate"],
    };
    let mut file = mount(target, "bind", "", options);
    file.set_source(Some(source.to_owned()));
    file
}

/// What stays writable in a read-only container.
fn scratch(spec: &ContainerSpec) -> Vec<OciMount> {
    if !spec.has_read_only_tmpfs() {
        return Vec::new();
    }
    let options = ["rw", "rprivate", "nosuid", "nodev", "tmpcopyup"];
    ["/tmp", "/var/tmp", "/run"]
        .map(|target| mount(target, "tmpfs", "tmpfs", &options))
        .into()
}

fn asked(context: &Context<'_>) -> Result<Vec<OciMount>> {
    let spec = context.spec;
    let mut all: Vec<&Mount> = Vec::new();
    for mount in &spec.mounts {
        match all
            .iter()
            .find(|other| other.destination == mount.destination)
        {
            Some(other) if **other == *mount => {} // the same twice is once
            Some(_) => {
                return Err(Error::MountTwice {
                    destination: mount.destination.clone(),
                });
            }
            None => all.push(mount),
        }
    }
    let mapped = |mount: &Mount| -> Result<OciMount> {
        let mut made = oci(mount)?;
        if let Some(text) = &mount.options.idmap {
            let (users, groups) = id_mappings(context, text)?;
            made.set_uid_mappings(namespaces::mappings(&users))
                .set_gid_mappings(namespaces::mappings(&groups));
        }
        Ok(made)
    };
    all.into_iter().map(mapped).collect()
}

/// The mapping that is given, or the container's own where nothing is said.
fn id_mappings(context: &Context<'_>, text: &str) -> Result<(Vec<IdMapping>, Vec<IdMapping>)> {
    if !text.is_empty() {
        return crate::option::idmap::of_mount("--volume", text);
    }
    let host = context.host;
    if host.uid_mappings.is_empty() {
        let message = "idmap without a mapping needs a user namespace of the container's own";
        return Err(Error::syntax("--volume", message));
    }
    Ok((host.uid_mappings.clone(), host.gid_mappings.clone()))
}

fn oci(asked: &Mount) -> Result<OciMount> {
    let target = asked.destination.as_str();
    if !target.starts_with('/') {
        return Err(Error::ContainerPathRelative {
            path: target.to_owned(),
        });
    }
    let unresolved = |kind: &'static str| {
        Err(Error::MountUnresolved {
            destination: target.to_owned(),
            kind,
        })
    };
    let (typ, source) = match &asked.kind {
        MountKind::Bind { source } if source.starts_with('/') => ("bind", source.as_str()),
        MountKind::Bind { .. } => return unresolved("relative path"),
        MountKind::Overlay { .. } => return unresolved("overlay"),
        MountKind::Volume { .. } => return unresolved("volume"),
        MountKind::Image { .. } => return unresolved("image"),
        MountKind::Glob { .. } => return unresolved("pattern"),
        MountKind::Tmpfs => ("tmpfs", "tmpfs"),
        MountKind::Ramfs => ("ramfs", "ramfs"),
        MountKind::Devpts => {
            return Ok(mount(target, "devpts", "devpts", &[]));
        }
    };
    let words = asked.options.to_words(typ != "bind");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(mount(target, typ, source, &words))
}

/// The propagation of the root that the mounts need: what is shared or follows the host cannot
/// be beneath a private one.
pub(super) fn root_propagation(spec: &ContainerSpec) -> Option<&'static str> {
    let asked = || {
        spec.mounts
            .iter()
            .filter_map(|mount| mount.options.propagation)
    };
    let any = |wanted: &[Propagation]| asked().any(|mode| wanted.contains(&mode));
    if any(&[Propagation::Shared, Propagation::Rshared]) {
        Some("shared")
    } else if any(&[Propagation::Slave, Propagation::Rslave]) {
        Some("rslave")
    } else {
        None
    }
}

/// Where nodes cannot be made, devices are bound.
fn bound_devices(context: &Context<'_>) -> Result<Vec<OciMount>> {
    if !context.host.rootless {
        return Ok(Vec::new());
    }
    let bind = |source: &str, target: &str, permissions: &str| {
        let access = if permissions.contains('w') {
            "rw"
        } else {
            "ro"
        };
        mount(
            target,
            "bind",
            source,
            &["slave", "nosuid", "noexec", access, "rbind"],
        )
    };
    let mut all: Vec<OciMount> = devices::asked(context)?
        .into_iter()
        .map(|(device, _)| bind(&device.source, &device.destination, &device.permissions))
        .collect();
    if context.privileged() {
        let paths = context.host.all_devices.keys();
        all.extend(paths.map(|path| bind(path, path, "rwm")));
    }
    Ok(all)
}
