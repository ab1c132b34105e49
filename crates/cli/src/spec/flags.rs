//! The flags that `run` and `create` share, one file a group.

pub mod health; // whether it is well
pub mod life; // labels, restarts, logs
pub mod limits; // control groups and rlimits
pub mod place; // file systems, namespaces, networks
pub mod privileges; // capabilities, devices, kernel parameters
pub mod process; // what runs, as whom, with which variables
pub mod service; // readiness, descriptors, pid files
pub mod source; // where the image comes from

use std::path::PathBuf;

use clap::{ArgAction, Args};
use minke_engine::{CreateRequest, PullPolicy};

use crate::error::Result;

pub use health::HealthFlags;
pub use life::LifeFlags;
pub use limits::{LimitFlags, ResourceFlags};
pub use place::PlaceFlags;
pub use privileges::PrivilegeFlags;
pub use process::ProcessFlags;
pub use service::{PreserveFlags, ServiceFlags};
pub use source::{RegistryFlags, SourceFlags, pull_policy};

// What a container is to be like.
#[derive(Debug, Clone, Default, Args)]
pub struct ContainerFlags {
    /// Name of the container
    #[arg(long)]
    pub name: Option<String>,
    /// Keep stdin open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Remove a container that has the name already
    #[arg(long)]
    pub replace: bool,
    /// Write the container's id to this file
    #[arg(long, value_name = "PATH")]
    pub cidfile: Option<PathBuf>,
    /// File with a label a line
    #[arg(long, value_name = "PATH")]
    pub label_file: Vec<PathBuf>,
    /// Containers to start before it
    #[arg(long, value_delimiter = ',', value_name = "CONTAINER")]
    pub requires: Vec<String>,
    /// Remove its image too when it is removed, unless others use it
    #[arg(long)]
    pub rmi: bool,
    /// Pod to join (not supported)
    #[arg(long, hide = true, value_name = "POD")]
    pub pod: Option<String>,
    /// File with the id of the pod to join (not supported)
    #[arg(long, hide = true, value_name = "PATH")]
    pub pod_id_file: Option<String>,
    /// Secret to give to it (not supported)
    #[arg(long, hide = true, value_name = "SECRET")]
    pub secret: Vec<String>,
    /// Where the system call policy comes from: default
    #[arg(long, hide = true, value_name = "POLICY")]
    pub seccomp_policy: Option<String>,
    /// Attach to stdin, stdout or stderr
    #[arg(short, long, value_delimiter = ',', value_name = "STREAM")]
    pub attach: Vec<String>,
    /// Say nothing while pulling
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub process: ProcessFlags,
    #[command(flatten)]
    pub place: PlaceFlags,
    #[command(flatten)]
    pub privileges: PrivilegeFlags,
    #[command(flatten)]
    pub limits: LimitFlags,
    #[command(flatten)]
    pub life: LifeFlags,
    #[command(flatten)]
    pub health: HealthFlags,
    #[command(flatten)]
    pub service: ServiceFlags,
    #[command(flatten)]
    pub source: SourceFlags,
    /// Show this help
    #[arg(long, action = ArgAction::Help)]
    #[allow(dead_code)] // it is enough that it is taken
    pub help: Option<bool>,
}

impl ContainerFlags {
    /// Whether the container goes with its end: `--rmi` wants it gone, too.
    pub fn removes(&self) -> bool {
        self.rm || self.rmi
    }

    /// What goes with the container to the engine.
    ///
    /// # Errors
    /// If a value is not of its form.
    pub fn create_request(&self) -> Result<CreateRequest> {
        self.source.check()?;
        let policy = match &self.source.pull {
            Some(text) => pull_policy(text)?,
            None => PullPolicy::Missing,
        };
        Ok(CreateRequest {
            command_line: std::env::args().collect(),
            pull: self.source.registry.pull_request(policy)?,
            replace: self.replace,
            cidfile: self.cidfile.clone(),
        })
    }
}
