//! `pull`: from registries into the store.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use minke_image::storage::StorageDestination;
use minke_image::{
    CopyOptions, ImageReference, ImageSource, Platform, Progress, RegistryOptions, RegistrySource,
    UserName, copy,
};

use super::configuration;
use super::hello;
use super::lookup::Found;
use crate::Engine;
use crate::error::{Error, Result};

/// How to pull an image.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// When to ask a registry.
    pub policy: PullPolicy,
    /// Whether certificates are checked and plain HTTP is refused; `None` follows
    /// registries.conf.
    pub tls_verify: Option<bool>,
    /// Credentials to use in place of stored ones.
    pub credentials: Option<Credentials>,
    /// The only file to look credentials up in.
    pub authfile: Option<PathBuf>,
    /// Which instance of an index to take.
    pub platform: Option<PlatformRequest>,
    /// How often a request that failed is made again; `None` takes the usual number.
    pub retries: Option<u32>,
    /// The wait before the first of those; it doubles each time.
    pub retry_delay: Option<Duration>,
    /// The file of the policy, in place of this user's.
    pub signature_policy: Option<PathBuf>,
}

/// When a registry is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Always.
    #[default]
    Always,
    /// When the image is not here.
    Missing,
    /// Always; what is here serves if the registry fails.
    Newer,
    /// Never.
    Never,
}

/// A user and a password for a registry.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A platform; what is `None` is this host's.
#[derive(Debug, Clone, Default)]
pub struct PlatformRequest {
    /// The operating system.
    pub os: Option<String>,
    /// The processor.
    pub arch: Option<String>,
    /// Its variant.
    pub variant: Option<String>,
}

impl Engine {
    /// Gets an image into the store and gives its id.
    ///
    /// # Errors
    /// A name that resolves to nothing; what the last registry asked answered. The store is as
    /// before then.
    pub fn pull(
        &self,
        name: &str,
        request: &PullRequest,
        progress: &dyn Progress,
    ) -> Result<String> {
        let found = self.require_image(name, request, progress)?;
        Ok(found.id.to_string())
    }

    /// Finds an image, asking registries as the policy says.
    pub(crate) fn require_image(
        &self,
        name: &str,
        request: &PullRequest,
        progress: &dyn Progress,
    ) -> Result<Found> {
        let reference = name.strip_prefix("docker://").unwrap_or(name);
        let local = match self.find_image(reference) {
            Err(Error::ImageUnknown { .. }) => None,
            found => Some(found?),
        };
        match (request.policy, local) {
            (PullPolicy::Missing | PullPolicy::Never, Some(found)) => return Ok(found),
            // Found by its id: no registry knows it better.
            (_, Some(found)) if found.name.is_none() => return Ok(found),
            (PullPolicy::Never, None) => {
                return Err(Error::ImageUnknown {
                    name: name.to_owned(),
                });
            }
            (PullPolicy::Newer, Some(found)) => {
                return match self.pull_now(reference, request, progress) {
                    Ok(newer) => Ok(newer),
                    Err(error) => {
                        tracing::warn!(error = %error.chain(), "using the image that is here");
                        Ok(found)
                    }
                };
            }
            (PullPolicy::Always | PullPolicy::Missing | PullPolicy::Newer, _) => {}
        }
        self.pull_now(reference, request, progress)
    }

    fn pull_now(
        &self,
        typed: &str,
        request: &PullRequest,
        progress: &dyn Progress,
    ) -> Result<Found> {
        let around = &self.options.surroundings;
        let policy = configuration::policy(around, request.signature_policy.as_deref())?;
        let mut options = CopyOptions::new(policy);
        if let Some(platform) = &request.platform {
            options.platform = platform.resolve();
        }
        if hello::is_meant(typed) {
            return self.take_hello(&options, progress);
        }
        let registries = configuration::registries(around)?;
        let candidates = match UserName::from_str(typed)? {
            UserName::Qualified(reference) => vec![reference.with_default_tag()],
            short => registries.resolve(&short)?.without_asking()?,
        };
        let registry_options = self.registry_options(request)?;
        let mut last = None;
        for reference in candidates {
            let reference = reference.with_default_tag();
            let copied = registries
                .endpoints(&reference)
                .and_then(|endpoints| {
                    RegistrySource::open_at(&reference, &endpoints, &registry_options)
                })
                .map_err(Error::from)
                .and_then(|source| self.store_image(&source, &[reference], &options, progress));
            match copied {
                Ok(found) => return Ok(found),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::ImageUnknown {
            name: typed.to_owned(),
        }))
    }

    /// Copies an image into the store under `names`.
    pub(crate) fn store_image(
        &self,
        source: &dyn ImageSource,
        names: &[ImageReference],
        options: &CopyOptions,
        progress: &dyn Progress,
    ) -> Result<Found> {
        let mut destination = StorageDestination::new(self.store_mut()?, names);
        let outcome = copy(source, &mut destination, options, progress)?;
        let id = outcome.image_id().hex().parse()?;
        let images = self.store()?.images()?;
        let record = images.get(&id).ok_or_else(|| Error::ImageUnknown {
            name: outcome.image_id().to_string(),
        })?;
        Ok(Found {
            id,
            record: record.clone(),
            name: names.first().map(ToString::to_string),
        })
    }

    fn take_hello(&self, options: &CopyOptions, progress: &dyn Progress) -> Result<Found> {
        let source = hello::Hello::new()?;
        let names = [hello::NAME.parse()?];
        self.store_image(&source, &names, options, progress)
    }

    fn registry_options(&self, request: &PullRequest) -> Result<RegistryOptions> {
        let around = &self.options.surroundings;
        let mut options = RegistryOptions {
            auth_files: configuration::auth_files(around, request.authfile.as_deref())?,
            insecure: request.tls_verify == Some(false),
            ..RegistryOptions::default()
        };
        options.retries = request.retries.unwrap_or(options.retries);
        options.retry_delay = request.retry_delay.unwrap_or(options.retry_delay);
        options.credentials =
            request
                .credentials
                .as_ref()
                .map(|given| minke_image::auth::Credentials::Password {
                    username: given.user.clone(),
                    password: given.password.clone(),
                });
        Ok(options)
    }
}

impl PlatformRequest {
    fn resolve(&self) -> Platform {
        let mut platform = Platform::host();
        if let Some(os) = &self.os {
            platform.os.clone_from(os);
        }
        if let Some(arch) = &self.arch {
            platform.architecture.clone_from(arch);
            platform.variant = String::new();
        }
        if let Some(variant) = &self.variant {
            platform.variant.clone_from(variant);
        }
        platform
    }
}
