//! Which containers an operation is about, by what was typed.

use super::filter::FilterMap;
use super::list::ListRequest;
use crate::error::{Error, Result};
use crate::{Engine, Id};

/// What names containers. Where filters are given they decide; then `all`, then `latest`, then
/// the names.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Names, ids, or beginnings of ids.
    pub names: Vec<String>,
    /// Every container.
    pub all: bool,
    /// The one made last.
    pub latest: bool,
    /// Those that pass.
    pub filters: FilterMap,
    /// A name nobody has is no error.
    pub ignore_missing: bool,
}

/// A container that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its id; `None` where nobody has the name and that is ignored.
    pub id: Option<Id>,
    /// What it was called: the name as typed, or the id.
    pub typed: String,
}

impl Engine {
    /// Finds the containers that are meant, before anything is done to the first of them.
    ///
    /// # Errors
    /// A name that nobody has, unless that is ignored; no container at all where the latest is
    /// wanted; filters that cannot be understood.
    pub fn select(&self, selection: &Selection) -> Result<Vec<Selected>> {
        if !selection.filters.is_empty() {
            return self.filtered(&selection.filters);
        }
        if selection.all {
            let names = self.container_names()?;
            return Ok(names
                .into_iter()
                .map(|(id, _)| Selected::by_id(id))
                .collect());
        }
        if selection.latest {
            let last = self.container_names()?.pop();
            let (id, _) = last.ok_or_else(|| Error::NoContainers)?;
            return Ok(vec![Selected::by_id(id)]);
        }
        let names = selection.names.iter();
        names
            .map(|name| self.selected(name, selection.ignore_missing))
            .collect()
    }

    fn filtered(&self, filters: &FilterMap) -> Result<Vec<Selected>> {
        let request = ListRequest {
            all: true,
            filters: filters.clone(),
            ..ListRequest::default()
        };
        let found = self.list(&request)?.into_iter();
        Ok(found.map(|summary| Selected::by_id(summary.id)).collect())
    }

    fn selected(&self, name: &str, ignore_missing: bool) -> Result<Selected> {
        let id = match self.database()?.find(name) {
            Err(Error::ContainerUnknown { .. }) if ignore_missing => None,
            found => Some(found?),
        };
        Ok(Selected {
            id,
            typed: name.to_owned(),
        })
    }
}

impl Selected {
    fn by_id(id: Id) -> Self {
        Self {
            typed: id.clone(),
            id: Some(id),
        }
    }
}
