//! The files that decide about images: registries.conf, policy.json, auth.json.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minke_image::auth::AuthFile;
use minke_image::registries::ConfigText;
use minke_image::{Policy, Registries};

use crate::error::{Error, Result};
use crate::options::Surroundings;

/// Reads registries.conf with its drop-ins, the weakest first.
pub(crate) fn registries(surroundings: &Surroundings) -> Result<Registries> {
    let mut texts = Vec::new();
    for path in registries_files(surroundings) {
        if let Some(text) = read(&path)? {
            texts.push((path.display().to_string(), text));
        }
    }
    let files: Vec<ConfigText<'_>> = texts
        .iter()
        .map(|(path, text)| ConfigText { path, text })
        .collect();
    Ok(Registries::parse(&files)?)
}

fn registries_files(surroundings: &Surroundings) -> Vec<PathBuf> {
    let named = surroundings
        .variable("CONTAINERS_REGISTRIES_CONF")
        .or_else(|| surroundings.variable("REGISTRIES_CONFIG_PATH"));
    if let Some(path) = named {
        return vec![PathBuf::from(path)];
    }
    let etc = PathBuf::from("/etc/containers");
    let own = surroundings.config_home().join("containers");
    let base = if surroundings.uid != 0 && own.join("registries.conf").exists() {
        &own
    } else {
        &etc
    };
    let mut files = vec![base.join("registries.conf")];
    files.extend(conf_files(&etc.join("registries.conf.d")));
    if surroundings.uid != 0 {
        files.extend(conf_files(&own.join("registries.conf.d")));
    }
    files
}

fn conf_files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "conf"))
        .collect();
    found.sort();
    found
}

/// Reads policy.json: the user's, else the host's. A host without one takes any image, as a
/// fresh Docker does; one whose file is wrong takes none.
pub(crate) fn policy(surroundings: &Surroundings, asked: Option<&Path>) -> Result<Policy> {
    if let Some(path) = asked {
        let text = read(path)?
            .ok_or_else(|| Error::invalid(format!("open {}: no such file", path.display())))?;
        return Ok(Policy::parse(&text, &path.display().to_string())?);
    }
    let mut files = vec![PathBuf::from("/etc/containers/policy.json")];
    if surroundings.uid != 0 {
        let own = surroundings.config_home().join("containers/policy.json");
        files.insert(0, own);
    }
    for path in files {
        if let Some(text) = read(&path)? {
            return Ok(Policy::parse(&text, &path.display().to_string())?);
        }
    }
    Ok(Policy::accept_anything())
}

/// Reads the files that may hold credentials, the strongest first.
pub(crate) fn auth_files(
    surroundings: &Surroundings,
    asked: Option<&Path>,
) -> Result<Vec<AuthFile>> {
    let named = asked.map(Path::to_owned).or_else(|| {
        surroundings
            .variable("REGISTRY_AUTH_FILE")
            .map(PathBuf::from)
    });
    let paths = match named {
        Some(path) => vec![path],
        None => vec![
            if surroundings.uid == 0 {
                PathBuf::from("/run/containers/0/auth.json")
            } else {
                surroundings.runtime_dir().join("containers/auth.json")
            },
            surroundings.config_home().join("containers/auth.json"),
            surroundings.home().join(".docker/config.json"),
        ],
    };
    let mut files = Vec::new();
    for path in paths {
        if let Some(text) = read(&path)? {
            files.push(AuthFile::parse(&text, &path.display().to_string())?);
        }
    }
    Ok(files)
}

/// Configuration larger than this is a mistake.
const MAX_BYTES: u64 = 4 << 20;

fn read(path: &Path) -> Result<Option<String>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::path("examine", path)(source)),
        Ok(meta) if meta.len() > MAX_BYTES => {
            return Err(Error::invalid(format!(
                "{} is larger than 4 MiB",
                path.display()
            )));
        }
        Ok(_) => {}
    }
    fs::read_to_string(path)
        .map(Some)
        .map_err(Error::path("read", path))
}

impl crate::Engine {
    /// Registries that short names are looked for in, for `info`.
    pub(crate) fn search_registries(&self) -> Result<serde_json::Value> {
        let registries = registries(&self.options.surroundings)?;
        Ok(serde_json::json!({"search": registries.search_registries()}))
    }
}
