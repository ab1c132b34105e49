//! A container monitor with conmon's command line.
//!
//! One monitor lives as long as one container (or one exec session). It runs the OCI runtime,
//! becomes the parent of what that leaves running, owns its stdio or terminal, keeps its log,
//! serves those who attach, and writes down how it ended. Its contract is conmon's: flags
//! ([`args`]), the pipes named by `_OCI_SYNCPIPE`, `_OCI_STARTPIPE` and `_OCI_ATTACHPIPE`
//! ([`sync`]), the attach socket, the fifos `ctl` and `winsz` ([`ctl`]), log formats ([`log`]),
//! exit files and the exit command. Podman uses it by `--conmon`; whoever starts this one can
//! start conmon instead.
//!
//! A monitor has one thread, one epoll set and fixed buffers, and allocates nothing for a line of
//! output. It must be started in a process with a single thread, because it forks.
//!
//! # Limits
//! The monitor's own messages are [`tracing`] events: `--log-level` and `--syslog` are accepted,
//! and the program that calls [`run`] decides where events go.
//!
//! # Example
//! A program that is conmon:
//! ```no_run
//! use minke_conmon_rs::{Environment, run};
//!
//! let environment = Environment {
//!     vars: std::env::vars_os().collect(),
//!     cwd: std::env::current_dir().unwrap_or_default(),
//! };
//! let code = run(std::env::args_os().skip(1).collect(), &environment);
//! std::process::exit(code);
//! ```
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod again; // commands that ask to be run again
pub mod args; // conmon's command line
mod attach; // the attach socket and its clients
mod console; // the terminal the runtime sends
pub mod ctl; // orders from outside, by fifo
mod environment;
mod error;
mod exit; // exit files and the exit command
mod fork; // fork, exec, and descriptors by number: all that is unsafe
mod json_text; // text inside JSON strings
pub mod log; // where output is kept
mod monitor; // the loop
mod notify; // readiness, relayed
mod oom; // out of memory: ours and the container's
mod periodic; // a command that is run again and again
mod poller; // what the loop waits for
mod role;
mod runtime; // what the OCI runtime is told and answers
mod startup; // from a command line to a monitor
mod stdio; // the container's streams
pub mod sync; // the pipes to the caller

pub use environment::Environment;
pub use error::{Error, ErrorKind, Result};
pub use role::{VERSION, run};
pub use startup::start;
