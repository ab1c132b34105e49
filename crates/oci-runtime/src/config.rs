//! config.json, read with a bound and checked for what this runtime cannot honour.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// More than any configuration needs; less than would hurt.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// A bundle and its configuration.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub dir: PathBuf,
    pub spec: Spec,
}

impl Bundle {
    /// Opens the bundle in `dir`.
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = dir
            .canonicalize()
            .map_err(Error::path("open bundle", dir))?;
        let spec: Spec = read_json(&dir.join("config.json"))?;
        check(&spec)?;
        Ok(Self { dir, spec })
    }

    /// The root file system's path on the host.
    pub fn rootfs(&self) -> Result<PathBuf> {
        let root = self
            .spec
            .root()
            .as_ref()
            .ok_or_else(|| Error::config("root is missing"))?;
        Ok(self.dir.join(root.path()))
    }

    /// Whether the process wants a terminal.
    pub fn has_terminal(&self) -> bool {
        self.process()
            .is_ok_and(|process| process.terminal().unwrap_or(false))
    }

    /// The process section.
    pub fn process(&self) -> Result<&Process> {
        self.spec
            .process()
            .as_ref()
            .ok_or_else(|| Error::config("process is missing"))
    }
}

/// Reads a JSON file of at most 16 MiB.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let file = File::open(path).map_err(Error::path("open", path))?;
    let mut text = Vec::new();
    file.take(MAX_CONFIG_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(Error::path("read", path))?;
    if text.len() as u64 > MAX_CONFIG_BYTES {
        return Err(Error::config(format!(
            "{} is larger than 16 MiB",
            path.display()
        )));
    }
    serde_json::from_slice(&text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source,
    })
}

fn check(spec: &Spec) -> Result<()> {
    if !spec.version().starts_with("1.") {
        return Err(Error::config(format!(
            "ociVersion {} is not 1.x",
            spec.version()
        )));
    }
    let Some(linux) = spec.linux() else {
        return Err(Error::config("linux is missing"));
    };
    let unsupported = |what: &str| Err(Error::Unsupported { what: what.into() });
    if linux
        .mount_label()
        .as_deref()
        .is_some_and(|label| !label.is_empty())
    {
        return unsupported("linux.mountLabel");
    }
    if linux.intel_rdt().is_some() {
        return unsupported("linux.intelRdt");
    }
    if let Some(hooks) = spec.hooks() {
        let given = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if given(hooks.start_container()) {
            return unsupported("a startContainer hook");
        }
    }
    Ok(())
}
