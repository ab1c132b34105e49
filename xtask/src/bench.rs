//! minke and Debian's podman with runc, timed in turns in one run.
//!
//! It measures what a user waits for, whole processes from fork to exit, and decides no test.

mod crowd; // many containers

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::peers::{self, Entered};
use crate::program::{self, Program};
use crate::registry::Registry;
use crate::scratch::{self, Scratch};
use crate::{fixture, release, world};

/// The hidden command that runs benches inside their world.
pub const INSIDE: &str = "bench-in-world";

const CONTAINERS: usize = 20;
const LAYERS: usize = 5;
const LAYER_BYTES: u64 = 67 << 20;

/// Limits this machine may refuse to raise, as in the lanes.
const CONTAINERS_CONF: &str = "\
[containers]
default_ulimits = [\"nofile=20000:20000\", \"nproc=4096:4096\"]
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
runtime = \"runc\"
[network]
network_backend = \"netavark\"
";

/// Builds the release binary, then measures in a world of its own.
pub fn run(arguments: &[String]) -> Result<()> {
    Plan::parse(arguments)?;
    let minke = release::build()?;
    scratch::sweep("bench", &minke)?;
    let scratch = Scratch::new("bench")?;
    fs::copy(&minke, scratch.path().join("minke"))?;
    let code = world::run(scratch.path(), INSIDE, arguments)?;
    ensure!(code == 0, "the benches ended with {code}");
    Ok(())
}

/// What to measure, and how often.
struct Plan {
    runs: usize,
    /// Beside the podman of `peers`.
    sid: bool,
    filters: Vec<String>,
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Plan> {
        let mut plan = Plan {
            runs: 15,
            sid: false,
            filters: Vec::new(),
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "-n" => {
                    let number = rest.next().context("-n needs a number")?;
                    plan.runs = number.parse().with_context(|| format!("-n {number}"))?;
                    ensure!(plan.runs > 0, "-n needs at least 1");
                }
                "--sid" => plan.sid = true,
                flag if flag.starts_with('-') => {
                    bail!("bench takes -n N, --sid and filters, not {flag}")
                }
                filter => plan.filters.push(filter.to_owned()),
            }
        }
        Ok(plan)
    }

    /// Whether a filter is about this word.
    fn asks_for(&self, word: &str) -> bool {
        self.filters.iter().any(|filter| filter.contains(word))
    }

    fn wants(&self, case: &str) -> bool {
        self.filters.is_empty()
            || self
                .filters
                .iter()
                .any(|filter| case.contains(filter.as_str()))
    }
}

/// Measures; we are in the world, whose scratch directory is `$TMPDIR`.
pub fn run_inside(arguments: &[String]) -> Result<()> {
    let plan = Plan::parse(arguments)?;
    let directory = PathBuf::from(std::env::var_os("TMPDIR").context("no TMPDIR")?);
    let registry = Registry::start(&directory)?;
    let small = fixture::web(&directory)?;
    registry.push(&small.path, "bench/small:latest")?;
    let engines = Engines::new(&directory, plan.sid)?;
    let image = registry.name("bench/small:latest");
    engines.both(&["pull", "--quiet", "--tls-verify=false", &image])?;
    println!("\n{}\n", machine(&engines)?);
    println!("| case | minke ms (min-max) | podman ms (min-max) | ratio | CPU ms minke, podman |");
    println!("|---|---|---|---|---|");
    starts(&plan, &engines, &image)?;
    lists(&plan, &engines, &image)?;
    crowd::at_once(&plan, &engines, &image)?;
    pulls(&plan, &engines, &registry, &directory)?;
    crowd::monitors(&plan, &engines, &image)?;
    crowd::lying_around(&plan, &engines, &image)?;
    engines.clear();
    Ok(())
}

fn starts(plan: &Plan, engines: &Engines, image: &str) -> Result<()> {
    let none = ["run", "--rm", "--network=none", image, "true"];
    plan.measure("run --rm, no network", engines, &none, &[])?;
    plan.measure(
        "run --rm, bridge",
        engines,
        &["run", "--rm", image, "true"],
        &[],
    )
}

