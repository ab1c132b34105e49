//! This machine, as the configuration of a container needs to know it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minke_runtime_spec::container::{
    CgroupsMode, MountKind, NamespaceMode, NetworkMode, Seccomp, UserMode,
};
use minke_runtime_spec::host::{Cgroup, Host};
use minke_runtime_spec::option::capability;
use minke_runtime_spec::option::ulimit::Rlimit;
use minke_runtime_spec::user::{self, MAX_FILE_BYTES, UserFile};
use minke_runtime_spec::{ContainerSpec, ImageConfig};
use minke_seccomp::Profile;
use minke_sys::cgroup::{Cgroups, Mode};
use minke_sys::rooted::Root;

use super::devices::{all_devices, device_nodes};
use super::intermediate::Intermediate;
use super::record::{Config, Record};
use super::status::cgroup_path;
use crate::Engine;
use crate::error::{Error, Result};

/// What a start has prepared for the container.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub rootfs: PathBuf,
    pub netns: Option<PathBuf>,
    pub resolv_conf: Option<PathBuf>,
    pub hosts: Option<PathBuf>,
    pub hostname: Option<PathBuf>,
    pub containerenv: Option<PathBuf>,
    pub localtime: Option<PathBuf>,
    pub joined: BTreeMap<&'static str, PathBuf>,
}

/// A container may use this many tasks where nothing is asked (Podman's default).
const DEFAULT_PIDS_LIMIT: i64 = 2048;

impl Engine {
    /// Refuses what this engine cannot do yet, before anything is made.
    pub(crate) fn check_supported(&self, spec: &ContainerSpec) -> Result<()> {
        let unsupported = |what: &str| Err(Error::Unsupported { what: what.into() });
        if !spec.cdi_devices.is_empty() {
            self.cdi_edits(&spec.cdi_devices)?;
        }
        if spec.cgroups == CgroupsMode::Split {
            return unsupported("splitting the caller's control group (--cgroups split)");
        }
        self.check_cgroups(spec)?;
        match &spec.namespaces.network {
            NetworkMode::Bridge(_) if self.places.rootless => unsupported(
                "a bridge network for a normal user (use --network pasta, slirp4netns, none or host)",
            ),
            _ => Ok(()),
        }
    }

    /// Generates the configuration as far as it can be before a start, to refuse at creation
    /// what no start could honour.
    pub(crate) fn try_out(
        &self,
        id: &minke_storage::ContainerId,
        name: &str,
        config: &Config,
    ) -> Result<()> {
        let record = Record {
            id: id.to_string(),
            name: name.to_owned(),
            config: config.clone(),
            ..Record::default()
        };
        let prepared = Prepared {
            rootfs: "/".into(),
            netns: Some("/proc/self/ns/net".into()),
            joined: self.joined(&config.spec, false)?,
            ..Prepared::default()
        };
        let host = self.host(&record, &prepared, None)?;
        let mut spec = config.spec.clone();
        // Where they come from is decided by a start.
        for mount in &mut spec.mounts {
            if matches!(
                mount.kind,
                MountKind::Volume { .. } | MountKind::Overlay { .. } | MountKind::Image { .. }
            ) {
                mount.kind = MountKind::Bind { source: "/".into() };
            }
        }
        minke_runtime_spec::generate(&spec, &config.image, &host)?;
        Ok(())
    }

