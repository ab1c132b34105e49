//! The flags of `update`: runc's.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use crate::error::{Error, Result};

/// The longest file of limits that is read.
const LONGEST: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Update {
    /// File with limits as in config.json's linux.resources; `-` is stdin. Other flags are passed
    /// over then
    #[arg(short, long, value_name = "PATH")]
    resources: Option<PathBuf>,
    /// Weight of block IO, 10 to 1000
    #[arg(long)]
    blkio_weight: Option<u16>,
    /// Microseconds
    #[arg(long)]
    cpu_period: Option<u64>,
    /// Microseconds a period
    #[arg(long, allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Microseconds
    #[arg(long)]
    cpu_rt_period: Option<u64>,
    /// Microseconds a period
    #[arg(long, allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// Relative weight
    #[arg(long)]
    cpu_share: Option<u64>,
    /// CPUs
    #[arg(long)]
    cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long)]
    cpuset_mems: Option<String>,
    /// Bytes
    #[arg(long, allow_negative_numbers = true)]
    memory: Option<i64>,
    /// Bytes
    #[arg(long, allow_negative_numbers = true)]
    memory_reservation: Option<i64>,
    /// Bytes of memory and swap together
    #[arg(long, allow_negative_numbers = true)]
    memory_swap: Option<i64>,
    /// Number of tasks
    #[arg(long, allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// The container
    pub id: String,
}

impl Update {
    /// The limits that the flags name.
    pub(super) fn limits(&self) -> Result<LinuxResources> {
        if let Some(path) = &self.resources {
            return read(path);
        }
        let mut limits = LinuxResources::default();
        let mut memory = LinuxMemory::default();
        memory
            .set_limit(self.memory)
            .set_reservation(self.memory_reservation)
            .set_swap(self.memory_swap);
        if memory != LinuxMemory::default() {
            limits.set_memory(Some(memory));
        }
        let mut cpu = LinuxCpu::default();
        cpu.set_shares(self.cpu_share)
            .set_period(self.cpu_period)
            .set_quota(self.cpu_quota)
            .set_realtime_period(self.cpu_rt_period)
            .set_realtime_runtime(self.cpu_rt_runtime)
            .set_cpus(self.cpuset_cpus.clone())
            .set_mems(self.cpuset_mems.clone());
        if cpu != LinuxCpu::default() {
            limits.set_cpu(Some(cpu));
        }
        if let Some(limit) = self.pids_limit {
            let mut pids = LinuxPids::default();
            pids.set_limit(limit);
            limits.set_pids(Some(pids));
        }
        if let Some(weight) = self.blkio_weight {
            let mut block = LinuxBlockIo::default();
            block.set_weight(Some(weight));
            limits.set_block_io(Some(block));
        }
        Ok(limits)
    }
}

fn read(path: &std::path::Path) -> Result<LinuxResources> {
    let mut text = Vec::new();
    let read = if path == std::path::Path::new("-") {
        std::io::stdin().lock().take(LONGEST).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut text))
    };
    read.map_err(Error::path("read", path))?;
    serde_json::from_slice(&text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source,
    })
}