fn lists(plan: &Plan, engines: &Engines, image: &str) -> Result<()> {
    plan.measure("ps, no container", engines, &["ps"], &[])?;
    plan.measure("images", engines, &["images"], &[])?;
    if !plan.wants("ps, with containers") && !plan.wants("exec") {
        return Ok(());
    }
    for number in 0..CONTAINERS {
        let name = format!("n{number}");
        engines.both(&[
            "run",
            "-d",
            "--name",
            &name,
            "--network=none",
            image,
            "sleep",
            "3600",
        ])?;
    }
    plan.measure(
        &format!("ps, with containers ({CONTAINERS})"),
        engines,
        &["ps"],
        &[],
    )?;
    plan.measure("inspect, with containers", engines, &["inspect", "n0"], &[])?;
    plan.measure("exec", engines, &["exec", "n0", "true"], &[])?;
    engines.clear();
    Ok(())
}

fn pulls(plan: &Plan, engines: &Engines, registry: &Registry, directory: &Path) -> Result<()> {
    if !plan.wants("pull") {
        return Ok(());
    }
    let large = fixture::large(directory, LAYERS, LAYER_BYTES)?;
    registry.push(&large.path, "bench/large:latest")?;
    let image = registry.name("bench/large:latest");
    let megabytes = large.compressed_bytes() as f64 / 1e6;
    let case = format!(
        "pull, {} layers, {megabytes:.0} MB gzip",
        large.layers.len()
    );
    let pull = ["pull", "--quiet", "--tls-verify=false", &image];
    plan.measure(&case, engines, &pull, &["rmi", &image])?;
    let (minke, podman) = (
        peak_memory(&engines.minke, &pull)?,
        peak_memory(&engines.podman, &pull)?,
    );
    println!("\npeak memory of that pull: minke {minke:.0} MB, podman {podman:.0} MB");
    Ok(())
}

/// Both engines, each on a store of its own in one world.
struct Engines {
    minke: Program,
    podman: Program,
    /// Where that podman lives.
    _root: Option<Entered>,
}

impl Engines {
    fn new(directory: &Path, sid: bool) -> Result<Engines> {
        let conf = directory.join("containers.conf");
        fs::write(&conf, CONTAINERS_CONF)?;
        let root = match sid {
            true => {
                let root = peers::made()?.context("run `cargo xtask peers` first")?;
                Some(Entered::new(&root, directory)?)
            }
            false => None,
        };
        let program = match &root {
            Some(root) => root.program("podman")?,
            None => Program::new(program::need("podman")?),
        };
        let peer = directory.join("peer");
        let option = |name: &str, below: &str| format!("--{name}={}", peer.join(below).display());
        let podman = program
            .globals([
                option("root", "root"),
                option("runroot", "runroot"),
                option("tmpdir", "tmp"),
            ])
            .globals(["--cgroup-manager=cgroupfs", "--storage-driver=overlay"])
            .env("CONTAINERS_CONF", conf)
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
        Ok(Engines {
            minke: scratch::store(&directory.join("minke"), directory),
            podman,
            _root: root,
        })
    }

    fn both(&self, arguments: &[&str]) -> Result<()> {
        self.minke.ok(arguments)?;
        self.podman.ok(arguments)?;
        Ok(())
    }

    fn clear(&self) {
        for engine in [&self.minke, &self.podman] {
            let _ = engine.call(["rm", "--all", "--force", "--time", "0"]);
        }
    }
}

/// One engine's times for one case.
#[derive(Default)]
struct Times {
    wall: Vec<Duration>,
    cpu: Duration,
}

impl Times {
    fn add(&mut self, (wall, cpu): (Duration, Duration)) {
        self.wall.push(wall);
        self.cpu += cpu;
    }

    /// Median, minimum and maximum.
    fn spread(&mut self) -> (f64, f64, f64) {
        self.wall.sort_unstable();
        let milliseconds = |index: usize| self.wall[index].as_secs_f64() * 1e3;
        let last = self.wall.len() - 1;
        (
            milliseconds(self.wall.len() / 2),
            milliseconds(0),
            milliseconds(last),
        )
    }

