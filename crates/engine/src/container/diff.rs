//! `diff`: what a container or an image has changed of what it was made from.

use minke_storage::{Change, LayerId};

use crate::Engine;
use crate::error::{Error, Result};

/// Where the engine and the runtime put mounts and files of their own: nobody's changes. The
/// list is Podman's.
const NOT_OF_THE_USER: &[&str] = &[
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/run",
    "/run/.containerenv",
    "/run/notify",
    "/run/podman-init",
    "/run/secrets",
    "/sys",
];

/// What a name may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiffKind {
    /// A container, or where there is none of that name an image, or a layer's id.
    #[default]
    Any,
    /// A container.
    Container,
    /// An image.
    Image,
}

/// How to compare.
#[derive(Debug, Clone, Default)]
pub struct DiffRequest {
    /// What the names are of.
    pub kind: DiffKind,
    /// What to compare with; `None` is what it was made from: a container's image, an image's
    /// last layer but one.
    pub base: Option<String>,
}

impl Engine {
    /// The paths that differ, in the order of a walk.
    ///
    /// # Errors
    /// [`Error::DiffUnknown`]; a layer that cannot be read.
    pub fn diff(&self, name: &str, request: &DiffRequest) -> Result<Vec<Change>> {
        let base = match &request.base {
            Some(base) => Some(self.layer_to_compare(base, request.kind)?),
            None => None,
        };
        let layer = self.layer_to_compare(name, request.kind)?;
        let mut changes = self.store()?.changes(&layer, base.as_ref())?;
        changes.retain(|change| {
            let mut left_out = NOT_OF_THE_USER.iter();
            !left_out.any(|path| change.path.as_os_str() == *path)
        });
        Ok(changes)
    }

    fn layer_to_compare(&self, name: &str, kind: DiffKind) -> Result<LayerId> {
        if kind != DiffKind::Image {
            match self.find(name) {
                Ok(record) => return Ok(record.config.layer.parse()?),
                Err(Error::ContainerUnknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let unknown = |what: String| Error::DiffUnknown {
            name: name.to_owned(),
            what,
        };
        if kind == DiffKind::Container {
            return Err(unknown("container not known".to_owned()));
        }
        match self.find_image(name) {
            Ok(found) => found
                .record
                .top_layer
                .ok_or_else(|| unknown("it has no layer".to_owned())),
            Err(error @ Error::ImageUnknown { .. }) if kind == DiffKind::Image => {
                Err(unknown(error.to_string()))
            }
            Err(_) if kind == DiffKind::Image => Err(unknown("image not known".to_owned())),
            Err(_) => match self.store()?.layers()?.get(name) {
                Some(layer) => Ok(layer.id.clone()),
                None => Err(unknown("layer not known".to_owned())),
            },
        }
    }
}