    /// The facts for one container. `root` is its mounted file tree, where users are looked up.
    pub(crate) fn host(
        &self,
        record: &Record,
        prepared: &Prepared,
        root: Option<&Root>,
    ) -> Result<Host> {
        let spec = &record.config.spec;
        let conf = self.conf()?;
        let privileged = spec.security.privileged;
        let config = &record.config;
        let (uid_mappings, gid_mappings) =
            if self.places.rootless && !config.uid_mappings.is_empty() {
                Intermediate::own()?.split(&config.uid_mappings, &config.gid_mappings)
            } else {
                (config.uid_mappings.clone(), config.gid_mappings.clone())
            };
        let mut host = Host {
            container_id: record.id.clone(),
            rootfs: prepared.rootfs.clone(),
            rootless: self.places.rootless,
            uid_mappings,
            gid_mappings,
            available_gids: available_gids(),
            cgroup: match cgroup_path(record) {
                Some(_) => cgroup(self.cgroups()?, self.places.rootless),
                None => Cgroup::None,
            },
            cgroups_path: cgroup_path(record),
            swap_limit: counts_swap(self.cgroups()?),
            default_pids_limit: Some(conf.pids_limit.unwrap_or(DEFAULT_PIDS_LIMIT)),
            kernel_version: kernel_version(),
            hard_limits: hard_limits(),
            // Root of a user namespace has the capability, and the kernel asks for the host's.
            may_raise_limits: !self.places.rootless && may_raise_limits(),
            default_ulimits: conf.ulimits.clone(),
            bounding: bounding()?,
            default_sysctls: conf.sysctls.clone(),
            default_env: conf.env.clone(),
            device_nodes: device_nodes(spec)?,
            all_devices: if privileged {
                all_devices()
            } else {
                BTreeMap::new()
            },
            resolv_conf: prepared.resolv_conf.clone(),
            hosts: prepared.hosts.clone(),
            hostname: prepared.hostname.clone(),
            containerenv: prepared.containerenv.clone(),
            localtime: prepared.localtime.clone(),
            init: spec.init.then(|| self.init_binary(spec)),
            proxy_env: proxies(&self.options.surroundings.environment),
            netns: prepared.netns.clone(),
            joined: prepared.joined.clone(),
            default_seccomp: default_seccomp()?,
            seccomp_profile: seccomp_profile(spec)?,
            mqueue: Path::new("/proc/sys/fs/mqueue").exists(),
            ..Host::default()
        };
        if let Some(capabilities) = &conf.capabilities {
            // containers.conf spells them with and without `CAP_`.
            host.default_capabilities = capabilities
                .iter()
                .map(|name| capability::normalize(name))
                .collect::<std::result::Result<_, _>>()?;
        }
        if let Some(root) = root {
            host.user = resolve_user(root, None, spec, &record.config.image)?;
        }
        Ok(host)
    }

    /// Whether containers have no control groups: a normal user's, where v1 has none to give.
    pub(super) fn lacks_cgroups(&self) -> Result<bool> {
        let cgroup = cgroup(self.cgroups()?, self.places.rootless);
        Ok(self.places.rootless && matches!(cgroup, Cgroup::None))
    }

    /// What runs as process 1 before the command: the one asked for, or this binary.
    fn init_binary(&self, spec: &ContainerSpec) -> PathBuf {
        let own = || self.options.self_exe.clone();
        spec.init_path.clone().unwrap_or_else(own)
    }

    /// Namespaces of other containers that are joined. `running` asks that they are there.
    pub(crate) fn joined(
        &self,
        spec: &ContainerSpec,
        running: bool,
    ) -> Result<BTreeMap<&'static str, PathBuf>> {
        let spaces = &spec.namespaces;
        let mut wanted: Vec<(&'static str, &'static str, &str)> = Vec::new();
        let kinds = [
            ("pid", "pid", Some(&spaces.pid)),
            ("ipc", "ipc", Some(&spaces.ipc)),
            ("uts", "uts", Some(&spaces.uts)),
            ("cgroup", "cgroup", spaces.cgroup.as_ref()),
        ];
        for (key, file, mode) in kinds {
            if let Some(NamespaceMode::Container(name)) = mode {
                wanted.push((key, file, name));
            }
        }
        if let NetworkMode::Container(name) = &spaces.network {
            wanted.push(("network", "net", name));
        }
        if let UserMode::Container(name) = &spaces.user {
            wanted.push(("user", "user", name));
        }
        let mut joined = BTreeMap::new();
        for (key, file, name) in wanted {
            let other = self.find(name)?;
            let init = other
                .state
                .init
                .filter(|_| self.status(&other).0.is_alive());
            let path = match init {
                Some(init) => PathBuf::from(format!("/proc/{}/ns/{file}", init.pid)),
                None if running => {
                    return Err(Error::WrongState {
                        text: format!(
                            "cannot join the {key} namespace of container {name}: it is not running"
                        ),
                    });
                }
                None => PathBuf::from("/proc/self/ns").join(file),
            };
            joined.insert(key, path);
        }
        Ok(joined)
    }
}

/// The variables that name a proxy, as Podman knows them.
fn proxies(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const NAMES: &[&str] = &[
        "http_proxy",
        "https_proxy",
        "ftp_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "FTP_PROXY",
        "NO_PROXY",
    ];
    let found = NAMES.iter().filter_map(|&name| {
        let value = environment.get(name).filter(|value| !value.is_empty())?;
        Some((name.to_owned(), value.clone()))
    });
    found.collect()
}

