//! Devices by the names of the Container Device Interface.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use minke_runtime_spec::cdi::{Document, Edits, Format, Nodes, Registry};
use oci_spec::runtime::Spec;

use super::devices;
use crate::Engine;
use crate::error::{Error, Result};

/// Where files are looked for; later directories win.
const DIRECTORIES: &[&str] = &["/etc/cdi", "/var/run/cdi"];

/// A larger file is none.
const MAX_BYTES: u64 = 4 << 20;

impl Engine {
    /// Gives `spec` what the devices of these names ask for.
    ///
    /// # Errors
    /// A device that is not to be found, in the words of Podman; a node that is not there.
    pub(crate) fn add_cdi_devices(&self, spec: &mut Spec, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let edits = self.cdi_edits(names)?;
        let mut nodes = BTreeMap::new();
        for path in edits.host_nodes() {
            if let Ok(Some(node)) = devices::node(Path::new(path)) {
                nodes.insert(path.to_owned(), node);
            }
        }
        let how = match self.places.rootless {
            true => Nodes::Mounted,
            false => Nodes::Made,
        };
        Ok(edits.apply(spec, &nodes, how)?)
    }

    /// What devices of these names ask for; a file that is not of its form is told of, and its
    /// devices are not there.
    pub(crate) fn cdi_edits(&self, names: &[String]) -> Result<Edits> {
        let mut registry = Registry::default();
        for (priority, dir) in self.cdi_directories()?.iter().enumerate() {
            let entries = match fs::read_dir(dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(Error::path("read", dir)(source)),
            };
            for path in entries.flatten().map(|entry| entry.path()) {
                match load(&path) {
                    Ok(Some(document)) => registry.add(priority, document),
                    Ok(None) => {}
                    Err(what) => tracing::warn!(path = %path.display(), %what, "no CDI file"),
                }
            }
        }
        registry
            .resolve(names)
            .map_err(|error| Error::invalid(format!("setting up CDI devices: {error}")))
    }

    fn cdi_directories(&self) -> Result<Vec<PathBuf>> {
        if let Some(asked) = &self.options.cdi_spec_dirs {
            return Ok(asked.clone());
        }
        if let Some(configured) = &self.conf()?.cdi_spec_dirs {
            return Ok(configured.clone());
        }
        Ok(DIRECTORIES.iter().map(PathBuf::from).collect())
    }
}

/// `None` for a file of another kind.
fn load(path: &Path) -> std::result::Result<Option<Document>, String> {
    let format = match path.extension().and_then(|ext| ext.to_str()) {
        Some("json") => Format::Json,
        Some("yaml" | "yml") => Format::Yaml,
        _ => return Ok(None),
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    let read = read.map_err(|error| error.to_string())?;
    if read as u64 > MAX_BYTES {
        return Err(format!("longer than {MAX_BYTES} bytes"));
    }
    Document::parse(&text, format)
        .map(Some)
        .map_err(|error| error.to_string())
}
