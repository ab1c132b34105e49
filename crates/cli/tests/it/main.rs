//! The command, end to end: the real binary on the real kernel, as root, without a registry.
//!
//! Each test has its own graph root and run root, and an image made from this host's busybox.

mod archive; // an image from busybox
mod scratch; // a store of its own, cleaned up

mod bad_input; // codes and words for what is wrong
mod cdi; // devices by name
mod completion; // of command lines, by shells
mod copy; // cp
mod defaults; // of configuration files
mod files; // diff, export, mount, commit
mod health; // checks
mod life; // from run to rm
mod limits; // what a container may do and use
mod logs; // what they wrote
mod pull; // of images
mod restart; // started again
mod robust; // the command dies, the container does not
mod rootfs; // directories of the host
mod service; // under a service manager
mod shapes; // of JSON documents
mod terminal; // -it
