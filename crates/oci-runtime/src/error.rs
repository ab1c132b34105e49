//! What can go wrong, in the words users of runc and crun know.

use std::io;
use std::path::PathBuf;

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The id holds characters a path or a cgroup cannot carry.
    #[error("invalid container id `{id}`: use letters, digits and any of _ + - .")]
    InvalidId {
        /// The id as given.
        id: String,
    },
    /// No such container in this state root.
    #[error("container `{id}` does not exist")]
    UnknownContainer {
        /// The id as given.
        id: String,
    },
    /// The id is taken.
    #[error("container `{id}` already exists")]
    Exists {
        /// The id as given.
        id: String,
    },
    /// The container is in another state than the operation needs.
    #[error("container `{id}` is {state}, not {wanted}")]
    WrongState {
        /// The container.
        id: String,
        /// What it is.
        state: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// config.json or process.json breaks a rule.
    #[error("invalid configuration: {what}")]
    InvalidConfig {
        /// The rule and the value.
        what: String,
    },
    /// A feature of the runtime specification that this runtime does not have.
    #[error("{what} is not supported by this runtime")]
    Unsupported {
        /// The feature.
        what: String,
    },
    /// A name or number that is no signal.
    #[error("invalid signal: {signal}")]
    InvalidSignal {
        /// As given.
        signal: String,
    },
    /// A file could not be read as JSON.
    #[error("cannot parse {}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A system call on a host path failed.
    #[error("cannot {act} {}", path.display())]
    Path {
        /// What was attempted: "open", "create".
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A system call without a path failed.
    #[error("cannot {act}")]
    System {
        /// What was attempted.
        act: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The child that becomes the container could not do one of its steps.
    #[error("{what}")]
    Init {
        /// The step in words, its object, and the reason.
        what: String,
        /// Whether the user's command is missing (127), not executable (126), or it is
        /// something else.
        class: InitFailure,
    },
    /// A hook failed.
    #[error("hook {} failed: {what}", path.display())]
    Hook {
        /// The hook's program.
        path: PathBuf,
        /// Exit status or error.
        what: String,
    },
}

/// Which kind of step of the container's init failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitFailure {
    /// The command does not exist.
    CommandNotFound,
    /// The command exists and cannot be executed.
    CommandNotExecutable,
    /// Anything else.
    Setup,
}

impl Error {
    /// Wraps the failure of `act` on `path`.
    pub(crate) fn path(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Path { act, path, source }
    }

    /// Wraps the failure of `act`.
    pub(crate) fn system<E: Into<io::Error>>(act: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Error::System {
            act,
            source: source.into(),
        }
    }

    /// A configuration error.
    pub(crate) fn config(what: impl Into<String>) -> Self {
        Error::InvalidConfig { what: what.into() }
    }

    /// The error and its causes on one line, as runtimes print it.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&crate::plan::plain(&cause.to_string()));
            source = cause.source();
        }
        text
    }
}
