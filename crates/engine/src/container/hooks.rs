//! OCI hooks that directories of JSON files ask for (containers-common's oci-hooks(5), 1.0.0).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Hook, Hooks, Spec};
use regex::Regex;
use serde::Deserialize;

use crate::Engine;
use crate::error::{Error, Result};

/// Where hooks are looked for, the later ones win over the earlier ones' files of one name.
const DIRECTORIES: &[&str] = &[
    "/usr/share/containers/oci/hooks.d",
    "/etc/containers/oci/hooks.d",
];

#[derive(Debug, Deserialize)]
struct File {
    version: String,
    hook: Hook,
    when: When,
    stages: Vec<String>,
}

/// All that is said must hold, and something must be said.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct When {
    always: Option<bool>,
    annotations: HashMap<String, String>,
    commands: Vec<String>,
    has_bind_mounts: Option<bool>,
}

impl Engine {
    /// Adds to `spec` the hooks that are meant for it. `has_mounts` says whether the container
    /// has mounts that were asked for.
    ///
    /// # Errors
    /// A file that is not of its form, with its path.
    pub(crate) fn add_hooks(&self, spec: &mut Spec, has_mounts: bool) -> Result<()> {
        let files = load(&self.hook_directories()?)?;
        if files.is_empty() {
            return Ok(());
        }
        let mut stages: BTreeMap<String, Vec<Hook>> = BTreeMap::new();
        for (path, file) in files {
            if file.matches(spec, has_mounts).map_err(wrong(&path))? {
                for stage in &file.stages {
                    let hooks = stages.entry(stage.clone()).or_default();
                    hooks.push(file.hook.clone());
                }
            }
        }
        if !stages.is_empty() {
            spec.set_hooks(Some(hooks(stages, spec.hooks().clone())?));
        }
        Ok(())
    }

    fn hook_directories(&self) -> Result<Vec<PathBuf>> {
        if let Some(asked) = &self.options.hooks_dirs {
            return Ok(asked.clone());
        }
        if let Some(configured) = &self.conf()?.hooks_dirs {
            return Ok(configured.clone());
        }
        let is_root = !self.places.rootless;
        let usual = DIRECTORIES.iter().filter(|_| is_root).map(PathBuf::from);
        Ok(usual.collect())
    }
}

/// The files in the order of their names.
fn load(directories: &[PathBuf]) -> Result<BTreeMap<PathBuf, File>> {
    let mut by_name = BTreeMap::new();
    for dir in directories {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(Error::path("read", dir)(source)),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|ext| ext == "json") {
                by_name.insert(entry.file_name(), path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read(&path).map_err(Error::path("read", &path))?;
        let file: File = serde_json::from_slice(&text).map_err(wrong(&path))?;
        file.check().map_err(wrong(&path))?;
        Ok((path, file))
    };
    by_name.into_values().map(read).collect()
}

fn wrong<E: ToString>(path: &Path) -> impl FnOnce(E) -> Error {
    let path = path.to_owned();
    move |why| Error::invalid(format!("hook {}: {}", path.display(), why.to_string()))
}

impl File {
    fn check(&self) -> std::result::Result<(), String> {
        if self.version != "1.0.0" {
            return Err(format!("unknown version {:?}", self.version));
        }
        if !self.hook.path().is_absolute() {
            return Err("the path of the hook is not absolute".to_owned());
        }
        if self.stages.is_empty() {
            return Err("no stages".to_owned());
        }
        let when = &self.when;
        let empty = when.always.is_none()
            && when.annotations.is_empty()
            && when.commands.is_empty()
            && when.has_bind_mounts.is_none();
        if empty {
            return Err("`when` has no condition".to_owned());
        }
        Ok(())
    }

    fn matches(&self, spec: &Spec, has_mounts: bool) -> std::result::Result<bool, regex::Error> {
        let when = &self.when;
        if when.always == Some(false) || when.has_bind_mounts.is_some_and(|want| want != has_mounts)
        {
            return Ok(false);
        }
        let none = HashMap::new();
        let annotations = spec.annotations().as_ref().unwrap_or(&none);
        for (key, value) in &when.annotations {
            let (key, value) = (Regex::new(key)?, Regex::new(value)?);
            let found = annotations
                .iter()
                .any(|(own, text)| key.is_match(own) && value.is_match(text));
            if !found {
                return Ok(false);
            }
        }
        if when.commands.is_empty() {
            return Ok(true);
        }
        let process = spec.process().as_ref();
        let command = process.and_then(|process| process.args().as_ref()?.first());
        for pattern in &when.commands {
            let pattern = Regex::new(pattern)?;
            if command.is_some_and(|command| pattern.is_match(command)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn hooks(stages: BTreeMap<String, Vec<Hook>>, present: Option<Hooks>) -> Result<Hooks> {
    let mut hooks = present.unwrap_or_default();
    for (stage, mut list) in stages {
        match stage.as_str() {
            #[allow(deprecated)] // and what most hooks still use
            "prestart" => hooks.set_prestart(Some(list)),
            "createRuntime" => hooks.set_create_runtime(Some(list)),
            "createContainer" => hooks.set_create_container(Some(list)),
            "startContainer" => hooks.set_start_container(Some(list)),
            "poststart" => hooks.set_poststart(Some(list)),
            "poststop" => hooks.set_poststop(Some(std::mem::take(&mut list))),
            other => return Err(Error::invalid(format!("unknown stage {other:?} of a hook"))),
        };
    }
    Ok(hooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(when: &str) -> File {
        let text = format!(
            r#"{{"version":"1.0.0","hook":{{"path":"/bin/true"}},"when":{when},"stages":["prestart"]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn all_conditions_must_hold() {
        let spec: Spec = serde_json::from_str(
            r#"{"ociVersion":"1.0.2","annotations":{"gpu":"yes"},
                "process":{"cwd":"/","user":{"uid":0,"gid":0},"args":["/usr/bin/nginx"]}}"#,
        )
        .unwrap();
        for (when, mounts, expected) in [
            (r#"{"always":true}"#, false, true),
            (r#"{"always":false}"#, false, false),
            (r#"{"annotations":{"^gpu$":"^y"}}"#, false, true),
            (r#"{"annotations":{"^gpu$":"no"}}"#, false, false),
            (r#"{"commands":["nginx$"]}"#, false, true),
            (r#"{"commands":["^nginx"]}"#, false, false),
            (r#"{"hasBindMounts":true}"#, false, false),
            (r#"{"hasBindMounts":true,"commands":["n"]}"#, true, true),
        ] {
            assert_eq!(
                file(when).matches(&spec, mounts).unwrap(),
                expected,
                "{when}"
            );
        }
        assert!(file("{}").check().is_err());
        assert!(file(r#"{"commands":["("]}"#).matches(&spec, false).is_err());
    }

    #[test]
    fn later_directories_win() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text = |always| {
            format!(
                r#"{{"version":"1.0.0","hook":{{"path":"/x"}},"when":{{"always":{always}}},"stages":["poststop"]}}"#
            )
        };
        fs::write(one.path().join("a.json"), text(true)).unwrap();
        fs::write(one.path().join("b.json"), text(true)).unwrap();
        fs::write(two.path().join("a.json"), text(false)).unwrap();
        fs::write(two.path().join("note.txt"), "not a hook").unwrap();
        let dirs = [one.path().to_owned(), two.path().to_owned(), "/none".into()];
        let found = load(&dirs).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[&two.path().join("a.json")].when.always, Some(false));
        fs::write(two.path().join("c.json"), "{").unwrap();
        assert!(load(&dirs).is_err());
    }
}
