//! `storage.conf(5)`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Result, StoreOptions};

/// One or more `storage.conf` texts, later ones over earlier ones.
///
/// The caller finds the files and hands their texts; nothing is read here, and `$HOME` and the
/// like are replaced only by what the caller hands to [`Config::options`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    storage: Storage,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct File {
    #[serde(default)]
    storage: Storage,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Storage {
    driver: Option<String>,
    driver_priority: Option<Vec<String>>,
    graphroot: Option<String>,
    runroot: Option<String>,
    imagestore: Option<String>,
    rootless_storage_path: Option<String>,
    transient_store: Option<bool>,
    options: Options,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Options {
    additionalimagestores: Option<Vec<String>>,
    #[serde(rename = "disable-volatile")]
    disable_volatile: Option<bool>,
    #[serde(flatten)]
    general: DriverTable,
    overlay: DriverTable,
}

/// Keys that stand in `storage.options` or in the table of the driver, which wins.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct DriverTable {
    mountopt: Option<String>,
    mount_program: Option<String>,
    ignore_chown_errors: Option<Flag>,
    skip_mount_home: Option<Flag>,
    force_mask: Option<toml::Value>,
    size: Option<String>,
}

/// A boolean that is usually written as a string.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

impl Flag {
    fn is_set(&self, key: &'static str) -> Result<bool> {
        match self {
            Flag::Bool(set) => Ok(*set),
            Flag::Text(text) => match text.as_str() {
                "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok(true),
                "false" | "0" | "f" | "F" | "FALSE" | "False" | "" => Ok(false),
                _ => Err(Error::invalid(key, text, "true or false is needed")),
            },
        }
    }
}

/// What the caller knows and a configuration may leave open.
#[derive(Debug, Clone)]
pub struct ConfigDefaults {
    /// The graph root where none is configured.
    pub graph_root: PathBuf,
    /// The run root where none is configured.
    pub run_root: PathBuf,
    /// Whether the process is not root on the host: `rootless_storage_path` then counts.
    pub rootless: bool,
    /// What `$NAME` stands for in paths.
    pub variables: Vec<(String, String)>,
}

impl Config {
    /// Parses a text; `path` is only for messages.
    ///
    /// # Errors
    /// [`Error::Config`] if it is no TOML of that form. Unknown keys are ignored.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|source| Error::Config {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self {
            storage: file.storage,
        })
    }

    /// Lays `over`, a drop-in or a user's file, over this one, key by key.
    pub fn merge(&mut self, over: Self) {
        let (base, over) = (&mut self.storage, over.storage);
        set(&mut base.driver, over.driver);
        set(&mut base.driver_priority, over.driver_priority);
        set(&mut base.graphroot, over.graphroot);
        set(&mut base.runroot, over.runroot);
        set(&mut base.imagestore, over.imagestore);
        set(&mut base.rootless_storage_path, over.rootless_storage_path);
        set(&mut base.transient_store, over.transient_store);
        let (base, over) = (&mut base.options, over.options);
        set(&mut base.additionalimagestores, over.additionalimagestores);
        set(&mut base.disable_volatile, over.disable_volatile);
        base.general.merge(over.general);
        base.overlay.merge(over.overlay);
    }

    /// Takes back `graphroot` and `runroot`: in the system's file they are not meant for a
    /// rootless process.
    #[must_use]
    pub fn without_roots(mut self) -> Self {
        self.storage.graphroot = None;
        self.storage.runroot = None;
        self
    }

    /// The options of the store that this configuration describes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value out of its form, [`Error::Unsupported`] for one this
    /// crate cannot honour.
    pub fn options(&self, defaults: &ConfigDefaults) -> Result<StoreOptions> {
        let storage = &self.storage;
        let expand = |text: &str| PathBuf::from(expand(text, &defaults.variables));
        let rootless_path = storage
            .rootless_storage_path
            .as_ref()
            .filter(|_| defaults.rootless);
        let graph_root = storage
            .graphroot
            .as_ref()
            .or(rootless_path)
            .filter(|path| !path.is_empty());
        let graph_root =
            graph_root.map_or_else(|| defaults.graph_root.clone(), |path| expand(path));
        let run_root = storage.runroot.as_ref().filter(|path| !path.is_empty());
        let run_root = run_root.map_or_else(|| defaults.run_root.clone(), |path| expand(path));
        let mut options = StoreOptions::new(graph_root, run_root);
        if let Some(driver) = storage.driver.as_ref().filter(|driver| !driver.is_empty()) {
            options.driver = driver.replace("overlay2", "overlay");
        }
        if storage
            .imagestore
            .as_ref()
            .is_some_and(|path| !path.is_empty())
        {
            return Err(Error::Unsupported {
                what: "imagestore".to_owned(),
            });
        }
        options.transient = storage.transient_store.unwrap_or(false);
        options.disable_volatile = storage.options.disable_volatile.unwrap_or(false);
        let stores = storage.options.additionalimagestores.iter().flatten();
        options.additional_image_stores = stores.map(|path| expand(path)).collect();
        self.overlay_options(&mut options)?;
        Ok(options)
    }

    fn overlay_options(&self, options: &mut StoreOptions) -> Result<()> {
        let mut table = self.storage.options.general.clone();
        table.merge(self.storage.options.overlay.clone());
        let overlay = &mut options.overlay;
        let list = table.mountopt.unwrap_or_default();
        let list = list
            .split(',')
            .map(str::trim)
            .filter(|option| !option.is_empty());
        overlay.mount_options = list.map(str::to_owned).collect();
        overlay.mount_program = table
            .mount_program
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        if let Some(flag) = table.ignore_chown_errors {
            overlay.ignore_chown_errors = flag.is_set("ignore_chown_errors")?;
        }
        if let Some(flag) = table.skip_mount_home {
            overlay.skip_mount_home = flag.is_set("skip_mount_home")?;
        }
        if table.force_mask.is_some() {
            return Err(Error::Unsupported {
                what: "force_mask".to_owned(),
            });
        }
        if table.size.is_some_and(|size| !size.is_empty()) {
            tracing::warn!("storage.conf sets a size quota, which is not enforced");
        }
        Ok(())
    }
}

