//! A normal user's network: pasta or slirp4netns beside the container.

use std::fs;
use std::path::PathBuf;

use minke_network::netavark::NetworkOptions;
use minke_network::netns;
use minke_network::user::pasta::{self, PastaRequest};
use minke_network::user::slirp4netns::{self, Slirp4netnsRequest};
use minke_network::user::{self, UserNetwork};
use minke_runtime_spec::container::NetworkMode;

use super::lock::Locked;
use super::network::port_mappings;
use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

impl Engine {
    /// Puts what a normal user gets in the place of the default, and refuses what has no
    /// program here.
    pub(crate) fn decide_network(&self, mode: &mut NetworkMode) -> Result<()> {
        if *mode == NetworkMode::Default && self.places.rootless {
            *mode = self.default_user_network()?;
        }
        match mode {
            NetworkMode::Pasta(_) => self.network_program("pasta").map(drop),
            NetworkMode::Slirp4netns(_) => self.network_program("slirp4netns").map(drop),
            _ => Ok(()),
        }
    }

    /// The one of containers.conf, else pasta, else slirp4netns where only that is installed.
    fn default_user_network(&self) -> Result<NetworkMode> {
        match self.conf()?.rootless_network.as_deref() {
            Some("slirp4netns") => Ok(NetworkMode::Slirp4netns(Vec::new())),
            Some("pasta") => Ok(NetworkMode::Pasta(Vec::new())),
            Some(other) => Err(Error::invalid(format!(
                "invalid default_rootless_network_cmd option \"{other}\": it is pasta or slirp4netns"
            ))),
            None if self.network_program("pasta").is_err()
                && self.network_program("slirp4netns").is_ok() =>
            {
                Ok(NetworkMode::Slirp4netns(Vec::new()))
            }
            None => Ok(NetworkMode::Pasta(Vec::new())),
        }
    }

    fn network_program(&self, name: &str) -> Result<PathBuf> {
        let search = self.options.surroundings.variable("PATH").unwrap_or("");
        let found = self.conf()?.helper_path(name, search);
        found.ok_or_else(|| {
            Error::invalid(format!(
                "could not find {name}, the network namespace can't be configured: install it (the package {}), or use --network none or host",
                if name == "pasta" { "passt" } else { name }
            ))
        })
    }

    /// Makes the network namespace and starts the program that carries it. That it is about to
    /// be is in the record before.
    pub(super) fn set_up_user_network(&self, locked: &mut Locked) -> Result<()> {
        let known = &locked.record.state.user_network;
        if known.as_ref().is_some_and(UserNetwork::is_alive) {
            // Kept by a restart policy.
            return Ok(());
        }
        let path = self.netns_path(&locked.record)?;
        // What a program that ended by itself left.
        netns::delete(&path)?;
        let ports = port_mappings(&locked.record)?;
        let state = &mut locked.record.state;
        state.netns = Some(path.clone());
        state.user_network = Some(UserNetwork::default());
        state.network = Some(NetworkOptions {
            container_id: locked.record.id.clone(),
            container_name: locked.record.name.clone(),
            port_mappings: (!ports.is_empty()).then(|| ports.clone()),
            ..NetworkOptions::default()
        });
        locked.save(self)?;
        netns::create(&path)?;
        let conf = self.conf()?;
        let beside = self.beside(&locked.record)?;
        let made = match &locked.record.config.spec.namespaces.network {
            NetworkMode::Slirp4netns(options) => {
                let options = [&conf.slirp4netns_options[..], options].concat();
                slirp4netns::setup(&Slirp4netnsRequest {
                    program: &self.network_program("slirp4netns")?,
                    netns: &path,
                    socket: &beside,
                    ports: &ports,
                    options: &options,
                })?
            }
            NetworkMode::Pasta(options) => {
                let options = [&conf.pasta_options[..], options].concat();
                pasta::setup(&PastaRequest {
                    program: &self.network_program("pasta")?,
                    netns: &path,
                    pid_file: &beside,
                    ports: &ports,
                    options: &options,
                })?
            }
            _ => return Ok(()),
        };
        locked.record.state.user_network = Some(made);
        locked.save(self)
    }

    /// Undoes [`Engine::set_up_user_network`]; done already is success.
    pub(super) fn tear_down_user_network(&self, locked: &mut Locked) -> Result<()> {
        self.end_user_network(&locked.record)?;
        let state = &mut locked.record.state;
        state.netns = None;
        state.network = None;
        state.user_network = None;
        Ok(())
    }

    /// As [`Engine::tear_down_user_network`], where nothing tells whether there is one.
    pub(super) fn leave_user_network(&self, record: &Record) -> Result<()> {
        let path = self.netns_path(record)?;
        if path.exists() {
            self.end_user_network(record)?;
        }
        Ok(())
    }

    fn end_user_network(&self, record: &Record) -> Result<()> {
        let path = self.netns_path(record)?;
        let known = record.state.user_network.as_ref();
        user::end(&path, known.and_then(|network| network.process))?;
        netns::delete(&path)?;
        let beside = self.beside(record)?;
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::path("remove", beside)(error))
            }
            _ => Ok(()),
        }
    }

    /// The program's own file: the number of pasta, the socket of slirp4netns.
    fn beside(&self, record: &Record) -> Result<PathBuf> {
        Ok(self
            .runtime_dir("network")?
            .join(format!("{}.user", record.id)))
    }
}
