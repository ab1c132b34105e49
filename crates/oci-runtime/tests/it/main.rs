//! The built runtime on the real kernel, as root.

mod bundle;
mod crash;
mod lifecycle;
