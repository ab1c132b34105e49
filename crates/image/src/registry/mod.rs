//! Registries by the OCI distribution specification.
//!
//! [`Registry`] is a connection to one; [`RegistrySource`] and [`RegistryDestination`] are the
//! transport `docker://`. All calls block; the async side lives on one thread per connection.
//!
//! Credentials go to the registry itself and to the token server it names, never to where it
//! redirects. Plain HTTP is used only where [`RegistryOptions::insecure`] allows it.

mod blob;
mod challenge;
mod client;
mod destination;
mod failure;
mod http;
mod network;
mod source;
mod tls;
mod token;

use std::time::Duration;

pub use blob::BlobReader;
pub use challenge::{Challenge, parse_challenges};
pub use client::{Access, Registry};
pub use destination::RegistryDestination;
pub use source::RegistrySource;

use crate::auth::{AuthFile, Credentials};
use crate::reference::ImageReference;

/// How to talk to registries.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Credentials that are used instead of those in `auth_files`.
    pub credentials: Option<Credentials>,
    /// Files to look credentials up in, in order.
    pub auth_files: Vec<AuthFile>,
    /// Take any certificate, and speak plain HTTP if the registry does not speak TLS.
    pub insecure: bool,
    /// Authorities (DER) to trust besides the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// The `User-Agent`.
    pub user_agent: String,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a registry may send nothing.
    pub stall_timeout: Duration,
    /// How often a request, or a broken download, is tried again.
    pub retries: u32,
    /// The wait before the first retry; it doubles each time.
    pub retry_delay: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        RegistryOptions {
            credentials: None,
            auth_files: Vec::new(),
            insecure: false,
            extra_roots: Vec::new(),
            user_agent: concat!("minke/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            retries: 3,
            retry_delay: Duration::from_millis(500),
        }
    }
}

impl RegistryOptions {
    /// The credentials for `reference`.
    pub fn credentials_for(&self, reference: &ImageReference) -> Option<Credentials> {
        let stored = || {
            self.auth_files
                .iter()
                .find_map(|file| file.lookup(reference))
        };
        self.credentials.clone().or_else(|| stored().cloned())
    }
}
