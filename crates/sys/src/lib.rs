//! The kernel seam of minke: safe wrappers over what the kernel offers a container engine.
//!
//! Everything here is safe for every input and leaks no descriptor: the unsafe code of the
//! workspace lives in this crate and in the few modules that fork or exec.
#![warn(missing_docs)]

pub mod atomic; // replace a file so that a crash leaves the old or the new one
pub mod bpf; // programs that guard the devices of a cgroup
pub mod cgroup; // where control groups are: v1, v2, hybrid, none
pub mod child; // clone3 with a plan the child walks without allocating
pub mod exe; // a copy of our own binary that a container cannot overwrite
pub mod fdpass; // descriptors over Unix sockets
pub mod idmap; // mappings of ids, and namespaces for them
pub mod inherit; // descriptors this process was started with
pub mod lock; // open-file-description record locks
pub mod mount; // the new mount API
pub mod pidfd; // processes held by descriptor
pub mod proc; // facts about processes: start time, boot id
pub mod rooted; // paths resolved beneath a directory
pub mod tree; // whole directories copied and given to somebody
pub mod xattr; // extended attributes by descriptor
