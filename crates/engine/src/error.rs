//! Errors in the words that scripts written for Podman match.

use std::io;
use std::path::PathBuf;

/// Result of the engine's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller may branch on. Exit codes and HTTP statuses derive from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such container, image or network.
    NotFound,
    /// The name is taken.
    NameInUse,
    /// Another object still needs it.
    InUse,
    /// A container runs that should not.
    Running,
    /// A value that cannot be honoured.
    InvalidArgument,
    /// The object is in another state than the operation needs.
    WrongState,
    /// The container's command does not exist.
    CommandNotFound,
    /// The container's command cannot be executed.
    CommandNotExecutable,
    /// The OCI runtime could not set the container up.
    OciPermission,
    /// A host port is taken.
    PortTaken,
    /// The registry wants credentials, or refuses those given.
    Unauthorized,
    /// A registry could not be reached or answered wrongly.
    Registry,
    /// Not there yet, or not on this host.
    Unsupported,
    /// Files and system calls.
    Io,
    /// Anything else.
    Internal,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No container answers to this name.
    #[error("no container with name or ID \"{name}\" found: no such container")]
    ContainerUnknown {
        /// As given.
        name: String,
    },
    /// The latest container is wanted and there is none.
    #[error("no containers found: no such container")]
    NoContainers,
    /// No container answers to this name, in the words of `rm`.
    #[error("no container with ID or name \"{name}\" found: no such container")]
    NothingToRemove {
        /// As given.
        name: String,
    },
    /// Several containers' ids start so.
    #[error("more than one result for container name or ID {name}: choose a longer prefix")]
    Ambiguous {
        /// As given.
        name: String,
    },
    /// The container name is taken.
    #[error(
        "the container name \"{name}\" is already in use by {holder}. You have to remove that container to be able to reuse that name: that name is already in use"
    )]
    NameInUse {
        /// As given.
        name: String,
        /// Who has it.
        holder: String,
    },
    /// A container cannot be given a name that is taken. Scripts match the words of Podman's
    /// database.
    #[error(
        "the container name \"{name}\" is already in use by {holder}: UNIQUE constraint failed: ContainerConfig.Name"
    )]
    NameTaken {
        /// As given.
        name: String,
        /// Who has it.
        holder: String,
    },
    /// A name that no container may have.
    #[error("names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument")]
    NameInvalid {
        /// As given.
        name: String,
    },
    /// No image answers to this name.
    #[error("{name}: image not known")]
    ImageUnknown {
        /// As given.
        name: String,
    },
    /// No container answers to this name, in the words of `cp`.
    #[error("container \"{name}\" does not exist")]
    CopyContainerUnknown {
        /// As given.
        name: String,
    },
    /// A path to copy from or to leads to nothing.
    #[error("\"{path}\" could not be found on {place}")]
    CopyMissing {
        /// As given.
        path: String,
        /// `the host` or `container NAME`.
        place: String,
        /// Why not.
        source: io::Error,
    },
    /// Nothing of this name can be compared.
    #[error("{name} not found: {what}")]
    DiffUnknown {
        /// As given.
        name: String,
        /// What it is not.
        what: String,
    },
    /// Containers use the image.
    #[error("image used by {container}: image is in use by a container")]
    ImageInUse {
        /// One of them.
        container: String,
    },
    /// The image has several names and only its id was given.
    #[error("unable to delete image \"{id}\" by ID with more than one tag ({}): please force removal", names.join(", "))]
    ImageHasNames {
        /// The image.
        id: String,
        /// Its names.
        names: Vec<String>,
    },
    /// No volume answers to this name.
    #[error("no volume with name \"{name}\" found: no such volume")]
    VolumeUnknown {
        /// As given.
        name: String,
    },
    /// Several volumes' names start so.
    #[error("more than one result for volume name {name:?}: volume already exists")]
    VolumeAmbiguous {
        /// As given.
        name: String,
    },
    /// A name that no volume may have.
    #[error(
        "running volume create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument: {name:?}"
    )]
    VolumeNameInvalid {
        /// As given.
        name: String,
    },
    /// The name is taken.
    #[error("volume with name {name} already exists: volume already exists")]
    VolumeExists {
        /// As given.
        name: String,
    },
    /// Containers use the volume.
    #[error(
        "volume {name} is being used by the following container(s): {}: volume is being used",
        users.join(", ")
    )]
    VolumeInUse {
        /// The volume.
        name: String,
        /// The containers.
        users: Vec<String>,
    },
    /// The container runs or is paused.
    #[error(
        "cannot remove container {id} as it is {state} - running or paused containers cannot be removed without force: container state improper"
    )]
    Running {
        /// The container.
        id: String,
        /// `running` or `paused`.
        state: &'static str,
    },
    /// Other containers need this one.
    #[error(
        "container {id} has dependent containers which must be removed before it: {}: container already exists",
        dependents.join(", ")
    )]
    HasDependents {
        /// The container.
        id: String,
        /// Their ids.
        dependents: Vec<String>,
    },
    /// The operation does not fit the container's state; the text is Podman's.
    #[error("{text}: container state improper")]
    WrongState {
        /// What was wrong.
        text: String,
    },
    /// Attaching to what does not run.
    #[error("you can only attach to running containers: container state improper")]
    AttachStopped,
    /// A log driver keeps nothing to read, or shares nothing to attach to.
    #[error(
        "this container is using the '{driver}' log driver, cannot {act}: this container is not logging output"
    )]
    NoLogs {
        /// The driver.
        driver: String,
        /// What was to be done.
        act: &'static str,
    },
    /// A value that cannot be honoured.
    #[error("{what}")]
    Invalid {
        /// Object, value and reason.
        what: String,
    },
    /// The command is not there.
    #[error("{runtime}: OCI runtime attempted to invoke a command that was not found")]
    CommandNotFound {
        /// The runtime's words.
        runtime: String,
    },
    /// The command cannot be executed.
    #[error("{runtime}: OCI permission denied")]
    CommandNotExecutable {
        /// The runtime's words.
        runtime: String,
    },
    /// The runtime failed otherwise.
    #[error("{runtime}: OCI runtime error")]
    Runtime {
        /// The runtime's words.
        runtime: String,
    },
    /// The working directory is missing.
    #[error("workdir \"{dir}\" does not exist on container {id}")]
    WorkdirMissing {
        /// As given.
        dir: String,
        /// The container.
        id: String,
    },
    /// A normal user's container has no control group here.
    #[error("{act} is not supported {why}")]
    WithoutCgroup {
        /// The command.
        act: &'static str,
        /// Podman's words for where it would be.
        why: &'static str,
    },
    /// Not there yet, or not on this host.
    #[error("{what} is not supported")]
    Unsupported {
        /// The feature.
        what: String,
    },
    /// A file operation.
    #[error("cannot {act} {}", path.display())]
    Path {
        /// What was attempted.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A system call without a path.
    #[error("cannot {act}")]
    System {
        /// What was attempted.
        act: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The state database.
    #[error("state database {}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// A record that cannot be read.
    #[error("cannot read the record of {object}")]
    Record {
        /// Whose.
        object: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The store.
    #[error(transparent)]
    Storage(#[from] minke_storage::Error),
    /// Images and registries.
    #[error(transparent)]
    Image(#[from] minke_image::Error),
    /// The container's configuration.
    #[error(transparent)]
    Spec(#[from] minke_runtime_spec::Error),
    /// Networks.
    #[error(transparent)]
    Network(#[from] minke_network::Error),
    /// The embedded runtime.
    #[error("{}", .0.chain())]
    OciRuntime(minke_oci_runtime::Error),
}

impl Error {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::ContainerUnknown { .. }
            | Error::CopyContainerUnknown { .. }
            | Error::CopyMissing { .. }
            | Error::NothingToRemove { .. }
            | Error::NoContainers
            | Error::ImageUnknown { .. }
            | Error::DiffUnknown { .. }
            | Error::VolumeUnknown { .. } => ErrorKind::NotFound,
            // "container already exists" is Podman's reason, and its exit code follows from that.
            Error::NameInUse { .. }
            | Error::NameTaken { .. }
            | Error::HasDependents { .. }
            | Error::VolumeExists { .. } => ErrorKind::NameInUse,
            Error::ImageInUse { .. } | Error::ImageHasNames { .. } | Error::VolumeInUse { .. } => {
                ErrorKind::InUse
            }
            Error::Running { .. } => ErrorKind::Running,
            Error::Ambiguous { .. }
            | Error::VolumeAmbiguous { .. }
            | Error::NameInvalid { .. }
            | Error::VolumeNameInvalid { .. }
            | Error::Invalid { .. } => ErrorKind::InvalidArgument,
            Error::WrongState { .. } | Error::AttachStopped | Error::NoLogs { .. } => {
                ErrorKind::WrongState
            }
            Error::CommandNotFound { .. } => ErrorKind::CommandNotFound,
            Error::CommandNotExecutable { .. } => ErrorKind::CommandNotExecutable,
            Error::WorkdirMissing { .. } => ErrorKind::OciPermission,
            Error::Unsupported { .. } | Error::WithoutCgroup { .. } => ErrorKind::Unsupported,
            Error::Path { .. } | Error::System { .. } => ErrorKind::Io,
            Error::Storage(error) => storage_kind(error),
            Error::Image(error) => image_kind(error),
            Error::Spec(error) => spec_kind(error),
            Error::Network(error) => network_kind(error),
            Error::Runtime { .. }
            | Error::OciRuntime(_)
            | Error::Database { .. }
            | Error::Record { .. } => ErrorKind::Internal,
        }
    }

    /// The act that helps, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NameInUse { name, .. } => Some(format!(
                "remove it with `minke rm {name}`, or start with --replace"
            )),
            Error::ImageUnknown { name } => Some(format!("pull it with `minke pull {name}`")),
            _ => None,
        }
    }

    pub(crate) fn path(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Path { act, path, source }
    }

    pub(crate) fn system<E: Into<io::Error>>(act: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Error::System {
            act,
            source: source.into(),
        }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Error::Invalid { what: what.into() }
    }

    /// The error and its causes on one line, outside first.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(plain(&cause_text));
            }
            source = cause.source();
        }
        text
    }
}

