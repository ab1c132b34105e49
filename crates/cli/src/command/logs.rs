//! `minke logs`.

use std::io::{self, Write};

use clap::Args;
use jiff::Timestamp;
use minke_engine::moment;
use minke_engine::{Engine, LogLine, LogStream, LogsRequest};

use crate::error::{Error, Exit, Result, Table};
use crate::flag::integer;
use crate::output::{Output, STDOUT, short_id};
use crate::targets;

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Give each container a colour of its own
    #[arg(long)]
    color: bool,
    /// Nothing: there are no details
    #[arg(long, hide = true)]
    #[allow(dead_code)] // as with Podman
    details: bool,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Show the log of the container created last
    #[arg(short, long)]
    latest: bool,
    /// With several containers, begin each line with the name in place of the id
    #[arg(short, long)]
    names: bool,
    /// Show what came since: a time, a date, Unix seconds, or a duration before now
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Show what came until
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// So many lines from the end; -1 is all
    #[arg(long, value_parser = integer, default_value = "-1", value_name = "LINES")]
    tail: i64,
    /// Begin each line with its time
    #[arg(short, long)]
    timestamps: bool,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Shows what containers wrote, each stream on its own.
pub fn run(args: LogsArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    out.flush()?;
    let request = request(&args, Timestamp::now())?;
    let containers = containers(&args, engine)?;
    let mut printer = Printer::new(&args, prefixes(&args, &containers, engine)?);
    let shown = engine.logs(&containers, &request, &mut |line: &LogLine| {
        printer.print(line)
    });
    let flushed = printer.flush();
    if printer.is_closed {
        return Ok(Exit::OK);
    }
    if let Err(error) = shown {
        return Ok(Error::from(error).fail(Table::General));
    }
    flushed.map_err(Error::io(STDOUT))?;
    Ok(Exit::OK)
}

fn containers(args: &LogsArgs, engine: &Engine) -> Result<Vec<String>> {
    match (args.containers.is_empty(), args.latest) {
        (true, false) => Err(Error::refused(
            "specify at least one container name or ID to log",
        )),
        (false, true) => Err(Error::refused(
            "--latest and containers cannot be used together",
        )),
        (false, false) => targets::named(args.containers.clone()),
        (true, true) => {
            let id = targets::newest(engine)?;
            Ok(vec![id])
        }
    }
}

fn request(args: &LogsArgs, now: Timestamp) -> Result<LogsRequest> {
    let read = |option, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| moment::parse(option, text, now))
            .transpose()
    };
    Ok(LogsRequest {
        follow: args.follow,
        since: read("--since", &args.since)?,
        until: read("--until", &args.until)?,
        tail: u64::try_from(args.tail).ok(),
    })
}

/// What the lines of each container begin with: with several, whose they are.
fn prefixes(args: &LogsArgs, containers: &[String], engine: &Engine) -> Result<Vec<String>> {
    if containers.len() < 2 {
        return Ok(vec![String::new()]);
    }
    let shown = |typed: &String| {
        let container = engine.inspect(typed)?;
        let text = |key: &str| container[key].as_str().unwrap_or(typed).to_owned();
        Ok(match args.names {
            true => format!("{} ", text("Name")),
            false => format!("{} ", short_id(&text("Id"))),
        })
    };
    containers.iter().map(shown).collect()
}

/// Podman's colours of containers, by their order.
const COLORS: [u8; 8] = [37, 31, 33, 34, 35, 36, 37, 32];

/// The most that is held back of a line until its end comes.
const HELD: usize = 1 << 20;

/// Writes lines to the stream they came from.
struct Printer {
    prefixes: Vec<String>,
    color: bool,
    timestamps: bool,
    /// How far the last line of each container and stream is.
    begun: Vec<[Begun; 2]>,
    /// Whoever read our stdout has enough.
    is_closed: bool,
}

/// A line whose end has not come.
#[derive(Debug, Clone, Default)]
enum Begun {
    /// There is none.
    #[default]
    No,
    /// What has come of it is shown.
    Shown,
    /// What has come of it.
    Held(Vec<u8>),
}

impl Printer {
    fn new(args: &LogsArgs, prefixes: Vec<String>) -> Self {
        Self {
            begun: vec![Default::default(); prefixes.len()],
            prefixes,
            color: args.color,
            timestamps: args.timestamps,
            is_closed: false,
        }
    }

