//! What containers.conf says, in place of flags that were not given.

use minke_engine::ContainerDefaults;
use minke_runtime_spec::container::Mount;
use minke_runtime_spec::option;

use super::flags::ContainerFlags;
use super::parsed;
use crate::error::Result;

/// The flags, with the defaults where they are silent.
pub(super) fn filled(flags: &ContainerFlags, defaults: &ContainerDefaults) -> ContainerFlags {
    let mut flags = flags.clone();
    let place = &mut flags.place;
    let own_ids = [&place.uidmap, &place.gidmap];
    let has_own_ids = own_ids.iter().any(|maps| !maps.is_empty())
        || place.subuidname.is_some()
        || place.subgidname.is_some();
    for (flag, default) in [
        (&mut place.pid, &defaults.pidns),
        (&mut place.ipc, &defaults.ipcns),
        (&mut place.uts, &defaults.utsns),
        (&mut place.cgroupns, &defaults.cgroupns),
        (&mut place.shm_size, &defaults.shm_size),
        (&mut flags.limits.cgroups, &defaults.cgroups),
        (&mut flags.process.tz, &defaults.tz),
        (&mut flags.process.umask, &defaults.umask),
    ] {
        fill(flag, default);
    }
    if !has_own_ids {
        fill(&mut place.userns, &defaults.userns);
    }
    for (flag, default) in [
        (&mut place.dns, &defaults.dns_servers),
        (&mut place.dns_search, &defaults.dns_searches),
        (&mut place.dns_option, &defaults.dns_options),
    ] {
        if flag.is_empty() {
            flag.clone_from(default.as_ref().unwrap_or(&Vec::new()));
        }
    }
    if place.network.is_empty() {
        place.network.extend(defaults.netns.clone());
    }
    // A name that is asked for is worth more than to have none.
    let wants_hosts = !place.add_host.is_empty() || place.hosts_file.is_some();
    place.no_hosts |= defaults.no_hosts == Some(true) && !wants_hosts;
    if !place.no_hosts {
        fill(&mut place.hosts_file, &defaults.base_hosts_file);
    }
    place.read_only |= defaults.read_only == Some(true);
    flags.process.init |= defaults.init == Some(true);
    flags.process.env_host |= defaults.env_host == Some(true);
    fill(&mut flags.process.init_path, &defaults.init_path);
    fill(&mut flags.process.http_proxy, &defaults.http_proxy);
    privileges(&mut flags, defaults);
    // The later ones win.
    let annotations = defaults.annotations.iter().flatten().cloned();
    flags.life.annotation = annotations.chain(flags.life.annotation).collect();
    flags
}

fn fill<T: Clone>(flag: &mut Option<T>, default: &Option<T>) {
    if flag.is_none() {
        flag.clone_from(default);
    }
}

fn privileges(flags: &mut ContainerFlags, defaults: &ContainerDefaults) {
    let privileges = &mut flags.privileges;
    privileges.privileged |= defaults.privileged == Some(true);
    let devices = defaults.devices.iter().flatten().cloned();
    privileges.device.extend(devices);
    let names = |option: &str| {
        let mut given = privileges.security_opt.iter();
        given.any(|text| text.starts_with(option))
    };
    let (has_seccomp, has_label) = (names("seccomp"), names("label"));
    let seccomp = defaults.seccomp_profile.as_deref().unwrap_or_default();
    if !has_seccomp && !privileges.privileged && !seccomp.is_empty() {
        privileges.security_opt.push(format!("seccomp={seccomp}"));
    }
    if !has_label && defaults.label == Some(false) {
        privileges.security_opt.push("label=disable".to_owned());
    }
}

/// `asked`, and the default mounts where nothing is asked to be.
///
/// # Errors
/// A default that is not of its form.
pub(super) fn mounts(asked: Vec<Mount>, defaults: &ContainerDefaults) -> Result<Vec<Mount>> {
    let none = Vec::new();
    let listed = |list: &Option<Vec<String>>| list.clone().unwrap_or(none.clone());
    let mut more = parsed(&listed(&defaults.mounts), option::mount::parse)?;
    more.extend(parsed(&listed(&defaults.volumes), option::volume::parse)?);
    let is_free = |mount: &Mount| {
        let mut others = asked.iter();
        !others.any(|other| other.destination == mount.destination)
    };
    more.retain(is_free);
    more.extend(asked);
    Ok(more)
}
