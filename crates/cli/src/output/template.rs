//! `--format`: `json`, or text with `{{.Field}}`, `{{.A.B}}`, `{{json .X}}` over a JSON value.

use serde_json::Value;

use crate::error::{Error, Result};

/// What was asked for with `--format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// The whole as JSON.
    Json,
    /// A line an object.
    Template(Template),
}

/// Text with fields in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    /// What the template is of: `ps`.
    name: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field {
        /// `.A.B`, as written.
        path: String,
        json: bool,
        /// Where in the text, for errors.
        column: usize,
    },
}

impl Format {
    /// Reads the value of `--format` of the command `name`.
    ///
    /// # Errors
    /// If the template has an action that is not one of those above.
    pub fn parse(name: &'static str, text: &str) -> Result<Self> {
        if text == "json" {
            return Ok(Self::Json);
        }
        Template::parse(name, text).map(Self::Template)
    }
}

impl Template {
    fn parse(name: &'static str, text: &str) -> Result<Self> {
        if text == "table" || text.starts_with("table ") {
            return Err(Error::refused("--format table is not supported"));
        }
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((action, after_action)) = after.split_once("}}") else {
                return Err(Error::refused(format!(
                    "template: {name}:1: unclosed action"
                )));
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let column = text.len() - after.len();
            pieces.push(field(name, action, column)?);
            rest = after_action;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces, name })
    }

    /// The text for one object.
    ///
    /// # Errors
    /// If it has no such field.
    pub fn render(&self, value: &Value) -> Result<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Field { path, json, column } => {
                    let found = self.look_up(value, path, *column)?;
                    text.push_str(&if *json {
                        found.to_string()
                    } else {
                        go_text(found)
                    });
                }
            }
        }
        Ok(text)
    }

    fn look_up<'a>(&self, value: &'a Value, path: &str, column: usize) -> Result<&'a Value> {
        let mut found = value;
        for key in path.split('.').filter(|key| !key.is_empty()) {
            found = member(found, key).ok_or_else(|| {
                let name = self.name;
                Error::refused(format!(
                    "template: {name}:1:{column}: executing {name:?} at <{path}>: can't evaluate field {key} in type {name}"
                ))
            })?;
        }
        Ok(found)
    }
}

fn field(name: &str, action: &str, column: usize) -> Result<Piece> {
    let words: Vec<&str> = action.split_whitespace().collect();
    let (path, json) = match words[..] {
        [path] => (path, false),
        ["json", path] => (path, true),
        _ => ("", false),
    };
    if !path.starts_with('.') {
        let action = action.trim();
        return Err(Error::refused(format!(
            "template: {name}:1: function {action:?} not defined"
        )));
    }
    Ok(Piece::Field {
        path: path.to_owned(),
        json,
        column,
    })
}

/// A member by name; Go's names differ from JSON's in their capitals.
fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(key).or_else(|| {
        let mut entries = object.iter();
        let found = entries.find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value)
    })
}

/// A value as Go's templates print it.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{key}:{}", go_text(value)))
                .collect();
            format!("map[{}]", members.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(text: &str) -> Result<String, String> {
        let value = json!({
            "Id": "abc", "Names": ["a", "b"], "State": {"ExitCode": 3, "Running": false},
            "Labels": {"k": "v"}, "Pod": null,
        });
        let Format::Template(template) =
            Format::parse("ps", text).map_err(|error| error.to_string())?
        else {
            return Ok("json".to_owned());
        };
        template.render(&value).map_err(|error| error.to_string())
    }

    #[test]
    fn templates_are_rendered() {
        for (text, expected) in [
            ("json", "json"),
            ("{{.Id}}", "abc"),
            ("{{.ID}}\\t{{ .State.ExitCode }}", "abc\t3"),
            ("<{{.State.Running}}>", "<false>"),
            ("{{.Names}} {{.Labels}} {{.Pod}}", "[a b] map[k:v] <nil>"),
            ("{{json .Names}}", "[\"a\",\"b\"]"),
            ("{{json .State}}", "{\"ExitCode\":3,\"Running\":false}"),
            ("plain", "plain"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_templates_are_refused() {
        for (text, fragment) in [
            (
                "{{.Bogus}}",
                "template: ps:1:2: executing \"ps\" at <.Bogus>: can't evaluate field Bogus in type",
            ),
            ("x {{.State.Bogus}}", "template: ps:1:4: "),
            ("{{.Id", "unclosed action"),
            ("{{range .Names}}", "not defined"),
            ("{{}}", "not defined"),
            ("table {{.Id}}", "not supported"),
        ] {
            let refusal = render(text).unwrap_err();
            assert!(refusal.contains(fragment), "{text}: {refusal}");
        }
    }
}
