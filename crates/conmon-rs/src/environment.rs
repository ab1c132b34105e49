//! What the contract takes from the environment, handed in as values.

use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::PathBuf;

/// The environment and working directory a monitor was started with.
///
/// All variables are passed on to the OCI runtime and to the exit command. The monitor itself
/// looks at `_OCI_SYNCPIPE`, `_OCI_STARTPIPE`, `_OCI_ATTACHPIPE`, `LISTEN_PID`, `LISTEN_FDS`,
/// `TZ` and `TMPDIR`.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// All variables, in order.
    pub vars: Vec<(OsString, OsString)>,
    /// The working directory: the bundle, where none is given.
    pub cwd: PathBuf,
}

impl Environment {
    /// The last value given to `name`.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let matching = |(key, _): &&(OsString, OsString)| key == name;
        let found = self.vars.iter().rev().find(matching);
        found.map(|(_, value)| value.as_os_str())
    }

    /// The descriptor number in variable `name`.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is there but is no number of a descriptor above standard error.
    pub fn descriptor(&self, name: &str) -> Result<Option<RawFd>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = text.to_str().and_then(|text| text.parse::<RawFd>().ok());
        match number {
            Some(fd) if fd > 2 => Ok(Some(fd)),
            _ => Err(Error::usage(format!(
                "{name} does not name a descriptor: {}",
                text.display()
            ))),
        }
    }

    /// How many descriptors from 3 on socket activation passes to the container.
    pub(crate) fn listen_fds(&self) -> u32 {
        let text = self.get("LISTEN_FDS").and_then(OsStr::to_str);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Where short-lived sockets go.
    pub(crate) fn temp_dir(&self) -> PathBuf {
        match self.get("TMPDIR") {
            Some(dir) if !dir.is_empty() => PathBuf::from(dir),
            _ => PathBuf::from("/tmp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        Environment {
            vars: vars.iter().map(|(k, v)| (k.into(), v.into())).collect(),
            cwd: PathBuf::from("/"),
        }
    }

    #[test]
    fn descriptors_are_numbers_above_standard_error() {
        let good = environment(&[("_OCI_SYNCPIPE", "3"), ("_OCI_SYNCPIPE", "7")]);
        assert_eq!(good.descriptor("_OCI_SYNCPIPE").unwrap(), Some(7));
        assert_eq!(good.descriptor("_OCI_STARTPIPE").unwrap(), None);
        for bad in ["", "2", "-1", "x", "99999999999"] {
            let vars = environment(&[("_OCI_SYNCPIPE", bad)]);
            assert!(vars.descriptor("_OCI_SYNCPIPE").is_err(), "{bad}");
        }
    }

    #[test]
    fn the_temporary_directory_has_a_default() {
        assert_eq!(
            environment(&[("TMPDIR", "")]).temp_dir(),
            PathBuf::from("/tmp")
        );
        assert_eq!(
            environment(&[("TMPDIR", "/t")]).temp_dir(),
            PathBuf::from("/t")
        );
    }
}
