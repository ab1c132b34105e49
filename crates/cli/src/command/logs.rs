//! `minke logs`.

use std::io::{self, Write};

use clap::Args;
use jiff::Timestamp;
use minke_engine::{Engine, LogLine, LogStream, LogsRequest};

use crate::error::{Error, Exit, Result, Table};
use crate::flag::integer;
use crate::output::time::parse_moment;
use crate::output::{Output, STDOUT, short_id};
use crate::targets;

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Begin each line with the container's name
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
    if args.containers.is_empty() {
        return Err(Error::refused(
            "specify at least one container name or ID to log",
        ));
    }
    out.flush()?;
    let request = request(&args, Timestamp::now())?;
    let containers = targets::named(args.containers)?;
    for name in &containers {
        let prefix = if args.names {
            format!("{} ", shown_name(engine, name)?)
        } else {
            String::new()
        };
        let mut printer = Printer::new(prefix, args.timestamps);
        let shown = engine.logs(name, &request, &mut |line: &LogLine| printer.print(line));
        let flushed = printer.flush();
        if printer.is_closed {
            return Ok(Exit::OK);
        }
        if let Err(error) = shown {
            return Ok(Error::from(error).fail(Table::General));
        }
        flushed.map_err(Error::io(STDOUT))?;
    }
    Ok(Exit::OK)
}

fn request(args: &LogsArgs, now: Timestamp) -> Result<LogsRequest> {
    let moment = |option, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| parse_moment(option, text, now)).transpose()
    };
    Ok(LogsRequest {
        follow: args.follow,
        since: moment("--since", &args.since)?,
        until: moment("--until", &args.until)?,
        tail: u64::try_from(args.tail).ok(),
    })
}

/// The container's name, or what was typed where it has none.
fn shown_name(engine: &Engine, typed: &str) -> Result<String> {
    let container = engine.inspect(typed)?;
    let name = container["Name"].as_str().filter(|name| !name.is_empty());
    Ok(name.unwrap_or_else(|| short_id(typed)).to_owned())
}

/// Writes lines to the stream they came from.
struct Printer {
    prefix: String,
    timestamps: bool,
    /// Whether a stream's last line is not complete, so that what comes continues it.
    continues: [bool; 2],
    /// Whoever read our stdout has enough.
    is_closed: bool,
}

impl Printer {
    fn new(prefix: String, timestamps: bool) -> Self {
        Self {
            prefix,
            timestamps,
            continues: [false; 2],
            is_closed: false,
        }
    }

    fn print(&mut self, line: &LogLine) -> io::Result<()> {
        let (index, written) = match line.stream {
            LogStream::Stdout => (
                0,
                self.write(line, self.continues[0], &mut io::stdout().lock()),
            ),
            LogStream::Stderr => (
                1,
                self.write(line, self.continues[1], &mut io::stderr().lock()),
            ),
        };
        self.continues[index] = line.partial;
        if let Err(error) = &written {
            self.is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        }
        written
    }

    fn write(&self, line: &LogLine, continues: bool, to: &mut dyn Write) -> io::Result<()> {
        let mut text = Vec::with_capacity(line.text.len() + 64);
        if !continues {
            text.extend_from_slice(self.prefix.as_bytes());
            if self.timestamps {
                text.extend_from_slice(line.time.as_bytes());
                text.push(b' ');
            }
        }
        text.extend_from_slice(&line.text);
        if !line.partial {
            text.push(b'\n');
        }
        to.write_all(&text)
    }

    fn flush(&self) -> io::Result<()> {
        io::stdout().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, partial: bool) -> LogLine {
        LogLine {
            time: "2024-05-01T10:00:00.5Z".to_owned(),
            stream: LogStream::Stdout,
            partial,
            text: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn lines_have_prefixes_where_they_begin() {
        let printer = Printer::new("web ".to_owned(), true);
        let mut text = Vec::new();
        printer.write(&line("a", true), false, &mut text).unwrap();
        printer.write(&line("b", false), true, &mut text).unwrap();
        let plain = Printer::new(String::new(), false);
        plain.write(&line("c", false), false, &mut text).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "web 2024-05-01T10:00:00.5Z ab\nc\n"
        );
    }
}
