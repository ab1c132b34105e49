//! `containers-registries.conf(5)`: where names lead.
//!
//! Two steps: [`Registries::resolve`] turns what a user typed into candidates;
//! [`Registries::endpoints`] turns one candidate into the places to fetch it from.

mod endpoint;
mod short_name;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use endpoint::Endpoint;
pub use short_name::{Rationale, Resolution};

use crate::error::{Error, Result};
use crate::reference::ImageReference;

/// What to do with a short name that several registries may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShortNameMode {
    /// Ask on a terminal, refuse without one.
    Enforcing,
    /// Ask on a terminal, try all without one.
    #[default]
    Permissive,
    /// Try all, and use no aliases.
    Disabled,
}

/// One configuration file that was read.
#[derive(Debug, Clone, Copy)]
pub struct ConfigText<'a> {
    /// Its path, for messages.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// The merged configuration.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    main_path: String,
    search: Vec<String>,
    mode: ShortNameMode,
    aliases: BTreeMap<String, Alias>,
    tables: BTreeMap<String, Table>,
}

#[derive(Debug, Clone)]
struct Alias {
    target: ImageReference,
    path: String,
}

#[derive(Debug, Clone)]
struct Table {
    prefix: String,
    location: Option<String>,
    insecure: bool,
    blocked: bool,
    mirrors: Vec<Mirror>,
    path: String,
}

#[derive(Debug, Clone)]
struct Mirror {
    location: String,
    insecure: bool,
    serves: Serves,
}

/// For which references a mirror is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Serves {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Wire {
    unqualified_search_registries: Option<Vec<String>>,
    short_name_mode: Option<ShortNameMode>,
    #[serde(default)]
    registry: Vec<WireRegistry>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    /// The section of format version 1.
    registries: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireRegistry {
    prefix: Option<String>,
    location: Option<String>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<WireMirror>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireMirror {
    location: String,
    #[serde(default)]
    insecure: bool,
    pull_from_mirror: Option<Serves>,
}

impl Registries {
    /// Parses the main file and its drop-ins, in the order in which later ones override:
    /// scalar keys and the search list replace, `registry` tables replace those of the same
    /// prefix, aliases merge.
    ///
    /// # Errors
    /// [`Error::Config`] names the file and the problem.
    pub fn parse(files: &[ConfigText<'_>]) -> Result<Self> {
        let mut merged = Registries {
            main_path: files.first().map_or("", |file| file.path).to_owned(),
            ..Registries::default()
        };
        for file in files {
            merged.add(file).map_err(|problem| Error::Config {
                what: file.path.to_owned(),
                problem,
            })?;
        }
        Ok(merged)
    }

    /// The registries in which short names are searched, in order.
    pub fn search_registries(&self) -> &[String] {
        &self.search
    }

    /// What is done with ambiguous short names.
    pub fn short_name_mode(&self) -> ShortNameMode {
        self.mode
    }

    fn add(&mut self, file: &ConfigText<'_>) -> Result<(), String> {
        let wire: Wire = toml::from_str(file.text).map_err(|error| error.to_string())?;
        if wire.registries.is_some() {
            return Err("format version 1 (the [registries] section) is not supported".to_owned());
        }
        if let Some(search) = wire.unqualified_search_registries {
            self.search = search
                .into_iter()
                .map(checked_host)
                .collect::<Result<_, _>>()?;
        }
        if let Some(mode) = wire.short_name_mode {
            self.mode = mode;
        }
        for registry in wire.registry {
            let table = registry.into_table(file.path)?;
            self.tables.insert(table.prefix.clone(), table);
        }
        for (name, target) in wire.aliases {
            self.add_alias(name, &target, file.path)?;
        }
        Ok(())
    }

    /// An empty target takes an alias back.
    fn add_alias(&mut self, name: String, target: &str, path: &str) -> Result<(), String> {
        if target.is_empty() {
            self.aliases.remove(&name);
            return Ok(());
        }
        let parsed: ImageReference = target.parse().map_err(|error: Error| error.to_string())?;
        let qualified = target.split('/').next().is_some_and(is_host);
        if !qualified || parsed.tag().is_some() || parsed.digest().is_some() {
            return Err(format!(
                "the alias {name:?} must lead to a qualified repository, not {target:?}"
            ));
        }
        let path = path.to_owned();
        let target = parsed;
        self.aliases.insert(name, Alias { target, path });
        Ok(())
    }
}

impl WireRegistry {
    fn into_table(self, path: &str) -> Result<Table, String> {
        let location = self.location.filter(|location| !location.is_empty());
        let location = location.map(checked_host).transpose()?;
        let prefix = match self.prefix.filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => trimmed(&prefix),
            None => location
                .clone()
                .ok_or("a registry has neither prefix nor location")?,
        };
        if prefix.starts_with("*.") && prefix.contains('/') {
            return Err(format!("the wildcard prefix {prefix:?} must be a host"));
        }
        let by_digest = self.mirror_by_digest_only;
        let mirrors = self.mirror.into_iter().map(|mirror| {
            Ok::<_, String>(Mirror {
                location: checked_host(mirror.location)?,
                insecure: mirror.insecure,
                serves: match mirror.pull_from_mirror {
                    _ if by_digest => Serves::DigestOnly,
                    serves => serves.unwrap_or_default(),
                },
            })
        });
        Ok(Table {
            mirrors: mirrors.collect::<Result<_, _>>()?,
            prefix,
            location,
            insecure: self.insecure,
            blocked: self.blocked,
            path: path.to_owned(),
        })
    }
}

fn trimmed(location: &str) -> String {
    location.trim_end_matches('/').to_owned()
}

/// A location is `host[:port][/path]`, without a scheme.
fn checked_host(location: String) -> Result<String, String> {
    let location = trimmed(&location);
    let probe = format!("{location}/x");
    let fits = |r: ImageReference| r.repository().starts_with(&location) || location == "docker.io";
    if !location.contains("://") && probe.parse().is_ok_and(fits) {
        return Ok(location);
    }
    Err(format!("invalid registry location {location:?}"))
}

fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_files_are_named() {
        for text in [
            "unqualified-search-registries = 3",
            "unqualified-search-registries = ['https://x.io']",
            "short-name-mode = 'sometimes'",
            "[[registry]]\ninsecure = true",
            "[registries.search]\nregistries = ['x']",
            "[aliases]\na = 'b/c:1'",
            "[[registry]]\nprefix = '*.a/b'",
        ] {
            let path = "/etc/containers/registries.conf";
            let error = Registries::parse(&[ConfigText { path, text }]).unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
