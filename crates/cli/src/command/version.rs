//! `minke version`.

use clap::Args;
use serde_json::Value;

use crate::error::{Exit, Result};
use crate::globals::Globals;
use crate::output::Output;
use crate::template::Format;

#[derive(Debug, Args)]
pub struct VersionArgs {
    /// json, or a template
    #[arg(short, long)]
    format: Option<String>,
}

/// What is shown, and under which name.
const LINES: &[(&str, &str)] = &[
    ("Client", "Client"),
    ("Version", "Version"),
    ("APIVersion", "API Version"),
    ("GitCommit", "Git Commit"),
    ("BuiltTime", "Built"),
    ("OsArch", "OS/Arch"),
];

/// Prints the version.
pub fn run(args: VersionArgs, _: &Globals, out: &mut Output) -> Result<Exit> {
    let version = minke_engine::version();
    match args.format {
        None => out.text(&lines(&version))?,
        Some(text) => match Format::parse("version", &text)? {
            Format::Json => out.json(&version)?,
            Format::Template(template) => out.text(&template.render(&with_server(version))?)?,
        },
    }
    Ok(Exit::OK)
}

/// What templates see: without a service, the client's own version is the server's too.
fn with_server(mut version: Value) -> Value {
    if let Some(members) = version.as_object_mut() {
        let client = members.get("Client").cloned().unwrap_or(Value::Null);
        members.entry("Server").or_insert(client);
    }
    version
}

fn lines(version: &Value) -> String {
    let client = &version["Client"];
    let mut text = String::new();
    for (key, name) in LINES {
        let value = match client[*key].as_str() {
            _ if *key == "Client" => "Minke Engine",
            Some(value) if !value.is_empty() => value,
            _ => continue,
        };
        text.push_str(&format!("{:<13}{value}\n", format!("{name}:")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_left_out() {
        let version = serde_json::json!({
            "Client": {"Version": "1.2.3", "GitCommit": "", "OsArch": "linux/amd64"}
        });
        let expected = "Client:      Minke Engine\nVersion:     1.2.3\nOS/Arch:     linux/amd64\n";
        assert_eq!(lines(&version), expected);
    }
}
