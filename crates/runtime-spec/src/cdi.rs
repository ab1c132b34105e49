//! Devices by name: the Container Device Interface (cncf-tags/container-device-interface, 1.0).
//!
//! A [`Document`] is one file of a vendor; a [`Registry`] holds those of a host and finds the
//! edits that named devices ask for. Files are the caller's to read.

mod edits; // from edits to config.json

pub use edits::Nodes;

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::runtime::LinuxIntelRdt;
use serde::Deserialize;

use crate::{Error, Result};

/// Versions of the format whose members are all known here.
const VERSIONS: &[&str] = &[
    "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0",
];

/// One file. Members nobody knows are an error, as the specification wants.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// The version of the format.
    pub cdi_version: String,
    /// `vendor.com/class`.
    pub kind: String,
    /// For others to read.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What there is.
    pub devices: Vec<Device>,
    /// What any of the devices asks for, once.
    #[serde(default)]
    pub container_edits: Edits,
}

/// A device of a [`Document`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Device {
    /// Its name within the kind.
    pub name: String,
    /// For others to read.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What it asks for.
    pub container_edits: Edits,
}

/// What is changed of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Edits {
    /// Variables: `NAME=VALUE`.
    pub env: Vec<String>,
    /// Device nodes.
    pub device_nodes: Vec<Node>,
    /// Programs that the runtime runs.
    pub hooks: Vec<NamedHook>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Intel RDT.
    pub intel_rdt: Option<LinuxIntelRdt>,
    /// Further groups of the process.
    #[serde(rename = "additionalGIDs", alias = "additionalGids")]
    pub additional_gids: Vec<u32>,
}

