//! Images in registries, to read.

use std::io::Read;

use super::{Access, Registry, RegistryOptions};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::manifest::RawManifest;
use crate::name::ImageName;
use crate::reference::ImageReference;
use crate::registries::Endpoint;
use crate::transport::ImageSource;

/// An image in a registry, or in one of its mirrors.
#[derive(Debug)]
pub struct RegistrySource {
    name: ImageName,
    registry: Registry,
    /// The manifest the tag stood for when it was opened: it stands for it until the end.
    manifest: RawManifest,
}

impl RegistrySource {
    /// Opens `reference` in its own registry.
    ///
    /// # Errors
    /// As [`Registry::connect`] and [`Registry::manifest`].
    pub fn open(reference: &ImageReference, options: &RegistryOptions) -> Result<Self> {
        let place = Endpoint {
            reference: reference.clone(),
            insecure: options.insecure,
        };
        Self::open_at(reference, &[place], options)
    }

    /// Opens `reference` at the first of `places` that has it: see
    /// [`crate::registries::Registries::endpoints`]. `options.insecure` holds for all of them.
    ///
    /// # Errors
    /// The last place's error, which is the registry's own; those of mirrors are logged.
    pub fn open_at(
        reference: &ImageReference,
        places: &[Endpoint],
        options: &RegistryOptions,
    ) -> Result<Self> {
        let mut last = None;
        for place in places {
            if let Some(error) = last.take() {
                tracing::warn!(error = &error as &dyn std::error::Error, "a mirror failed");
            }
            match Self::open_place(reference, place, options) {
                Ok(source) => return Ok(source),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::InvalidReference {
            text: reference.to_string(),
            problem: "no place to look for it",
        }))
    }

    fn open_place(
        reference: &ImageReference,
        place: &Endpoint,
        options: &RegistryOptions,
    ) -> Result<Self> {
        let mut options = options.clone();
        options.insecure |= place.insecure;
        let registry = Registry::connect(&place.reference, Access::Pull, &options)?;
        let manifest = registry.manifest(place.reference.tag_or_digest())?;
        Ok(RegistrySource {
            name: ImageName::Docker(reference.clone()),
            registry,
            manifest,
        })
    }

    /// The connection, for reading other things of the repository.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl ImageSource for RegistrySource {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn manifest(&self, instance: Option<&Digest>) -> Result<RawManifest> {
        match instance {
            None => Ok(self.manifest.clone()),
            Some(digest) => self.registry.manifest(digest.as_str()),
        }
    }

    fn blob(&self, blob: &Descriptor, start_bytes: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.registry.blob(blob, start_bytes)?))
    }
}
