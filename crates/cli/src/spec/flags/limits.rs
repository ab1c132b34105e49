//! Limits of the control group and of the process.

use clap::Args;

use crate::flag::{float, integer, unsigned};

// Limits that can be changed later.
#[derive(Debug, Clone, Default, Args)]
pub struct ResourceFlags {
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
    /// Period of the realtime quota in microseconds
    #[arg(long, value_parser = unsigned, value_name = "MICROSECONDS")]
    pub cpu_rt_period: Option<u64>,
    /// Realtime a period in microseconds
    #[arg(long, value_parser = integer, value_name = "MICROSECONDS")]
    pub cpu_rt_runtime: Option<i64>,
    /// How gladly its memory is swapped, 0 to 100 (cgroup v1)
    #[arg(long, value_parser = integer, value_name = "NUMBER")]
    pub memory_swappiness: Option<i64>,
    /// Weight of block IO, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<String>,
    /// Weight for one device: PATH:WEIGHT
    #[arg(long, value_delimiter = ',', value_name = "DEVICE")]
    pub blkio_weight_device: Vec<String>,
    /// Bytes a second read from a device: PATH:RATE
    #[arg(long, value_delimiter = ',', value_name = "DEVICE")]
    pub device_read_bps: Vec<String>,
    /// Bytes a second written to a device: PATH:RATE
    #[arg(long, value_delimiter = ',', value_name = "DEVICE")]
    pub device_write_bps: Vec<String>,
    /// Reads a second from a device: PATH:RATE
    #[arg(long, value_delimiter = ',', value_name = "DEVICE")]
    pub device_read_iops: Vec<String>,
    /// Writes a second to a device: PATH:RATE
    #[arg(long, value_delimiter = ',', value_name = "DEVICE")]
    pub device_write_iops: Vec<String>,
    /// Number of tasks, -1 for no limit
    #[arg(long, value_parser = integer, value_name = "NUMBER")]
    pub pids_limit: Option<i64>,
}

// Limits.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitFlags {
    #[command(flatten)]
    pub resources: ResourceFlags,
    /// Do not kill it when memory runs out (cgroup v1)
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// File of its control group: KEY=VALUE (cgroup v2)
    #[arg(long, value_name = "SETTING")]
    pub cgroup_conf: Vec<String>,
    /// Control groups: enabled, disabled, no-conmon, split
    #[arg(long, value_name = "MODE")]
    pub cgroups: Option<String>,
    /// Class of service in Intel's RDT
    #[arg(long, value_name = "CLASS")]
    pub rdt_class: Option<String>,
    /// Without effect, as in Podman
    #[arg(long, hide = true, value_name = "SIZE")]
    pub kernel_memory: Option<String>,
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
