//! Containers that need another one: they share its namespaces, or require it.

use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::container::{NamespaceMode, NetworkMode, UserMode};

use super::record::Record;
use crate::error::Result;
use crate::{Engine, Id};

impl Engine {
    /// The containers that name `record` in their configuration, the newest first.
    pub(crate) fn dependents(&self, record: &Record) -> Result<Vec<Id>> {
        let mentions = self.database()?.mentioning(&[&record.id, &record.name])?;
        let mut found = Vec::new();
        for other in mentions {
            let names = named_by(&other.config.spec);
            let is_meant = |name: &String| {
                let found = self.database().and_then(|database| database.find(name));
                found.is_ok_and(|id| id == record.id)
            };
            if other.id != record.id && names.iter().any(is_meant) {
                found.push(other.id);
            }
        }
        Ok(found)
    }
}

/// The containers that a specification names, as typed.
pub(crate) fn named_by(spec: &ContainerSpec) -> Vec<String> {
    let spaces = &spec.namespaces;
    let shared = [
        Some(&spaces.pid),
        Some(&spaces.ipc),
        Some(&spaces.uts),
        spaces.cgroup.as_ref(),
    ];
    let mut names: Vec<String> = shared
        .into_iter()
        .flatten()
        .filter_map(|mode| match mode {
            NamespaceMode::Container(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if let NetworkMode::Container(name) = &spaces.network {
        names.push(name.clone());
    }
    if let UserMode::Container(name) = &spaces.user {
        names.push(name.clone());
    }
    names.extend(spec.requires.iter().cloned());
    names.dedup();
    names
}
