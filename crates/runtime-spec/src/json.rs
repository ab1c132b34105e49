use oci_spec::runtime::Spec;
use serde_json::{Map, Value};

/// `config.json` as text, the same for the same spec: keys sorted, and with them the sets.
pub fn to_json(spec: &Spec) -> String {
    let value = serde_json::to_value(spec).expect("a spec has only text for keys");
    let mut text = format!("{:#}", ordered(value));
    text.push('\n');
    text
}

/// Capabilities are sets; all else is in an order that means something.
const SETS: &[&str] = &[
    "bounding",
    "effective",
    "inheritable",
    "permitted",
    "ambient",
];

fn ordered(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            let entries = entries.into_iter().map(|(key, value)| {
                let mut value = ordered(value);
                if let (true, Value::Array(items)) = (SETS.contains(&key.as_str()), &mut value) {
                    items.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
                }
                (key, value)
            });
            Value::Object(entries.collect::<Map<String, Value>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(ordered).collect()),
        other => other,
    }
}
