//! The flags that `run` and `create` share.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use minke_engine::{CreateRequest, PlatformRequest, PullPolicy, PullRequest};

use crate::error::{Error, Result};
use crate::flag::{float, integer, unsigned};

// What a container is to be like.
#[derive(Debug, Clone, Default, Args)]
pub struct ContainerFlags {
    /// Name of the container
    #[arg(long)]
    pub name: Option<String>,
    /// Keep stdin open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Remove a container that has the name already
    #[arg(long)]
    pub replace: bool,
    /// Write the container's id to this file
    #[arg(long, value_name = "PATH")]
    pub cidfile: Option<PathBuf>,
    /// Attach to stdin, stdout or stderr
    #[arg(short, long, value_delimiter = ',', value_name = "STREAM")]
    pub attach: Vec<String>,
    /// Say nothing while pulling
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub process: ProcessFlags,
    #[command(flatten)]
    pub place: PlaceFlags,
    #[command(flatten)]
    pub privileges: PrivilegeFlags,
    #[command(flatten)]
    pub limits: LimitFlags,
    #[command(flatten)]
    pub life: LifeFlags,
    #[command(flatten)]
    pub source: SourceFlags,
    /// Show this help
    #[arg(long, action = ArgAction::Help)]
    #[allow(dead_code)] // it is enough that it is taken
    pub help: Option<bool>,
}

// The process of the container.
#[derive(Debug, Clone, Default, Args)]
pub struct ProcessFlags {
    /// Environment variable: KEY=VALUE, or KEY or KEY* for values of this environment
    #[arg(short, long)]
    pub env: Vec<String>,
    /// File with a variable a line
    #[arg(long, value_name = "PATH")]
    pub env_file: Vec<PathBuf>,
    /// Pass this environment on
    #[arg(long)]
    pub env_host: bool,
    /// Directory to start in
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User, and group after a colon
    #[arg(short, long)]
    pub user: Option<String>,
    /// Further groups
    #[arg(long, value_delimiter = ',', value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Program in place of the image's: a path, or a JSON array of words
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// File creation mask
    #[arg(long)]
    pub umask: Option<String>,
    /// Run an init as process 1 (not supported)
    #[arg(long, hide = true)]
    pub init: bool,
}

// File systems and namespaces.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceFlags {
    /// Mount: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long)]
    pub volume: Vec<String>,
    /// Mount: type=TYPE,source=...,target=...
    #[arg(long)]
    pub mount: Vec<String>,
    /// Mount memory: TARGET[:OPTIONS]
    #[arg(long)]
    pub tmpfs: Vec<String>,
    /// Mount the root file system read-only
    #[arg(long)]
    pub read_only: bool,
    /// With --read-only, keep /dev, /dev/shm, /run, /tmp and /var/tmp writable (default true)
    #[arg(long)]
    pub read_only_tmpfs: Option<bool>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<String>,
    /// Network: none, host, bridge, container:NAME, ns:PATH, or a network's name
    #[arg(long, alias = "net", value_name = "MODE")]
    pub network: Vec<String>,
    /// Publish a port: [[IP:][HOST]:]CONTAINER[/PROTOCOL]
    #[arg(short, long, value_delimiter = ',')]
    pub publish: Vec<String>,
    /// Host name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Line for /etc/hosts: NAME:ADDRESS
    #[arg(long, value_delimiter = ',', value_name = "HOST")]
    pub add_host: Vec<String>,
    /// Name server
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS")]
    pub dns: Vec<String>,
    /// Search domain of name resolution
    #[arg(long, value_delimiter = ',', value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Option of name resolution
    #[arg(long, alias = "dns-opt", value_delimiter = ',', value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// Process namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// IPC namespace: private, shareable, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// Host name namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// User namespace: host
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Control group namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
}

// Privileges.
#[derive(Debug, Clone, Default, Args)]
pub struct PrivilegeFlags {
    /// Add a capability, or ALL
    #[arg(long, value_delimiter = ',', value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Take a capability away, or ALL
    #[arg(long, value_delimiter = ',', value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// Give it all privileges
    #[arg(long)]
    pub privileged: bool,
    /// Security option: seccomp=PATH, no-new-privileges, ...
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Device: SOURCE[:TARGET][:rwm]
    #[arg(long)]
    pub device: Vec<String>,
    /// Rule of the device control group: "c 1:3 rwm"
    #[arg(long, value_delimiter = ',', value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
    /// Kernel parameter: KEY=VALUE
    #[arg(long, value_delimiter = ',', value_name = "PARAMETER")]
    pub sysctl: Vec<String>,
}

