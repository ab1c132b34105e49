//! What a service manager wants of a container's start.

use std::path::PathBuf;

use clap::Args;
use minke_runtime_spec::container::SdNotify;

use crate::error::{Error, Result};
use crate::flag::small;

// Readiness, descriptors, pid files.
#[derive(Debug, Clone, Default, Args)]
pub struct ServiceFlags {
    /// Who tells $NOTIFY_SOCKET that it is ready: container, conmon, healthy, ignore
    #[arg(long, value_name = "MODE")]
    pub sdnotify: Option<String>,
    /// Write the monitor's pid to this file
    #[arg(long, value_name = "PATH")]
    pub conmon_pidfile: Option<PathBuf>,
    /// Write the container's pid to this file
    #[arg(long, value_name = "PATH")]
    pub pidfile: Option<PathBuf>,
    #[command(flatten)]
    pub preserve: PreserveFlags,
}

// Descriptors; `exec` has these too.
#[derive(Debug, Clone, Default, Args)]
pub struct PreserveFlags {
    /// Pass so many descriptors from 3 on
    #[arg(long, value_parser = small, value_name = "NUMBER")]
    pub preserve_fds: Option<u32>,
    /// Pass these descriptors
    #[arg(long, value_parser = small, value_delimiter = ',', value_name = "FD")]
    pub preserve_fd: Vec<u32>,
}

impl PreserveFlags {
    /// How many, and which.
    ///
    /// # Errors
    /// If both are asked for.
    pub fn read(&self) -> Result<(u32, Vec<u32>)> {
        let count = self.preserve_fds.unwrap_or(0);
        if count > 0 && !self.preserve_fd.is_empty() {
            return Err(Error::refused(
                "cannot specify both --preserve-fds and --preserve-fd",
            ));
        }
        Ok((count, self.preserve_fd.clone()))
    }
}

impl ServiceFlags {
    /// Who tells of readiness.
    ///
    /// # Errors
    /// If there is no such mode.
    pub fn mode(&self) -> Result<SdNotify> {
        Ok(match self.sdnotify.as_deref() {
            None | Some("" | "container") => SdNotify::Container,
            Some("conmon") => SdNotify::Conmon,
            Some("healthy") => SdNotify::Healthy,
            Some("ignore") => SdNotify::Ignore,
            Some(other) => {
                return Err(Error::refused(format!(
                    "invalid sdnotify value {other:?}: must be one of container, conmon, healthy or ignore: invalid argument"
                )));
            }
        })
    }
}

/// A path as it is meant where the command runs.
pub fn absolute(path: Option<&PathBuf>) -> Result<Option<PathBuf>> {
    let made = path.map(std::path::absolute).transpose();
    made.map_err(Error::io("cannot resolve a path"))
}
