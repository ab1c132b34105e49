//! `minke info`.

use clap::Args;
use minke_engine::Engine;
use serde_json::Value;

use crate::error::{Exit, Result};
use crate::output::Output;
use crate::template::Format;

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// json, or a template
    #[arg(short, long)]
    format: Option<String>,
}

/// Shows what this host and this installation have.
pub fn run(args: InfoArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let format = args.format.map(|text| Format::parse("info", &text));
    let format = format.transpose()?;
    let info = engine.info()?;
    match format {
        None => {
            let mut text = String::new();
            outline(&info, 0, &mut text);
            out.text(&text)?;
        }
        Some(Format::Json) => out.json(&info)?,
        Some(Format::Template(template)) => out.text(&template.render(&info)?)?,
    }
    Ok(Exit::OK)
}

/// The value as an outline in YAML's form.
fn outline(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                text.push_str(&format!("{indent}{key}:"));
                below(member, depth + 1, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                text.push_str(&format!("{indent}-"));
                below(item, depth + 1, text);
            }
        }
        scalar => text.push_str(&format!("{indent}{}\n", plain(scalar))),
    }
}

fn below(value: &Value, depth: usize, text: &mut String) {
    let is_branch = match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_branch {
        text.push('\n');
        outline(value, depth, text);
    } else {
        text.push_str(&format!(" {}\n", plain(value)));
    }
}

/// A scalar; text that could be read as something else is quoted.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "/._-+ (),:".contains(c);
            let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
                && text.chars().all(is_word)
                && !text.contains(": ")
                && !text.ends_with([':', ' '])
                && !matches!(text.as_str(), "true" | "false" | "null" | "yes" | "no");
            if is_plain {
                text.clone()
            } else {
                value.to_string()
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outline_is_yaml() {
        let info = serde_json::json!({
            "host": {"arch": "amd64", "cpus": 2, "names": ["a", "1"], "none": [], "yes": "true"}
        });
        let mut text = String::new();
        outline(&info, 0, &mut text);
        let expected = "\
host:
  arch: amd64
  cpus: 2
  names:
    - a
    - \"1\"
  none: []
  yes: \"true\"
";
        assert_eq!(text, expected);
    }
}
