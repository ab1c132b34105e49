//! What is stored of a volume.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Options of its driver.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Made for one container, which nobody named.
    #[serde(default)]
    pub anonymous: bool,
    /// The directory of its content.
    #[serde(skip)]
    pub mountpoint: PathBuf,
    /// Whether it takes over what the first image has at its mount point.
    #[serde(default)]
    pub(crate) needs_copy_up: bool,
    /// Whether it takes over owner and mode of that.
    #[serde(default)]
    pub(crate) needs_chown: bool,
    /// A copy began: until it ended what is there is not the user's.
    #[serde(default)]
    pub(crate) copying: bool,
}

impl Volume {
    /// One that is new.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            created: Timestamp::now(),
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            anonymous: false,
            mountpoint: PathBuf::new(),
            needs_copy_up: true,
            needs_chown: true,
            copying: false,
        }
    }

    /// One of another engine, of which we know its directory.
    pub(crate) fn foreign(name: &str, created: Timestamp) -> Self {
        Self {
            created,
            needs_copy_up: false,
            needs_chown: false,
            ..Self::new(name)
        }
    }
}
