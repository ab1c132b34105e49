//! seccomp policies: from `seccomp.json`, to OCI `linux.seccomp`, to BPF.
//!
//! A [`Profile`] is the policy file that Podman and Docker read. [`resolve`] evaluates its
//! conditions (capabilities, architecture, kernel) and yields the `linux.seccomp` of an OCI
//! `config.json`. [`bpf::compile`] turns that into the program the kernel runs, one program
//! for every architecture the policy lists; [`cache`] keeps the program by content.
//!
//! # Limits
//! Programs are made for x86_64 (with x86 and x32), aarch64 (with arm) and riscv64. Numbers
//! come from Linux 6.17's tables; a name unknown to an architecture is skipped there, as
//! libseccomp does. Nothing here loads a program: that is the runtime's act.
//!
//! # Example
//! ```
//! use minke_seccomp::{Architecture, Conditions, Profile, bpf, resolve};
//!
//! # fn main() -> minke_seccomp::Result<()> {
//! let conditions = Conditions {
//!     capabilities: ["CAP_CHOWN".to_owned(), "CAP_SYS_CHROOT".to_owned()].into(),
//!     arch: Architecture::X86_64,
//!     kernel_version: None,
//! };
//! let seccomp = resolve(Profile::default_policy(), &conditions)?.expect("the policy is not empty");
//! let program = bpf::compile_for(&seccomp, Architecture::X86_64)?;
//! assert!(program.len() < 4096);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod bpf; // linux.seccomp to kernel instructions
pub mod cache; // compiled programs by content
pub mod flags; // filter flags as the kernel's bits

mod arch; // architectures and their syscall numbers
mod errno; // errno names
mod error;
mod profile; // the seccomp.json format
mod resolve; // conditions to linux.seccomp

pub use arch::Architecture;
pub use error::{Error, ErrorKind, Result};
pub use profile::{
    ArchitectureEntry, Argument, Filter, KernelVersion, MAX_PROFILE_BYTES, Profile, SyscallRule,
};
pub use resolve::{Conditions, resolve};
