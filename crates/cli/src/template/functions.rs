//! Go's own functions and those Podman adds.

use std::cmp::Ordering;

use super::value::{Kind, Value};
use super::{compare, json, verbs};

/// What may be called by name.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    /// The last one may repeat, or be absent, if `is_variadic`.
    pub parameters: &'static [Parameter],
    pub is_variadic: bool,
    /// Takes as many values as it has parameters, each of its kind.
    pub run: fn(&[Value]) -> Result<Value, String>,
}

/// What a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    Any,
    Text,
    Int,
    /// A list.
    Texts,
}

use Parameter::{Any, Int, Text, Texts};

const fn fixed(
    name: &'static str,
    parameters: &'static [Parameter],
    run: fn(&[Value]) -> Result<Value, String>,
) -> Function {
    Function {
        name,
        parameters,
        is_variadic: false,
        run,
    }
}

const fn variadic(
    name: &'static str,
    parameters: &'static [Parameter],
    run: fn(&[Value]) -> Result<Value, String>,
) -> Function {
    Function {
        name,
        parameters,
        is_variadic: true,
        run,
    }
}

/// `and` and `or` are here for their names; see [`short_circuit`].
static FUNCTIONS: &[Function] = &[
    variadic("and", &[Any, Any], |values| Ok(last(values))),
    variadic("call", &[Any, Any], call),
    variadic("eq", &[Any, Any], |values| {
        compare::equal_any(values).map(Value::Bool)
    }),
    fixed("ge", &[Any, Any], |values| ordered(values, Ordering::is_ge)),
    fixed("gt", &[Any, Any], |values| ordered(values, Ordering::is_gt)),
    variadic("html", &[Any], |values| {
        Ok(Value::text(html(&joined(values))))
    }),
    variadic("index", &[Any, Any], index),
    fixed("join", &[Texts, Text], join),
    variadic("js", &[Any], |values| Ok(Value::text(js(&joined(values))))),
    fixed("json", &[Any], |values| {
        Ok(Value::text(json::text(&values[0])))
    }),
    fixed("le", &[Any, Any], |values| ordered(values, Ordering::is_le)),
    fixed("len", &[Any], len),
    fixed("lower", &[Text], |values| {
        Ok(Value::text(text(&values[0]).to_lowercase()))
    }),
    fixed("lt", &[Any, Any], |values| ordered(values, Ordering::is_lt)),
    fixed("ne", &[Any, Any], |values| {
        compare::equal(&values[0], &values[1]).map(|equal| Value::Bool(!equal))
    }),
    fixed("not", &[Any], |values| {
        Ok(Value::Bool(!values[0].is_true()))
    }),
    variadic("or", &[Any, Any], |values| Ok(last(values))),
    fixed("pad", &[Text, Int, Int], pad),
    variadic("print", &[Any], |values| {
        Ok(Value::text(verbs::print(values)))
    }),
    variadic("printf", &[Text, Any], |values| {
        Ok(Value::text(verbs::printf(text(&values[0]), &values[1..])))
    }),
    variadic("println", &[Any], |values| {
        Ok(Value::text(verbs::println(values)))
    }),
    variadic("slice", &[Any, Any], slice),
    fixed("split", &[Text, Text], split),
    fixed("title", &[Text], |values| {
        Ok(Value::text(title(text(&values[0]))))
    }),
    fixed("truncate", &[Text, Int], truncate),
    fixed("upper", &[Text], |values| {
        Ok(Value::text(text(&values[0]).to_uppercase()))
    }),
    variadic("urlquery", &[Any], |values| {
        Ok(Value::text(url_query(&joined(values))))
    }),
];

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Whether there is a function of this name.
pub fn is_defined(name: &str) -> bool {
    find(name).is_some()
}

/// Of `and` and `or`, which truth of an argument ends the evaluation.
pub fn short_circuit(name: &str) -> Option<bool> {
    match name {
        "and" => Some(false),
        "or" => Some(true),
        _ => None,
    }
}

impl Function {
    /// The fewest arguments it takes.
    pub fn least(&self) -> usize {
        self.parameters.len() - usize::from(self.is_variadic)
    }

    /// What the argument `index` is to be.
    pub fn parameter(&self, index: usize) -> Parameter {
        let last = self.parameters.len() - 1;
        self.parameters[index.min(last)]
    }

    /// Whether it takes so many; Go's words if not.
    pub fn check_count(&self, count: usize) -> Result<(), String> {
        let (name, least) = (self.name, self.least());
        if count < least && self.is_variadic {
            return Err(format!(
                "wrong number of args for {name}: want at least {least} got {count}"
            ));
        }
        if count != least && !self.is_variadic {
            return Err(format!(
                "wrong number of args for {name}: want {least} got {count}"
            ));
        }
        Ok(())
    }
}

fn last(values: &[Value]) -> Value {
    values.last().cloned().unwrap_or(Value::Nil)
}

/// A text; what is none has been refused before.
fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

