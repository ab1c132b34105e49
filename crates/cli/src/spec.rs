//! From flags to a [`ContainerSpec`], for `run` and `create`.

mod defaults; // what containers.conf says
mod files; // what is written into it
pub mod flags; // the flags
mod mode; // whose namespaces
mod pair; // KEY=VALUE
pub mod resources; // limits of its control group

use std::collections::BTreeMap;
use std::fs;

use minke_engine::ContainerDefaults;
use minke_runtime_spec::container::{
    ContainerSpec, Dns, ImageVolumes, LogConfig, Mount, MountKind, Namespaces, NetworkMode,
    RestartPolicy, Security, SystemdMode,
};
use minke_runtime_spec::option;

use crate::error::{Error, Result};
use flags::service::absolute;
use flags::{ContainerFlags, LifeFlags, PlaceFlags, PrivilegeFlags, ProcessFlags};

/// The container that `flags` and the words after them ask for. `environment` is this process's,
/// `defaults` what counts where they are silent.
///
/// # Errors
/// If a value is not of its form, or two flags contradict each other.
pub fn container(
    flags: &ContainerFlags,
    words: &[String],
    environment: &BTreeMap<String, String>,
    defaults: &ContainerDefaults,
) -> Result<ContainerSpec> {
    let flags = &defaults::filled(flags, defaults);
    let (image, command) = words
        .split_first()
        .ok_or_else(|| Error::refused("an image is needed"))?;
    refuse_missing(flags)?;
    let (group_add, keep_groups) = groups(&flags.process.group_add)?;
    let place = &flags.place;
    let life = &flags.life;
    let rootfs = place.rootfs.then(|| files::rootfs(image)).transpose()?;
    let image = if rootfs.is_some() { "" } else { image };
    let (network, attachments) = mode::network(&place.network)?;
    let restart = restart(flags)?;
    let (preserve_fds, preserve_fd) = flags.service.preserve.read()?;
    Ok(ContainerSpec {
        name: flags.name.clone(),
        image: image.to_owned(),
        command: command.to_vec(),
        entrypoint: entrypoint(&flags.process),
        env: variables(&flags.process, environment)?,
        workdir: flags.process.workdir.clone(),
        user: flags.process.user.clone(),
        group_add,
        keep_groups,
        terminal: flags.tty,
        stdin: flags.interactive,
        init: flags.process.init,
        init_path: flags.process.init_path.clone(),
        systemd: systemd(flags.process.systemd.as_deref())?,
        timezone: flags.process.tz.clone(),
        personality: flags.process.personality.clone(),
        env_merge: pair::merged(&flags.process.env_merge)?,
        unset_env: flags.process.unsetenv.iter().cloned().collect(),
        unset_env_all: flags.process.unsetenv_all,
        http_proxy: flags.process.http_proxy,
        rootfs,
        files: files::files(place, &flags.process)?,
        hostname: place.hostname.clone(),
        umask: umask(&flags.process)?,
        namespaces: namespaces(place, network)?,
        mounts: defaults::mounts(mounts(place)?, defaults)?,
        image_volumes: image_volumes(place.image_volume.as_deref())?,
        volumes_from: parsed(&place.volumes_from, option::volumes_from::parse)?,
        read_only: place.read_only,
        read_only_tmpfs: place.read_only_tmpfs,
        shm_size_bytes: size("shm-size", place.shm_size.as_deref())?,
        shm_size_systemd_bytes: size("shm-size-systemd", place.shm_size_systemd.as_deref())?,
        cdi_devices: cdi_devices(&flags.privileges),
        devices: parsed(&plain_devices(&flags.privileges), option::device::parse)?,
        device_cgroup_rules: device_rules(&flags.privileges)?,
        security: security(&flags.privileges)?,
        resources: resources::all(&flags.limits)?,
        cgroups: resources::cgroups(flags.limits.cgroups.as_deref())?,
        rdt_class: flags.limits.rdt_class.clone(),
        ulimits: parsed(&flags.limits.ulimit, option::ulimit::parse)?,
        sysctls: pair::sysctls(&flags.privileges.sysctl)?,
        ports: parsed(&place.publish, option::port::parse)?,
        expose: files::expose(&place.expose)?,
        publish_all: place.publish_all,
        attachments: files::attachments(place, attachments)?,
        annotations: pair::annotations(&life.annotation)?,
        labels: labels(flags)?,
        add_hosts: pair::hosts(&place.add_host)?,
        dns: Dns {
            servers: place.dns.clone(),
            search: place.dns_search.clone(),
            options: place.dns_option.clone(),
        },
        stop_signal: optional(life.stop_signal.as_deref(), option::signal::parse)?,
        stop_timeout_seconds: life.stop_timeout,
        restart,
        timeout_seconds: life.timeout,
        health: flags.health.read()?,
        sdnotify: flags.service.mode()?,
        preserve_fds,
        preserve_fd,
        monitor_pid_file: absolute(flags.service.conmon_pidfile.as_ref())?,
        pid_file: absolute(flags.service.pidfile.as_ref())?,
        remove: flags.removes(),
        remove_image: flags.rmi,
        requires: flags.requires.clone(),
        log: log(life)?,
        cgroup_parent: flags.limits.cgroup_parent.clone(),
        ..ContainerSpec::default()
    })
}

