//! `rmi`: names, and with the last name the image.

use crate::Engine;
use crate::container::remove::RemoveRequest;
use crate::error::{Error, Result};

/// How to remove an image.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveImageRequest {
    /// Remove every name, and the containers made of it, first.
    pub force: bool,
}

/// What a removal took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovedImage {
    /// Names.
    pub untagged: Vec<String>,
    /// Ids of images.
    pub deleted: Vec<String>,
}

impl Engine {
    /// Removes a name of an image, and the image with its last one.
    ///
    /// # Errors
    /// [`Error::ImageInUse`] and [`Error::ImageHasNames`] unless `force` is set.
    pub fn remove_image(&self, name: &str, request: &RemoveImageRequest) -> Result<RemovedImage> {
        let found = self.find_image(name)?;
        let image = &found.record;
        let mut removed = RemovedImage::default();
        if let Some(name) = &found.name
            && image.names.len() > 1
            && image.names.contains(name)
            && !request.force
        {
            self.store_mut()?
                .write_images()?
                .remove_names(&image.id, std::slice::from_ref(name))?;
            removed.untagged.push(name.clone());
            return Ok(removed);
        }
        // An id, or a digest: either means the image, and there are names it would lose.
        if image.names.len() > 1 && !request.force {
            return Err(Error::ImageHasNames {
                id: image.id.to_string(),
                names: image.names.clone(),
            });
        }
        self.release(&image.id, request)?;
        self.store_mut()?.delete_image(&image.id)?;
        removed.untagged.clone_from(&image.names);
        removed.deleted.push(image.id.to_string());
        Ok(removed)
    }

    /// Removes the containers of an image, or refuses.
    fn release(&self, id: &minke_storage::ImageId, request: &RemoveImageRequest) -> Result<()> {
        let containers = self.store()?.containers()?;
        for container in containers.iter() {
            if container.image.as_ref() != Some(id) {
                continue;
            }
            let used = || Error::ImageInUse {
                container: container.id.to_string(),
            };
            if !request.force {
                return Err(used());
            }
            let remove = RemoveRequest {
                force: true,
                ..RemoveRequest::default()
            };
            match self.remove(container.id.as_str(), &remove) {
                // Podman's or Buildah's: theirs to remove.
                Err(Error::NothingToRemove { .. }) => return Err(used()),
                result => result.map(drop)?,
            }
        }
        Ok(())
    }
}