// Limits.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitFlags {
    /// Memory
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Memory and swap together, -1 for no limit
    #[arg(long, value_name = "SIZE")]
    pub memory_swap: Option<String>,
    /// Memory to fall back to under pressure
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<String>,
    /// Number of CPUs
    #[arg(long, value_parser = float)]
    pub cpus: Option<f64>,
    /// Weight of CPU time, 1024 is normal
    #[arg(short = 'c', long, value_parser = unsigned, value_name = "WEIGHT")]
    pub cpu_shares: Option<u64>,
    /// Period of the CPU quota in microseconds
    #[arg(long, value_parser = unsigned, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// CPU time a period in microseconds
    #[arg(long, value_parser = integer, value_name = "MICROSECONDS")]
    pub cpu_quota: Option<i64>,
    /// CPUs it may run on: 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Number of tasks, -1 for no limit
    #[arg(long, value_parser = integer, value_name = "NUMBER")]
    pub pids_limit: Option<i64>,
    /// Limit of the process: NAME=SOFT[:HARD]
    #[arg(long, value_delimiter = ',')]
    pub ulimit: Vec<String>,
    /// How soon it is killed when memory runs out, -1000 to 1000
    #[arg(long, value_parser = integer, value_name = "SCORE")]
    pub oom_score_adj: Option<i64>,
    /// Parent of its control group
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
}

// Life and labels.
#[derive(Debug, Clone, Default, Args)]
pub struct LifeFlags {
    /// Label: KEY=VALUE
    #[arg(short, long)]
    pub label: Vec<String>,
    /// Annotation of the runtime's config: KEY=VALUE
    #[arg(long)]
    pub annotation: Vec<String>,
    /// What happens when it ends: no, always, on-failure[:RETRIES], unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Signal that asks it to stop
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds to wait before it is killed (default 10)
    #[arg(long, value_parser = unsigned, value_name = "SECONDS")]
    pub stop_timeout: Option<u64>,
    /// Where its output goes: k8s-file, json-file, journald, none, passthrough
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Option of the log driver: KEY=VALUE
    #[arg(long, value_name = "OPTION")]
    pub log_opt: Vec<String>,
}

// The image's origin.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceFlags {
    /// When to pull: always, missing, newer, never
    #[arg(long, value_name = "POLICY")]
    pub pull: Option<String>,
    #[command(flatten)]
    pub registry: RegistryFlags,
}

// How a registry is asked; `pull` has these too.
#[derive(Debug, Clone, Default, Args)]
pub struct RegistryFlags {
    /// Platform in place of this one: OS/ARCH[/VARIANT]
    #[arg(long)]
    pub platform: Option<String>,
    /// Operating system in place of this one
    #[arg(long)]
    pub os: Option<String>,
    /// Architecture in place of this one
    #[arg(long)]
    pub arch: Option<String>,
    /// Variant of the architecture
    #[arg(long)]
    pub variant: Option<String>,
    /// Require HTTPS and a valid certificate
    #[arg(long)]
    pub tls_verify: Option<bool>,
    /// File with registries' credentials
    #[arg(long, value_name = "PATH")]
    pub authfile: Option<PathBuf>,
}

impl ContainerFlags {
    /// What goes with the container to the engine.
    ///
    /// # Errors
    /// If a value is not of its form.
    pub fn create_request(&self) -> Result<CreateRequest> {
        let policy = match &self.source.pull {
            Some(text) => pull_policy(text)?,
            None => PullPolicy::Missing,
        };
        Ok(CreateRequest {
            command_line: std::env::args().collect(),
            pull: self.source.registry.pull_request(policy)?,
            replace: self.replace,
            cidfile: self.cidfile.clone(),
        })
    }
}

impl RegistryFlags {
    /// What is asked of the registry.
    ///
    /// # Errors
    /// If a value is not of its form.
    pub fn pull_request(&self, policy: PullPolicy) -> Result<PullRequest> {
        Ok(PullRequest {
            policy,
            tls_verify: self.tls_verify,
            credentials: None,
            authfile: self.authfile.clone(),
            platform: self.platform()?,
        })
    }

    fn platform(&self) -> Result<Option<PlatformRequest>> {
        let parts = (self.os.clone(), self.arch.clone(), self.variant.clone());
        let Some(text) = &self.platform else {
            let request = PlatformRequest {
                os: parts.0,
                arch: parts.1,
                variant: parts.2,
            };
            let asked = request.os.is_some() || request.arch.is_some() || request.variant.is_some();
            return Ok(asked.then_some(request));
        };
        if parts.0.is_some() || parts.1.is_some() {
            return Err(Error::refused(
                "--platform option can not be specified with --arch or --os",
            ));
        }
        let words: Vec<&str> = text.split('/').collect();
        let (os, arch, variant) = match words[..] {
            [os] => (os, None, None),
            [os, arch] => (os, Some(arch), None),
            [os, arch, variant] => (os, Some(arch), Some(variant)),
            _ => return Err(Error::refused(format!("invalid platform {text:?}"))),
        };
        Ok(Some(PlatformRequest {
            os: Some(os.to_owned()),
            arch: arch.map(str::to_owned),
            variant: variant.map(str::to_owned).or(parts.2),
        }))
    }
}

/// Reads `--pull` or `--policy`.
///
/// # Errors
/// If there is no such policy.
pub fn pull_policy(text: &str) -> Result<PullPolicy> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "always" | "true" => PullPolicy::Always,
        "missing" | "ifnotpresent" | "" => PullPolicy::Missing,
        "newer" | "ifnewer" => PullPolicy::Newer,
        "never" | "false" => PullPolicy::Never,
        _ => return Err(Error::refused(format!("unsupported pull policy {text:?}"))),
    })
}
