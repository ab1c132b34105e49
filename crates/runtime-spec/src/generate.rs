//! The rules that make a runtime config of spec, image and host.

mod capabilities; // who may what
mod command; // what runs, and where
mod devices; // nodes and the device cgroup
mod environment; // variables
mod mounts; // file systems
mod namespaces; // what is shared
mod resources; // the control group
mod rlimits; // limits of the process
mod security; // masks, filter, labels
mod sysctls; // kernel parameters
pub mod systemd; // an init that manages its own control group

use std::collections::HashMap;

use oci_spec::runtime::{
    Linux, LinuxIntelRdt, LinuxPersonality, LinuxPersonalityDomain, Process, Root, Spec, User,
};

use crate::container::{ContainerSpec, UserMode};
use crate::host::Host;
use crate::image::ImageConfig;
use crate::{Error, Result};

pub use capabilities::names as capabilities_of;
pub use environment::CONTAINER_ENV;
pub use resources::limits;
pub use rlimits::Clamp;
pub use security::{MASKED_PATHS, READ_ONLY_PATHS};

/// The runtime-spec version that is written.
pub const OCI_VERSION: &str = "1.2.0";

/// Asks the runtime to leave the caller's groups to the process (crun's annotation).
pub const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// A runtime config, and what a user should hear about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The config.
    pub spec: Spec,
    /// Limits that came out lower than the defaults.
    pub clamps: Vec<Clamp>,
    /// What was asked and cannot be had, but does not stop the container.
    pub warnings: Vec<String>,
}

/// One container on one host, with what several rules ask.
pub(crate) struct Context<'a> {
    pub spec: &'a ContainerSpec,
    pub image: &'a ImageConfig,
    pub host: &'a Host,
}

impl Context<'_> {
    fn privileged(&self) -> bool {
        self.spec.security.privileged
    }

    /// Whether the container has a user namespace that is not the engine's.
    fn new_user_namespace(&self) -> bool {
        self.spec.namespaces.user != UserMode::Host
    }

    /// Whether the container's root is not the machine's.
    fn in_user_namespace(&self) -> bool {
        self.host.rootless || self.new_user_namespace()
    }
}

/// Makes the config.
///
/// # Errors
/// What was asked contradicts itself or the host, or was left unresolved; see [`crate::Error`].
pub fn generate(spec: &ContainerSpec, image: &ImageConfig, host: &Host) -> Result<Generated> {
    let context = Context { spec, image, host };
    let mut clamps = Vec::new();
    let mut warnings = Vec::new();

    let capabilities = capabilities::sets(&context)?;
    let mut process = Process::default();
    process
        .set_terminal(Some(spec.terminal))
        .set_user(user(&context))
        .set_args(Some(command::arguments(&context)))
        .set_env(Some(environment::variables(&context)))
        .set_cwd(command::directory(&context)?)
        .set_rlimits(Some(rlimits::limits(&context, &mut clamps)?))
        .set_no_new_privileges(Some(spec.security.no_new_privileges))
        .set_apparmor_profile(security::apparmor(&context)?)
        .set_selinux_label(security::process_label(&context))
        .set_oom_score_adj(spec.resources.oom_score_adj);

    let mut linux = Linux::default();
    linux
        .set_resources(resources::resources(&context, &mut warnings)?)
        .set_cgroups_path(host.cgroups_path.clone())
        .set_namespaces(Some(namespaces::namespaces(&context)?))
        .set_uid_mappings(namespaces::mappings(&host.uid_mappings))
        .set_gid_mappings(namespaces::mappings(&host.gid_mappings))
        .set_devices(devices::nodes(&context)?)
        .set_sysctl(sysctls::sysctls(&context)?)
        .set_masked_paths(Some(security::masked_paths(&context, &mut warnings)))
        .set_readonly_paths(Some(security::read_only_paths(&context)))
        .set_mount_label(security::mount_label(&context))
        .set_rootfs_propagation(mounts::root_propagation(spec).map(str::to_owned))
        .set_personality(personality(spec)?)
        .set_intel_rdt(rdt(spec))
        .set_seccomp(security::seccomp(&context, &capabilities)?);
    process.set_capabilities(Some(capabilities.to_oci()));

    let mut root = Root::default();
    root.set_path(host.rootfs.clone())
        .set_readonly(Some(spec.read_only));
    let mut annotations: HashMap<String, String> = spec
        .annotations
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if spec.keep_groups {
        annotations.insert(KEEP_GROUPS.to_owned(), "1".to_owned());
    }

    let mut config = Spec::default();
    config
        .set_version(OCI_VERSION.to_owned())
        .set_root(Some(root))
        .set_mounts(Some(mounts::mounts(&context)?))
        .set_process(Some(process))
        .set_hostname(hostname(&context))
        .set_domainname(spec.domainname.clone())
        .set_annotations((!annotations.is_empty()).then_some(annotations))
        .set_linux(Some(linux));
    Ok(Generated {
        spec: config,
        clamps,
        warnings,
    })
}

fn user(context: &Context<'_>) -> User {
    let resolved = &context.host.user;
    let mut user = User::default();
    user.set_uid(resolved.uid)
        .set_gid(resolved.gid)
        .set_umask(Some(context.spec.umask.unwrap_or(0o022)));
    if !resolved.additional_gids.is_empty() {
        user.set_additional_gids(Some(resolved.additional_gids.clone()));
    }
    user
}

/// The execution domain.
fn personality(spec: &ContainerSpec) -> Result<Option<LinuxPersonality>> {
    let Some(text) = &spec.personality else {
        return Ok(None);
    };
    let domain = match text.as_str() {
        "LINUX" => LinuxPersonalityDomain::PerLinux,
        "LINUX32" => LinuxPersonalityDomain::PerLinux32,
        _ => {
            let message = format!("unknown personality {text:?}: it is LINUX or LINUX32");
            return Err(Error::syntax("--personality", message));
        }
    };
    let mut personality = LinuxPersonality::default();
    personality.set_domain(domain);
    Ok(Some(personality))
}

/// The class of service in Intel's RDT, which must be there already.
fn rdt(spec: &ContainerSpec) -> Option<LinuxIntelRdt> {
    let class = spec.rdt_class.clone()?;
    let mut rdt = LinuxIntelRdt::default();
    rdt.set_clos_id(Some(class));
    Some(rdt)
}

/// The host name; none where the container has the host's.
fn hostname(context: &Context<'_>) -> Option<String> {
    if context.spec.namespaces.uts.is_host() {
        return None;
    }
    let short = || {
        context
            .host
            .container_id
            .chars()
            .take(12)
            .collect::<String>()
    };
    let name = context.spec.hostname.clone().unwrap_or_else(short);
    (!name.is_empty()).then_some(name)
}
