//! An OCI runtime: makes, starts, signals and deletes containers from bundles.
//!
//! It mirrors runc and crun: the same command line ([`cli`]), the same words in its errors,
//! the same files asked for and written, so that Podman, Buildah and CRI-O can use it by
//! `--runtime`. The container's state is derived from facts ([`state`]).
//!
//! A container is *planned* in the host (`plan`: every path opened, every string built, the
//! seccomp filter compiled or taken from its cache), then *cloned* (`launch`), and the child
//! walks the plan making system calls only (`child`).
//!
//! # Limits
//! [`create`](fn@create::create) and [`exec`](fn@exec::exec) must be called from a
//! single-threaded process: they clone it. No SELinux or AppArmor labels, no time
//! namespaces, no seccomp notification, no startContainer hooks, no Intel RDT: a configuration
//! that asks for them is refused. Bind mounts may be idmapped, other mounts not. Device
//! rules on cgroup v2 are a BPF program, which takes root: others go without, as with runc.
//!
//! # Example
//! ```no_run
//! use minke_oci_runtime::{create, delete, start, state::StateRoot};
//! # fn main() -> minke_oci_runtime::Result<()> {
//! let root = StateRoot::new("/run/example");
//! let request = create::CreateRequest { bundle: "/tmp/bundle".into(), ..Default::default() };
//! let container = create::create(&root, "one", &request)?;
//! start::start(&root, "one")?;
//! let status = container.process.reap().expect("init is our child");
//! delete::delete(&root, "one", false)?;
//! println!("exit code {}", status.code());
//! # Ok(()) }
//! ```
#![warn(missing_docs)]

pub mod cli; // runc's command line
pub mod create; // a container, set up
pub mod default_spec; // a config.json to start from
pub mod delete; // and gone
pub mod exec; // one more process
pub mod init; // a process 1 that reaps
pub mod kill; // signals
pub mod pause; // the freezer
pub mod signal; // their names
pub mod start; // let it run
pub mod state; // what is known and true of a container
pub mod update; // other limits

mod capability;
mod child;
mod config;
mod copy_up;
mod device_program;
mod device_rule;
mod error;
mod foreground;
mod hooks;
mod launch;
mod plan;
mod prepare;
mod relay;
mod resources;
mod step;

pub use error::{Error, InitFailure, Result};
pub use launch::Launched;
