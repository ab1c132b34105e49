//! `container clone`: another container like one that is there.

use minke_image::Progress;
use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::container::{MountKind, Resources};

use super::create::{CreateRequest, Created};
use super::record::Record;
use super::remove::RemoveRequest;
use crate::Engine;
use crate::error::{Error, Result};

/// What every made-up name of a clone ends in, before its number.
const SUFFIX: &str = "-clone";

/// How the new container differs.
#[derive(Debug, Clone, Default)]
pub struct CloneRequest {
    /// Its name; `None` makes one up from the other's.
    pub name: Option<String>,
    /// Its image; `None` is the very image of the other, whatever its name means now.
    pub image: Option<String>,
    /// Limits in place of the other's, those that are given.
    pub resources: Resources,
    /// Remove the other one once the new one is there.
    pub destroy: bool,
    /// Even if it runs.
    pub force: bool,
    /// How it is created.
    pub create: CreateRequest,
}

impl Engine {
    /// Creates a container with the configuration of `name`. Files it has changed stay with it;
    /// named volumes are shared, the others are made anew.
    ///
    /// # Errors
    /// As [`Engine::create`]; [`Error::Running`] where the other one is to be destroyed and runs,
    /// unless `force` is set: nothing is made then.
    pub fn clone_container(
        &self,
        name: &str,
        request: &CloneRequest,
        progress: &dyn Progress,
    ) -> Result<Created> {
        let record = self.find(name)?;
        if request.destroy && !request.force {
            self.refuse_alive(&record)?;
        }
        let spec = self.cloned_spec(&record, request)?;
        let created = self.create(&spec, &request.create, progress)?;
        if request.destroy {
            let remove = RemoveRequest {
                force: request.force,
                ..RemoveRequest::default()
            };
            self.remove(&record.id, &remove)?;
        }
        Ok(created)
    }

    fn refuse_alive(&self, record: &Record) -> Result<()> {
        let state = self.status(record).0;
        if !state.is_alive() {
            return Ok(());
        }
        let state = match state {
            super::status::ContainerState::Paused => "paused",
            _ => "running",
        };
        Err(Error::Running {
            id: record.id.clone(),
            state,
        })
    }

    fn cloned_spec(&self, record: &Record, request: &CloneRequest) -> Result<ContainerSpec> {
        let mut spec = record.config.spec.clone();
        spec.name = Some(match &request.name {
            Some(name) => name.clone(),
            None => self.clone_name(&record.name)?,
        });
        match &request.image {
            Some(image) => {
                spec.image.clone_from(image);
                spec.rootfs = None;
            }
            None if spec.rootfs.is_some() => {}
            None => {
                let same = self
                    .find_image(&spec.image)
                    .is_ok_and(|found| found.id.as_str() == record.config.image_id);
                if !same {
                    spec.image.clone_from(&record.config.image_id);
                }
            }
        }
        let anonymous = &record.config.anonymous_volumes;
        for mount in &mut spec.mounts {
            if let MountKind::Volume { name } = &mut mount.kind
                && name.as_ref().is_some_and(|name| anonymous.contains(name))
            {
                *name = None;
            }
        }
        spec.resources = spec.resources.overlaid(request.resources.clone());
        Ok(spec)
    }

    /// `web` gives `web-clone`, then `web-clone1`; so does any clone of `web`.
    fn clone_name(&self, name: &str) -> Result<String> {
        let names = self.container_names()?;
        let is_free = |wanted: &str| names.iter().all(|(_, name)| name != wanted);
        let base = match name.find(SUFFIX) {
            Some(at) => &name[..at],
            None => name,
        };
        let first = format!("{base}{SUFFIX}");
        let numbered = (1..=names.len() + 1).map(|number| format!("{first}{number}"));
        let mut candidates = std::iter::once(first.clone()).chain(numbered);
        Ok(candidates
            .find(|name| is_free(name))
            .expect("there are more candidates than names"))
    }
}
