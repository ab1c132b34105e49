//! Values as Go encodes them in JSON, with `<` and `&` left as they are.

use serde_json::Value as Json;

use super::float;
use super::value::{Kind, Value};

/// The text of a value.
pub fn text(value: &Value) -> String {
    let mut text = String::new();
    push(value, &mut text);
    text
}

fn push(value: &Value, text: &mut String) {
    match value {
        Value::Missing | Value::Nil | Value::NilList => text.push_str("null"),
        Value::Bool(value) => text.push_str(&value.to_string()),
        Value::Int(value) => text.push_str(&value.to_string()),
        Value::Uint(value) => text.push_str(&value.to_string()),
        Value::Float(value) => text.push_str(&number(*value)),
        Value::Text(value) => push_string(value, text),
        Value::Moment(moment) => push_string(&moment.text, text),
        Value::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, text);
                push(item, text);
            }
            text.push(']');
        }
        Value::Object(object) => match (object.document(), object.kind) {
            (Some(document), _) => push(&Value::of(document), text),
            (None, Kind::NilMap) => text.push_str("null"),
            (None, _) => {
                text.push('{');
                for (index, (key, member)) in object.members.iter().enumerate() {
                    separate(index, text);
                    push_string(key, text);
                    text.push(':');
                    push(member, text);
                }
                text.push('}');
            }
        },
    }
}

fn separate(index: usize, text: &mut String) {
    if index > 0 {
        text.push(',');
    }
}

/// The letters are serde's, but for the two that JavaScript takes for line ends.
fn push_string(value: &str, text: &mut String) {
    let quoted = Json::from(value).to_string();
    text.push_str(
        &quoted
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029"),
    );
}

/// As encoding/json: an exponent only for the very large and the very small.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        return float::text(value, 'g', None);
    }
    value.to_string()
}
