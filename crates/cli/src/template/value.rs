//! What templates compute with: JSON with Go's distinctions.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::heading;
use super::moment::Moment;

/// A value, as Go would have it.
#[derive(Debug, Clone)]
pub enum Value {
    /// None at all: what a map has for a key that is not in it.
    Missing,
    /// A null pointer.
    Nil,
    /// A slice that is null.
    NilList,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Rc<str>),
    /// A `time.Time`.
    Moment(Rc<Moment>),
    List(Rc<Vec<Value>>),
    Object(Rc<Object>),
}

/// A struct or a map.
#[derive(Debug)]
pub struct Object {
    pub kind: Kind,
    pub members: BTreeMap<Rc<str>, Value>,
    /// Members named `Name()`: methods of one argument, a key of the map they hold.
    methods: BTreeMap<Rc<str>, Value>,
    /// What encodes this as JSON, where that is not the members: the method `json()`.
    document: Option<Json>,
}

/// Which of Go's kinds an object is; JSON does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has the fields it has, and no others.
    Struct,
    /// May have any key.
    Map,
    /// A map that is null.
    NilMap,
    /// Names each field that is asked for; these are named otherwise.
    Headings(&'static [(&'static str, &'static str)]),
}

/// Members of Podman's documents that are maps.
const MAPS: &[&str] = &[
    "Annotations",
    "Data",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
    "graphOptions",
    "graphStatus",
    "registries",
];

/// Members of Podman's documents that are slices, and often null.
const LISTS: &[&str] = &[
    "Aliases",
    "Args",
    "Binds",
    "BoundingCaps",
    "CapAdd",
    "CapDrop",
    "Cmd",
    "Command",
    "CreateCommand",
    "Dependencies",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "EffectiveCaps",
    "Entrypoint",
    "Env",
    "ExecIDs",
    "ExtraHosts",
    "GroupAdd",
    "History",
    "Layers",
    "Links",
    "Log",
    "Mounts",
    "Names",
    "OnBuild",
    "RepoDigests",
    "RepoTags",
    "Routes",
    "SecurityOpt",
    "Subnets",
    "Ulimits",
    "VolumesFrom",
    "gidmap",
    "uidmap",
];

/// Fields whose names in Podman's structs are not those of its JSON.
const ALIASES: &[(&str, &str)] = &[("CgroupsVersion", "cgroupVersion")];

impl Value {
    /// Text.
    pub fn text(text: impl Into<Rc<str>>) -> Self {
        Value::Text(text.into())
    }

    /// A list.
    pub fn list(items: Vec<Value>) -> Self {
        Value::List(Rc::new(items))
    }

    /// What has a heading for every field.
    pub fn headings(names: &'static [(&'static str, &'static str)]) -> Self {
        Value::Object(Rc::new(Object {
            kind: Kind::Headings(names),
            members: BTreeMap::new(),
            methods: BTreeMap::new(),
            document: None,
        }))
    }

    /// The value of a document.
    pub fn of(json: &Json) -> Self {
        named("", json)
    }

    /// The items, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            Value::NilList => Some(&[]),
            _ => None,
        }
    }

    /// Whether `if` takes it.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Missing | Value::Nil | Value::NilList => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Uint(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Moment(_) => true,
            Value::List(items) => !items.is_empty(),
            Value::Object(object) => object.kind == Kind::Struct || !object.members.is_empty(),
        }
    }

    /// Go's name of the type.
    pub fn type_name(&self) -> String {
        match self {
            Value::Missing | Value::Nil => "<nil>".to_owned(),
            Value::NilList => "[]string".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Int(_) => "int".to_owned(),
            Value::Uint(_) => "uint64".to_owned(),
            Value::Float(_) => "float64".to_owned(),
            Value::Text(_) => "string".to_owned(),
            Value::Moment(_) => "time.Time".to_owned(),
            Value::List(items) => format!("[]{}", shared_type(items.iter())),
            Value::Object(object) => {
                format!("map[string]{}", shared_type(object.members.values()))
            }
        }
    }
}

/// The one type of all, or `interface {}`.
fn shared_type<'a>(mut values: impl Iterator<Item = &'a Value>) -> String {
    const ANY: &str = "interface {}";
    let Some(first) = values.next() else {
        return "string".to_owned();
    };
    let name = match first {
        Value::Missing | Value::Nil | Value::NilList => return ANY.to_owned(),
        first => first.type_name(),
    };
    if values.all(|value| value.type_name() == name) {
        name
    } else {
        ANY.to_owned()
    }
}

/// The value of the member `name`.
fn named(name: &str, json: &Json) -> Value {
    match json {
        Json::Null if MAPS.contains(&name) => Value::Object(Rc::new(Object {
            kind: Kind::NilMap,
            members: BTreeMap::new(),
            methods: BTreeMap::new(),
            document: None,
        })),
        Json::Null if LISTS.contains(&name) => Value::NilList,
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::Uint(value),
            (None, None) => Value::Float(number.as_f64().unwrap_or(0.0)),
        },
        Json::String(text) => match Moment::of(name, text) {
            Some(moment) => Value::Moment(Rc::new(moment)),
            None => Value::text(text.as_str()),
        },
        Json::Array(items) => Value::list(items.iter().map(Value::of).collect()),
        Json::Object(entries) => Value::Object(Rc::new(object(name, entries))),
    }
}

