//! Which containers, by what they are: the filters of `ps`, `stop`, `rm` and others.
//!
//! Keys and their meaning are Podman's (podman-ps(1) § filter). All keys must hold; of the values
//! of one key any does, but for labels, which must all hold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use minke_runtime_spec::container::{MountKind, NetworkMode};
use minke_runtime_spec::option::parse_bool;
use regex::Regex;

use super::list::ContainerSummary;
use super::record::Record;
use super::restart::starts_on_boot;
use crate::Engine;
use crate::error::{Error, Result};
use crate::moment;

/// Filters as they are typed or sent: values by key.
pub type FilterMap = BTreeMap<String, Vec<String>>;

/// The words for what a container is doing that a filter may have.
const STATES: &[&str] = &[
    "unknown",
    "created",
    "initialized",
    "running",
    "stopped",
    "paused",
    "exited",
    "removing",
    "stopping",
    "restarting",
];

/// Filters that have been understood.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    conditions: Vec<Condition>,
}

#[derive(Debug)]
enum Condition {
    Id(Vec<String>),
    Name(Vec<Regex>),
    Command(Vec<Regex>),
    Ancestor(Vec<(String, Option<Regex>)>),
    Labels(Vec<Label>),
    NoLabels(Vec<Label>),
    Exited(Vec<i32>),
    Status(Vec<String>),
    Health(Vec<String>),
    Volume(Vec<String>),
    Network(Vec<String>),
    RestartPolicy(Vec<String>),
    StartsOnBoot(bool),
    Before(Timestamp),
    Since(Timestamp),
    /// Podman knows the key; no container of this engine is in a pod yet.
    Pod,
}

impl Engine {
    /// Understands filters; containers they name are looked up.
    ///
    /// # Errors
    /// An unknown key; a value that its key cannot have; a container that is not there.
    pub(crate) fn filters(&self, map: &FilterMap) -> Result<Filters> {
        let conditions = map.iter().map(|(key, values)| self.condition(key, values));
        Ok(Filters {
            conditions: conditions.collect::<Result<_>>()?,
        })
    }

    fn condition(&self, key: &str, values: &[String]) -> Result<Condition> {
        Ok(match key {
            "id" => Condition::Id(values.to_vec()),
            "name" => {
                let names = values.iter().map(|value| value.replace('/', ""));
                Condition::Name(names.filter_map(|name| Regex::new(&name).ok()).collect())
            }
            "command" => Condition::Command(regexes(values)),
            "ancestor" => Condition::Ancestor(
                values
                    .iter()
                    .map(|value| (value.clone(), Regex::new(value).ok()))
                    .collect(),
            ),
            "label" => Condition::Labels(values.iter().map(|value| Label::parse(value)).collect()),
            "label!" => {
                Condition::NoLabels(values.iter().map(|value| Label::parse(value)).collect())
            }
            "exited" => Condition::Exited(all(values, exit_code)?),
            "status" => Condition::Status(all(values, state)?),
            "health" => Condition::Health(values.to_vec()),
            "volume" => Condition::Volume(values.to_vec()),
            "network" => Condition::Network(all(values, |value| self.network_of_filter(value))?),
            "restart-policy" => Condition::RestartPolicy(all(values, policy)?),
            "should-start-on-boot" => {
                Condition::StartsOnBoot(all(values, boolean)?.contains(&true))
            }
            "before" => Condition::Before(self.earliest(values)?),
            "since" => Condition::Since(self.earliest(values)?),
            "until" => match values {
                [value] => Condition::Before(moment::parse("until", value, Timestamp::now())?),
                _ => return Err(Error::invalid("specify exactly one timestamp for until")),
            },
            "pod" => Condition::Pod,
            _ => return Err(Error::invalid(format!("{key} is an invalid filter"))),
        })
    }

    /// When the first made of these containers was made.
    fn earliest(&self, names: &[String]) -> Result<Timestamp> {
        let made = all(names, |name| Ok(self.find(name)?.config.created))?;
        made.into_iter()
            .min()
            .ok_or_else(|| Error::invalid("a filter by container names none"))
    }

    fn network_of_filter(&self, value: &str) -> Result<String> {
        match value.strip_prefix("container:") {
            Some(name) => match self.find(name) {
                Ok(record) => Ok(format!("container:{}", record.id)),
                Err(Error::ContainerUnknown { .. }) => Ok(value.to_owned()),
                Err(error) => Err(error),
            },
            None => Ok(value.to_owned()),
        }
    }
}

impl Filters {
    /// Whether the filters ask for a state, so that containers that do not run are meant too.
    pub fn asks_for_status(map: &FilterMap) -> bool {
        map.get("status").is_some_and(|values| !values.is_empty())
    }

    /// Whether a container passes.
    pub fn pass(&self, record: &Record, summary: &ContainerSummary) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(record, summary))
    }
}