fn parsed<T>(
    texts: &[String],
    parse: impl Fn(&str) -> minke_runtime_spec::Result<T>,
) -> Result<Vec<T>> {
    let values = texts.iter().map(|text| parse(text));
    Ok(values.collect::<minke_runtime_spec::Result<_>>()?)
}

fn optional<T>(
    text: Option<&str>,
    parse: impl Fn(&str) -> minke_runtime_spec::Result<T>,
) -> Result<Option<T>> {
    Ok(text.map(parse).transpose()?)
}

fn size(what: &'static str, text: Option<&str>) -> Result<Option<u64>> {
    optional(text, |text| option::size::parse(what, text))
}

/// One word, or a JSON array of words.
fn entrypoint(flags: &ProcessFlags) -> Option<Vec<String>> {
    let text = flags.entrypoint.as_ref()?;
    let words = serde_json::from_str(text).ok();
    Some(words.unwrap_or_else(|| vec![text.clone()]))
}

/// What is refused by name because there is none of it yet.
fn refuse_missing(flags: &ContainerFlags) -> Result<()> {
    if let Some(name) = flags.pod.as_ref().or(flags.pod_id_file.as_ref()) {
        return Err(Error::refused(format!(
            "no pod with name or ID {name} found: no such pod (pods are not supported)"
        )));
    }
    if let Some(text) = flags.secret.first() {
        let name = text.split(',').next().unwrap_or_default();
        return Err(Error::refused(format!(
            "no secret with name or id {name:?}: no such secret (secrets are not supported)"
        )));
    }
    match flags.seccomp_policy.as_deref() {
        None | Some("" | "default") => Ok(()),
        Some(other) => Err(Error::refused(format!(
            "--seccomp-policy {other} is not supported: only `default` is"
        ))),
    }
}

/// Further groups, or those of whoever starts it.
fn groups(texts: &[String]) -> Result<(Vec<String>, bool)> {
    if !texts.iter().any(|text| text == "keep-groups") {
        return Ok((texts.to_vec(), false));
    }
    if texts.len() > 1 {
        return Err(Error::refused(
            "the '--group-add keep-groups' option is not allowed with any other --group-add options",
        ));
    }
    Ok((Vec::new(), true))
}

fn systemd(text: Option<&str>) -> Result<SystemdMode> {
    match text {
        Some("always") => Ok(SystemdMode::Always),
        None => Ok(SystemdMode::True),
        Some(text) => match crate::flag::boolean(text) {
            Ok(true) => Ok(SystemdMode::True),
            Ok(false) => Ok(SystemdMode::False),
            Err(_) => Err(Error::refused(format!(
                "invalid value for systemd: {text:?}: it is true, false or always"
            ))),
        },
    }
}

/// The labels of the files, then those given one by one.
fn labels(flags: &ContainerFlags) -> Result<BTreeMap<String, String>> {
    let mut lines = Vec::new();
    for path in &flags.label_file {
        let opened = Error::io(format!("open {}", path.display()));
        let text = fs::read_to_string(path).map_err(opened)?;
        let kept = text.lines().map(str::trim_start);
        let kept = kept.filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.extend(kept.map(str::to_owned));
    }
    lines.extend(flags.life.label.iter().cloned());
    pair::labels(&lines)
}

/// `vendor.com/class=name` is a device of the Container Device Interface, as is every GPU.
fn is_cdi(text: &str) -> bool {
    let kind = text.split_once('=').map(|(kind, _)| kind);
    kind.is_some_and(|kind| !kind.starts_with('/') && kind.contains('/'))
}

fn plain_devices(flags: &PrivilegeFlags) -> Vec<String> {
    let devices = flags.device.iter().filter(|text| !is_cdi(text));
    devices.cloned().collect()
}

fn cdi_devices(flags: &PrivilegeFlags) -> Vec<String> {
    let devices = flags.device.iter().filter(|text| is_cdi(text)).cloned();
    let gpus = flags
        .gpus
        .iter()
        .map(|name| format!("nvidia.com/gpu={name}"));
    devices.chain(gpus).collect()
}

