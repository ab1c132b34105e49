//! The built runtime on the real kernel, as root.

mod bundle;
mod console;
mod crash;
mod hostile;
mod inside;
mod lifecycle;
mod parity;
