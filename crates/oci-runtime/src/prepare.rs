//! From a bundle to a [`Plan`]: everything that can be decided before the clone.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minke_seccomp::Architecture;
use minke_sys::cgroup::{Cgroups, Group};
use minke_sys::mount::Depth;
use minke_sys::rooted::Root;
use oci_spec::runtime::{
    Linux, LinuxDevice, LinuxDeviceType, LinuxPersonality, LinuxPersonalityDomain, LinuxSeccomp,
    Process, Spec,
};
use rustix::fs::{Mode, OFlags};

use crate::config::Bundle;
use crate::error::{Error, Result};
use crate::plan::entrance::Entrance;
use crate::plan::mount::{self, MountStep, Source};
use crate::plan::namespace::Namespaces;
use crate::plan::process::{Filter, ProcessPlan};
use crate::plan::{ConsolePlan, Device, Plan, RootPlan, Sysctl, Target, c_string};

/// What the caller of `create`, `run` or `exec` adds to the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    pub console_socket: Option<PathBuf>,
    pub terminal: Option<Arc<OwnedFd>>,
    pub preserved_fds: u32,
    /// Name of the session keyring; `None` keeps the caller's.
    pub keyring: Option<String>,
    /// Where compiled filters are kept.
    pub filter_cache: PathBuf,
}

/// Plans the container of a bundle.
pub(crate) fn plan(
    bundle: &Bundle,
    extras: &Extras,
    cgroups: &Cgroups,
    cgroup_path: Option<&Path>,
    group: Option<&Group>,
) -> Result<Plan> {
    let spec = &bundle.spec;
    let linux = linux(spec)?;
    let namespaces = Namespaces::of(spec)?;
    let root = if namespaces.makes(libc::CLONE_NEWNS) {
        let context = RootContext {
            bundle,
            linux,
            cgroups,
            cgroup_path,
            new_cgroup_namespace: namespaces.new_cgroup,
            new_user_namespace: namespaces.isolates_users(),
        };
        Some(context.plan()?)
    } else if namespaces
        .joins
        .iter()
        .any(|join| join.kind == libc::CLONE_NEWNS)
    {
        None
    } else {
        return Err(Error::config(
            "a container needs a mount namespace of its own or one to join",
        ));
    };
    let name = |text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        text.map(|text| c_string(text.as_bytes())).transpose()
    };
    let process = bundle.process()?;
    let mut planned_process = process_plan(process, linux.seccomp().as_ref(), extras)?;
    planned_process.keep_groups = keeps_groups(spec);
    planned_process.personality = linux.personality().as_ref().map(personality).transpose()?;
    let sysctls = sysctls(linux, |kind| namespaces.isolates(kind))?;
    Ok(Plan {
        entrance: group.map(Entrance::open).transpose()?,
        namespaces,
        root,
        hostname: name(spec.hostname())?,
        domainname: name(spec.domainname())?,
        sysctls,
        console: console(process, extras)?,
        process: planned_process,
        waits_for_hooks: has_early_hooks(spec),
    })
}

/// Plans a process that enters a running container.
pub(crate) fn plan_exec(
    process: &Process,
    seccomp: Option<&LinuxSeccomp>,
    namespaces: Namespaces,
    extras: &Extras,
    group: Option<&Group>,
) -> Result<Plan> {
    Ok(Plan {
        entrance: group.map(Entrance::open).transpose()?,
        namespaces,
        root: None,
        hostname: None,
        domainname: None,
        sysctls: Vec::new(),
        console: console(process, extras)?,
        process: process_plan(process, seccomp, extras)?,
        waits_for_hooks: false,
    })
}

pub(crate) fn linux(spec: &Spec) -> Result<&Linux> {
    spec.linux()
        .as_ref()
        .ok_or_else(|| Error::config("linux is missing"))
}

