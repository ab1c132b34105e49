//! What is stored of a container.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::health::StartupState;
use super::users::id_map;
use jiff::Timestamp;
use minke_network::netavark::{NetworkOptions, StatusBlock};
use minke_network::user::UserNetwork;
use minke_runtime_spec::host::IdMapping;
use minke_runtime_spec::{Clamp, ContainerSpec, ImageConfig};
use minke_sys::idmap::IdMap;
use minke_sys::proc::ProcessId;
use serde::{Deserialize, Serialize};

/// A container as the database has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub id: String,
    pub name: String,
    pub config: Config,
    pub state: State,
}

/// What was asked for and what was decided at creation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Config {
    pub spec: ContainerSpec,
    /// The image's full name, or what was asked for where it has none.
    pub image_name: String,
    pub image_id: String,
    /// What the image says, as it was then.
    pub image: ImageConfig,
    /// The writable layer.
    pub layer: String,
    pub created: Timestamp,
    /// Where its output is kept.
    pub log_path: PathBuf,
    pub log_driver: String,
    /// Runtime and monitor it was made for; `None` are the embedded ones.
    pub runtime: Option<PathBuf>,
    pub conmon: Option<PathBuf>,
    /// The command line that made it.
    #[serde(default)]
    pub create_command: Vec<String>,
    pub cidfile: Option<PathBuf>,
    /// Volumes that nobody named: they go with it.
    #[serde(default)]
    pub anonymous_volumes: Vec<String>,
    /// The ids of its user namespace.
    #[serde(default)]
    pub uid_mappings: Vec<IdMapping>,
    #[serde(default)]
    pub gid_mappings: Vec<IdMapping>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            spec: ContainerSpec::default(),
            image_name: String::new(),
            image_id: String::new(),
            image: ImageConfig::default(),
            layer: String::new(),
            created: Timestamp::UNIX_EPOCH,
            log_path: PathBuf::new(),
            log_driver: "k8s-file".into(),
            runtime: None,
            conmon: None,
            create_command: Vec::new(),
            cidfile: None,
            anonymous_volumes: Vec::new(),
            uid_mappings: Vec::new(),
            gid_mappings: Vec::new(),
        }
    }
}

/// Facts of the last start. What the container is now follows from them and the kernel.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The boot in which it was started.
    pub boot_id: String,
    /// A start began and its undoing is not recorded yet: mounts and networks may be there.
    pub dirty: bool,
    pub init: Option<ProcessId>,
    pub monitor: Option<ProcessId>,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub exit_code: Option<i32>,
    pub oom_killed: bool,
    /// The error of a start that failed.
    pub error: String,
    /// The network namespace made for it.
    pub netns: Option<PathBuf>,
    /// What its networks were asked, so that they can be undone.
    pub network: Option<NetworkOptions>,
    /// What they gave.
    pub addresses: BTreeMap<String, StatusBlock>,
    /// A normal user's network, noted before it is made; what it gave once it is.
    pub user_network: Option<UserNetwork>,
    /// Who asked it to stop last; it is stopping while that process is there to see to it.
    pub stopper: Option<ProcessId>,
    /// Who wants to start it again once it has ended; while that process is there it is not
    /// removed.
    pub keeper: Option<ProcessId>,
    /// Limits that came out lower than the defaults, with the reason.
    pub clamps: Vec<Clamp>,
    pub warnings: Vec<String>,
    /// How often the restart policy has started it again.
    pub restarts: u32,
    /// Somebody stopped or killed it: no policy starts it again.
    pub stopped_by_user: bool,
    /// How long the policy waited the last time, in milliseconds; 0 before the first.
    pub backoff_ms: u64,
    /// It was ended because the host goes down: nobody's wish, and no policy's case.
    pub halted: bool,
    /// It was ended to be started again, whatever the policy.
    pub restart_wanted: bool,
    /// The socket of the service manager that it was started by.
    pub notify_socket: Option<PathBuf>,
    /// Where its start-up health check stands.
    pub startup: StartupState,
    /// The policy's next attempt, while it is waited for.
    pub again: Option<Again>,
}

/// A restart that is to come. It is believed as long as the one who waits for it lives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Again {
    pub at: Timestamp,
    pub waiter: ProcessId,
}
impl Record {
    /// The mapping of the container's own user namespace, as the store takes it; none where it
    /// has none.
    pub fn id_map(&self) -> Option<IdMap> {
        id_map(&self.config.uid_mappings, &self.config.gid_mappings)
    }
}