/// Looks the user up in the container's own files, never in the host's: in those of `own`, its
/// bundle, where a start has put some, else in the image's.
pub(crate) fn resolve_user(
    root: &Root,
    own: Option<&Path>,
    spec: &ContainerSpec,
    image: &ImageConfig,
) -> Result<user::ResolvedUser> {
    let text = spec.user.as_deref().unwrap_or(&image.user);
    let read = |file: UserFile| {
        let name = file.path().trim_start_matches("/etc/");
        match own.map(|own| fs::read(own.join(name))) {
            Some(Ok(bytes)) => return Ok(Some(bytes)),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match root.read(Path::new(file.path()), MAX_FILE_BYTES as u64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(user::resolve(text, &spec.group_add, &read)?)
}

/// Whether memory limits can include swap: on v1 a choice made at boot.
fn counts_swap(cgroups: &Cgroups) -> bool {
    match cgroups.of_controller("memory") {
        Some(memory) if !memory.is_unified() => {
            memory.mount.join("memory.memsw.limit_in_bytes").exists()
        }
        _ => true,
    }
}

fn cgroup(cgroups: &Cgroups, rootless: bool) -> Cgroup {
    match cgroups.mode() {
        Mode::None => Cgroup::None,
        Mode::V2 => Cgroup::V2,
        // No hierarchy of v1 can be delegated to a normal user.
        Mode::V1 | Mode::Hybrid if rootless => Cgroup::None,
        Mode::V1 | Mode::Hybrid => Cgroup::V1,
    }
}

fn available_gids() -> u32 {
    let text = fs::read_to_string("/proc/self/gid_map").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u32>().ok())
        .fold(0, u32::saturating_add)
}

fn kernel_version() -> Option<minke_seccomp::KernelVersion> {
    let release = rustix::system::uname();
    let release = release.release().to_str().ok()?;
    let mut parts = release.split(['.', '-']);
    let (major, minor) = (parts.next()?, parts.next()?);
    format!("{major}.{minor}").parse().ok()
}

fn hard_limits() -> BTreeMap<Rlimit, u64> {
    use rustix::process::Resource;
    let table = [
        (Rlimit::Core, Resource::Core),
        (Rlimit::Cpu, Resource::Cpu),
        (Rlimit::Data, Resource::Data),
        (Rlimit::Fsize, Resource::Fsize),
        (Rlimit::Locks, Resource::Locks),
        (Rlimit::Memlock, Resource::Memlock),
        (Rlimit::Msgqueue, Resource::Msgqueue),
        (Rlimit::Nice, Resource::Nice),
        (Rlimit::Nofile, Resource::Nofile),
        (Rlimit::Nproc, Resource::Nproc),
        (Rlimit::Rss, Resource::Rss),
        (Rlimit::Rtprio, Resource::Rtprio),
        (Rlimit::Rttime, Resource::Rttime),
        (Rlimit::Sigpending, Resource::Sigpending),
        (Rlimit::Stack, Resource::Stack),
        (Rlimit::As, Resource::As),
    ];
    table
        .into_iter()
        .filter_map(|(limit, resource)| {
            let hard = rustix::process::getrlimit(resource).maximum?;
            Some((limit, hard))
        })
        .collect()
}

/// CAP_SYS_RESOURCE, without which a hard limit is final.
fn may_raise_limits() -> bool {
    const SYS_RESOURCE: u64 = 1 << 24;
    status_mask("CapEff:").is_some_and(|mask| mask & SYS_RESOURCE != 0)
}

/// The capabilities that we may give at most.
fn bounding() -> Result<BTreeSet<String>> {
    let mask = status_mask("CapBnd:")
        .ok_or_else(|| Error::invalid("/proc/self/status does not tell our capabilities"))?;
    Ok(capability::ALL
        .iter()
        .enumerate()
        .filter(|(number, _)| mask & 1 << number != 0)
        .map(|(_, &name)| name.to_owned())
        .collect())
}

fn status_mask(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The host's policy where it has one, else the built-in one.
fn default_seccomp() -> Result<Option<Profile>> {
    for path in [
        "/etc/containers/seccomp.json",
        "/usr/share/containers/seccomp.json",
    ] {
        match fs::read(path) {
            Ok(text) => {
                let profile = Profile::from_json(&text)
                    .map_err(|error| Error::invalid(format!("seccomp profile {path}: {error}")))?;
                return Ok(Some(profile));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::path("read", path)(source)),
        }
    }
    Ok(Some(Profile::default_policy().clone()))
}

fn seccomp_profile(spec: &ContainerSpec) -> Result<Option<Vec<u8>>> {
    let Seccomp::Path(path) = &spec.security.seccomp else {
        return Ok(None);
    };
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(Error::invalid(format!(
            "opening seccomp profile failed: open {}: {}",
            path.display(),
            error.kind()
        ))),
    }
}