/// Whether the process keeps its caller's groups (crun's annotation).
fn keeps_groups(spec: &Spec) -> bool {
    let annotations = spec.annotations().as_ref();
    let asked = annotations.and_then(|all| all.get("run.oci.keep_original_groups"));
    asked.is_some_and(|value| value == "1")
}

fn has_early_hooks(spec: &Spec) -> bool {
    let given = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
    #[allow(deprecated)] // prestart is deprecated in the specification and used everywhere
    spec.hooks().as_ref().is_some_and(|hooks| {
        given(hooks.prestart()) || given(hooks.create_runtime()) || given(hooks.create_container())
    })
}

fn process_plan(
    process: &Process,
    seccomp: Option<&LinuxSeccomp>,
    extras: &Extras,
) -> Result<ProcessPlan> {
    let filter = seccomp
        .map(|seccomp| compile(seccomp, &extras.filter_cache))
        .transpose()?;
    let mut plan = ProcessPlan::new(process, filter, extras.keyring.as_deref())?;
    plan.preserved_fds = extras.preserved_fds;
    Ok(plan)
}

fn compile(seccomp: &LinuxSeccomp, cache: &Path) -> Result<Filter> {
    use std::os::unix::fs::DirBuilderExt;
    if minke_seccomp::flags::notifies(seccomp) {
        return Err(Error::Unsupported {
            what: "a seccomp rule with SCMP_ACT_NOTIFY".into(),
        });
    }
    let native = Architecture::native().ok_or_else(|| Error::Unsupported {
        what: "seccomp on this architecture".into(),
    })?;
    // Failing, the filter is compiled each time.
    let _ = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(cache);
    let program = minke_seccomp::cache::load_or_compile(cache, seccomp, native)
        .map_err(|error| Error::config(format!("linux.seccomp: {error}")))?;
    Ok(Filter {
        program,
        flags: minke_seccomp::flags::kernel_bits(seccomp),
    })
}

fn console(process: &Process, extras: &Extras) -> Result<Option<ConsolePlan>> {
    match (process.terminal().unwrap_or(false), &extras.console_socket) {
        (false, None) => Ok(None),
        (false, Some(_)) => Err(Error::config(
            "a console socket was given but process.terminal is false",
        )),
        (true, given) => {
            let socket = match (given, &extras.terminal) {
                (Some(path), _) => UnixStream::connect(path)
                    .map_err(Error::path("connect to console socket", path))?
                    .into(),
                (None, Some(socket)) => socket
                    .try_clone()
                    .map_err(Error::system("duplicate the console socket"))?,
                (None, None) => {
                    return Err(Error::config(
                        "process.terminal is set: give --console-socket, or stay in the foreground",
                    ));
                }
            };
            let size = process
                .console_size()
                .map(|size| (clamp(size.height()), clamp(size.width())));
            Ok(Some(ConsolePlan { socket, size }))
        }
    }
}

fn clamp(number: u64) -> u16 {
    number.min(u16::MAX.into()) as u16
}

/// personality(2)'s domain.
fn personality(asked: &LinuxPersonality) -> Result<u32> {
    const PER_LINUX32: u32 = 8;
    if asked
        .flags()
        .as_ref()
        .is_some_and(|flags| !flags.is_empty())
    {
        return Err(Error::Unsupported {
            what: "linux.personality.flags".into(),
        });
    }
    Ok(match asked.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => PER_LINUX32,
    })
}

