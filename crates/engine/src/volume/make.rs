//! `volume create`, and volumes that containers ask for.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use minke_sys::atomic::{self, ReplaceOptions};

use super::{DATA, Volume, check_name};
use crate::Engine;
use crate::engine::make_private_dir;
use crate::error::{Error, Result};

/// The file with what we know of a volume.
const RECORD: &str = "minke.json";

/// A record is a few hundred bytes, and labels.
const MAX_RECORD_BYTES: u64 = 4 << 20;

/// How to make a volume.
#[derive(Debug, Clone, Default)]
pub struct VolumeRequest {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Options of its driver; none are known yet.
    pub options: BTreeMap<String, String>,
    /// Take one that is there already as it is.
    pub existing_is_fine: bool,
    /// Nobody named it: it goes with its container.
    pub anonymous: bool,
}

impl Engine {
    /// Makes a volume.
    ///
    /// # Errors
    /// [`Error::VolumeNameInvalid`]; [`Error::VolumeExists`]; an option that is not known.
    pub fn create_volume(&self, name: &str, request: &VolumeRequest) -> Result<Volume> {
        check_name(name)?;
        if let Some(option) = request.options.keys().next() {
            return Err(Error::Unsupported {
                what: format!("the volume option {option}"),
            });
        }
        let _lock = self.lock_volume(name)?;
        if let Some(found) = self.read_volume(name)? {
            if request.existing_is_fine {
                return Ok(found);
            }
            return Err(Error::VolumeExists {
                name: name.to_owned(),
            });
        }
        let dir = self.volume_dir(name);
        make_private_dir(&self.volumes_dir())?;
        make_private_dir(&dir)?;
        let data = dir.join(DATA);
        match fs::create_dir(&data) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::path("create", data)(error));
            }
            _ => {}
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&data, mode).map_err(Error::path("set the mode of", &data))?;
        let mut volume = Volume::new(name);
        volume.labels.clone_from(&request.labels);
        volume.anonymous = request.anonymous;
        volume.mountpoint = data;
        self.write_volume(&volume)?;
        Ok(volume)
    }

    /// Reads a volume by its full name; `None` if there is none.
    pub(crate) fn read_volume(&self, name: &str) -> Result<Option<Volume>> {
        let dir = self.volume_dir(name);
        let data = dir.join(DATA);
        let there = match fs::symlink_metadata(&data) {
            Ok(meta) if meta.is_dir() => meta,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::path("examine", data)(source)),
        };
        let mut volume = match read_bounded(&dir.join(RECORD)) {
            Ok(Some(text)) => {
                serde_json::from_slice::<Volume>(&text).map_err(|source| Error::Record {
                    object: format!("volume {name}"),
                    source,
                })?
            }
            Ok(None) => {
                let made = there.created().or_else(|_| there.modified()).ok();
                let made = made.and_then(|time| Timestamp::try_from(time).ok());
                Volume::foreign(name, made.unwrap_or(Timestamp::UNIX_EPOCH))
            }
            Err(error) => return Err(error),
        };
        volume.mountpoint = data;
        Ok(Some(volume))
    }

    /// Writes what is known of a volume; its lock is held.
    pub(crate) fn write_volume(&self, volume: &Volume) -> Result<()> {
        let text = serde_json::to_vec(volume).map_err(|source| Error::Record {
            object: format!("volume {}", volume.name),
            source,
        })?;
        let path = self.volume_dir(&volume.name).join(RECORD);
        atomic::replace(&path, &text, &ReplaceOptions::default())
            .map_err(Error::path("write", path))
    }
}

fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>> {
    use std::io::Read;
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::path("open", path)(source)),
    };
    let mut text = Vec::new();
    file.take(MAX_RECORD_BYTES)
        .read_to_end(&mut text)
        .map_err(Error::path("read", path))?;
    Ok(Some(text))
}
