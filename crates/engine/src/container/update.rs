//! `update`: other limits, restarts, health checks and variables for a container that is there.

mod health; // of its check

use std::collections::{BTreeMap, BTreeSet};

use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::container::{Resources, RestartPolicy};
use minke_runtime_spec::option::ulimit::Ulimit;

pub use self::health::HealthUpdate;
use super::host::Prepared;
use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// What is to be otherwise; what is not named stays.
#[derive(Debug, Clone, Default)]
pub struct UpdateRequest {
    /// Limits of the control group: at once where it runs, and from the next start on.
    pub resources: Resources,
    /// Limits of the process, from the next start on.
    pub ulimits: Vec<Ulimit>,
    /// What happens when it ends.
    pub restart: Option<RestartPolicy>,
    /// Its health check, at once.
    pub health: HealthUpdate,
    /// Variables to set, from the next start on.
    pub env: BTreeMap<String, String>,
    /// Variables to leave out, from the next start on.
    pub unset_env: BTreeSet<String>,
}

impl Engine {
    /// Changes what was asked for of a container. Gives its id.
    ///
    /// # Errors
    /// No such container; limits that the kernel or the runtime refuses, and then all is as
    /// before; a restart policy for one that is removed when it ends.
    pub fn update(&self, name: &str, request: &UpdateRequest) -> Result<String> {
        let mut locked = self.find_and_lock(name)?;
        let record = &mut locked.record;
        let before = record.config.clone();
        if request.resources != Resources::default() {
            self.require_group(record, "cannot update resource limits")?;
        }
        request.change(&mut record.config.spec)?;
        self.database()?.update_config(&record.id, &record.config)?;
        if request.health != HealthUpdate::default() {
            self.hurry_health(record);
        }
        if request.resources == Resources::default() {
            return Ok(record.id.clone());
        }
        if let Err(error) = self.limit(record) {
            self.database()?.update_config(&record.id, &before)?;
            return Err(error);
        }
        Ok(record.id.clone())
    }

    /// Gives a container that runs the limits of its record.
    fn limit(&self, record: &Record) -> Result<()> {
        let host = self.host(record, &Prepared::default(), None)?;
        let config = &record.config;
        let limits = minke_runtime_spec::generate::limits(&config.spec, &config.image, &host)?;
        if !self.status(record).0.is_alive() {
            return Ok(());
        }
        self.runtime(record)?.update(&record.id, &limits)
    }
}

impl UpdateRequest {
    fn change(&self, spec: &mut ContainerSpec) -> Result<()> {
        spec.resources = std::mem::take(&mut spec.resources).overlaid(self.resources.clone());
        if self.health != HealthUpdate::default() {
            health::apply(&mut spec.health, &self.health)?;
        }
        if let Some(restart) = self.restart {
            if spec.remove && restart != RestartPolicy::No {
                return Err(Error::invalid(
                    "the --rm option conflicts with --restart, when the restartPolicy is not \"\" and \"no\"",
                ));
            }
            spec.restart = restart;
        }
        for limit in &self.ulimits {
            spec.ulimits.retain(|old| old.limit != limit.limit);
            spec.ulimits.push(*limit);
        }
        for name in &self.unset_env {
            spec.env.remove(name);
            spec.unset_env.insert(name.clone());
        }
        for (name, value) in &self.env {
            spec.unset_env.remove(name);
            spec.env.insert(name.clone(), value.clone());
        }
        Ok(())
    }
}
