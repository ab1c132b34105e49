//! What can go wrong, with the data a caller needs to say so.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::digest::Digest;

/// The result of most operations here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Text or a document that does not parse, or breaks its format's rules.
    Invalid,
    /// A short name that no alias or search registry resolves.
    Unresolved,
    /// The image, manifest or blob does not exist.
    NotFound,
    /// Credentials are missing, wrong or not enough.
    Unauthorized,
    /// The registry cannot be talked to.
    Unreachable,
    /// The registry answered, but not as it should.
    Registry,
    /// The registry asks to be left alone for a while.
    TooManyRequests,
    /// Content is not what its digest says.
    DigestMismatch,
    /// Content is longer or shorter than announced.
    SizeMismatch,
    /// Something exceeds its limit.
    TooLarge,
    /// The policy or `registries.conf` forbids it.
    Denied,
    /// A valid thing that this crate does not do.
    Unsupported,
    /// No instance of an index fits the platform.
    NoPlatform,
    /// The file system or a stream failed.
    Io,
    /// The store failed.
    Store,
    /// Another part of the same copy failed first.
    Aborted,
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A digest is malformed or of an unknown algorithm.
    #[error("invalid digest {text:?}")]
    InvalidDigest {
        /// The text as it came, shortened.
        text: String,
    },
    /// A reference does not follow the grammar.
    #[error("parsing reference {text:?}: {problem}")]
    InvalidReference {
        /// The text as it came.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A `transport:...` name is malformed.
    #[error("invalid image name {text:?}: {problem}")]
    InvalidImageName {
        /// The text as it came.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A short name is neither an alias nor can be searched.
    #[error(
        "short-name {name:?} did not resolve to an alias and no unqualified-search registries are defined in {config:?}"
    )]
    ShortNameUnresolved {
        /// The name as typed.
        name: String,
        /// The configuration that could have defined some.
        config: String,
    },
    /// A short name is ambiguous and `short-name-mode` is `enforcing`.
    #[error(
        "short-name resolution enforced but cannot prompt without a TTY: {name:?} may be any of {}",
        candidates.join(", ")
    )]
    ShortNameAmbiguous {
        /// The name as typed.
        name: String,
        /// What it could stand for.
        candidates: Vec<String>,
    },
    /// `registries.conf` blocks the registry.
    #[error("registry {registry} is blocked in {config}")]
    Blocked {
        /// The prefix that is blocked.
        registry: String,
        /// The configuration that decided.
        config: String,
    },
    /// The signature policy refuses the image.
    #[error("Source image rejected: {reason}")]
    PolicyDenied {
        /// Scope and requirement that decided.
        reason: String,
    },
    /// A configuration document does not parse.
    #[error("cannot parse {what}: {problem}")]
    Config {
        /// Which document.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An image document breaks its format's rules.
    #[error("invalid {what}: {problem}")]
    InvalidDocument {
        /// Which document: `manifest`, `image config`...
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A valid request that is not supported.
    #[error("{what} is not supported{}", if hint.is_empty() { String::new() } else { format!(": {hint}") })]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What helps, or why; may be empty.
        hint: String,
    },
    /// Content is not what its digest says.
    #[error("{what} does not match its digest: expected {expected}, found {found}")]
    DigestMismatch {
        /// Which content.
        what: String,
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// Content is longer or shorter than its descriptor says.
    #[error("{what} has the wrong size: expected {expected} bytes, found {found}")]
    SizeMismatch {
        /// Which content.
        what: String,
        /// The announced size.
        expected: u64,
        /// The size seen so far.
        found: u64,
    },
    /// Something exceeds a limit.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Which content.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A compressed stream expands suspiciously far.
    #[error(
        "{what} expands more than {ratio} times and past {floor} bytes: refused as a decompression bomb"
    )]
    Bomb {
        /// Which content.
        what: String,
        /// The permitted ratio.
        ratio: u64,
        /// Where the ratio starts to count.
        floor: u64,
    },
    /// No instance of an index fits.
    #[error(
        "no image found in image index for architecture {architecture:?}, variant {variant:?}, OS {os:?}"
    )]
    NoPlatform {
        /// The architecture asked for.
        architecture: String,
        /// The variant asked for.
        variant: String,
        /// The operating system asked for.
        os: String,
    },
    /// The registry does not answer.
    #[error("pinging container registry {host}: {problem}")]
    Ping {
        /// `host[:port]` of the registry.
        host: String,
        /// The request and its failure.
        problem: String,
        /// What kind of failure.
        kind: ErrorKind,
    },
    /// A manifest cannot be read.
    #[error("reading manifest {reference} in {repository}: {problem}")]
    ManifestRead {
        /// Tag or digest.
        reference: String,
        /// `host/path`.
        repository: String,
        /// The registry's answer.
        problem: String,
        /// What kind of failure.
        kind: ErrorKind,
    },
    /// A request to a registry failed.
    #[error("{attempted}: {problem}")]
    Request {
        /// What was attempted, on what.
        attempted: String,
        /// The registry's or the network's answer.
        problem: String,
        /// What kind of failure.
        kind: ErrorKind,
        /// How long the registry asked us to wait.
        retry_after: Option<Duration>,
    },
    /// An archive is not an image archive.
    #[error("payload does not match any of the supported image formats:{problems}")]
    NotAnImageArchive {
        /// One line a format, each starting with a newline.
        problems: String,
    },
    /// An image is not in its archive or layout.
    #[error("{what} not found in {}", path.display())]
    NotInPlace {
        /// What was looked for.
        what: String,
        /// Where.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// The verb: `open`, `write`...
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A stream failed.
    #[error("cannot read {what}")]
    Stream {
        /// Which stream.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The store failed.
    #[error("{action}")]
    Store {
        /// What was attempted.
        action: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another part of the same copy failed; that part's error is the one reported.
    #[error("abandoned because another part of the copy failed")]
    Aborted,
}

impl Error {
    /// What a caller may branch on. Exit codes and HTTP statuses derive from it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::InvalidDigest { .. }
            | Error::InvalidReference { .. }
            | Error::InvalidImageName { .. }
            | Error::Config { .. }
            | Error::InvalidDocument { .. }
            | Error::NotAnImageArchive { .. } => ErrorKind::Invalid,
            Error::ShortNameUnresolved { .. } | Error::ShortNameAmbiguous { .. } => {
                ErrorKind::Unresolved
            }
            Error::Blocked { .. } | Error::PolicyDenied { .. } => ErrorKind::Denied,
            Error::Unsupported { .. } => ErrorKind::Unsupported,
            Error::DigestMismatch { .. } => ErrorKind::DigestMismatch,
            Error::SizeMismatch { .. } => ErrorKind::SizeMismatch,
            Error::TooLarge { .. } | Error::Bomb { .. } => ErrorKind::TooLarge,
            Error::NoPlatform { .. } => ErrorKind::NoPlatform,
            Error::Ping { kind, .. }
            | Error::ManifestRead { kind, .. }
            | Error::Request { kind, .. } => *kind,
            Error::NotInPlace { .. } => ErrorKind::NotFound,
            Error::File { .. } | Error::Stream { .. } => ErrorKind::Io,
            Error::Store { .. } => ErrorKind::Store,
            Error::Aborted => ErrorKind::Aborted,
        }
    }

    /// Wraps this error so that it can travel through [`std::io::Read`].
    pub fn into_stream(self) -> io::Error {
        io::Error::other(self)
    }

    /// Takes an [`Error`] that travelled through a stream back out; any other failure becomes
    /// [`Error::Stream`] on `what`.
    pub fn from_stream(error: io::Error, what: &str) -> Self {
        match error.downcast::<Error>() {
            Ok(own) => own,
            Err(source) => Error::Stream {
                what: what.to_owned(),
                source,
            },
        }
    }

    /// Makes a closure that turns an [`io::Error`] on `path` into [`Error::File`].
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| match source.downcast::<Error>() {
            Ok(own) => own,
            Err(source) => Error::File {
                action,
                path,
                source,
            },
        }
    }
}
