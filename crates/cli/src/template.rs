//! `--format`: Go's text/template over JSON, with Podman's functions.
//!
//! A template is text with actions in `{{` and `}}`: fields (`.State.Pid`), variables, pipelines,
//! `if`, `with`, `range` (with `else`, `break` and `continue`), `define`, `template` and `block`,
//! and calls of the functions in [`functions`]. Text is cut by [`lexer`], read by [`parser`] into
//! the tree of [`ast`], and run by [`evaluator`] over a [`value`]. What goes wrong is said in Go's
//! words, with Go's lines and columns.
//!
//! JSON does not tell a struct from a map; [`value`] knows Podman's maps by name. A struct refuses
//! a field it does not have, a map answers `<no value>`. Both print as maps, sorted by key. A
//! member whose name ends in `()` is a method: `Label()` is called by `{{.Label "key"}}`, and
//! `json()` is what `{{json .}}` shows.
//!
//! Before it is read, `\t` and `\n` in a template become a tab and a newline, unless the template
//! cannot be read so. A list is shown by a template of one row, or by one with a `range` of its
//! own; one that begins with `table ` has headings, made of the names of fields, and columns.
//!
//! # Limits
//! No complex numbers, no hexadecimal floats, no `%p`, no `%x` and `%b` of floats, `#` changes
//! nothing of a float. Text is UTF-8: a letter cut in two shows as U+FFFD.

mod ast; // the tree
#[cfg(test)]
mod cases; // templates and what they show
mod compare; // eq, lt and so on
mod evaluator; // runs the tree
mod float; // broken numbers as text
mod functions; // what can be called
mod heading; // names of fields as headings
mod json; // the function json
mod lexer; // text to tokens
mod literal; // numbers and strings as written
mod moment; // time.Time
mod parser; // tokens to the tree
mod value; // what is computed with
mod verbs; // printf

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::output::table;

use parser::Tree;
use value::Value;

/// What was asked for with `--format`.
#[derive(Debug, Clone)]
pub enum Format {
    /// The whole as JSON.
    Json,
    /// As this template has it.
    Template(Template),
}

/// A template that has been read.
#[derive(Debug, Clone)]
pub struct Template {
    /// What it is of: `ps`.
    name: &'static str,
    text: String,
    tree: Tree,
    is_table: bool,
}

const TABLE: &str = "table ";

impl Format {
    /// Reads the value of `--format` of the command `name`, which shows one object.
    ///
    /// # Errors
    /// If it is no template.
    pub fn parse(name: &'static str, text: &str) -> Result<Self> {
        Self::read(name, text, false)
    }

    /// Reads the value of `--format` of the command `name`, which lists objects.
    ///
    /// # Errors
    /// If it is no template.
    pub fn parse_rows(name: &'static str, text: &str) -> Result<Self> {
        Self::read(name, text, true)
    }

    fn read(name: &'static str, text: &str, is_list: bool) -> Result<Self> {
        if text == "json" {
            return Ok(Self::Json);
        }
        Template::read(name, text, is_list).map(Self::Template)
    }
}

impl Template {
    fn read(name: &'static str, text: &str, is_list: bool) -> Result<Self> {
        let is_table = text.starts_with(TABLE);
        let plain = text.strip_prefix(TABLE).unwrap_or(text);
        let ranged = |text: String| {
            if is_table || (is_list && !has_range(&text)) {
                format!("{{{{range .}}}}{text}{{{{end -}}}}")
            } else {
                text
            }
        };
        let wanted = ranged(normalized(text, is_table));
        let (text, tree) = match parser::parse(name, &wanted) {
            Ok(tree) => (wanted, tree),
            Err(_) => {
                let as_typed = ranged(plain.to_owned());
                let tree = parser::parse(name, &as_typed).map_err(Error::refused)?;
                (as_typed, tree)
            }
        };
        Ok(Self {
            name,
            text,
            tree,
            is_table,
        })
    }

    fn execute(&self, value: Value) -> Result<String> {
        evaluator::execute(self.name, &self.text, &self.tree, value).map_err(Error::refused)
    }

    /// The text for one object, with its newline.
    ///
    /// # Errors
    /// If it has no such field, or a function refuses its arguments.
    pub fn render(&self, value: &Json) -> Result<String> {
        self.execute(Value::of(value))
    }

    /// The text for a list of objects; of a table, below the headings. `headings` has those that
    /// are not the name of their field; without it, there are none.
    ///
    /// # Errors
    /// If one has no such field, or a function refuses its arguments.
    pub fn rows(
        &self,
        rows: &[Json],
        headings: Option<&'static [(&'static str, &'static str)]>,
    ) -> Result<String> {
        let values = Value::list(rows.iter().map(Value::of).collect());
        if !self.is_table {
            return self.execute(values);
        }
        let mut text = match headings {
            Some(names) => self.execute(Value::list(vec![Value::headings(names)]))?,
            None => String::new(),
        };
        text.push_str(&self.execute(values)?);
        Ok(columns(&text))
    }
}

/// Sets cells that tabs end in columns.
fn columns(text: &str) -> String {
    let rows: Vec<Vec<String>> = text
        .lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect();
    table::set(None, &rows)
}

/// The text with its escapes resolved and a newline at its end; of a table, each space is a tab.
fn normalized(text: &str, is_table: bool) -> String {
    let mut text = text.to_owned();
    if is_table {
        text = text.replace(TABLE, "").replace(' ', "\t");
    }
    text = text.replace("\\t", "\t").replace("\\n", "\n");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Whether the template goes through the list itself: `{{range .}}...{{end}}`.
fn has_range(text: &str) -> bool {
    let actions = text.split("{{").skip(1);
    let mut words = actions.filter_map(|piece| {
        let action = piece.split_once("}}")?.0;
        Some(action.split_whitespace().collect::<String>())
    });
    words.any(|word| word == "range.") && words.any(|word| matches!(word.as_str(), "end" | "end-"))
}
