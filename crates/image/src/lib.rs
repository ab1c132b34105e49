//! Container images: their names, manifests and transports, and copying them safely.
//!
//! An image is a manifest that names, by digest, a config and layers. It lives in a registry,
//! a directory, an archive or a store; for each such place there is an [`ImageSource`] or an
//! [`ImageDestination`], and [`copy()`] moves an image from the one to the other. What is read is
//! believed only once its digest has been computed here, and a destination shows nothing until
//! all of it has been.
//!
//! All calls block. The network has a thread of its own for each registry.
//!
//! # Limits
//! Manifests are read up to 4 MiB, configs up to 8 MiB; decompression is bounded by
//! [`copy::InflateLimits`]. No Docker schema 1, no encrypted layers, no zstd:chunked partial
//! pulls, no client certificates, no proxies. Policies that demand signatures refuse: none is
//! verified yet.
//!
//! # Example
//! ```no_run
//! use minke_image::progress::Silent;
//! use minke_image::{
//!     CopyOptions, ImageReference, LayoutDestination, Policy, RegistryOptions, RegistrySource, copy,
//! };
//!
//! # fn main() -> minke_image::Result<()> {
//! let reference: ImageReference = "quay.io/example/tool:1".parse()?;
//! let source = RegistrySource::open(&reference, &RegistryOptions::default())?;
//! let mut layout = LayoutDestination::open("layout".as_ref(), reference.tag())?;
//! let options = CopyOptions::new(Policy::accept_anything());
//! let outcome = copy(&source, &mut layout, &options, &Silent)?;
//! println!("{}", outcome.image_id());
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

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
