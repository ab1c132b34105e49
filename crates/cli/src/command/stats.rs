//! `minke stats`: what containers use, again and again.

use std::time::Duration;

use clap::Args;
use minke_engine::moment;
use minke_engine::{ContainerState, ContainerStats, Engine, Selection};
use serde_json::{Value, json};

use crate::error::{Error, Exit, Result};
use crate::flag::integer;
use crate::output::{Output, short_id, size, table};
use crate::targets;
use crate::template::Format;

#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Show those that do not run too
    #[arg(short, long)]
    all: bool,
    /// json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Seconds between two looks
    #[arg(short, long, value_parser = integer, default_value = "5", value_name = "SECONDS")]
    interval: i64,
    /// Show the container made last
    #[arg(short, long)]
    latest: bool,
    /// Do not clear the screen between two looks
    #[arg(long)]
    no_reset: bool,
    /// Look once
    #[arg(long)]
    no_stream: bool,
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// Containers (default: those that run)
    #[arg(value_name = "CONTAINER")]
    names: Vec<String>,
}

const HEADING: &[&str] = &[
    "ID",
    "NAME",
    "CPU %",
    "MEM USAGE / LIMIT",
    "MEM %",
    "NET IO",
    "BLOCK IO",
    "PIDS",
    "CPU TIME",
    "AVG CPU %",
];

/// The headings of `--format table` that are not the field's own name.
const FIELD_HEADINGS: &[(&str, &str)] = &[
    ("ID", "ID"),
    ("UpTime", "CPU TIME"),
    ("CPUPerc", "CPU %"),
    ("AVGCPU", "AVG CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemUsageBytes", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET IO"),
    ("BlockIO", "BLOCK IO"),
    ("PIDS", "PIDS"),
];

/// Clears a terminal.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows what containers use.
pub fn run(args: StatsArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let ways = [args.all, args.latest, !args.names.is_empty()];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err(Error::refused(
            "--all, --latest and containers cannot be used together",
        ));
    }
    let format = args.format.as_deref();
    let format = format
        .map(|text| Format::parse_rows("stats", text))
        .transpose()?;
    let mut sampler = engine.stats_sampler();
    loop {
        let samples = sampler.sample(
            &chosen(&args, engine)?,
            args.names.is_empty() && !args.latest,
        )?;
        if !args.no_reset && !args.no_stream {
            out.text(CLEAR)?;
        }
        show(&samples, &args, format.as_ref(), out)?;
        if args.no_stream {
            return Ok(Exit::OK);
        }
        out.flush()?;
        std::thread::sleep(Duration::from_secs(
            u64::try_from(args.interval).unwrap_or(1).max(1),
        ));
    }
}

/// The containers to look at now: with no names, whichever run by then.
fn chosen(args: &StatsArgs, engine: &Engine) -> Result<Vec<String>> {
    let by_name = args.latest || !args.names.is_empty();
    let selection = Selection {
        names: targets::named(args.names.clone())?,
        all: !by_name,
        latest: args.latest,
        ..Selection::default()
    };
    let selected = engine.select(&selection)?.into_iter();
    let ids = selected.filter_map(|selected| selected.id);
    let is_wanted = |id: &String| {
        args.all
            || by_name
            || engine
                .state(id)
                .is_ok_and(|state| state == ContainerState::Running)
    };
    Ok(ids.filter(is_wanted).collect())
}

fn show(
    samples: &[ContainerStats],
    args: &StatsArgs,
    format: Option<&Format>,
    out: &mut Output,
) -> Result<()> {
    match format {
        Some(Format::Json) => {
            let all = samples.iter().map(|sample| document(sample, args.no_trunc));
            out.json(&Value::Array(all.collect()))
        }
        Some(Format::Template(template)) => {
            let rows: Vec<Value> = samples
                .iter()
                .map(|sample| fields(sample, args.no_trunc))
                .collect();
            out.text(&template.rows(&rows, Some(FIELD_HEADINGS))?)
        }
        None => {
            let rows: Vec<Vec<String>> = samples
                .iter()
                .map(|sample| row(sample, args.no_trunc))
                .collect();
            out.text(&table::set(Some(HEADING), &rows))
        }
    }
}

fn shown_id(sample: &ContainerStats, whole: bool) -> &str {
    if whole {
        &sample.id
    } else {
        short_id(&sample.id)
    }
}

