//! Capabilities, devices and kernel parameters.

use clap::Args;

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
    /// GPUs by name, or `all`
    #[arg(long, value_name = "NAME")]
    pub gpus: Vec<String>,
    /// Rule of the device control group: "c 1:3 rwm"
    #[arg(long, value_delimiter = ',', value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
    /// Kernel parameter: KEY=VALUE
    #[arg(long, value_delimiter = ',', value_name = "PARAMETER")]
    pub sysctl: Vec<String>,
}
