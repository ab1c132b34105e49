//! The defaults of containers.conf(5) that the engine honours now.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use minke_runtime_spec::option::ulimit::{self, Ulimit};
use serde::Deserialize;

use crate::container_defaults::ContainerDefaults;
use crate::error::{Error, Result};
use crate::options::Surroundings;

/// What the files say, merged.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContainersConf {
    pub ulimits: Vec<Ulimit>,
    pub pids_limit: Option<i64>,
    pub log_driver: Option<String>,
    /// Bytes in one log file; zero and less are no limit.
    pub log_size_max: Option<i64>,
    pub log_tag: Option<String>,
    pub env: BTreeMap<String, String>,
    pub sysctls: BTreeMap<String, String>,
    pub capabilities: Option<Vec<String>>,
    /// Seconds between the stop signal and SIGKILL.
    pub stop_timeout: Option<u64>,
    /// Keys that leave an attached container, as typed.
    pub detach_keys: Option<String>,
    pub runtime: Option<String>,
    pub runtimes: BTreeMap<String, Vec<PathBuf>>,
    pub hooks_dirs: Option<Vec<PathBuf>>,
    pub cdi_spec_dirs: Option<Vec<PathBuf>>,
    pub defaults: ContainerDefaults,
    /// Where programs are that no user calls, before `$PATH`.
    pub helper_dirs: Option<Vec<PathBuf>>,
    /// What carries a normal user's network: `pasta` or `slirp4netns`.
    pub rootless_network: Option<String>,
    /// Options of pasta, before those of the command line.
    pub pasta_options: Vec<String>,
    /// Options of slirp4netns, `KEY=VALUE`, likewise.
    pub slirp4netns_options: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    containers: Containers,
    engine: EngineTable,
    network: Network,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    default_rootless_network_cmd: Option<String>,
    pasta_options: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Containers {
    default_ulimits: Option<Vec<String>>,
    pids_limit: Option<i64>,
    log_driver: Option<String>,
    log_size_max: Option<i64>,
    log_tag: Option<String>,
    env: Option<Vec<String>>,
    default_sysctls: Option<Vec<String>>,
    default_capabilities: Option<Vec<String>>,
    #[serde(flatten)]
    defaults: ContainerDefaults,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EngineTable {
    stop_timeout: Option<u64>,
    hooks_dir: Option<Vec<PathBuf>>,
    cdi_spec_dirs: Option<Vec<PathBuf>>,
    detach_keys: Option<String>,
    runtime: Option<String>,
    runtimes: BTreeMap<String, Vec<PathBuf>>,
    helper_binaries_dir: Option<Vec<PathBuf>>,
    network_cmd_options: Option<Vec<String>>,
}

impl ContainersConf {
    /// Reads the files of this user, the weakest first.
    pub fn load(surroundings: &Surroundings) -> Result<Self> {
        let mut merged = Self::default();
        for path in files(surroundings) {
            match fs::read_to_string(&path) {
                Ok(text) => merged.merge(&text).map_err(|what| {
                    Error::invalid(format!("configuration {}: {what}", path.display()))
                })?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::path("read", path)(source)),
            }
        }
        Ok(merged)
    }

    fn merge(&mut self, text: &str) -> std::result::Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let containers = file.containers;
        if let Some(list) = containers.default_ulimits {
            self.ulimits = list
                .iter()
                .map(|text| ulimit::parse(text).map_err(|error| error.to_string()))
                .collect::<std::result::Result<_, _>>()?;
        }
        if let Some(list) = containers.env {
            self.env.extend(pairs(&list));
        }
        if let Some(list) = containers.default_sysctls {
            self.sysctls = pairs(&list).collect();
        }
        self.capabilities = containers.default_capabilities.or(self.capabilities.take());
        self.pids_limit = containers.pids_limit.or(self.pids_limit);
        self.log_driver = containers.log_driver.or(self.log_driver.take());
        self.log_size_max = containers.log_size_max.or(self.log_size_max);
        self.log_tag = containers.log_tag.or(self.log_tag.take());
        self.defaults.merge(containers.defaults);
        self.stop_timeout = file.engine.stop_timeout.or(self.stop_timeout);
        self.detach_keys = file.engine.detach_keys.or(self.detach_keys.take());
        self.runtime = file.engine.runtime.or(self.runtime.take());
        self.runtimes.extend(file.engine.runtimes);
        self.cdi_spec_dirs = file.engine.cdi_spec_dirs.or(self.cdi_spec_dirs.take());
        self.hooks_dirs = file.engine.hooks_dir.or(self.hooks_dirs.take());
        self.helper_dirs = file.engine.helper_binaries_dir.or(self.helper_dirs.take());
        let network = file.network;
        self.rootless_network = network
            .default_rootless_network_cmd
            .or(self.rootless_network.take());
        if let Some(options) = network.pasta_options {
            self.pasta_options = options;
        }
        if let Some(options) = file.engine.network_cmd_options {
            self.slirp4netns_options = options;
        }
        Ok(())
    }

    /// Where a runtime of this name is: a path as it is, else the first that exists.
    pub fn runtime_path(&self, name: &str, search: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(PathBuf::from(name));
        }
        let listed = self.runtimes.get(name).into_iter().flatten().cloned();
        let usual = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
        let searched = usual.into_iter().chain(search.split(':'));
        let searched = searched.map(|dir| PathBuf::from(dir).join(name));
        listed.chain(searched).find(|path| path.is_file())
    }
}