/// A whole number as a length.
fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        Value::Uint(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

fn joined(values: &[Value]) -> String {
    verbs::print(values)
}

fn call(values: &[Value]) -> Result<Value, String> {
    match &values[0] {
        Value::Nil | Value::Missing => Err("call of nil".to_owned()),
        value => Err(format!("non-function of type {}", value.type_name())),
    }
}

fn ordered(values: &[Value], is_so: fn(Ordering) -> bool) -> Result<Value, String> {
    let ordering = compare::order(&values[0], &values[1])?;
    Ok(Value::Bool(ordering.is_some_and(is_so)))
}

fn len(values: &[Value]) -> Result<Value, String> {
    let length = match &values[0] {
        Value::Text(text) => text.len(),
        Value::Object(object) => object.members.len(),
        value => match value.as_list() {
            Some(items) => items.len(),
            None if matches!(value, Value::Nil | Value::Missing) => {
                return Err("len of nil pointer".to_owned());
            }
            None => return Err(format!("len of type {}", value.type_name())),
        },
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(values: &[Value]) -> Result<Value, String> {
    let mut found = values[0].clone();
    if matches!(found, Value::Missing | Value::Nil) {
        return Err("index of untyped nil".to_owned());
    }
    for key in &values[1..] {
        found = member(&found, key)?;
    }
    Ok(found)
}

fn member(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Object(object), Value::Text(key)) => {
            let by_name = match object.kind {
                Kind::Struct => object.field(key),
                _ => None,
            };
            Ok(by_name.unwrap_or_else(|| object.index(key)))
        }
        (Value::Object(_), key) => Err(format!(
            "value has type {}; should be string",
            key.type_name()
        )),
        (Value::Text(text), key) => {
            let position = position(key, text.len().checked_sub(1))?;
            Ok(Value::Uint(u64::from(text.as_bytes()[position])))
        }
        (Value::Missing | Value::Nil, _) => Err("index of nil pointer".to_owned()),
        (value, key) => match value.as_list() {
            Some(items) => Ok(items[position(key, items.len().checked_sub(1))?].clone()),
            None => Err(format!("can't index item of type {}", value.type_name())),
        },
    }
}

/// An index up to `last`; `None` if there is none that would do.
fn position(key: &Value, last: Option<usize>) -> Result<usize, String> {
    match key {
        Value::Int(_) | Value::Uint(_) => size(key)
            .filter(|&position| last.is_some_and(|last| position <= last))
            .ok_or_else(|| format!("index out of range: {}", verbs::plain(key))),
        Value::Nil | Value::Missing => Err("cannot index slice/array with nil".to_owned()),
        key => Err(format!(
            "cannot index slice/array with type {}",
            key.type_name()
        )),
    }
}

fn slice(values: &[Value]) -> Result<Value, String> {
    let [item, bounds @ ..] = values else {
        return Err("slice of untyped nil".to_owned());
    };
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let length = match item {
        Value::Text(_) if bounds.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Text(text) => text.len(),
        Value::Nil | Value::Missing => return Err("slice of untyped nil".to_owned()),
        item => match item.as_list() {
            Some(items) => items.len(),
            None => return Err(format!("can't slice item of type {}", item.type_name())),
        },
    };
    let mut positions = Vec::with_capacity(3);
    for bound in bounds {
        positions.push(position(bound, Some(length))?);
    }
    let begin = positions.first().copied().unwrap_or(0);
    let end = positions.get(1).copied().unwrap_or(length);
    let capacity = positions.get(2).copied().unwrap_or(length);
    for (low, high) in [(begin, end), (end, capacity)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}"));
        }
    }
    Ok(match item {
        Value::Text(text) => Value::text(lossy(&text.as_bytes()[begin..end])),
        item => Value::list(item.as_list().unwrap_or_default()[begin..end].to_vec()),
    })
}

/// Bytes that may end within a letter.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn join(values: &[Value]) -> Result<Value, String> {
    let items = values[0].as_list().unwrap_or_default();
    let texts: Vec<String> = items.iter().map(verbs::plain).collect();
    Ok(Value::text(texts.join(text(&values[1]))))
}

fn split(values: &[Value]) -> Result<Value, String> {
    let (whole, separator) = (text(&values[0]), text(&values[1]));
    let parts: Vec<Value> = if separator.is_empty() {
        whole.chars().map(|c| Value::text(c.to_string())).collect()
    } else {
        whole.split(separator).map(Value::text).collect()
    };
    Ok(Value::list(parts))
}

/// As much padding as this is a mistake.
const MAX_PADDING: usize = 1_000_000;

fn pad(values: &[Value]) -> Result<Value, String> {
    let source = text(&values[0]);
    if source.is_empty() {
        return Ok(Value::text(""));
    }
    let spaces = |value: &Value| {
        let count = size(value).filter(|&count| count <= MAX_PADDING);
        let count = count.ok_or_else(|| format!("cannot pad by {}", verbs::plain(value)))?;
        Ok::<String, String>(" ".repeat(count))
    };
    let (before, after) = (spaces(&values[1])?, spaces(&values[2])?);
    Ok(Value::text(format!("{before}{source}{after}")))
}

fn truncate(values: &[Value]) -> Result<Value, String> {
    let source = text(&values[0]);
    let Some(length) = size(&values[1]) else {
        return Err("slice bounds out of range".to_owned());
    };
    let kept = length.min(source.len());
    Ok(Value::text(lossy(&source.as_bytes()[..kept])))
}

/// Each word with a capital.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut is_inside = false;
    for letter in text.chars() {
        if is_inside {
            titled.push(letter);
        } else {
            titled.extend(letter.to_uppercase());
        }
        is_inside = letter == '_' || letter.is_alphanumeric();
    }
    titled
}

fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\0' => escaped.push(char::REPLACEMENT_CHARACTER),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn js(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '"' => escaped.push_str("\\\""),
            '<' | '>' | '&' | '=' => escaped.push_str(&unicode_escape(letter)),
            _ if letter.is_control() => escaped.push_str(&unicode_escape(letter)),
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn unicode_escape(letter: char) -> String {
    format!("\\u{:04X}", u32::from(letter))
}

fn url_query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
