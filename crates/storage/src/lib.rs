//! Image layers on disk in containers/storage's format, shared safely between processes.
//!
//! A [`Store`] is two directories: the graph root holds layers, images and containers and
//! stays; the run root holds what a reboot ends. Any number of processes may use a store at
//! once, of this crate, Podman, Buildah, Skopeo or CRI-O: all keep the same files, locks and
//! last-writer tokens.
//!
//! Readers get an [`Index`], whole and as of one moment, and hold a lock only while it is
//! read. Writers hold a guard: [`Layers`], then [`Images`], then [`Containers`]; from each
//! only the later ones can be had, so no two writers can wait for each other.
//!
//! A layer is unpacked by a [`LayerStage`] with no lock at all, as many at once as there are
//! threads, and then recorded by [`Layers::commit`] in a moment. Nothing in a tar stream is
//! trusted: paths are resolved inside the staging directory by the kernel, lengths are bounded,
//! and framing that other readers could understand differently is refused.
//!
//! # Limits
//! Overlay is the only driver. No quota, no composefs, no additional image stores, no mount
//! program.
//!
//! # Example
//! ```no_run
//! use minke_storage::{CommitRequest, CreateContainer, CreateImage, ImageId, LayerId};
//! use minke_storage::{MountRequest, Store, StoreOptions};
//!
//! # fn main() -> minke_storage::Result<()> {
//! let mut store = Store::open(StoreOptions::new("/var/lib/example", "/run/example"))?;
//!
//! // No lock is held while the tar stream is unpacked.
//! let mut stage = store.stage()?;
//! let summary = stage.apply(std::fs::File::open("layer.tar").expect("it is there"))?;
//! let layer = LayerId::from_digest(&summary.diff_id)?;
//! store.write_layers()?.commit(stage, CommitRequest::new(layer.clone()))?;
//!
//! let image = CreateImage::new(ImageId::random()?)
//!     .name("localhost/example:latest")
//!     .top_layer(layer)
//!     .big_data("manifest", b"{}".to_vec());
//! let image = store.write_images()?.create(image)?;
//!
//! let container = store.create_container(CreateContainer::new(&image.id))?;
//! let root = store.mount(&container.layer, &MountRequest::default())?;
//! println!("{}", root.display());
//! store.unmount(&container.layer)?;
//! store.delete_container(&container.id)?;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bigdata; // large items beside a record
mod changes; // what a layer changes, as a list
mod config; // storage.conf(5)
mod container; // container records and their life
mod delete; // taking away images, containers and their layers
mod digest; // typed digests
mod driver; // what a copy-on-write backend must do
mod error;
mod export; // a layer as the tar stream it came as
mod id; // typed ids
mod image; // image records and their life
mod index; // the JSON files of records
mod lastwrite; // lock files and the token of the last writer
mod layer; // layer records and their life
mod mapped; // an image's files with other owners
mod mountpoints; // which layers are mounted, and how often
mod options;
mod pack; // files as a tar stream
mod record; // what records have in common
mod stage; // layers being unpacked
mod store;
mod tar; // the archive format
mod tempdir; // directories that end with their process
mod unpack; // tar entries onto disk

pub use changes::{Change, ChangeKind};
pub use config::{Config, ConfigDefaults};
pub use container::{Container, Containers, CreateContainer};
pub use digest::{Algorithm, Digest, Hasher};
pub use driver::MountRequest;
pub use error::{Error, ErrorKind, Result};
pub use export::LayerExport;
pub use id::{ContainerId, ImageId, LayerId};
pub use image::{BigDataItem, CreateImage, Image, Images};
pub use index::{Index, Record};
pub use layer::{CommitRequest, Compressed, Compression, Layer, Layers};
pub use options::{OverlayOptions, StoreOptions};
pub use pack::Packer;
pub use record::{IdMap, Timestamp};
pub use stage::{DiffSummary, LayerStage};
pub use store::Store;
pub use unpack::{ExtractOptions, extract};
