//! `image inspect`: everything about one image, in Podman's shape.

use serde_json::{Value, json};

use super::list::{repository_digests, size};
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// One element of the array that `podman image inspect` prints.
    ///
    /// # Errors
    /// [`Error::ImageUnknown`]; a damaged config.
    pub fn inspect_image(&self, name: &str) -> Result<Value> {
        let image = self.find_image(name)?.record;
        let store = self.store()?;
        let config = self.image_config(&image)?;
        let layers = store.layers()?;
        let size = size(image.top_layer.as_ref(), &layers);
        let manifest = store.image_big_data(&image.id, "manifest")?;
        let manifest: Value =
            serde_json::from_slice(&manifest).map_err(|source| Error::Record {
                object: format!("the manifest of image {}", image.id),
                source,
            })?;
        let manifest_type = match manifest["mediaType"].as_str() {
            Some(kind) => kind.to_owned(),
            None => "application/vnd.oci.image.manifest.v1+json".to_owned(),
        };
        let graph = image
            .top_layer
            .as_ref()
            .map(|top| json!({"UpperDir": store.changes_directory(top)}));
        Ok(json!({
            "Id": image.id.to_string(),
            "Digest": image.digest.as_ref().map(ToString::to_string).unwrap_or_default(),
            "RepoTags": image.names,
            "RepoDigests": repository_digests(&image),
            "Parent": "",
            "Comment": config.comment,
            "Created": config.created,
            "Config": config.config,
            "Version": config.docker_version,
            "Author": config.author,
            "Architecture": config.architecture,
            "Os": config.os,
            "Size": size,
            "VirtualSize": size,
            "GraphDriver": {"Name": self.places.store.driver, "Data": graph},
            "RootFS": {"Type": "layers", "Layers": config.rootfs.diff_ids},
            "Labels": config.config.labels,
            "Annotations": manifest["annotations"],
            "ManifestType": manifest_type,
            "User": config.config.user,
            "History": config.history,
            "NamesHistory": image.names_history,
        }))
    }
}
