//! `logs`: what containers wrote, from the monitor's files.

mod chain; // a log as its files
mod format; // a line of one

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use minke_runtime_spec::container::RestartPolicy;
use minke_runtime_spec::option::log::LogOptions;

use super::record::Record;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};
use chain::Chain;
use format::Format;

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogsRequest {
    /// Go on until the containers have ended, or `until` is over.
    pub follow: bool,
    /// None older than this.
    pub since: Option<Timestamp>,
    /// None newer than this.
    pub until: Option<Timestamp>,
    /// Of each container only this many from the end.
    pub tail: Option<u64>,
}

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a log, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whose: its place among the containers asked for.
    pub container: usize,
    /// When, RFC 3339, as the monitor wrote it.
    pub time: String,
    /// Where.
    pub stream: LogStream,
    /// The line goes on in the next of this container and stream.
    pub partial: bool,
    /// The text, without its end of line.
    pub text: Vec<u8>,
}

impl LogLine {
    /// The time, where it can be read.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }
}

/// How often files are looked at for more while their containers run.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(50);

type Sink<'a> = &'a mut dyn FnMut(&LogLine) -> io::Result<()>;

impl Engine {
    /// Gives the lines of containers' logs to `sink`, those that are there by their time. Files
    /// that the monitor has rotated are read too, as far as they are kept, and each line comes
    /// once. Followed, a line is lost only if its file is removed before it can be read.
    ///
    /// # Errors
    /// No such container, a log driver whose output is not kept: before anything is given. What
    /// `sink` returns.
    pub fn logs<N: AsRef<str>>(
        &self,
        names: &[N],
        request: &LogsRequest,
        sink: Sink<'_>,
    ) -> Result<()> {
        let found = names.iter().enumerate();
        let mut sources = found
            .map(|(index, name)| Source::of(self.find(name.as_ref())?, index))
            .collect::<Result<Vec<_>>>()?;
        for source in &mut sources {
            source.open(request)?;
        }
        let mut ended = false;
        loop {
            let more = give_by_time(&mut sources, request, sink)?;
            let late = request.until.is_some_and(|until| until < Timestamp::now());
            if !request.follow || late {
                return Ok(());
            }
            if follow(&mut sources)? {
                continue;
            }
            if ended {
                return Ok(());
            }
            // Looked at before the last read: what comes after the end is seen by one more.
            ended = !self.any_writes(&sources)?;
            if !ended && !more {
                std::thread::sleep(FOLLOW_INTERVAL);
            }
        }
    }

    fn any_writes(&self, sources: &[Source]) -> Result<bool> {
        for source in sources {
            if self.still_writes(&source.record)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether more may come. One that was never started is not waited for, as with Podman.
    fn still_writes(&self, record: &Record) -> Result<bool> {
        let Some(now) = self.database()?.get(&record.id)? else {
            return Ok(false);
        };
        let monitored = self.living_monitor(&now.state).is_some();
        Ok(match self.status(&now).0 {
            ContainerState::Created => false,
            ContainerState::Restarting => true,
            state if state.is_alive() => true,
            // Whether it is started again is not decided before it is cleaned up.
            _ if now.config.spec.restart != RestartPolicy::No => monitored && now.state.dirty,
            _ => monitored && self.exit_file(&now).is_none(),
        })
    }
}

/// One container's log.
struct Source {
    record: Record,
    index: usize,
    chain: Chain,
    /// The next line, read ahead.
    head: Option<LogLine>,
}

impl Source {
    fn of(record: Record, index: usize) -> Result<Self> {
        let format = Format::of(&record)?;
        let options = LogOptions::read(&record.config.spec.log.options)?;
        let backups = options.max_files.unwrap_or(1).saturating_sub(1);
        Ok(Self {
            chain: Chain::new(&record.config.log_path, backups, format),
            record,
            index,
            head: None,
        })
    }

    fn open(&mut self, request: &LogsRequest) -> Result<()> {
        let chain = &mut self.chain;
        let opened = chain.open().and_then(|_| match request.tail {
            Some(count) => chain.keep_tail(count),
            None => Ok(()),
        });
        opened.map_err(Error::path("read", &self.record.config.log_path))
    }

    fn follow(&mut self) -> Result<bool> {
        let path = &self.record.config.log_path;
        self.chain.follow().map_err(Error::path("follow", path))
    }

    /// Reads ahead, over what is not wanted.
    fn fill(&mut self, request: &LogsRequest) -> Result<()> {
        while self.head.is_none() {
            let next = self.chain.next();
            let path = &self.record.config.log_path;
            let Some(line) = next.map_err(Error::path("read", path))? else {
                return Ok(());
            };
            if wanted(&line, request) {
                self.head = Some(LogLine {
                    container: self.index,
                    ..line
                });
            }
        }
        Ok(())
    }
}

/// Takes up files that have come; true if any has.
fn follow(sources: &mut [Source]) -> Result<bool> {
    let mut moved = false;
    for source in sources {
        moved |= source.follow()?;
    }
    Ok(moved)
}

/// Gives what is there, the earliest first; true if anything was.
fn give_by_time(sources: &mut [Source], request: &LogsRequest, sink: Sink<'_>) -> Result<bool> {
    let mut given = false;
    loop {
        for source in &mut *sources {
            source.fill(request)?;
        }
        let alone = sources.len() == 1;
        let time = |source: &&mut Source| {
            // Nothing to compare with: the time is not even read.
            let line = source.head.as_ref().filter(|_| !alone);
            line.and_then(LogLine::timestamp)
        };
        let first = sources.iter_mut().filter(|source| source.head.is_some());
        let Some(line) = first.min_by_key(time).and_then(|source| source.head.take()) else {
            return Ok(given);
        };
        given = true;
        sink(&line).map_err(Error::system("show the log"))?;
    }
}

fn wanted(line: &LogLine, request: &LogsRequest) -> bool {
    if request.since.is_none() && request.until.is_none() {
        return true;
    }
    let Some(time) = line.timestamp() else {
        return true;
    };
    request.since.is_none_or(|since| time >= since)
        && request.until.is_none_or(|until| time <= until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_bound_the_lines() {
        let at = |time: &str| LogLine {
            container: 0,
            time: time.into(),
            stream: LogStream::Stdout,
            partial: false,
            text: Vec::new(),
        };
        let request = LogsRequest {
            since: Some("2026-01-01T00:00:01Z".parse().unwrap()),
            until: Some("2026-01-01T00:00:02Z".parse().unwrap()),
            ..LogsRequest::default()
        };
        for (time, expected) in [
            ("2026-01-01T00:00:00.999999999+00:00", false),
            ("2026-01-01T01:00:01+01:00", true),
            ("2026-01-01T00:00:02.000000001Z", false),
            ("unknown", true),
        ] {
            assert_eq!(wanted(&at(time), &request), expected, "{time}");
        }
    }
}