/// A device node. What is not said of it is as on the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Node {
    /// Its path in the container.
    pub path: String,
    /// Its path on the host; absent is the same.
    pub host_path: Option<String>,
    /// `b`, `c`, `u` or `p`.
    #[serde(rename = "type")]
    pub typ: Option<String>,
    /// Major number.
    pub major: Option<i64>,
    /// Minor number.
    pub minor: Option<i64>,
    /// Permission bits.
    pub file_mode: Option<u32>,
    /// What the device cgroup lets it be used for; absent is `rwm`.
    pub permissions: Option<String>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// A hook and the stage it is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NamedHook {
    /// The runtime-spec's name of the stage: `createContainer`.
    pub hook_name: String,
    /// The program.
    pub path: String,
    /// Its arguments, its name among them.
    pub args: Option<Vec<String>>,
    /// Its variables.
    pub env: Option<Vec<String>>,
    /// Seconds it may take.
    pub timeout: Option<i64>,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mount {
    /// What is mounted.
    pub host_path: String,
    /// Where.
    pub container_path: String,
    /// How.
    #[serde(default)]
    pub options: Vec<String>,
    /// The type of file system.
    #[serde(rename = "type")]
    pub typ: Option<String>,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Cdi`]: not of its form, of a version nobody knows here, or with names that are
    /// none.
    pub fn parse(text: &str, format: Format) -> Result<Self> {
        let parsed: std::result::Result<Self, String> = match format {
            Format::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Format::Yaml => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
        };
        let document = parsed.map_err(|what| Error::Cdi { what })?;
        match document.wrong() {
            None => Ok(document),
            Some(what) => Err(Error::Cdi { what }),
        }
    }

    fn wrong(&self) -> Option<String> {
        if !VERSIONS.contains(&self.cdi_version.as_str()) {
            return Some(format!("unknown cdiVersion {:?}", self.cdi_version));
        }
        let is_kind = self
            .kind
            .split_once('/')
            .is_some_and(|(vendor, class)| is_name(vendor, "-_.") && is_name(class, "-_."));
        if !is_kind {
            return Some(format!("invalid kind {:?}", self.kind));
        }
        let mut names = BTreeSet::new();
        for device in &self.devices {
            if !is_name(&device.name, "-_.:") {
                return Some(format!("invalid device name {:?}", device.name));
            }
            if !names.insert(&device.name) {
                return Some(format!("device {:?} is there twice", device.name));
            }
        }
        let mut all = self.devices.iter().map(|device| &device.container_edits);
        all.find_map(Edits::wrong)
            .or_else(|| self.container_edits.wrong())
    }
}

/// Letters and digits, with some of `between` between them.
fn is_name(text: &str, between: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(is_edge)
        && text.ends_with(is_edge)
        && text.chars().all(|c| is_edge(c) || between.contains(c))
}

/// The devices of a host.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    documents: Vec<(usize, Document)>,
}

impl Registry {
    /// Adds a file. Where two name one device, that of the higher `priority` counts; of two of
    /// the same neither does.
    pub fn add(&mut self, priority: usize, document: Document) {
        self.documents.push((priority, document));
    }

    /// What the devices ask for, those of their files before their own.
    ///
    /// # Errors
    /// [`Error::CdiUnresolvable`] with all that cannot be found.
    pub fn resolve(&self, names: &[String]) -> Result<Edits> {
        let mut edits = Edits::default();
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for name in names {
            let Some((index, device)) = self.find(name) else {
                missing.push(name.clone());
                continue;
            };
            if seen.insert(index) {
                edits.append(&self.documents[index].1.container_edits);
            }
            edits.append(&device.container_edits);
        }
        if missing.is_empty() {
            return Ok(edits);
        }
        Err(Error::CdiUnresolvable { names: missing })
    }

    fn find(&self, name: &str) -> Option<(usize, &Device)> {
        let (kind, name) = name.split_once('=')?;
        let named = self.documents.iter().enumerate();
        let named = named.filter_map(|(index, (priority, document))| {
            let mut devices = document.devices.iter();
            let device = devices.find(|device| device.name == name && document.kind == kind)?;
            Some((*priority, index, device))
        });
        let named: Vec<_> = named.collect();
        let highest = named.iter().map(|(priority, ..)| *priority).max()?;
        let mut best = named.into_iter().filter(|found| found.0 == highest);
        let (_, index, device) = best.next()?;
        best.next().is_none().then_some((index, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(kind: &str, device: &str, env: &str) -> Document {
        let text = format!(
            "cdiVersion: 0.6.0\nkind: {kind}\ncontainerEdits:\n  env: [\"ALL=1\"]\ndevices:\n- name: \"{device}\"\n  containerEdits:\n    env: [\"{env}\"]\n"
        );
        Document::parse(&text, Format::Yaml).unwrap()
    }

    #[test]
    fn higher_priorities_win_and_equals_conflict() {
        let mut registry = Registry::default();
        registry.add(0, document("a.b/c", "0", "LOW=1"));
        registry.add(1, document("a.b/c", "0", "HIGH=1"));
        registry.add(1, document("a.b/c", "1", "ONE=1"));
        registry.add(1, document("a.b/d", "x", "X=1"));
        registry.add(1, document("a.b/d", "x", "Y=1"));
        let name = |text: &str| text.to_owned();
        let found = registry.resolve(&[name("a.b/c=0"), name("a.b/c=1")]);
        assert_eq!(found.unwrap().env, ["ALL=1", "HIGH=1", "ALL=1", "ONE=1"]);
        let wrong = [name("a.b/d=x"), name("a.b/c=0"), name("a.b/c=9")];
        assert_eq!(
            registry.resolve(&wrong).unwrap_err().to_string(),
            "unresolvable CDI devices a.b/d=x, a.b/c=9"
        );
    }

    #[test]
    fn files_that_break_the_rules_are_refused() {
        let base =
            r#"{"cdiVersion":"0.5.0","kind":"a/b","devices":[{"name":"x","containerEdits":{}}]}"#;
        assert!(Document::parse(base, Format::Json).is_ok());
        for (from, to) in [
            ("0.5.0", "9.0.0"),
            ("a/b", "ab"),
            ("a/b", "a/-b"),
            ("\"x\"", "\"\""),
            ("\"x\"", "\"x/y\""),
            ("\"name\"", "\"nome\""),
            ("{}", r#"{"netDevices":[]}"#),
            ("{}", r#"{"env":["X"]}"#),
            ("{}", r#"{"deviceNodes":[{"path":"dev"}]}"#),
            ("{}", r#"{"deviceNodes":[{"path":"/dev/x","type":"q"}]}"#),
            ("{}", r#"{"hooks":[{"hookName":"no","path":"/x"}]}"#),
            ("{}", r#"{"mounts":[{"hostPath":"","containerPath":"/x"}]}"#),
        ] {
            let text = base.replace(from, to);
            assert!(Document::parse(&text, Format::Json).is_err(), "{text}");
        }
    }
}