impl Condition {
    fn holds(&self, record: &Record, summary: &ContainerSummary) -> bool {
        let labels = &record.config.spec.labels;
        match self {
            Condition::Id(starts) => starts
                .iter()
                .any(|start| record.id.starts_with(&start.to_ascii_lowercase())),
            Condition::Name(names) => names.iter().any(|name| name.is_match(&record.name)),
            Condition::Command(commands) => summary
                .command
                .first()
                .is_some_and(|first| commands.iter().any(|command| command.is_match(first))),
            Condition::Ancestor(images) => images
                .iter()
                .any(|(text, name)| is_of_image(record, text, name.as_ref())),
            Condition::Labels(wanted) => wanted.iter().all(|label| label.is_among(labels)),
            Condition::NoLabels(unwanted) => !unwanted.iter().any(|label| label.is_among(labels)),
            Condition::Exited(codes) => summary.exit_code.is_some_and(|code| codes.contains(&code)),
            Condition::Status(states) => states.iter().any(|state| state == summary.state.as_str()),
            Condition::Health(states) => states
                .iter()
                .any(|state| summary.health.as_deref().unwrap_or_default() == state),
            Condition::Volume(volumes) => volumes.iter().any(|volume| has_volume(record, volume)),
            Condition::Network(networks) => networks
                .iter()
                .any(|network| has_network(record, summary, network)),
            Condition::RestartPolicy(names) => names
                .iter()
                .any(|name| name == record.config.spec.restart.as_str()),
            Condition::StartsOnBoot(wanted) => starts_on_boot(record) == *wanted,
            Condition::Before(moment) => record.config.created < *moment,
            Condition::Since(moment) => record.config.created > *moment,
            Condition::Pod => false,
        }
    }
}

/// `key`, `key=value`, either with `*` for anything.
#[derive(Debug)]
struct Label {
    key: String,
    value: Option<String>,
}

impl Label {
    fn parse(text: &str) -> Self {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned()).filter(|text| !text.is_empty())),
            None => (text, None),
        };
        Self {
            key: key.to_owned(),
            value,
        }
    }

    fn is_among(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.iter().any(|(key, value)| {
            fits(&self.key, key) && self.value.as_ref().is_none_or(|wanted| fits(wanted, value))
        })
    }
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn is_of_image(record: &Record, text: &str, name: Option<&Regex>) -> bool {
    let config = &record.config;
    if !config.image_id.is_empty() && config.image_id.contains(text) {
        return true;
    }
    let untagged = config.image_name.strip_suffix(":latest");
    name.is_some_and(|name| {
        name.is_match(&config.image_name)
            || untagged.is_some_and(|untagged| name.is_match(untagged))
    })
}

/// `SOURCE:DESTINATION` of a mount, a destination, or a volume's name.
fn has_volume(record: &Record, text: &str) -> bool {
    let (source, destination) = text.split_once(':').unwrap_or((text, ""));
    record.config.spec.mounts.iter().any(|mount| {
        let from = match &mount.kind {
            MountKind::Bind { source } | MountKind::Overlay { source } => Some(source.as_str()),
            MountKind::Volume { name } => name.as_deref(),
            _ => None,
        };
        let is_named_volume = matches!(mount.kind, MountKind::Volume { .. });
        if destination.is_empty() {
            mount.destination == source || (is_named_volume && from == Some(source))
        } else {
            from == Some(source) && mount.destination == destination
        }
    })
}

fn has_network(record: &Record, summary: &ContainerSummary, wanted: &str) -> bool {
    if let NetworkMode::Container(host) = &record.config.spec.namespaces.network {
        return wanted
            .strip_prefix("container:")
            .is_some_and(|wanted| wanted == host);
    }
    summary.networks.iter().any(|network| network == wanted)
}

fn policy(text: &str) -> Result<String> {
    match text {
        "no" | "always" | "unless-stopped" | "on-failure" => Ok(text.to_owned()),
        "none" | "" => Ok("no".to_owned()),
        _ => Err(Error::invalid(format!("{text} invalid restart policy"))),
    }
}

fn state(text: &str) -> Result<String> {
    match text {
        "stopped" => Ok("exited".to_owned()),
        _ if STATES.contains(&text) => Ok(text.to_owned()),
        _ => Err(Error::invalid(format!(
            "unknown container state: {text}: invalid argument"
        ))),
    }
}

fn exit_code(text: &str) -> Result<i32> {
    text.parse().map_err(|_| {
        Error::invalid(format!(
            "exited code out of range {text:?}: strconv.ParseInt: parsing {text:?}: invalid syntax"
        ))
    })
}

fn boolean(text: &str) -> Result<bool> {
    parse_bool(text).ok_or_else(|| {
        Error::invalid(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        ))
    })
}

/// The values that are regular expressions; another matches nothing, as in Podman.
fn regexes(values: &[String]) -> Vec<Regex> {
    values
        .iter()
        .filter_map(|value| Regex::new(value).ok())
        .collect()
}

fn all<T>(values: &[String], read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    values.iter().map(|value| read(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("*", "", true),
            ("", "", true),
            ("aba*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn labels_are_keys_or_pairs() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        for (text, expected) in [
            ("app", true),
            ("app=", true),
            ("app=web", true),
            ("app=w*", true),
            ("app=db", false),
            ("ap*", true),
            ("other", false),
        ] {
            assert_eq!(Label::parse(text).is_among(&labels), expected, "{text}");
        }
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(state("stopped").unwrap(), "exited");
        assert!(state("bogus").is_err());
        assert_eq!(exit_code("137").unwrap(), 137);
        assert!(exit_code("x").is_err());
        assert_eq!(policy("none").unwrap(), "no");
        assert!(policy("bogus").is_err());
    }
}
