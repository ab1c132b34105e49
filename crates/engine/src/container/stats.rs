//! `stats`: what running containers use.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use minke_sys::cgroup::Usage;

use super::record::Record;
use super::status::ContainerState;
use crate::error::{Error, Result};
use crate::{Engine, Id};

/// What one container uses at one moment.
#[derive(Debug, Clone, Default)]
pub struct ContainerStats {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// The counters of its control group.
    pub usage: Usage,
    /// What it may have of memory: its limit, or all that the host has.
    pub memory_limit_bytes: u64,
    /// CPU time since the sample before, in percent of one processor; since the start in the
    /// first sample.
    pub cpu_percent: f64,
    /// CPU time since the start, in percent of one processor.
    pub average_cpu_percent: f64,
    /// Memory in percent of what it may have.
    pub memory_percent: f64,
    /// Network counters by interface, without the loopback; empty where it has no network of
    /// its own.
    pub network: HashMap<String, InterfaceStats>,
    /// How long it has run.
    pub running: Duration,
    /// When this was looked at.
    pub moment: Timestamp,
}

/// The counters of an interface, as the container sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the kernel's names
pub struct InterfaceStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

/// Samples over time: each tells of the time since the one before.
#[derive(Debug)]
pub struct StatsSampler<'e> {
    engine: &'e Engine,
    host_memory_bytes: u64,
    before: HashMap<Id, (u64, Timestamp)>,
}

impl Engine {
    /// A sampler of containers' use of the host.
    pub fn stats_sampler(&self) -> StatsSampler<'_> {
        StatsSampler {
            engine: self,
            host_memory_bytes: crate::info::memory("MemTotal:"),
            before: HashMap::new(),
        }
    }
}

impl StatsSampler<'_> {
    /// Looks at containers; those that do not run have zeros, those that are gone are left out.
    ///
    /// # Errors
    /// The database cannot be read; a container without a control group, unless it is left out
    /// with `skip_unmeasured`. [`Error::WithoutCgroup`] for a normal user on cgroup v1.
    pub fn sample(&mut self, ids: &[Id], skip_unmeasured: bool) -> Result<Vec<ContainerStats>> {
        if self.engine.lacks_cgroups()? {
            return Err(Error::WithoutCgroup {
                act: "stats",
                why: "in rootless mode without cgroups v2",
            });
        }
        let mut samples = Vec::new();
        for id in ids {
            let Some(record) = self.engine.database()?.get(id)? else {
                continue;
            };
            let act = super::top::no_group_for_top(id);
            match self.engine.require_group(&record, act) {
                Err(_) if skip_unmeasured => {}
                Err(error) => return Err(error),
                Ok(()) => samples.push(self.look(&record)),
            }
        }
        Ok(samples)
    }

    fn look(&mut self, record: &Record) -> ContainerStats {
        let moment = Timestamp::now();
        let mut stats = ContainerStats {
            id: record.id.clone(),
            name: record.name.clone(),
            moment,
            ..ContainerStats::default()
        };
        let (state, _) = self.engine.status(record);
        let running = matches!(state, ContainerState::Running | ContainerState::Paused);
        let (Some(init), true) = (record.state.init, running) else {
            return stats;
        };
        let group = self.engine.group(record);
        stats.usage = group.map(|group| group.usage()).unwrap_or_default();
        let own = stats.usage.memory_limit_bytes;
        stats.memory_limit_bytes = own.map_or(self.host_memory_bytes, |limit| {
            limit.min(self.host_memory_bytes)
        });
        stats.memory_percent = percent(stats.usage.memory_bytes, stats.memory_limit_bytes);
        if record.state.netns.is_some() {
            let text = std::fs::read_to_string(format!("/proc/{}/net/dev", init.pid));
            stats.network = interfaces(&text.unwrap_or_default());
        }
        let started = record.state.started.unwrap_or(record.config.created);
        stats.running = moment.duration_since(started).unsigned_abs();
        let cpu = stats.usage.cpu_nanoseconds;
        stats.average_cpu_percent = percent(cpu, nanoseconds(stats.running));
        let (cpu_before, then) = self
            .before
            .insert(record.id.clone(), (cpu, moment))
            .unwrap_or((0, started));
        stats.cpu_percent = percent(
            cpu.saturating_sub(cpu_before),
            nanoseconds(moment.duration_since(then).unsigned_abs()),
        );
        stats
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[allow(clippy::cast_precision_loss)] // a percentage needs few digits
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 * 100.0 / whole as f64
}

/// Reads proc_pid_net(5) `dev`: two lines of heading, then `NAME: RX... TX...`.
fn interfaces(text: &str) -> HashMap<String, InterfaceStats> {
    let lines = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    lines
        .filter_map(|(name, rest)| {
            let name = name.trim();
            let numbers: Vec<u64> = rest
                .split_ascii_whitespace()
                .map(|number| number.parse().unwrap_or(0))
                .collect();
            (name != "lo" && numbers.len() >= 12).then(|| {
                let counters = InterfaceStats {
                    rx_bytes: numbers[0],
                    rx_packets: numbers[1],
                    rx_errors: numbers[2],
                    rx_dropped: numbers[3],
                    tx_bytes: numbers[8],
                    tx_packets: numbers[9],
                    tx_errors: numbers[10],
                    tx_dropped: numbers[11],
                };
                (name.to_owned(), counters)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_without_the_loopback() {
        let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:     200       2    0    1    0     0          0         0      300       3    4    5    0     0       0          0
";
        let found = interfaces(text);
        assert_eq!(found.len(), 1);
        let eth0 = found["eth0"];
        assert_eq!((eth0.rx_bytes, eth0.rx_dropped), (200, 1));
        assert_eq!(
            (eth0.tx_bytes, eth0.tx_errors, eth0.tx_dropped),
            (300, 4, 5)
        );
    }

    #[test]
    fn percentages_of_nothing_are_nothing() {
        assert_eq!(percent(1, 0), 0.0);
        assert_eq!(percent(1, 4), 25.0);
    }
}
