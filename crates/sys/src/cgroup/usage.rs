//! What a control group has used: the counters of v1 and v2 in one shape.

use super::Group;

/// The counters of a group. What a hierarchy does not tell is zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all its processes, in nanoseconds.
    pub cpu_nanoseconds: u64,
    /// The part of that in the kernel.
    pub cpu_system_nanoseconds: u64,
    /// CPU time by processor, in nanoseconds; empty on v2.
    pub per_cpu_nanoseconds: Vec<u64>,
    /// Memory it holds, without file pages that can be dropped at once (`inactive_file`).
    pub memory_bytes: u64,
    /// Its limit of memory; `None` where there is none.
    pub memory_limit_bytes: Option<u64>,
    /// Bytes read from block devices.
    pub read_bytes: u64,
    /// Bytes written to block devices.
    pub written_bytes: u64,
    /// Tasks: processes and threads.
    pub tasks: u64,
}

/// A v1 limit from here on is none: the largest number of pages.
const UNLIMITED: u64 = 1 << 62;

impl Group {
    /// Reads the counters; a file that cannot be read counts as zeros.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage {
            tasks: self.number("pids", "pids.current"),
            ..Usage::default()
        };
        self.cpu(&mut usage);
        self.memory(&mut usage);
        self.block(&mut usage);
        usage
    }

    fn cpu(&self, usage: &mut Usage) {
        if self.is_v1("cpuacct") {
            usage.cpu_nanoseconds = self.number("cpuacct", "cpuacct.usage");
            usage.cpu_system_nanoseconds = self.number("cpuacct", "cpuacct.usage_sys");
            usage.per_cpu_nanoseconds = self
                .text("cpuacct", "cpuacct.usage_percpu")
                .split_ascii_whitespace()
                .filter_map(|number| number.parse().ok())
                .collect();
            return;
        }
        let stat = self.text("cpu", "cpu.stat");
        usage.cpu_nanoseconds = field(&stat, "usage_usec").saturating_mul(1000);
        usage.cpu_system_nanoseconds = field(&stat, "system_usec").saturating_mul(1000);
    }

    fn memory(&self, usage: &mut Usage) {
        let stat = self.text("memory", "memory.stat");
        let (held, limit, dropped) = if self.is_v1("memory") {
            (
                self.number("memory", "memory.usage_in_bytes"),
                self.text("memory", "memory.limit_in_bytes"),
                field(&stat, "total_inactive_file"),
            )
        } else {
            (
                self.number("memory", "memory.current"),
                self.text("memory", "memory.max"),
                field(&stat, "inactive_file"),
            )
        };
        usage.memory_bytes = held.saturating_sub(dropped);
        let limit: Option<u64> = limit.trim().parse().ok();
        usage.memory_limit_bytes = limit.filter(|limit| *limit < UNLIMITED);
    }

    fn block(&self, usage: &mut Usage) {
        if self.is_v1("blkio") {
            let bytes = self.text("blkio", "blkio.throttle.io_service_bytes_recursive");
            (usage.read_bytes, usage.written_bytes) = v1_bytes(&bytes);
        } else {
            (usage.read_bytes, usage.written_bytes) = v2_bytes(&self.text("io", "io.stat"));
        }
    }

    fn text(&self, controller: &str, file: &str) -> String {
        self.read(controller, file).unwrap_or_default()
    }

    fn number(&self, controller: &str, file: &str) -> u64 {
        self.text(controller, file).trim().parse().unwrap_or(0)
    }
}

/// The value of a `KEY VALUE` line.
fn field(text: &str, key: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

/// `8:0 Read 4096` a line; devices are summed.
fn v1_bytes(text: &str) -> (u64, u64) {
    let sum = |operation: &str| {
        text.lines()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace().skip(1);
                (words.next()? == operation).then(|| words.next()?.parse::<u64>().ok())?
            })
            .fold(0, u64::saturating_add)
    };
    (sum("Read"), sum("Write"))
}

/// `8:0 rbytes=4096 wbytes=0 ...` a line; devices are summed.
fn v2_bytes(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        text.split_ascii_whitespace()
            .filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok())
            .fold(0, u64::saturating_add)
    };
    (sum("rbytes="), sum("wbytes="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_counters_are_summed_over_devices() {
        let v1 = "8:0 Read 10\n8:0 Write 20\n8:16 Read 1\n8:0 Sync 9\nTotal 31\n";
        assert_eq!(v1_bytes(v1), (11, 20));
        let v2 = "8:0 rbytes=10 wbytes=20 rios=3\n8:16 rbytes=1 wbytes=0\n";
        assert_eq!(v2_bytes(v2), (11, 20));
        assert_eq!(v1_bytes("Total 0\n"), (0, 0));
    }

    #[test]
    fn fields_are_whole_words() {
        let stat = "inactive_file 7\ntotal_inactive_file 9\n";
        assert_eq!(field(stat, "inactive_file"), 7);
        assert_eq!(field(stat, "total_inactive_file"), 9);
        assert_eq!(field(stat, "file"), 0);
    }
}
