//! Containers and their life: the library behind minke's commands.
//!
//! An [`Engine`] joins a store ([`minke_storage`]), registries ([`minke_image`]), networks
//! ([`minke_network`]), a monitor and a runtime into containers. There is no daemon: any
//! number of processes may hold an engine over the same directories. What is *intended* is in
//! one SQLite file below the graph root ([`database`](crate)); what *is* follows from facts:
//! a process and its start time, the boot, the exit file.
//!
//! The engine never sees a flag or an HTTP query: whoever parses those builds a
//! [`spec::ContainerSpec`] and a request.
//!
//! # Limits
//! Operations that make processes fork: call them from a process with one thread.
//!
//! # Example
//! ```no_run
//! use minke_engine::{CreateRequest, Engine, EngineOptions, progress::Silent, spec::ContainerSpec};
//!
//! # fn main() -> minke_engine::Result<()> {
//! let engine = Engine::open(EngineOptions {
//!     self_exe: "/usr/bin/minke".into(),
//!     ..EngineOptions::default()
//! })?;
//! let spec = ContainerSpec { image: "minke/hello".into(), ..ContainerSpec::default() };
//! let created = engine.create(&spec, &CreateRequest::default(), &Silent)?;
//! engine.start(&created.id)?;
//! println!("exit code {}", engine.wait(&created.id, &Default::default())?);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![recursion_limit = "256"]
#![warn(missing_docs)]

/// A full id: 64 hexadecimal digits.
pub type Id = String;

mod container; // containers: one operation a file
mod container_defaults; // what a container is where nothing is asked
mod containers_conf; // defaults of containers.conf(5)
mod database; // what is intended, in SQLite
mod engine;
mod error;
mod image; // images: one operation a file
mod info; // what this engine is and where
pub mod moment; // moments as people type them
mod options;
pub mod rootless; // the user namespace of a normal user
mod timestamp; // moments in records
mod volume; // directories that outlive containers

pub use container::again::RestartRequest;
pub use container::attach::{AttachEnd, AttachRequest};
pub use container::cleanup::{CleanupRequest, RestartWaiter};
pub use container::clone::CloneRequest;
pub use container::commit::{CommitRequest, Committed, ImageFormat};
pub use container::copy::{CopyEnd, CopyRequest};
pub use container::create::{CreateRequest, Created};
pub use container::diff::{DiffKind, DiffRequest};
pub use container::exec::ExecRequest;
pub use container::filter::FilterMap;
pub use container::health::HealthResult;
pub use container::list::{ContainerSummary, ListRequest, NamespaceIds, PublishedPort, Size};
pub use container::logs::{LogLine, LogStream, LogsRequest};
pub use container::mount::{MountedContainer, UnmountRequest};
pub use container::preserve::Preserve;
pub use container::remove::RemoveRequest;
pub use container::select::{Selected, Selection};
pub use container::stats::{ContainerStats, InterfaceStats, StatsSampler};
pub use container::status::ContainerState;
pub use container::stop::StopRequest;
pub use container::top::{
    ProcessTable, are_descriptors as are_top_descriptors, descriptors as top_descriptors,
};
pub use container::update::{HealthUpdate, UpdateRequest};
pub use container::wait::{WaitCondition, WaitRequest};
pub use container_defaults::ContainerDefaults;
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use image::list::{ImageSummary, ImagesRequest};
pub use image::pull::{Credentials, PlatformRequest, PullPolicy, PullRequest};
pub use image::remove::{RemoveImageRequest, RemovedImage};
pub use image::runlabel::RunlabelRequest;
pub use image::save::{SaveFormat, SaveRequest};
pub use info::version;
pub use minke_image::progress::{self, Progress};
pub use minke_runtime_spec as spec;
pub use minke_storage::{Change, ChangeKind};
pub use options::{EngineOptions, Surroundings};
pub use volume::{Volume, VolumeRequest};
