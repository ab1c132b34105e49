//! What containers.conf(5) says a container is to be where nothing else is asked, as typed there:
//! whoever reads what people type reads these in the same way.

use std::path::PathBuf;

use serde::Deserialize;

/// Defaults of the table `[containers]`. What is absent is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // the names and forms are those of containers.conf(5)
pub struct ContainerDefaults {
    pub annotations: Option<Vec<String>>,
    pub base_hosts_file: Option<String>,
    pub cgroupns: Option<String>,
    pub cgroups: Option<String>,
    pub devices: Option<Vec<String>>,
    pub dns_servers: Option<Vec<String>>,
    pub dns_searches: Option<Vec<String>>,
    pub dns_options: Option<Vec<String>>,
    pub env_host: Option<bool>,
    pub http_proxy: Option<bool>,
    pub init: Option<bool>,
    pub init_path: Option<PathBuf>,
    pub ipcns: Option<String>,
    pub label: Option<bool>,
    pub mounts: Option<Vec<String>>,
    pub netns: Option<String>,
    pub no_hosts: Option<bool>,
    pub pidns: Option<String>,
    pub privileged: Option<bool>,
    pub read_only: Option<bool>,
    pub seccomp_profile: Option<String>,
    pub shm_size: Option<String>,
    pub tz: Option<String>,
    pub umask: Option<String>,
    pub userns: Option<String>,
    pub utsns: Option<String>,
    pub volumes: Option<Vec<String>>,
}

impl ContainerDefaults {
    /// Takes over what `stronger` says.
    pub(crate) fn merge(&mut self, stronger: Self) {
        macro_rules! take {
            ($($field:ident),* $(,)?) => {
                $(self.$field = stronger.$field.or(self.$field.take());)*
            };
        }
        take!(
            annotations,
            base_hosts_file,
            cgroupns,
            cgroups,
            devices,
            dns_servers,
            dns_searches,
            dns_options,
            env_host,
            http_proxy,
            init,
            init_path,
            ipcns,
            label,
            mounts,
            netns,
            no_hosts,
            pidns,
            privileged,
            read_only,
            seccomp_profile,
            shm_size,
            tz,
            umask,
            userns,
            utsns,
            volumes,
        );
    }
}
