//! `volume ls`, `volume inspect`: which volumes there are, and who uses them.

use std::fs;
use std::io;

use minke_runtime_spec::container::MountKind;

use super::{Volume, check_name};
use crate::Engine;
use crate::container::record::Record;
use crate::error::{Error, Result};

impl Engine {
    /// A volume by its name, or by the beginning of one that no other has.
    ///
    /// # Errors
    /// [`Error::VolumeUnknown`]; [`Error::VolumeAmbiguous`].
    pub fn volume(&self, name: &str) -> Result<Volume> {
        if check_name(name).is_ok()
            && let Some(found) = self.read_volume(name)?
        {
            return Ok(found);
        }
        let all = self.volumes()?;
        let mut found = all
            .into_iter()
            .filter(|volume| !name.is_empty() && volume.name.starts_with(name));
        match (found.next(), found.next()) {
            (Some(volume), None) => Ok(volume),
            (Some(_), Some(_)) => Err(Error::VolumeAmbiguous {
                name: name.to_owned(),
            }),
            _ => Err(Error::VolumeUnknown {
                name: name.to_owned(),
            }),
        }
    }

    /// Every volume, by name. One whose record cannot be read is left out and told of.
    ///
    /// # Errors
    /// The directory of volumes cannot be read.
    pub fn volumes(&self) -> Result<Vec<Volume>> {
        let dir = self.volumes_dir();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::path("read", dir)(source)),
        };
        let mut volumes = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| check_name(name).is_ok()) else {
                continue;
            };
            match self.read_volume(name) {
                Ok(volume) => volumes.extend(volume),
                Err(error) => tracing::warn!(volume = name, error = %error.chain(), "left out"),
            }
        }
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    /// The ids of the containers that use a volume.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn volume_users(&self, name: &str) -> Result<Vec<String>> {
        let records = self.database()?.all()?;
        let users = records.into_iter().filter(|record| uses(record, name));
        Ok(users.map(|record| record.id).collect())
    }
}

fn uses(record: &Record, name: &str) -> bool {
    let mut mounts = record.config.spec.mounts.iter();
    mounts.any(|mount| matches!(&mount.kind, MountKind::Volume { name: Some(own) } if own == name))
}
