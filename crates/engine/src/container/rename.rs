//! `rename`: another name.

use minke_storage::ContainerId;

use super::create::check_name;
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Gives a container another name. Gives its id.
    ///
    /// # Errors
    /// No such container; a name that is taken, or that no container may have.
    pub fn rename(&self, container: &str, name: &str) -> Result<String> {
        check_name(name)?;
        let locked = self.find_and_lock(container)?;
        let record = &locked.record;
        if let Some(holder) = self.database()?.id_of_name(name)? {
            return Err(Error::NameTaken {
                name: name.to_owned(),
                holder,
            });
        }
        self.settle_store_name(name)?;
        let id: ContainerId = record.id.parse()?;
        // The store has both names until the record has the new one: killed between, the record
        // decides, and whoever wants the other name takes it from the store.
        self.set_store_names(&id, vec![record.name.clone(), name.to_owned()])?;
        match self.database()?.rename(&record.id, name) {
            Ok(()) => self.set_store_names(&id, vec![name.to_owned()])?,
            Err(error) => {
                self.set_store_names(&id, vec![record.name.clone()])?;
                return Err(error);
            }
        }
        Ok(record.id.clone())
    }

    /// Takes `name` from a container of the store whose record says otherwise: what a rename that
    /// was killed has left.
    pub(crate) fn settle_store_name(&self, name: &str) -> Result<()> {
        let containers = self.store()?.containers()?;
        let holder = containers
            .iter()
            .find(|container| container.names.iter().any(|other| other == name));
        let Some(id) = holder.map(|container| container.id.clone()) else {
            return Ok(());
        };
        match self.database()?.get(id.as_str())? {
            Some(record) if record.name != name => self.set_store_names(&id, vec![record.name]),
            _ => Ok(()),
        }
    }

    fn set_store_names(&self, id: &ContainerId, names: Vec<String>) -> Result<()> {
        if self.store()?.containers()?.get(id).is_none() {
            return Ok(()); // a create that was killed has left it without a layer
        }
        let mut store = self.store_mut()?;
        Ok(store.write_containers()?.set_names(id, names)?)
    }
}