impl DriverTable {
    fn merge(&mut self, over: Self) {
        set(&mut self.mountopt, over.mountopt);
        set(&mut self.mount_program, over.mount_program);
        set(&mut self.ignore_chown_errors, over.ignore_chown_errors);
        set(&mut self.skip_mount_home, over.skip_mount_home);
        set(&mut self.force_mask, over.force_mask);
        set(&mut self.size, over.size);
    }
}

fn set<T>(base: &mut Option<T>, over: Option<T>) {
    if over.is_some() {
        *base = over;
    }
}

/// Replaces `$NAME` and `${NAME}`; what is not known becomes nothing, as in a shell.
fn expand(text: &str, variables: &[(String, String)]) -> String {
    let value = |name: &str| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, after) = match after
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
        {
            Some(braced) => braced,
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        expanded.push_str(value(name));
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(rootless: bool) -> ConfigDefaults {
        ConfigDefaults {
            graph_root: "/g".into(),
            run_root: "/r".into(),
            rootless,
            variables: vec![("HOME".into(), "/home/me".into())],
        }
    }

    const SYSTEM: &str = r#"
        [storage]
        driver = "overlay2"
        graphroot = "/var/g"
        runroot = "/run/g"
        rootless_storage_path = "$HOME/${NOTHING}store"
        some_future_key = 1
        [storage.options]
        additionalimagestores = ["/a", "/b"]
        mountopt = "nodev"
        pull_options = { enable_partial_images = "true" }
        [storage.options.overlay]
        mountopt = "nodev,metacopy=on"
        ignore_chown_errors = "true"
    "#;

    #[test]
    fn drop_ins_replace_single_keys() {
        let mut config = Config::parse(SYSTEM, Path::new("a")).unwrap();
        let drop_in =
            "[storage]\nrunroot = \"/run/other\"\n[storage.options.overlay]\nmountopt=\"\"";
        config.merge(Config::parse(drop_in, Path::new("b")).unwrap());
        let options = config.options(&defaults(false)).unwrap();
        assert_eq!(options.graph_root, Path::new("/var/g"));
        assert_eq!(options.run_root, Path::new("/run/other"));
        assert_eq!(options.driver, "overlay");
        assert!(options.overlay.ignore_chown_errors);
        assert!(options.overlay.mount_options.is_empty());
        assert_eq!(
            options.additional_image_stores,
            [Path::new("/a"), Path::new("/b")]
        );
    }

    #[test]
    fn rootless_has_its_own_path() {
        let config = Config::parse(SYSTEM, Path::new("a"))
            .unwrap()
            .without_roots();
        let options = config.options(&defaults(true)).unwrap();
        assert_eq!(options.graph_root, Path::new("/home/me/store"));
        assert_eq!(options.run_root, Path::new("/r"));
        assert_eq!(options.overlay.mount_options, ["nodev", "metacopy=on"]);
        let empty = Config::default().options(&defaults(true)).unwrap();
        assert_eq!(empty.graph_root, Path::new("/g"));
    }

    #[test]
    fn errors_name_the_file_or_key() {
        let error = Config::parse("[storage", Path::new("/etc/x.conf")).unwrap_err();
        assert!(error.to_string().contains("/etc/x.conf"));
        let text = "[storage.options.overlay]\nskip_mount_home = \"maybe\"";
        let config = Config::parse(text, Path::new("x")).unwrap();
        let error = config.options(&defaults(false)).unwrap_err();
        assert!(error.to_string().contains("skip_mount_home"));
    }
}
