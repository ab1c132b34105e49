//! Taking away images and containers with the layers nobody else needs.

use std::collections::{HashMap, HashSet};

use crate::mapped::is_unnamed;
use crate::tempdir::remove_tree;
use crate::{
    Container, ContainerId, Containers, Error, Image, ImageId, Images, Index, LayerId, Layers,
    Record, Result, Store,
};

impl Store {
    /// Removes an image and those of its layers that no other image or container needs; gives
    /// the layers removed.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`]; [`Error::ImageInUse`] by a container.
    pub fn delete_image(&mut self, id: &ImageId) -> Result<Vec<LayerId>> {
        let mut layers = self.write_layers()?;
        let mut images = Images::lock(layers.inner)?;
        let containers = Containers::lock(layers.inner)?;
        let image = images
            .get(id)
            .cloned()
            .ok_or_else(|| Image::unknown(id.as_str()))?;
        if let Some(container) = containers.user_of(&image) {
            let container = container.id.clone();
            return Err(Error::ImageInUse {
                id: id.clone(),
                container,
            });
        }
        let unneeded = unneeded_layers(&image, &layers, &images, &containers);
        images.delete(id)?;
        drop((images, containers));
        layers.delete_all(&unneeded)?;
        Ok(unneeded)
    }

    /// Removes a container: its record, its layer and its directories. It is unmounted first.
    ///
    /// # Errors
    /// [`Error::ContainerUnknown`]; [`Error::LayerInUse`] if layers were put upon its own.
    pub fn delete_container(&mut self, id: &ContainerId) -> Result<()> {
        let containers = self.containers()?;
        let container = containers
            .get(id)
            .ok_or_else(|| Container::unknown(id.as_str()))?;
        let layer = container.layer.clone();
        self.unmount_all(&layer)?;
        let directories = [
            self.inner().container_directory(id),
            self.inner().container_run_directory(id),
        ];
        let mut layers = self.write_layers()?;
        if let Some(child) = layers
            .iter()
            .find(|other| other.parent.as_ref() == Some(&layer))
        {
            let user = format!("layer {}", child.id.short());
            return Err(Error::LayerInUse { id: layer, user });
        }
        layers.containers()?.delete(id)?;
        match layers.delete(&layer) {
            Err(Error::LayerUnknown { .. }) => {}
            result => result?,
        }
        drop(layers);
        for directory in directories {
            remove_tree(&directory).map_err(Error::io("remove", directory))?;
        }
        Ok(())
    }
}

/// The layers of `image` that nobody else needs, from the top down.
fn unneeded_layers(
    image: &Image,
    layers: &Layers<'_>,
    images: &Index<Image>,
    containers: &Index<Container>,
) -> Vec<LayerId> {
    let mut children: HashMap<&LayerId, Vec<&LayerId>> = HashMap::new();
    for layer in layers.iter() {
        if let Some(parent) = &layer.parent {
            children.entry(parent).or_default().push(&layer.id);
        }
    }
    let others = images.iter().filter(|other| other.id != image.id);
    let needed: HashSet<&LayerId> = others
        .flat_map(|other| other.top_layer.iter().chain(&other.mapped_top_layers))
        .collect();
    let mut unneeded = image.mapped_top_layers.clone();
    unneeded.retain(|id| layers.get(id).is_some());
    if let Some(top) = image.top_layer.as_ref().and_then(|id| layers.get(id)) {
        let unnamed = layers.iter().filter(|layer| {
            let is_used = children.contains_key(&layer.id);
            !is_used && is_unnamed(layer, top, images)
        });
        unneeded.extend(unnamed.map(|layer| layer.id.clone()));
    }
    let mut next = image.top_layer.as_ref();
    while let Some(layer) = next.and_then(|id| layers.get(id)) {
        let has_others = children
            .get(&layer.id)
            .is_some_and(|children| children.iter().any(|child| !unneeded.contains(child)));
        if has_others || needed.contains(&layer.id) || containers.by_layer(&layer.id).is_some() {
            break;
        }
        unneeded.push(layer.id.clone());
        next = layer.parent.as_ref();
    }
    unneeded
}