/// An errno text without the number that std adds.
fn plain(text: &str) -> &str {
    match text.find(" (os error ") {
        Some(at) => &text[..at],
        None => text,
    }
}

fn storage_kind(error: &minke_storage::Error) -> ErrorKind {
    use minke_storage::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => ErrorKind::NotFound,
        Kind::AlreadyExists => ErrorKind::NameInUse,
        Kind::InUse => ErrorKind::InUse,
        Kind::InvalidInput => ErrorKind::InvalidArgument,
        Kind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

fn image_kind(error: &minke_image::Error) -> ErrorKind {
    use minke_image::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => ErrorKind::NotFound,
        Kind::Unauthorized => ErrorKind::Unauthorized,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::Invalid => ErrorKind::InvalidArgument,
        _ => ErrorKind::Registry,
    }
}

fn spec_kind(error: &minke_runtime_spec::Error) -> ErrorKind {
    use minke_runtime_spec::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => ErrorKind::OciPermission,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::Io => ErrorKind::Io,
        _ => ErrorKind::InvalidArgument,
    }
}

fn network_kind(error: &minke_network::Error) -> ErrorKind {
    use minke_network::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => ErrorKind::NotFound,
        Kind::Invalid | Kind::Exhausted => ErrorKind::InvalidArgument,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::InUse => ErrorKind::PortTaken,
        _ => ErrorKind::Io,
    }
}