    fn print(&mut self, line: &LogLine) -> io::Result<()> {
        let Some(text) = self.render(line) else {
            return Ok(());
        };
        let written = write(line.stream, &text);
        if let Err(error) = &written {
            self.is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        }
        written
    }

    /// What a line looks like: of one container alone a piece of one at once, of several only
    /// when its end has come, so that none is torn by another's.
    fn render(&mut self, line: &LogLine) -> Option<Vec<u8>> {
        let index = usize::from(line.stream == LogStream::Stderr);
        let mut text = match std::mem::take(&mut self.begun[line.container][index]) {
            Begun::No => self.beginning(line),
            Begun::Shown => Vec::new(),
            Begun::Held(text) => text,
        };
        text.extend_from_slice(&line.text);
        if !line.partial {
            text.extend_from_slice(if self.color { b"\x1b[0m\n" } else { b"\n" });
            return Some(text);
        }
        let held = self.prefixes.len() > 1 && text.len() < HELD;
        let begun = &mut self.begun[line.container][index];
        if held {
            *begun = Begun::Held(text);
            return None;
        }
        *begun = Begun::Shown;
        Some(text)
    }

    fn beginning(&self, line: &LogLine) -> Vec<u8> {
        let mut text = String::new();
        if self.color {
            let color = COLORS[line.container % COLORS.len()];
            text = format!("\x1b[{color}m");
        }
        text.push_str(&self.prefixes[line.container]);
        if self.timestamps {
            text.push_str(&shown_time(&line.time));
            text.push(' ');
        }
        text.into_bytes()
    }

    fn flush(&self) -> io::Result<()> {
        io::stdout().flush()
    }
}

fn write(stream: LogStream, text: &[u8]) -> io::Result<()> {
    match stream {
        LogStream::Stdout => io::stdout().lock().write_all(text),
        LogStream::Stderr => io::stderr().lock().write_all(text),
    }
}

/// Nine decimals, and `Z` where the offset is none.
fn shown_time(text: &str) -> String {
    let (time, offset) = match text.strip_suffix('Z') {
        Some(time) => (time, "Z"),
        None => match text.len().checked_sub("+00:00".len()) {
            Some(at) if text.is_char_boundary(at) => text.split_at(at),
            _ => return text.to_owned(),
        },
    };
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    let offset = if offset == "+00:00" { "Z" } else { offset };
    format!("{seconds}.{fraction:0<9}{offset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(container: usize, text: &str, partial: bool) -> LogLine {
        LogLine {
            container,
            time: "2024-05-01T10:00:00.5Z".to_owned(),
            stream: LogStream::Stdout,
            partial,
            text: text.as_bytes().to_vec(),
        }
    }

    fn shown(prefixes: &[&str], dressed: bool, lines: &[LogLine]) -> String {
        let mut printer = Printer {
            prefixes: prefixes.iter().map(|&text| text.to_owned()).collect(),
            color: dressed,
            timestamps: dressed,
            begun: vec![Default::default(); prefixes.len()],
            is_closed: false,
        };
        let texts = lines.iter().filter_map(|line| printer.render(line));
        String::from_utf8(texts.flatten().collect()).unwrap()
    }

    #[test]
    fn lines_are_dressed_where_they_begin_and_end() {
        let pieces = [line(0, "a", true), line(0, "b", false)];
        assert_eq!(
            shown(&[""], true, &pieces),
            "\x1b[37m2024-05-01T10:00:00.500000000Z ab\x1b[0m\n"
        );
        assert_eq!(shown(&[""], false, &pieces[..1]), "a");
    }

    #[test]
    fn no_line_is_torn_by_another_containers() {
        let lines = [line(0, "a", true), line(1, "c", false), line(0, "b", false)];
        assert_eq!(shown(&["x ", "y "], false, &lines), "y c\nx ab\n");
    }

    #[test]
    fn times_are_shown_as_podman_does() {
        for (text, expected) in [
            ("2024-05-01T10:00:00.5Z", "2024-05-01T10:00:00.500000000Z"),
            ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.000000000Z"),
            (
                "2024-05-01T10:00:00.123456789+00:00",
                "2024-05-01T10:00:00.123456789Z",
            ),
            (
                "2024-05-01T10:00:00.123456789+02:00",
                "2024-05-01T10:00:00.123456789+02:00",
            ),
            ("x", "x"),
        ] {
            assert_eq!(shown_time(text), expected);
        }
    }
}