    fn mean_cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.wall.len() as f64
    }
}

impl Plan {
    /// Times a call of both engines in turns; `undo` follows each run untimed.
    fn measure(&self, case: &str, engines: &Engines, call: &[&str], undo: &[&str]) -> Result<()> {
        if !self.wants(case) {
            return Ok(());
        }
        let mut minke = Times::default();
        let mut podman = Times::default();
        for round in 0..=self.runs {
            for (engine, times) in [(&engines.minke, &mut minke), (&engines.podman, &mut podman)] {
                let taken = timed(engine, call)?;
                if round > 0 {
                    times.add(taken); // the first round warms caches
                }
                if !undo.is_empty() {
                    engine.ok(undo)?;
                }
            }
        }
        println!("{}", row(case, &mut minke, &mut podman));
        Ok(())
    }
}

fn row(case: &str, minke: &mut Times, podman: &mut Times) -> String {
    let (ours, ours_min, ours_max) = minke.spread();
    let (theirs, theirs_min, theirs_max) = podman.spread();
    format!(
        "| {case} | {ours:.1} ({ours_min:.1}-{ours_max:.1}) | {theirs:.1} ({theirs_min:.1}-{theirs_max:.1}) | {:.3} | {:.1}, {:.1} |",
        ours / theirs,
        minke.mean_cpu(),
        podman.mean_cpu()
    )
}

/// Wall time and CPU time of one call that must succeed.
///
/// CPU is that of the process and the children it waited for; what it left to run (a monitor)
/// is not in it. The kernel counts it in hundredths of a second, so it is good as a mean.
fn timed(engine: &Program, call: &[&str]) -> Result<(Duration, Duration)> {
    let mut command = engine.command(call);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let before = children_cpu()?;
    let begin = Instant::now();
    let status = command.status()?;
    let wall = begin.elapsed();
    let cpu = children_cpu()?.saturating_sub(before);
    if !status.success() {
        let again = engine.call(call)?;
        bail!(
            "`{}` ended with {status}; once more: {again}",
            program::line(&command)
        );
    }
    Ok((wall, cpu))
}

/// CPU time of all children this process has waited for: `cutime` and `cstime` of proc(5).
fn children_cpu() -> Result<Duration> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let after_name = text
        .rsplit_once(") ")
        .context("/proc/self/stat has no name")?
        .1;
    let ticks: u64 = after_name
        .split(' ')
        .skip(13)
        .take(2)
        .map(|number| number.parse::<u64>().unwrap_or(0))
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Highest resident memory of a call in MB, sampled while it runs.
fn peak_memory(engine: &Program, call: &[&str]) -> Result<f64> {
    let mut child = engine
        .command(call)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        let status = fs::read_to_string(&status_file).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
        thread::sleep(Duration::from_millis(2));
    }
    Ok(peak as f64 / 1e3)
}

/// What the figures were measured on and with.
fn machine(engines: &Engines) -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let runc = Program::new(program::need("runc")?).ok(["--version"])?;
    Ok(format!(
        "machine: {} x {}, Linux {}, load {}; {}, {}, {}",
        thread::available_parallelism()?,
        model.unwrap_or("unknown").trim_matches([' ', '\t', ':']),
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown"),
        engines.minke.ok(["--version"])?,
        engines.podman.ok(["--version"])?,
        runc.lines().next().unwrap_or("runc")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_parsed() {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let plan = Plan::parse(&words("-n 3 pull")).unwrap();
        assert!(plan.runs == 3 && plan.wants("pull, 5 layers") && !plan.wants("ps"));
        assert!(Plan::parse(&words("-n 0")).is_err());
        assert!(Plan::parse(&words("--fast")).is_err());
    }

    #[test]
    fn spread_is_median_minimum_maximum() {
        let mut times = Times::default();
        for milliseconds in [5, 1, 9] {
            times.add((Duration::from_millis(milliseconds), Duration::ZERO));
        }
        assert_eq!(times.spread(), (5.0, 1.0, 9.0));
    }
}
