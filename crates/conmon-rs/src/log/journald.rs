use super::{LogSink, Stream, Timestamp};
use crate::args::Options;
use crate::error::{Error, Result, at};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

const SOCKET: &str = "/run/systemd/journal/socket";

/// The longest part of a line that is held back until its end comes.
const PART: usize = 8192;

/// systemd's journal, in its native protocol: one datagram a line.
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// The fields that are the same for every line.
    fields: Vec<u8>,
    mark_parts: bool,
    datagram: Vec<u8>,
    held: [Vec<u8>; 2],
}

impl Journal {
    /// Prepares to write to the journal of this machine.
    ///
    /// # Errors
    /// [`Error::Path`] if there is no journal, [`Error::Usage`] for a label it cannot take.
    pub fn open(options: &Options) -> Result<Journal> {
        Journal::open_at(Path::new(SOCKET), options)
    }

    fn open_at(path: &Path, options: &Options) -> Result<Journal> {
        std::fs::metadata(path).map_err(at("find the journal at", path))?;
        let socket = UnixDatagram::unbound().map_err(at("open a socket for", path))?;
        Ok(Journal {
            socket,
            path: path.to_path_buf(),
            fields: fields(options)?,
            mark_parts: !options.no_partial_message,
            datagram: Vec::with_capacity(4 * PART),
            held: [Vec::with_capacity(PART), Vec::with_capacity(PART)],
        })
    }

    /// Sends the held part of `stream` and `text` as one message.
    fn send(&mut self, stream: Stream, text: &[u8], partial: bool) -> io::Result<()> {
        let held = &mut self.held[index(stream)];
        let (priority, text) = match (held.is_empty(), text) {
            (true, [b'<', digit @ b'0'..=b'7', b'>', rest @ ..]) => (*digit, rest),
            _ => (default_priority(stream), text),
        };
        let out = &mut self.datagram;
        out.clear();
        out.extend_from_slice(b"MESSAGE\n");
        out.extend_from_slice(&((held.len() + text.len()) as u64).to_le_bytes());
        out.extend_from_slice(held);
        out.extend_from_slice(text);
        out.extend_from_slice(b"\nPRIORITY=");
        out.extend_from_slice(&[priority, b'\n']);
        out.extend_from_slice(&self.fields);
        if partial && self.mark_parts {
            out.extend_from_slice(b"CONTAINER_PARTIAL_MESSAGE=true\n");
        }
        held.clear();
        self.socket.send_to(&self.datagram, &self.path).map(drop)
    }
}

fn index(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

/// Information for stdout, error for stderr.
fn default_priority(stream: Stream) -> u8 {
    match stream {
        Stream::Stdout => b'6',
        Stream::Stderr => b'3',
    }
}

fn fields(options: &Options) -> Result<Vec<u8>> {
    let Some(short) = options.cid.get(..12) else {
        return Err(Error::usage(
            "journald needs a container ID of 12 or more characters",
        ));
    };
    let tag = options.log_tag.as_deref();
    let name = options.name.as_deref();
    let identifier = tag.or(name).unwrap_or(short);
    let mut lines = vec![
        format!("CONTAINER_ID_FULL={}", options.cid),
        format!("CONTAINER_ID={short}"),
        format!("SYSLOG_IDENTIFIER={identifier}"),
    ];
    lines.extend(tag.map(|tag| format!("CONTAINER_TAG={tag}")));
    lines.extend(name.map(|name| format!("CONTAINER_NAME={name}")));
    for label in &options.log_labels {
        check_label(label)?;
        lines.push(label.clone());
    }
    if lines.iter().any(|line| line.contains('\n')) {
        return Err(Error::usage(
            "a field for the journal cannot hold a newline",
        ));
    }
    lines.push(String::new());
    Ok(lines.join("\n").into_bytes())
}

fn check_label(label: &str) -> Result<()> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    match label.split_once('=') {
        Some((name, value))
            if !name.is_empty() && name.chars().all(is_name) && !value.contains('=') =>
        {
            Ok(())
        }
        _ => Err(Error::usage(format!(
            "--log-label must be NAME=VALUE with a name of A-Z, 0-9 and _: {label}"
        ))),
    }
}

impl LogSink for Journal {
    fn write(&mut self, stream: Stream, chunk: &[u8], _at: Timestamp) -> io::Result<()> {
        for line in chunk.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(text) => self.send(stream, text, false)?,
                None if self.held[index(stream)].len() + line.len() <= PART => {
                    self.held[index(stream)].extend_from_slice(line);
                }
                None => self.send(stream, line, true)?,
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.held[index(stream)].is_empty() {
                self.send(stream, b"", true)?;
            }
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            cid: "0123456789abcdef".into(),
            name: Some("web".into()),
            log_labels: vec!["A_1=b".into()],
            ..Options::default()
        }
    }

    #[test]
    fn lines_become_messages() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::open_at(&path, &options()).unwrap();
        let at = Timestamp::UNIX_EPOCH;
        journal
            .write(Stream::Stdout, b"one\n<4>two\npar", at)
            .unwrap();
        journal.write(Stream::Stderr, b"bad\n", at).unwrap();
        journal.write(Stream::Stdout, b"t", at).unwrap();
        journal.finish().unwrap();
        let receive = || {
            let mut buffer = vec![0; 65536];
            let length = server.recv(&mut buffer).unwrap();
            buffer.truncate(length);
            buffer
        };
        let starts = [("one", '6'), ("two", '4'), ("bad", '3'), ("part", '6')];
        for (text, priority) in starts {
            let mut start = b"MESSAGE\n".to_vec();
            start.extend_from_slice(&(text.len() as u64).to_le_bytes());
            start.extend_from_slice(format!("{text}\nPRIORITY={priority}\n").as_bytes());
            let message = receive();
            assert_eq!(&message[..start.len()], start);
            let rest = String::from_utf8_lossy(&message[start.len()..]).into_owned();
            assert!(rest.contains("CONTAINER_ID=0123456789ab\n"), "{rest}");
            assert!(rest.contains("SYSLOG_IDENTIFIER=web\n"), "{rest}");
            assert!(rest.contains("\nA_1=b\n"), "{rest}");
            assert_eq!(rest.contains("PARTIAL"), text == "part");
        }
    }

    #[test]
    fn no_journal_is_said_plainly() {
        let missing = Journal::open_at(Path::new("/nonexistent/socket"), &options());
        let error = missing.err().unwrap().to_string();
        assert_eq!(error, "cannot find the journal at /nonexistent/socket");
    }

    #[test]
    fn labels_are_checked() {
        for bad in ["", "=x", "a=x", "A", "A=b=c", "A-B=c"] {
            assert!(check_label(bad).is_err(), "{bad}");
        }
        assert!(check_label("A_B1=c").is_ok());
    }
}
