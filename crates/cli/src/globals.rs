//! Flags that every command has, before or after its name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use minke_engine::{EngineOptions, Surroundings};

use crate::error::{Error, Exit, Result};

// The flags. All are absent by default: configuration files decide then.
#[derive(Debug, Clone, Default, Args)]
pub struct Globals {
    /// Directory of images and containers
    #[arg(long, global = true, value_name = "PATH")]
    pub root: Option<PathBuf>,
    /// Directory of what lives until the next boot
    #[arg(long, global = true, value_name = "PATH")]
    pub runroot: Option<PathBuf>,
    /// OCI runtime in place of the built-in one, by name or path
    #[arg(long, global = true, value_name = "NAME")]
    pub runtime: Option<String>,
    /// Container monitor in place of the built-in one
    #[arg(long, global = true, value_name = "PATH")]
    pub conmon: Option<PathBuf>,
    /// How layers are stored: overlay or vfs
    #[arg(long, global = true, value_name = "NAME")]
    pub storage_driver: Option<String>,
    /// Option of the storage driver
    #[arg(long, global = true, value_name = "OPTION")]
    pub storage_opt: Vec<String>,
    /// Directory of network configurations
    #[arg(long, global = true, value_name = "PATH")]
    pub network_config_dir: Option<PathBuf>,
    /// Who makes control groups: cgroupfs or systemd
    #[arg(long, global = true, value_name = "NAME")]
    pub cgroup_manager: Option<String>,
    /// Directory of OCI hooks
    #[arg(long, global = true, value_name = "PATH")]
    pub hooks_dir: Vec<PathBuf>,
    /// Directory of the Container Device Interface, in place of the usual ones
    #[arg(long, global = true, value_name = "PATH")]
    pub cdi_spec_dir: Vec<PathBuf>,
    /// File of mounts that every container gets, in place of the usual ones
    #[arg(long, global = true, value_name = "PATH", hide = true)]
    pub default_mounts_file: Option<PathBuf>,
    /// Least severe messages to show: trace, debug, info, warn, error, fatal or panic
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// As --log-level debug
    #[arg(short = 'D', long, hide = true)]
    pub debug: bool,
    /// Write what would be printed to this file
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(long, hide = true)]
    pub noout: bool,
    /// Global flag for the OCI runtime, without its dashes
    #[arg(long, global = true, value_name = "FLAG")]
    pub runtime_flag: Vec<String>,
    /// Accepted for Podman's sake: --runroot decides where state is
    #[arg(long, global = true, value_name = "PATH")]
    #[allow(dead_code)] // it is enough that it is taken
    pub tmpdir: Option<PathBuf>,
    /// Show the version
    #[arg(short = 'v', long)]
    pub version: bool,
}

impl Globals {
    /// Sends events of the chosen severity to stderr.
    ///
    /// # Errors
    /// The exit code for a level that is not one; the user has been told.
    pub fn start_logging(&self) -> Result<(), Exit> {
        let default = if self.debug { "debug" } else { "warn" };
        let text = self.log_level.as_deref().unwrap_or(default);
        let Some(level) = level(text) else {
            eprintln!(
                "Log Level {text:?} is not supported, choose from: trace, debug, info, warn, warning, error, fatal, panic"
            );
            return Err(Exit(1));
        };
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_target(false)
            .with_writer(std::io::stderr);
        // Fails only where a subscriber is set already, which then does the work.
        let _ = subscriber.try_init();
        Ok(())
    }

    /// Sends stdout where it was asked to go, for this process and those it starts.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn redirect_stdout(&self) -> Result<()> {
        let path = match (&self.out, self.noout) {
            (Some(path), _) => path.as_path(),
            (None, true) => Path::new("/dev/null"),
            (None, false) => return Ok(()),
        };
        let failed = || Error::io(format!("open {}", path.display()));
        let file = std::fs::File::create(path).map_err(failed())?;
        rustix::stdio::dup2_stdout(&file).map_err(|errno| failed()(errno.into()))
    }

    /// The flags again as words, for this program run by itself.
    pub fn words(&self) -> Vec<OsString> {
        let paths = [
            ("--root", &self.root),
            ("--runroot", &self.runroot),
            ("--conmon", &self.conmon),
            ("--network-config-dir", &self.network_config_dir),
            ("--default-mounts-file", &self.default_mounts_file),
        ];
        let texts = [
            ("--runtime", &self.runtime),
            ("--storage-driver", &self.storage_driver),
            ("--cgroup-manager", &self.cgroup_manager),
            ("--log-level", &self.log_level),
        ];
        let mut words: Vec<OsString> = Vec::new();
        for (flag, path) in paths {
            if let Some(path) = path {
                words.extend([flag.into(), path.into()]);
            }
        }
        for (flag, text) in texts {
            if let Some(text) = text {
                words.extend([flag.into(), text.into()]);
            }
        }
        for option in &self.storage_opt {
            words.extend(["--storage-opt".into(), option.into()]);
        }
        for dir in &self.cdi_spec_dir {
            words.extend(["--cdi-spec-dir".into(), dir.into()]);
        }
        for flag in &self.runtime_flag {
            words.extend(["--runtime-flag".into(), flag.into()]);
        }
        words
    }

    /// What the engine is opened with.
    ///
    /// # Errors
    /// If this program cannot find itself.
    pub fn engine_options(&self) -> Result<EngineOptions> {
        let self_exe = std::env::current_exe().map_err(Error::io("cannot find my own program"))?;
        let mut surroundings = Surroundings {
            environment: environment(),
            ..Surroundings::default()
        };
        (surroundings.uid, surroundings.gid) = minke_engine::rootless::host_ids(&surroundings);
        Ok(EngineOptions {
            graph_root: self.root.clone(),
            run_root: self.runroot.clone(),
            storage_driver: self.storage_driver.clone(),
            storage_options: self.storage_opt.clone(),
            runtime: self.runtime.clone(),
            runtime_flags: self.runtime_flag.clone(),
            conmon: self.conmon.clone(),
            network_config_dir: self.network_config_dir.clone(),
            cgroup_manager: self.cgroup_manager.clone(),
            hooks_dirs: (!self.hooks_dir.is_empty()).then(|| self.hooks_dir.clone()),
            cdi_spec_dirs: (!self.cdi_spec_dir.is_empty()).then(|| self.cdi_spec_dir.clone()),
            default_mounts_file: self.default_mounts_file.clone(),
            self_exe,
            surroundings,
        })
    }
}

/// The variables that are text.
pub fn environment() -> BTreeMap<String, String> {
    let variables = std::env::vars_os();
    variables
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn level(text: &str) -> Option<tracing::Level> {
    Some(match text.to_ascii_lowercase().as_str() {
        "trace" => tracing::Level::TRACE,
        "debug" => tracing::Level::DEBUG,
        "info" => tracing::Level::INFO,
        "warn" | "warning" => tracing::Level::WARN,
        "error" | "fatal" | "panic" => tracing::Level::ERROR,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_podmans() {
        for (text, known) in [
            ("trace", true),
            ("WARNING", true),
            ("panic", true),
            ("loud", false),
            ("", false),
        ] {
            assert_eq!(level(text).is_some(), known, "{text}");
        }
    }
}