fn sysctls(linux: &Linux, isolated: impl Fn(i32) -> bool) -> Result<Vec<Sysctl>> {
    let mut planned = Vec::new();
    for (key, value) in linux.sysctl().iter().flatten() {
        if !namespace_of(key).is_some_and(&isolated) {
            return Err(Error::config(format!(
                "sysctl {key} is not of a namespace of the container's own: it would change the host"
            )));
        }
        // `net.ipv4.conf.eth0/1.x`: a slash in a key stands for a dot in a name.
        let path: String = key
            .chars()
            .map(|each| match each {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect();
        planned.push(Sysctl {
            path: c_string(format!("sys/{path}").as_bytes())?,
            value: value.clone().into_bytes(),
        });
    }
    Ok(planned)
}

/// The namespace that a kernel setting belongs to.
fn namespace_of(key: &str) -> Option<i32> {
    const IPC: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    const UTS: &[&str] = &["kernel.domainname", "kernel.hostname"];
    // `..`, `//`, `./` and `/.` would all walk elsewhere once dots and slashes are swapped.
    let plain = key
        .split(['.', '/'])
        .all(|part| !part.is_empty() && !part.contains('\n'));
    match key {
        _ if !plain => None,
        _ if key.starts_with("net.") => Some(libc::CLONE_NEWNET),
        _ if key.starts_with("fs.mqueue.") || IPC.contains(&key) => Some(libc::CLONE_NEWIPC),
        _ if UTS.contains(&key) => Some(libc::CLONE_NEWUTS),
        _ => None,
    }
}

struct RootContext<'a> {
    bundle: &'a Bundle,
    linux: &'a Linux,
    cgroups: &'a Cgroups,
    cgroup_path: Option<&'a Path>,
    new_cgroup_namespace: bool,
    new_user_namespace: bool,
}

impl RootContext<'_> {
    fn plan(&self) -> Result<RootPlan> {
        let spec = &self.bundle.spec;
        let path = self.bundle.rootfs()?;
        let rootfs = Root::open_dir(&path).map_err(Error::path("open rootfs", &path))?;
        let context = mount::Context {
            rootfs: &rootfs,
            bundle: &self.bundle.dir,
            cgroups: self.cgroups,
            cgroup_path: self.cgroup_path,
            new_cgroup_namespace: self.new_cgroup_namespace,
        };
        let mounts = mount::plan(spec.mounts().as_deref().unwrap_or_default(), &context)?;
        make_mount_points(&rootfs, &mounts);
        let fill_dev = mounts.iter().any(|step| {
            step.target.whole() == c"dev"
                && matches!(&step.source, Source::Fs(fs) if &*fs.kind == c"tmpfs")
        });
        // Failing, the child may try: it owns its mounts where we own none.
        let tree = self
            .new_user_namespace
            .then(|| minke_sys::mount::clone_tree(&rootfs, Path::new(""), Depth::Recursive).ok())
            .flatten();
        Ok(RootPlan {
            tree,
            path: c_string(path.as_os_str().as_bytes())?,
            propagation: propagation(self.linux)?,
            read_only: spec
                .root()
                .as_ref()
                .and_then(|root| root.readonly())
                .unwrap_or(false),
            mounts,
            devices: devices(self.linux, fill_dev)?,
            fill_dev,
            masked: targets(self.linux.masked_paths())?,
            read_only_paths: targets(self.linux.readonly_paths())?,
        })
    }
}

fn targets(paths: &Option<Vec<String>>) -> Result<Vec<Target>> {
    paths
        .iter()
        .flatten()
        .map(|path| Target::new(Path::new(path)))
        .collect()
}

fn propagation(linux: &Linux) -> Result<u64> {
    let Some(word) = linux.rootfs_propagation().as_deref() else {
        return Ok(0);
    };
    Ok(match word {
        "" => 0,
        "private" => libc::MS_PRIVATE,
        "rprivate" => libc::MS_PRIVATE | libc::MS_REC,
        "slave" => libc::MS_SLAVE,
        "rslave" => libc::MS_SLAVE | libc::MS_REC,
        "shared" => libc::MS_SHARED,
        "rshared" => libc::MS_SHARED | libc::MS_REC,
        "unbindable" => libc::MS_UNBINDABLE,
        other => {
            return Err(Error::config(format!(
                "linux.rootfsPropagation `{other}` is not known"
            )));
        }
    })
}