fn row(sample: &ContainerStats, whole: bool) -> Vec<String> {
    vec![
        shown_id(sample, whole).to_owned(),
        sample.name.clone(),
        percent(sample.cpu_percent),
        memory(sample),
        percent(sample.memory_percent),
        network(sample),
        block(sample),
        sample.usage.tasks.to_string(),
        cpu_time(sample),
        percent(sample.average_cpu_percent),
    ]
}

fn percent(number: f64) -> String {
    format!("{number:.2}%")
}

fn pair(first: u64, second: u64) -> String {
    format!("{} / {}", size::tight(first, 4), size::tight(second, 4))
}

fn memory(sample: &ContainerStats) -> String {
    pair(sample.usage.memory_bytes, sample.memory_limit_bytes)
}

fn network(sample: &ContainerStats) -> String {
    let sum = |count: fn(&minke_engine::InterfaceStats) -> u64| {
        sample
            .network
            .values()
            .map(count)
            .fold(0, u64::saturating_add)
    };
    pair(sum(|each| each.rx_bytes), sum(|each| each.tx_bytes))
}

fn block(sample: &ContainerStats) -> String {
    pair(sample.usage.read_bytes, sample.usage.written_bytes)
}

fn cpu_time(sample: &ContainerStats) -> String {
    moment::go_duration(Duration::from_nanos(sample.usage.cpu_nanoseconds))
}

/// One element of `--format json`.
fn document(sample: &ContainerStats, whole: bool) -> Value {
    json!({
        "id": shown_id(sample, whole),
        "name": sample.name,
        "cpu_time": cpu_time(sample),
        "cpu_percent": percent(sample.cpu_percent),
        "avg_cpu": percent(sample.average_cpu_percent),
        "mem_usage": memory(sample),
        "mem_percent": percent(sample.memory_percent),
        "net_io": network(sample),
        "block_io": block(sample),
        "pids": sample.usage.tasks.to_string(),
    })
}

/// What templates see.
fn fields(sample: &ContainerStats, whole: bool) -> Value {
    let usage = &sample.usage;
    let interfaces: serde_json::Map<String, Value> = sample
        .network
        .iter()
        .map(|(name, counters)| {
            let counters = json!({
                "RxBytes": counters.rx_bytes,
                "RxPackets": counters.rx_packets,
                "RxErrors": counters.rx_errors,
                "RxDropped": counters.rx_dropped,
                "TxBytes": counters.tx_bytes,
                "TxPackets": counters.tx_packets,
                "TxErrors": counters.tx_errors,
                "TxDropped": counters.tx_dropped,
            });
            (name.clone(), counters)
        })
        .collect();
    json!({
        "ID": shown_id(sample, whole),
        "ContainerID": sample.id,
        "Name": sample.name,
        "CPUPerc": percent(sample.cpu_percent),
        "CPU": sample.cpu_percent,
        "AVGCPU": percent(sample.average_cpu_percent),
        "AvgCPU": sample.average_cpu_percent,
        "CPUNano": usage.cpu_nanoseconds,
        "CPUSystemNano": usage.cpu_system_nanoseconds,
        "SystemNano": i64::try_from(sample.moment.as_nanosecond()).unwrap_or(i64::MAX),
        "PerCPU": usage.per_cpu_nanoseconds,
        "MemUsage": memory(sample),
        "MemUsageBytes": format!(
            "{} / {}",
            size::binary(usage.memory_bytes),
            size::binary(sample.memory_limit_bytes)
        ),
        "MemLimit": sample.memory_limit_bytes,
        "MemPerc": percent(sample.memory_percent),
        "NetIO": network(sample),
        "Network": interfaces,
        "BlockIO": block(sample),
        "BlockInput": usage.read_bytes,
        "BlockOutput": usage.written_bytes,
        "PIDS": usage.tasks.to_string(),
        "PIDs": usage.tasks,
        "Up": cpu_time(sample),
        "UpTime": cpu_time(sample),
        "Duration": usage.cpu_nanoseconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_podmans() {
        let mut sample = ContainerStats {
            memory_limit_bytes: 25_000_000_000,
            cpu_percent: 12.345,
            ..ContainerStats::default()
        };
        sample.usage.memory_bytes = 1_234_567;
        sample.usage.cpu_nanoseconds = 12_345_678;
        assert_eq!(memory(&sample), "1.235MB / 25GB");
        assert_eq!(cpu_time(&sample), "12.345678ms");
        assert_eq!(percent(12.346), "12.35%");
        assert_eq!(percent(0.0), "0.00%");
    }
}
