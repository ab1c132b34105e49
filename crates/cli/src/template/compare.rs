//! `eq`, `ne`, `lt`, `le`, `gt` and `ge`.

use std::cmp::Ordering;

use super::value::Value;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

/// Whether the first is equal to any other.
pub fn equal_any(values: &[Value]) -> Result<bool, String> {
    let [first, others @ ..] = values else {
        return Err("missing argument for comparison".to_owned());
    };
    comparable(first)?;
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether two are equal.
pub fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    comparable(a)?;
    comparable(b)?;
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Missing | Value::Nil, b) => Ok(matches!(b, Value::Missing | Value::Nil)),
        (_, Value::Missing | Value::Nil) => Ok(false),
        _ => match numbers(a, b) {
            Some(ordering) => Ok(ordering == Some(Ordering::Equal)),
            None => Err(INCOMPATIBLE.to_owned()),
        },
    }
}

fn comparable(value: &Value) -> Result<(), String> {
    match value {
        Value::List(_) | Value::NilList | Value::Object(_) => Err(format!(
            "non-comparable type {}: {}",
            value.type_name(),
            super::verbs::plain(value)
        )),
        _ => Ok(()),
    }
}

/// How two are ordered; `None` where one is not a number.
pub fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    if let (Value::Text(a), Value::Text(b)) = (a, b) {
        return Ok(Some(a.as_bytes().cmp(b.as_bytes())));
    }
    for value in [a, b] {
        let is_ordered = matches!(
            value,
            Value::Int(_) | Value::Uint(_) | Value::Float(_) | Value::Text(_)
        );
        if !is_ordered {
            return Err(INVALID.to_owned());
        }
    }
    numbers(a, b).ok_or_else(|| INCOMPATIBLE.to_owned())
}

/// Whole numbers compare with whole ones, broken with broken ones.
fn numbers(a: &Value, b: &Value) -> Option<Option<Ordering>> {
    if let (Value::Float(a), Value::Float(b)) = (a, b) {
        return Some(a.partial_cmp(b));
    }
    Some(Some(whole(a)?.cmp(&whole(b)?)))
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::Uint(value) => Some(i128::from(*value)),
        _ => None,
    }
}
