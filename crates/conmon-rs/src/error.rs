use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong between the command line and the container's end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line, or what the environment says, cannot be followed.
    #[error("{message}")]
    Usage {
        /// What is wrong, as a sentence without a full stop.
        message: String,
    },
    /// Something done to a path failed.
    #[error("cannot {action} {}", path.display())]
    Path {
        /// What was attempted, as a verb.
        action: &'static str,
        /// What it was attempted on.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A system call with no path of its own failed.
    #[error("cannot {action}")]
    System {
        /// What was attempted, as a verb and its object.
        action: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The OCI runtime did not make the container or start the process.
    #[error("{message}")]
    Runtime {
        /// The runtime's exit status, 128 + n for signal n.
        status: i32,
        /// What it wrote to its standard error, or our words if it wrote nothing.
        message: String,
    },
    /// The runtime ended well but sent no terminal.
    #[error("the OCI runtime did not set up a terminal")]
    NoTerminal,
}

/// What a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller asked for something impossible.
    Usage,
    /// The operating system refused.
    Io,
    /// The OCI runtime refused.
    Runtime,
}

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What a caller may branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Usage { .. } => ErrorKind::Usage,
            Error::Path { .. } | Error::System { .. } => ErrorKind::Io,
            Error::Runtime { .. } | Error::NoTerminal => ErrorKind::Runtime,
        }
    }

    /// The error and its causes on one line, for a peer that takes one string.
    pub fn to_line(&self) -> String {
        let mut line = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            line.push_str(": ");
            line.push_str(&error.to_string());
            source = error.source();
        }
        line
    }

    pub(crate) fn usage(message: impl Into<String>) -> Error {
        Error::Usage {
            message: message.into(),
        }
    }
}

/// For `map_err`: says what was being done to `path`.
pub(crate) fn at<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    move |source| Error::Path {
        action,
        path: path.to_path_buf(),
        source: source.into(),
    }
}

/// For `map_err`: says what was being done.
pub(crate) fn doing<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::System {
        action,
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_cause_once() {
        let error = at::<io::Error>("open", Path::new("/x"))(io::Error::other("no"));
        assert_eq!(error.to_line(), "cannot open /x: no");
        assert_eq!(error.kind(), ErrorKind::Io);
    }
}