/// Where helpers are when no file says so (Podman's list).
const HELPER_DIRS: [&str; 4] = [
    "/usr/local/libexec/podman",
    "/usr/local/lib/podman",
    "/usr/libexec/podman",
    "/usr/lib/podman",
];

impl ContainersConf {
    /// Where a program is that helps: in the directories for it, then in `search`.
    pub fn helper_path(&self, name: &str, search: &str) -> Option<PathBuf> {
        let usual = || HELPER_DIRS.map(PathBuf::from).to_vec();
        let dirs = self.helper_dirs.clone().unwrap_or_else(usual);
        let searched = search.split(':').filter(|dir| !dir.is_empty());
        dirs.into_iter()
            .chain(searched.map(PathBuf::from))
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
    }
}

fn pairs(list: &[String]) -> impl Iterator<Item = (String, String)> {
    list.iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
}

fn files(surroundings: &Surroundings) -> Vec<PathBuf> {
    if let Some(path) = surroundings.variable("CONTAINERS_CONF") {
        return vec![PathBuf::from(path)];
    }
    let mut files = vec![
        PathBuf::from("/usr/share/containers/containers.conf"),
        PathBuf::from("/etc/containers/containers.conf"),
    ];
    files.extend(drop_ins("/etc/containers/containers.conf.d".into()));
    if surroundings.uid != 0 {
        let own = surroundings.config_home().join("containers");
        files.push(own.join("containers.conf"));
        files.extend(drop_ins(own.join("containers.conf.d")));
    }
    files
}

fn drop_ins(dir: PathBuf) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "conf"))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_win_key_by_key() {
        let mut conf = ContainersConf::default();
        conf.merge(
            "[containers]\ndefault_ulimits = [\"nofile=10:20\"]\npids_limit = 7\n[engine]\nruntime = \"crun\"",
        )
        .unwrap();
        conf.merge("[containers]\npids_limit = 9\nenv = [\"A=b\"]\nunknown = 1")
            .unwrap();
        assert_eq!(conf.ulimits[0].hard, 20);
        assert_eq!(conf.pids_limit, Some(9));
        assert_eq!(conf.runtime.as_deref(), Some("crun"));
        assert_eq!(conf.env["A"], "b");
        conf.merge("[containers]\npidns = \"host\"\ninit = true")
            .unwrap();
        conf.merge("[containers]\npidns = \"private\"").unwrap();
        let defaults = &conf.defaults;
        assert_eq!(
            (defaults.pidns.as_deref(), defaults.init),
            (Some("private"), Some(true))
        );
        assert!(
            conf.merge("[containers]\ndefault_ulimits = [\"x\"]")
                .is_err()
        );
        assert!(conf.merge("[").is_err());
    }
}
