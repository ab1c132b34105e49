//! Where an engine keeps its things, and what its surroundings say.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minke_storage::{Config, ConfigDefaults, StoreOptions};

use crate::error::{Error, Result};

/// How to open an engine. Whatever is `None` follows the configuration files, then Podman's
/// defaults.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// The directory of what stays.
    pub graph_root: Option<PathBuf>,
    /// The directory of what a reboot ends.
    pub run_root: Option<PathBuf>,
    /// The copy-on-write driver.
    pub storage_driver: Option<String>,
    /// Options of the driver, `KEY=VALUE`.
    pub storage_options: Vec<String>,
    /// The OCI runtime by name or path; `None` is the embedded one.
    pub runtime: Option<String>,
    /// Global flags for the OCI runtime, without their dashes: `log-level=debug`.
    pub runtime_flags: Vec<String>,
    /// The monitor; `None` is the embedded one.
    pub conmon: Option<PathBuf>,
    /// The directory of network definitions.
    pub network_config_dir: Option<PathBuf>,
    /// `cgroupfs`; systemd is refused.
    pub cgroup_manager: Option<String>,
    /// Directories of OCI hooks; `None` takes those configured, or the usual ones.
    pub hooks_dirs: Option<Vec<PathBuf>>,
    /// Directories of the Container Device Interface; `None` takes those configured, or the usual
    /// ones.
    pub cdi_spec_dirs: Option<Vec<PathBuf>>,
    /// The file of mounts for every container; `None` takes the usual ones.
    pub default_mounts_file: Option<PathBuf>,
    /// The minke binary, for the parts it plays by subcommand.
    pub self_exe: PathBuf,
    /// What the process's surroundings say.
    pub surroundings: Surroundings,
}

/// The environment and the user, read once by the program and handed in.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Effective user id on the host.
    pub uid: u32,
    /// Effective group id on the host.
    pub gid: u32,
}

impl Surroundings {
    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The home directory.
    pub fn home(&self) -> PathBuf {
        PathBuf::from(self.variable("HOME").unwrap_or("/"))
    }

    /// The directory for a user's runtime files.
    pub fn runtime_dir(&self) -> PathBuf {
        match self.variable("XDG_RUNTIME_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from(format!("/run/user/{}", self.uid)),
        }
    }

    fn data_home(&self) -> PathBuf {
        match self.variable("XDG_DATA_HOME") {
            Some(dir) => PathBuf::from(dir),
            None => self.home().join(".local/share"),
        }
    }

    /// The directory for a user's configuration.
    pub fn config_home(&self) -> PathBuf {
        match self.variable("XDG_CONFIG_HOME") {
            Some(dir) => PathBuf::from(dir),
            None => self.home().join(".config"),
        }
    }
}

/// Every place an engine uses, decided.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub store: StoreOptions,
    /// Runtime files that are not the store's: locks, exit files, leases, sockets.
    pub runtime: PathBuf,
    /// Network definitions.
    pub networks: PathBuf,
    /// Whether the engine serves a normal user.
    pub rootless: bool,
}

impl EngineOptions {
    /// Whether the engine serves a normal user.
    pub fn is_rootless(&self) -> bool {
        self.surroundings.uid != 0
    }

    pub(crate) fn places(&self) -> Result<Places> {
        if let Some(manager) = self.cgroup_manager.as_deref()
            && manager != "cgroupfs"
        {
            return Err(Error::Unsupported {
                what: format!("the cgroup manager {manager}"),
            });
        }
        let rootless = self.is_rootless();
        let mut store = self.store_options(rootless)?;
        store.in_user_namespace = rootless;
        let runtime = store.run_root.join("minke");
        let networks = match &self.network_config_dir {
            Some(dir) => dir.clone(),
            None if rootless => store.graph_root.join("networks"),
            None => PathBuf::from("/etc/containers/networks"),
        };
        Ok(Places {
            store,
            runtime,
            networks,
            rootless,
        })
    }

    fn store_options(&self, rootless: bool) -> Result<StoreOptions> {
        let around = &self.surroundings;
        let mut config = Config::default();
        for path in self.storage_conf_files(rootless) {
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let mut parsed = Config::parse(&text, &path)?;
                    // A system-wide root is not a normal user's.
                    if rootless && !path.starts_with(around.config_home()) {
                        parsed = parsed.without_roots();
                    }
                    config.merge(parsed);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::path("read", path)(source)),
            }
        }
        let (graph_root, run_root) = if rootless {
            (
                around.data_home().join("containers/storage"),
                around.runtime_dir().join("containers"),
            )
        } else {
            (
                PathBuf::from("/var/lib/containers/storage"),
                PathBuf::from("/run/containers/storage"),
            )
        };
        let defaults = ConfigDefaults {
            graph_root,
            run_root,
            rootless,
            variables: around
                .environment
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        };
        let mut options = config.options(&defaults)?;
        if let Some(root) = &self.graph_root {
            options.graph_root = absolute(root)?;
        }
        if let Some(root) = &self.run_root {
            options.run_root = absolute(root)?;
        }
        if let Some(driver) = &self.storage_driver {
            options.driver.clone_from(driver);
        }
        for option in &self.storage_options {
            let option =
                option
                    .strip_prefix("overlay.mountopt=")
                    .ok_or_else(|| Error::Unsupported {
                        what: format!("the storage option {option}"),
                    })?;
            options.overlay.mount_options = option.split(',').map(str::to_owned).collect();
        }
        Ok(options)
    }

    /// The storage.conf files that exist for this user, the weakest first.
    fn storage_conf_files(&self, rootless: bool) -> Vec<PathBuf> {
        if let Some(path) = self.surroundings.variable("CONTAINERS_STORAGE_CONF") {
            return vec![PathBuf::from(path)];
        }
        let etc = PathBuf::from("/etc/containers/storage.conf");
        let mut files = vec![if etc.exists() {
            etc
        } else {
            PathBuf::from("/usr/share/containers/storage.conf")
        }];
        if rootless {
            let own = self.surroundings.config_home();
            files.push(own.join("containers/storage.conf"));
        }
        files
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::path("resolve", path))
}
