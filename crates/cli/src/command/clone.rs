//! `minke container clone`: another container like one that is there.

use clap::Args;
use minke_engine::{CloneRequest, Engine};

use crate::error::{Error, Exit, Result};
use crate::flag::{float, integer, unsigned};
use crate::output::Output;
use crate::progress::Show;
use crate::spec::{self, flags::ResourceFlags};
use crate::targets;

#[derive(Debug, Args)]
pub struct CloneArgs {
    /// Weight of block IO, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<String>,
    /// Weight for one device: PATH:WEIGHT
    #[arg(long, value_name = "DEVICE")]
    blkio_weight_device: Vec<String>,
    /// Period of the CPU quota in microseconds
    #[arg(long, value_parser = unsigned, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// CPU time a period in microseconds
    #[arg(long, value_parser = integer, value_name = "MICROSECONDS")]
    cpu_quota: Option<i64>,
    /// Period of the realtime quota in microseconds
    #[arg(long, value_parser = unsigned, value_name = "MICROSECONDS")]
    cpu_rt_period: Option<u64>,
    /// Realtime a period in microseconds
    #[arg(long, value_parser = integer, value_name = "MICROSECONDS")]
    cpu_rt_runtime: Option<i64>,
    /// Weight of CPU time, 1024 is normal
    #[arg(short = 'c', long, value_parser = unsigned, value_name = "WEIGHT")]
    cpu_shares: Option<u64>,
    /// Number of CPUs
    #[arg(long, value_parser = float)]
    cpus: Option<f64>,
    /// CPUs it may run on: 0-3,7
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes it may use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Remove the other container once this one is there
    #[arg(long)]
    destroy: bool,
    /// Bytes a second read from a device: PATH:RATE
    #[arg(long, value_name = "DEVICE")]
    device_read_bps: Vec<String>,
    /// Bytes a second written to a device: PATH:RATE
    #[arg(long, value_name = "DEVICE")]
    device_write_bps: Vec<String>,
    /// With --destroy: even if it runs
    #[arg(short, long)]
    force: bool,
    /// Memory
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// Memory to fall back to under pressure
    #[arg(long, value_name = "SIZE")]
    memory_reservation: Option<String>,
    /// Memory and swap together, -1 for no limit
    #[arg(long, value_name = "SIZE")]
    memory_swap: Option<String>,
    /// How gladly its memory is swapped, 0 to 100 (cgroup v1)
    #[arg(long, value_parser = integer, value_name = "NUMBER")]
    memory_swappiness: Option<i64>,
    /// Name of the new container
    #[arg(long)]
    name: Option<String>,
    /// Refused: there are no pods yet
    #[arg(long, value_name = "POD")]
    pod: Option<String>,
    /// Start the new container
    #[arg(long)]
    run: bool,
    /// CONTAINER [NAME [IMAGE]]
    #[arg(value_name = "CONTAINER [NAME [IMAGE]]")]
    words: Vec<String>,
}

/// Creates a container like another one and prints its id.
pub fn run(args: CloneArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let given = args.words.len();
    if !(1..=3).contains(&given) {
        return Err(Error::Usage {
            message: format!("accepts between 1 and 3 arg(s), received {given}"),
            command: "minke container clone".to_owned(),
        });
    }
    if args.force && !args.destroy {
        return Err(Error::refused(
            "cannot set --force without --destroy: invalid argument",
        ));
    }
    if args.pod.is_some() {
        return Err(Error::refused("--pod is not supported: there are no pods"));
    }
    let limits = spec::resources::resources(&limits(&args))?;
    let mut words = targets::named(args.words)?.into_iter();
    let container = words.next().unwrap_or_default();
    let request = CloneRequest {
        // As with Podman, an argument goes before the flag.
        name: words.next().or(args.name),
        image: words.next(),
        resources: limits,
        destroy: args.destroy,
        force: args.force,
        create: minke_engine::CreateRequest {
            command_line: std::env::args().collect(),
            ..minke_engine::CreateRequest::default()
        },
    };
    let show = Show::pull_if_needed(request.image.as_deref().unwrap_or_default(), false);
    let created = engine.clone_container(&container, &request, &show)?;
    for warning in &created.warnings {
        eprintln!("WARNING: {warning}");
    }
    if args.run {
        engine.start(&created.id)?;
    }
    out.line(&created.id)?;
    Ok(Exit::OK)
}

fn limits(args: &CloneArgs) -> ResourceFlags {
    ResourceFlags {
        blkio_weight: args.blkio_weight.clone(),
        blkio_weight_device: args.blkio_weight_device.clone(),
        cpu_period: args.cpu_period,
        cpu_quota: args.cpu_quota,
        cpu_rt_period: args.cpu_rt_period,
        cpu_rt_runtime: args.cpu_rt_runtime,
        cpu_shares: args.cpu_shares,
        cpus: args.cpus,
        cpuset_cpus: args.cpuset_cpus.clone(),
        cpuset_mems: args.cpuset_mems.clone(),
        device_read_bps: args.device_read_bps.clone(),
        device_write_bps: args.device_write_bps.clone(),
        memory: args.memory.clone(),
        memory_reservation: args.memory_reservation.clone(),
        memory_swap: args.memory_swap.clone(),
        memory_swappiness: args.memory_swappiness,
        ..ResourceFlags::default()
    }
}