/// Makes the mount points that are missing in the image itself, following its symlinks
/// inside it: an image may have /etc/resolv.conf point to a directory that is not there yet.
/// What fails here is tried again, and reported, by the child.
fn make_mount_points(rootfs: &Root, mounts: &[MountStep]) {
    let mut covered: Vec<&Path> = Vec::new();
    for step in mounts {
        let path = Path::new(std::ffi::OsStr::from_bytes(step.target.whole().to_bytes()));
        if !covered.iter().any(|above| path.starts_with(above))
            && rootfs.open(path, OFlags::PATH).is_err()
        {
            let made = if step.onto_file {
                make_file(rootfs, path)
            } else {
                rootfs.mkdir_all(path, Mode::from_raw_mode(0o755)).map(drop)
            };
            if let Err(error) = made {
                tracing::debug!(path = %path.display(), %error, "mount point not made");
            }
        }
        covered.push(path);
    }
}

fn make_file(rootfs: &Root, path: &Path) -> std::io::Result<()> {
    const LINKS: usize = 8;
    let mut path = path.to_owned();
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOCTTY;
    for _ in 0..LINKS {
        let parent = path.parent().unwrap_or(Path::new("/"));
        rootfs.mkdir_all(parent, Mode::from_raw_mode(0o755))?;
        match rootfs.open_mode(&path, flags, Mode::from_raw_mode(0o644)) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // A dangling link whose target's directory is missing as well.
                path = parent.join(rootfs.read_link(&path)?);
            }
            Err(error) => return Err(error),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// `(path, major, minor)` (config-linux.md § Default Devices).
const DEFAULT_DEVICES: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

fn devices(linux: &Linux, with_defaults: bool) -> Result<Vec<Device>> {
    let listed = linux.devices().as_deref().unwrap_or_default();
    let mut planned = listed.iter().map(device).collect::<Result<Vec<_>>>()?;
    if with_defaults {
        for &(path, major, minor) in DEFAULT_DEVICES {
            if !listed.iter().any(|device| device.path() == Path::new(path)) {
                planned.push(Device {
                    target: Target::new(Path::new(path))?,
                    host: c_string(path.as_bytes())?,
                    kind: libc::S_IFCHR,
                    number: rustix::fs::makedev(major, minor),
                    mode: 0o666,
                    uid: 0,
                    gid: 0,
                });
            }
        }
    }
    Ok(planned)
}

fn device(device: &LinuxDevice) -> Result<Device> {
    let kind = match device.typ() {
        LinuxDeviceType::B => libc::S_IFBLK,
        LinuxDeviceType::C | LinuxDeviceType::U => libc::S_IFCHR,
        LinuxDeviceType::P => libc::S_IFIFO,
        LinuxDeviceType::A => {
            return Err(Error::config(format!(
                "device {} needs a type of b, c, u or p",
                device.path().display()
            )));
        }
    };
    let number = |number: i64| {
        u32::try_from(number).map_err(|_| {
            Error::config(format!(
                "device {} has the number {number}",
                device.path().display()
            ))
        })
    };
    Ok(Device {
        target: Target::new(device.path())?,
        host: c_string(device.path().as_os_str().as_bytes())?,
        kind,
        number: rustix::fs::makedev(number(device.major())?, number(device.minor())?),
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

/// Opens a namespace of a process.
pub(crate) fn open_namespace(pid: i32, name: &str) -> Result<File> {
    let path = format!("/proc/{pid}/ns/{name}");
    File::open(&path).map_err(Error::path("open namespace", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_of_a_namespace_may_be_set() {
        for good in ["net.ipv4.ip_forward", "kernel.shmmax", "fs.mqueue.msg_max"] {
            assert!(namespace_of(good).is_some(), "{good}");
        }
        for bad in [
            "kernel.core_pattern",
            "vm.swappiness",
            "net.ipv4..x",
            "net.a\nkernel.core_pattern",
        ] {
            assert!(namespace_of(bad).is_none(), "{bad}");
        }
    }
}
