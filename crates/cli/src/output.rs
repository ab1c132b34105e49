//! What goes to stdout.

pub mod size; // bytes for people
pub mod table; // columns
pub mod time; // moments for people, and from them

use std::io::{self, BufWriter, Stdout, Write};

use serde_json::Value;

use crate::error::{Error, Result};

/// What a failure of stdout is called; see [`Error::fail`].
pub const STDOUT: &str = "write /dev/stdout";

/// Stdout, buffered.
#[derive(Debug)]
pub struct Output {
    stdout: BufWriter<Stdout>,
}

impl Output {
    /// This process's.
    pub fn new() -> Self {
        Self {
            stdout: BufWriter::new(io::stdout()),
        }
    }

    /// Writes `text` and a newline.
    pub fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.stdout, "{text}").map_err(Error::io(STDOUT))
    }

    /// Writes `text` as it is.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.stdout
            .write_all(text.as_bytes())
            .map_err(Error::io(STDOUT))
    }

    /// Writes a document, indented as Podman does.
    pub fn json(&mut self, value: &Value) -> Result<()> {
        self.line(&indented(value, b"    "))
    }

    /// Sends on what is buffered.
    pub fn flush(&mut self) -> Result<()> {
        self.stdout.flush().map_err(Error::io(STDOUT))
    }
}

/// JSON, each level indented by `indent`.
pub fn indented(value: &impl serde::Serialize, indent: &[u8]) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value
        .serialize(&mut serializer)
        .expect("a value is written to memory");
    String::from_utf8(text).expect("JSON is text")
}

/// The first twelve digits of an id.
pub fn short_id(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_indented_by_four() {
        let value = serde_json::json!([{"A": 1}]);
        let expected = "[\n    {\n        \"A\": 1\n    }\n]";
        assert_eq!(indented(&value, b"    "), expected);
        assert_eq!(indented(&serde_json::json!([]), b" "), "[]");
    }

    #[test]
    fn ids_are_cut() {
        assert_eq!(short_id("0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("abc"), "abc");
    }
}
