//! Readiness for a service manager: what is written to the socket in `NOTIFY_SOCKET`.
//!
//! By `--sdnotify` the container tells it itself, by way of the monitor; or it is ready once it
//! runs; or once it is healthy. In every case the manager learns that the monitor is the main
//! process.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::container::{Mount, MountKind, MountOptions, SdNotify};

use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// Where the container finds its socket.
const INSIDE: &str = "/run/notify";

impl Engine {
    /// The manager's socket, for a container that somebody starts now.
    pub(crate) fn notify_socket(&self, spec: &ContainerSpec) -> Option<PathBuf> {
        let socket = self.options.surroundings.variable("NOTIFY_SOCKET")?;
        (spec.sdnotify != SdNotify::Ignore).then(|| PathBuf::from(socket))
    }

    /// Makes the directory of the container's socket, and adds it to what the container sees.
    pub(crate) fn add_notify(
        &self,
        record: &Record,
        bundle: &Path,
        spec: &mut ContainerSpec,
    ) -> Result<()> {
        if !relays(record) {
            return Ok(());
        }
        let dir = bundle.join("notify");
        crate::engine::make_private_dir(&dir)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&dir, mode).map_err(Error::path("set the mode of", &dir))?;
        spec.mounts.push(Mount {
            kind: MountKind::Bind {
                source: dir.display().to_string(),
            },
            destination: INSIDE.to_owned(),
            options: MountOptions::default(),
        });
        let inside = format!("{INSIDE}/notify.sock");
        spec.env.insert("NOTIFY_SOCKET".to_owned(), inside);
        Ok(())
    }

    /// Tells of a container that has just been started.
    pub(crate) fn tell_started(&self, record: &Record) {
        let Some(monitor) = record.state.monitor else {
            return;
        };
        let ready = match record.config.spec.sdnotify {
            SdNotify::Conmon => "\nREADY=1",
            _ => "",
        };
        tell(record, &format!("MAINPID={}{ready}", monitor.pid));
    }

    /// Tells of a container whose first check was good.
    pub(crate) fn tell_healthy(&self, record: &Record) {
        if record.config.spec.sdnotify == SdNotify::Healthy {
            tell(record, "READY=1");
        }
    }
}

/// Whether the monitor passes on what the container says.
pub(crate) fn relays(record: &Record) -> bool {
    record.state.notify_socket.is_some() && record.config.spec.sdnotify == SdNotify::Container
}

fn tell(record: &Record, message: &str) {
    let Some(path) = &record.state.notify_socket else {
        return;
    };
    let send = || {
        let address = match path.to_str().and_then(|path| path.strip_prefix('@')) {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(path)?,
        };
        UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)
    };
    if let Err(error) = send() {
        tracing::warn!(socket = %path.display(), %error, "the service manager is not told");
    }
}
