use std::io;
use std::path::{Path, PathBuf};

use crate::{ContainerId, Digest, ImageId, LayerId};

/// The result of what this crate does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such layer, image, container or data item.
    NotFound,
    /// The id or name is taken.
    AlreadyExists,
    /// Something else still needs it.
    InUse,
    /// An argument, a configuration file or a digest text is wrong.
    InvalidInput,
    /// Bytes from outside (a layer, an index) break their format.
    InvalidData,
    /// Bytes do not hash to what was expected.
    DigestMismatch,
    /// This kernel, file system or crate cannot do it.
    Unsupported,
    /// The system refused.
    Io,
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No layer of that id, name or id prefix.
    #[error("no layer {reference:?} in this store")]
    LayerUnknown {
        /// What was looked for.
        reference: String,
    },
    /// No image of that id, name or id prefix.
    #[error("no image {reference:?} in this store")]
    ImageUnknown {
        /// What was looked for.
        reference: String,
    },
    /// No container of that id, name or id prefix.
    #[error("no container {reference:?} in this store")]
    ContainerUnknown {
        /// What was looked for.
        reference: String,
    },
    /// The image has no data item of that name.
    #[error("image {image} has no data item {key:?}")]
    BigDataUnknown {
        /// The image.
        image: ImageId,
        /// The name of the item.
        key: String,
    },
    /// The prefix of an id fits several.
    #[error("{reference:?} is the beginning of more than one id")]
    Ambiguous {
        /// What was looked for.
        reference: String,
    },
    /// A layer of that id exists.
    #[error("layer {id} exists")]
    LayerExists {
        /// The id.
        id: LayerId,
    },
    /// An image of that id exists.
    #[error("image {id} exists")]
    ImageExists {
        /// The id.
        id: ImageId,
    },
    /// A container of that id exists.
    #[error("container {id} exists")]
    ContainerExists {
        /// The id.
        id: ContainerId,
    },
    /// The name belongs to another object.
    #[error("the name {name:?} is in use by {holder}")]
    NameInUse {
        /// The name.
        name: String,
        /// The id of the object that has it.
        holder: String,
    },
    /// Another layer, an image or a container is built on this layer.
    #[error("layer {id} is in use by {user}")]
    LayerInUse {
        /// The layer.
        id: LayerId,
        /// Who needs it.
        user: String,
    },
    /// A container is built on this image.
    #[error("image {id} is in use by container {container}")]
    ImageInUse {
        /// The image.
        id: ImageId,
        /// The container.
        container: ContainerId,
    },
    /// A digest, id or option is not in its form.
    #[error("invalid {what} {text:?}: {why}")]
    Invalid {
        /// What kind of thing it is.
        what: &'static str,
        /// The text.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// A configuration file cannot be understood.
    #[error("cannot understand {}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: Box<toml::de::Error>,
    },
    /// An index file is damaged.
    #[error("cannot understand {}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The tar stream of a layer breaks its format or reaches outside.
    #[error("bad archive at byte {offset}: {why}")]
    Archive {
        /// Where in the stream.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// An entry of a layer cannot be put on disk.
    #[error("cannot unpack {entry:?}: cannot {act}")]
    Unpack {
        /// The name of the entry.
        entry: PathBuf,
        /// What was tried.
        act: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// What is there is a directory and the entry is none, or the other way round.
    #[error(
        "cannot unpack {entry:?}: cannot overwrite {} with {}: file exists",
        if *is_directory { "non-directory" } else { "directory" },
        if *is_directory { "directory" } else { "non-directory" }
    )]
    KindDiffers {
        /// The name of the entry.
        entry: PathBuf,
        /// Whether the entry is a directory.
        is_directory: bool,
    },
    /// Bytes do not hash to what was expected.
    #[error("expected digest {expected}, found {found}")]
    DigestMismatch {
        /// What was asked for.
        expected: Digest,
        /// What was computed.
        found: Digest,
    },
    /// A file of a layer is not what was once unpacked.
    #[error("file {file:?} of layer {id} has changed since it was unpacked")]
    LayerModified {
        /// The layer.
        id: LayerId,
        /// The file.
        file: PathBuf,
    },
    /// This kernel, file system or crate cannot do it.
    #[error("{what} is not supported")]
    Unsupported {
        /// What is not.
        what: String,
    },
    /// The stream handed in failed.
    #[error("cannot read the layer stream")]
    Stream {
        /// The reader's error.
        source: io::Error,
    },
    /// A layer could not be mounted.
    #[error("cannot mount layer {id}")]
    Mount {
        /// The layer.
        id: LayerId,
        /// The system's answer.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot {act} {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// What a caller may branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::LayerUnknown { .. }
            | Error::ImageUnknown { .. }
            | Error::ContainerUnknown { .. }
            | Error::BigDataUnknown { .. } => ErrorKind::NotFound,
            Error::LayerExists { .. }
            | Error::ImageExists { .. }
            | Error::ContainerExists { .. }
            | Error::KindDiffers { .. }
            | Error::NameInUse { .. } => ErrorKind::AlreadyExists,
            Error::LayerInUse { .. } | Error::ImageInUse { .. } => ErrorKind::InUse,
            Error::Ambiguous { .. } | Error::Invalid { .. } | Error::Config { .. } => {
                ErrorKind::InvalidInput
            }
            Error::Index { .. } | Error::Archive { .. } | Error::LayerModified { .. } => {
                ErrorKind::InvalidData
            }
            Error::DigestMismatch { .. } => ErrorKind::DigestMismatch,
            Error::Unsupported { .. } => ErrorKind::Unsupported,
            Error::Unpack { .. }
            | Error::Stream { .. }
            | Error::Mount { .. }
            | Error::Io { .. } => ErrorKind::Io,
        }
    }

    /// An [`Error::Io`] maker for `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(
        act: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Io {
            act,
            path: path.as_ref().to_owned(),
            source: source.into(),
        }
    }

    pub(crate) fn invalid(what: &'static str, text: &str, why: impl Into<String>) -> Self {
        let text = text.chars().take(200).collect();
        Self::Invalid {
            what,
            text,
            why: why.into(),
        }
    }
}
