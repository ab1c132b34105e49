//! Containers of the store that other engines have made: Buildah's, Podman's.
//!
//! What belongs to them is the store's record and layer; what they know besides is out of reach.

use minke_storage::{Container, ContainerId};

use super::list::ContainerSummary;
use super::status::ContainerState;
use crate::Engine;
use crate::error::{Error, Result};

/// Where Buildah keeps what it knows of a container of its own, in the container's directory.
const BUILDAHS_NOTES: &str = "buildah.json";

impl Engine {
    /// Whether there is a container, by name, id or prefix; with `external` in the store too.
    ///
    /// # Errors
    /// The database or the store cannot be read; a prefix of several.
    pub fn container_exists(&self, name: &str, external: bool) -> Result<bool> {
        match self.database()?.find(name) {
            Ok(_) => Ok(true),
            Err(Error::ContainerUnknown { .. }) if external => {
                Ok(self.find_external(name)?.is_some())
            }
            Err(Error::ContainerUnknown { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether `remove` finds something under this name.
    ///
    /// # Errors
    /// As [`Engine::container_exists`].
    pub fn can_remove(&self, name: &str) -> Result<bool> {
        self.container_exists(name, true)
    }

    /// The containers that no record of ours names.
    pub(crate) fn external_containers(&self) -> Result<Vec<ContainerSummary>> {
        let known = self.container_names()?;
        let store = self.store()?;
        let images = store.images()?;
        let containers = store.containers()?;
        let foreign = containers
            .iter()
            .filter(|container| !known.iter().any(|(id, _)| id == container.id.as_str()));
        Ok(foreign
            .map(|container| {
                let image = container
                    .image
                    .as_ref()
                    .and_then(|id| images.get(id))
                    .and_then(|image| image.names.first().cloned());
                summary(
                    container,
                    image.unwrap_or_default(),
                    self.is_buildahs(&container.id),
                )
            })
            .collect())
    }

    /// Removes another engine's container from the store. Gives its id, or `None` where there is
    /// none of that name.
    ///
    /// # Errors
    /// One that is mounted, or that is not Buildah's, unless `force` is set: the engine it
    /// belongs to would go on to list it.
    pub(crate) fn remove_external(&self, name: &str, force: bool) -> Result<Option<String>> {
        let Some(container) = self.find_external(name)? else {
            return Ok(None);
        };
        let id = &container.id;
        let store = self.store()?;
        if !force && store.mount_count(&container.layer)? > 0 {
            return Err(Error::WrongState {
                text: format!(
                    "container \"{id}\" is mounted and cannot be removed without using force"
                ),
            });
        }
        if !force && !self.is_buildahs(id) {
            return Err(Error::WrongState {
                text: format!(
                    "container {id} belongs to another engine: remove it there, or with --force"
                ),
            });
        }
        store.unmount_all(&container.layer)?;
        self.store_mut()?.delete_container(id)?;
        Ok(Some(id.to_string()))
    }

    fn find_external(&self, name: &str) -> Result<Option<Container>> {
        let containers = self.store()?.containers()?;
        let named = |container: &&Container| container.names.iter().any(|other| other == name);
        if let Some(container) = containers.iter().find(named) {
            return Ok(Some(container.clone()));
        }
        let mut by_id = containers
            .iter()
            .filter(|container| !name.is_empty() && container.id.as_str().starts_with(name));
        match (by_id.next(), by_id.next()) {
            (Some(_), Some(_)) => Err(Error::Ambiguous {
                name: name.to_owned(),
            }),
            (found, _) => Ok(found.cloned()),
        }
    }

    fn is_buildahs(&self, id: &ContainerId) -> bool {
        self.store()
            .is_ok_and(|store| store.container_directory(id).join(BUILDAHS_NOTES).exists())
    }
}

fn summary(container: &Container, image: String, is_buildahs: bool) -> ContainerSummary {
    ContainerSummary {
        id: container.id.to_string(),
        name: container
            .names
            .first()
            .cloned()
            .unwrap_or_else(|| "unknown".to_owned()),
        image,
        image_id: container
            .image
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        command: vec![if is_buildahs { "buildah" } else { "storage" }.to_owned()],
        created: container.created.0,
        state: ContainerState::Storage,
        ..ContainerSummary::default()
    }
}
