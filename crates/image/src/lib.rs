//! Container image references, registries, manifests and transports.
#![forbid(unsafe_code)]

pub mod archive; // docker-archive:, oci-archive:
pub mod auth; // auth.json
pub mod config; // image configs
pub mod copy; // the pipeline from a source to a destination
pub mod descriptor; // type, digest and size of content
pub mod digest; // typed digests, checked while streaming
pub mod document; // limits on JSON documents
pub mod layout; // oci:
pub mod manifest; // manifests and indexes, verbatim
pub mod media_type; // media types
pub mod name; // transport:reference
pub mod platform; // platforms and their choice
pub mod policy; // which images may be taken
pub mod progress; // what a copy tells
pub mod reference; // registry references and short names
pub mod registries; // registries.conf
pub mod registry; // the distribution protocol, docker://
#[cfg(feature = "storage")]
pub mod storage; // containers-storage:
pub mod transport; // the seams: source and destination

mod error;

pub use config::ImageConfig;
pub use copy::{CopyOptions, CopyOutcome, copy};
pub use descriptor::Descriptor;
pub use digest::Digest;
pub use error::{Error, ErrorKind, Result};
pub use layout::{LayoutDestination, LayoutSource};
pub use manifest::{ImageIndex, ImageManifest, Manifest, RawManifest};
pub use media_type::MediaType;
pub use name::{ImageName, Transport};
pub use platform::Platform;
pub use policy::Policy;
pub use progress::{Event, Progress};
pub use reference::{ImageReference, UserName};
pub use registries::Registries;
pub use registry::{RegistryDestination, RegistryOptions, RegistrySource};
#[cfg(feature = "storage")]
pub use storage::{StorageDestination, StorageSource};
pub use transport::{ImageDestination, ImageSource};
