//! From one [`ContainerSpec`] to an OCI runtime `config.json`.
//!
//! A [`ContainerSpec`] is what was asked for, the same from the command line, the REST API and
//! Kubernetes YAML. An [`ImageConfig`] is what the image says, a [`Host`] what the engine knows
//! about this machine and has prepared for this container. [`generate()`] joins the three by
//! Podman's rules. It reads no file and asks no kernel: whatever it needs is in the `Host`.
//! The texts of user-facing options (`-v`, `-p`, `--ulimit`, ...) are parsed in [`option`].
//!
//! # Limits
//! Volumes, images as mounts and `container:` namespaces are the engine's to resolve: what
//! reaches [`generate()`] unresolved is an error, never a guess.
//!
//! # Example
//! ```
//! use minke_runtime_spec::{ContainerSpec, Host, ImageConfig, generate, to_json};
//!
//! # fn main() -> minke_runtime_spec::Result<()> {
//! let spec = ContainerSpec {
//!     command: vec!["echo".into(), "hi".into()],
//!     mounts: vec![minke_runtime_spec::option::volume::parse("/srv:/data:ro")?],
//!     ..ContainerSpec::default()
//! };
//! let image = ImageConfig { env: vec!["LANG=C".into()], ..ImageConfig::default() };
//! let host = Host { rootfs: "/run/example/rootfs".into(), ..Host::default() };
//! let generated = generate(&spec, &image, &host)?;
//! assert!(to_json(&generated.spec).contains("\"ociVersion\""));
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod cdi; // devices by name
pub mod container; // what was asked for
pub mod generate; // the rules
pub mod host; // what the engine knows
pub mod image; // what the image says
pub mod option; // the texts of user-facing options
pub mod pattern; // file names by pattern
pub mod user; // users and groups of the image

mod error;
mod json; // config.json in one fixed order

pub use container::ContainerSpec;
pub use error::{Error, ErrorKind, Result};
pub use generate::{Clamp, Generated, generate};
pub use host::Host;
pub use image::ImageConfig;
pub use json::to_json;
