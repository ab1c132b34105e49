//! The store on the real kernel, and beside the other programs that share its format.

mod archive;
mod changes;
mod crash;
mod export;
mod extract;
mod hostile;
mod images;
mod interop;
mod layers;
mod mapped;
mod mounts;
mod property;
mod race;
mod scratch;
mod userns;
