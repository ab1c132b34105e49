//! Against real registries and peers where they are installed, and a hostile one of our own.

mod archives;
mod fixture;
mod hostile;
mod peers;
mod registries;
#[cfg(feature = "storage")]
mod store;