/// This environment where asked for, then files, then single variables: the later ones win.
pub fn variables(
    flags: &ProcessFlags,
    environment: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let host = || -> Vec<(String, String)> {
        let entries = environment.iter();
        entries
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let mut variables = if flags.env_host {
        environment.clone()
    } else {
        BTreeMap::new()
    };
    for path in &flags.env_file {
        let opened = Error::io(format!("open {}", path.display()));
        let text = fs::read_to_string(path).map_err(opened)?;
        option::env::add_file(&mut variables, &text, &host)?;
    }
    for text in &flags.env {
        option::env::add(&mut variables, text, &host)?;
    }
    Ok(variables)
}

fn umask(flags: &ProcessFlags) -> Result<Option<u32>> {
    let Some(text) = &flags.umask else {
        return Ok(None);
    };
    match u32::from_str_radix(text, 8) {
        Ok(mask) if mask <= 0o7777 => Ok(Some(mask)),
        _ => Err(Error::refused(format!(
            "invalid umask string {text}: invalid argument"
        ))),
    }
}

fn namespaces(flags: &PlaceFlags, network: NetworkMode) -> Result<Namespaces> {
    Ok(Namespaces {
        network,
        pid: mode::namespace("pid", flags.pid.as_deref())?.unwrap_or_default(),
        ipc: mode::namespace("ipc", flags.ipc.as_deref())?.unwrap_or_default(),
        private_shm: flags.ipc.as_deref() == Some("private"),
        no_shm: flags.ipc.as_deref() == Some("none"),
        uts: mode::namespace("uts", flags.uts.as_deref())?.unwrap_or_default(),
        user: mode::user(flags.userns.as_deref())?,
        mappings: mode::mappings(flags)?,
        cgroup: mode::namespace("cgroup", flags.cgroupns.as_deref())?,
    })
}

fn mounts(flags: &PlaceFlags) -> Result<Vec<Mount>> {
    let mut mounts = parsed(&flags.mount, option::mount::parse)?;
    mounts.extend(parsed(&flags.volume, option::volume::parse)?);
    mounts.extend(parsed(&flags.tmpfs, option::tmpfs::parse)?);
    for mount in &mut mounts {
        let (MountKind::Bind { source } | MountKind::Overlay { source }) = &mut mount.kind else {
            continue;
        };
        let path = std::path::absolute(&*source).map_err(Error::io(format!("resolve {source}")))?;
        let is_plain = source.starts_with('/');
        if !is_plain && let Some(path) = path.to_str() {
            path.clone_into(source);
        }
    }
    Ok(mounts)
}

fn image_volumes(text: Option<&str>) -> Result<ImageVolumes> {
    match text {
        None | Some("" | "anonymous" | "bind") => Ok(ImageVolumes::Anonymous),
        Some("tmpfs") => Ok(ImageVolumes::Tmpfs),
        Some("ignore") => Ok(ImageVolumes::Ignore),
        Some(other) => Err(Error::refused(format!(
            "invalid image-volume type {other:?}. Pick one of bind, tmpfs, ignore, or anonymous"
        ))),
    }
}

/// `TYPE MAJOR:MINOR ACCESS`, as the kernel reads it.
fn device_rules(flags: &PrivilegeFlags) -> Result<Vec<String>> {
    let is_number = |text: &str| {
        text == "*" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_rule = |text: &str| match text.split(' ').collect::<Vec<_>>()[..] {
        ["a" | "b" | "c", numbers, access] => {
            numbers
                .split_once(':')
                .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
                && (1..=3).contains(&access.len())
                && access.chars().all(|letter| "rwm".contains(letter))
        }
        _ => false,
    };
    if let Some(wrong) = flags.device_cgroup_rule.iter().find(|text| !is_rule(text)) {
        return Err(Error::refused(format!(
            "invalid device cgroup rule format: '{wrong}'"
        )));
    }
    Ok(flags.device_cgroup_rule.clone())
}

fn security(flags: &PrivilegeFlags) -> Result<Security> {
    let mut security = Security {
        privileged: flags.privileged,
        cap_add: flags.cap_add.clone(),
        cap_drop: flags.cap_drop.clone(),
        ..Security::default()
    };
    for name in flags.cap_add.iter().chain(&flags.cap_drop) {
        option::capability::normalize(name)?;
    }
    for text in &flags.security_opt {
        option::security::add(&mut security, text)?;
    }
    Ok(security)
}

fn restart(flags: &ContainerFlags) -> Result<RestartPolicy> {
    let text = flags.life.restart.as_deref().unwrap_or_default();
    let policy = option::restart::parse(text)?;
    if flags.removes() && policy != RestartPolicy::No {
        return Err(Error::refused(
            "the --rm option conflicts with --restart, when the restartPolicy is not \"\" and \"no\"",
        ));
    }
    Ok(policy)
}

fn log(flags: &LifeFlags) -> Result<LogConfig> {
    Ok(LogConfig {
        driver: flags.log_driver.clone(),
        options: pair::log_options(&flags.log_opt)?,
    })
}

#[cfg(test)]
mod tests;
