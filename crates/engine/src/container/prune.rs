//! `container prune`: every container that does not run.

use super::filter::FilterMap;
use super::list::ListRequest;
use super::remove::RemoveRequest;
use super::status::ContainerState;
use crate::error::{Error, Result};
use crate::{Engine, Id};

/// The keys that make sense of what is thrown away.
const KEYS: &[&str] = &["label", "label!", "until"];

impl Engine {
    /// Removes the containers that do not run and pass `filters`. Gives what came of each.
    ///
    /// # Errors
    /// A filter that is not `label`, `label!` or `until`, or cannot be understood.
    pub fn prune_containers(&self, filters: &FilterMap) -> Result<Vec<Result<Id>>> {
        if let Some(key) = filters.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(Error::invalid(format!("{key} is an invalid filter")));
        }
        let request = ListRequest {
            all: true,
            filters: filters.clone(),
            ..ListRequest::default()
        };
        let idle = [ContainerState::Created, ContainerState::Exited];
        let found = self.list(&request)?;
        let idle = found
            .into_iter()
            .filter(|found| idle.contains(&found.state));
        Ok(idle.filter_map(|found| self.prune(&found.id)).collect())
    }

    /// One that has been started or removed meanwhile is left alone.
    fn prune(&self, id: &str) -> Option<Result<Id>> {
        let request = RemoveRequest {
            ignore_missing: true,
            ..RemoveRequest::default()
        };
        match self.remove(id, &request) {
            Ok(removed) => removed.map(Ok),
            Err(Error::Running { .. }) => None,
            Err(error) => Some(Err(error)),
        }
    }
}