fn object(name: &str, entries: &serde_json::Map<String, Json>) -> Object {
    let mut members = BTreeMap::new();
    let mut methods = BTreeMap::new();
    let mut document = None;
    for (key, json) in entries {
        match key.strip_suffix("()") {
            Some("json") => document = Some(json.clone()),
            Some(method) => {
                methods.insert(Rc::from(method), named("Labels", json));
            }
            None => {
                members.insert(Rc::from(key.as_str()), named(key, json));
            }
        }
    }
    let is_map =
        MAPS.contains(&name) || members.is_empty() || members.keys().any(|key| !is_identifier(key));
    let kind = if is_map { Kind::Map } else { Kind::Struct };
    Object {
        kind,
        members,
        methods,
        document,
    }
}

fn is_identifier(key: &str) -> bool {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    key.chars().all(is_word) && key.starts_with(|c: char| c == '_' || c.is_alphabetic())
}

impl Object {
    /// The field or member `name`; of a map that does not have it, [`Value::Missing`].
    ///
    /// `None` if there can be no such field.
    pub fn field(&self, name: &str) -> Option<Value> {
        match self.kind {
            Kind::Headings(names) => Some(Value::text(heading::of(name, names))),
            Kind::Map | Kind::NilMap => {
                Some(self.members.get(name).cloned().unwrap_or(Value::Missing))
            }
            Kind::Struct => self.exported(name).cloned(),
        }
    }

    /// A field of a struct by its name in Go, which JSON may spell with other capitals.
    fn exported(&self, name: &str) -> Option<&Value> {
        if !name.starts_with(char::is_uppercase) {
            return None;
        }
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let exact = self.members.get(name);
        exact.or_else(|| self.members.get(alias?.1)).or_else(|| {
            let mut entries = self.members.iter();
            let found = entries.find(|(key, _)| is_spelling(key, name));
            found.map(|(_, value)| value)
        })
    }

    /// What the method `name` gives for `argument`; `None` if there is no such method.
    pub fn call(&self, name: &str, argument: &str) -> Option<Value> {
        match self.methods.get(name)? {
            Value::Object(map) => Some(map.index(argument)),
            _ => Some(Value::text("")),
        }
    }

    /// Whether there is such a method.
    pub fn has_method(&self, name: &str) -> bool {
        self.methods.contains_key(name)
    }

    /// The member `key`, or the zero value of what the others are.
    pub fn index(&self, key: &str) -> Value {
        if let Some(value) = self.members.get(key) {
            return value.clone();
        }
        match self.members.values().next() {
            Some(Value::Bool(_)) => Value::Bool(false),
            Some(Value::Int(_) | Value::Uint(_)) => Value::Int(0),
            Some(Value::Float(_)) => Value::Float(0.0),
            Some(Value::List(_) | Value::NilList) => Value::NilList,
            Some(Value::Object(_) | Value::Moment(_) | Value::Nil | Value::Missing) => Value::Nil,
            Some(Value::Text(_)) | None => Value::text(""),
        }
    }

    /// What encodes this as JSON in place of the members.
    pub fn document(&self) -> Option<&Json> {
        self.document.as_ref()
    }
}

/// Whether the JSON member `key` is the Go field `name`.
fn is_spelling(key: &str, name: &str) -> bool {
    if key.starts_with(char::is_uppercase) {
        return key.replace("Id", "ID").replace("Ip", "IP")
            == name.replace("Id", "ID").replace("Ip", "IP");
    }
    let letters = key.chars().filter(|&c| c != '_');
    letters
        .map(|c| c.to_ascii_lowercase())
        .eq(name.chars().map(|c| c.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names_in_go() {
        let json = serde_json::json!({"Id": 1, "host_ip": 2, "ociRuntime": 3, "cgroupVersion": 4});
        let Value::Object(object) = Value::of(&json) else {
            panic!("an object");
        };
        for (name, expected) in [
            ("Id", Some(1)),
            ("ID", Some(1)),
            ("id", None),
            ("HostIP", Some(2)),
            ("OCIRuntime", Some(3)),
            ("CgroupsVersion", Some(4)),
            ("Bogus", None),
        ] {
            let found = object.field(name);
            let found = found.map(|value| match value {
                Value::Int(value) => value,
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn types_are_named_as_in_go() {
        for (json, expected) in [
            (serde_json::json!(["a"]), "[]string"),
            (serde_json::json!([1, "a"]), "[]interface {}"),
            (serde_json::json!({"a b": "c"}), "map[string]string"),
            (serde_json::json!(1.5), "float64"),
            (serde_json::json!(null), "<nil>"),
        ] {
            assert_eq!(Value::of(&json).type_name(), expected);
        }
    }
}
