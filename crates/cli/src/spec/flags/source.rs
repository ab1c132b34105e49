//! Where the image comes from.

use std::path::PathBuf;

use clap::Args;
use minke_engine::spec::option::duration;
use minke_engine::{Credentials, PlatformRequest, PullPolicy, PullRequest};

use crate::error::{Error, Result};

// The image's origin.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceFlags {
    /// When to pull: always, missing, newer, never
    #[arg(long, value_name = "POLICY")]
    pub pull: Option<String>,
    /// Key for an encrypted image (not supported)
    #[arg(long, hide = true, value_name = "KEY")]
    pub decryption_key: Vec<String>,
    /// Directory of certificates (not supported)
    #[arg(long, hide = true, value_name = "PATH")]
    pub cert_dir: Option<String>,
    #[command(flatten)]
    pub registry: RegistryFlags,
}

impl SourceFlags {
    /// Refuses by name what a pull cannot do yet.
    ///
    /// # Errors
    /// If one of those is asked for.
    pub fn check(&self) -> Result<()> {
        let asked = [
            ("--decryption-key", !self.decryption_key.is_empty()),
            ("--cert-dir", self.cert_dir.is_some()),
        ];
        match asked.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Error::refused(format!("{name} is not supported"))),
            None => Ok(()),
        }
    }
}

// How a registry is asked; `pull` has these too.
#[derive(Debug, Clone, Default, Args)]
pub struct RegistryFlags {
    /// Platform in place of this one: OS/ARCH[/VARIANT]
    #[arg(long)]
    pub platform: Option<String>,
    /// Operating system in place of this one
    #[arg(long, alias = "override-os")]
    pub os: Option<String>,
    /// Architecture in place of this one
    #[arg(long, alias = "override-arch")]
    pub arch: Option<String>,
    /// Variant of the architecture
    #[arg(long, alias = "override-variant")]
    pub variant: Option<String>,
    /// Require HTTPS and a valid certificate
    #[arg(long)]
    pub tls_verify: Option<bool>,
    /// Without effect, as in Podman
    #[arg(long, hide = true)]
    pub disable_content_trust: Option<bool>,
    /// Credentials for the registry: USER[:PASSWORD]
    #[arg(long, value_name = "CREDENTIALS")]
    pub creds: Option<String>,
    /// File with registries' credentials
    #[arg(long, value_name = "PATH")]
    pub authfile: Option<PathBuf>,
    /// How often a request that failed is made again; absent is 3 times
    #[arg(long, value_name = "NUMBER", value_parser = crate::flag::unsigned)]
    pub retry: Option<u64>,
    /// How long to wait before that, twice as long each time
    #[arg(long, value_name = "DURATION")]
    pub retry_delay: Option<String>,
    /// File of the policy that says which images are trusted
    #[arg(long, hide = true, value_name = "PATH")]
    pub signature_policy: Option<PathBuf>,
}

impl RegistryFlags {
    /// What is asked of the registry.
    ///
    /// # Errors
    /// If a value is not of its form.
    pub fn pull_request(&self, policy: PullPolicy) -> Result<PullRequest> {
        Ok(PullRequest {
            policy,
            tls_verify: self.tls_verify,
            credentials: self.creds.as_deref().map(credentials),
            authfile: self.authfile.clone(),
            platform: self.platform()?,
            retries: self
                .retry
                .map(|times| u32::try_from(times).unwrap_or(u32::MAX)),
            retry_delay: self
                .retry_delay
                .as_deref()
                .map(|text| duration::parse("--retry-delay", text))
                .transpose()?,
            signature_policy: self.signature_policy.clone(),
        })
    }

    fn platform(&self) -> Result<Option<PlatformRequest>> {
        let parts = (self.os.clone(), self.arch.clone(), self.variant.clone());
        let Some(text) = &self.platform else {
            let request = PlatformRequest {
                os: parts.0,
                arch: parts.1,
                variant: parts.2,
            };
            let asked = request.os.is_some() || request.arch.is_some() || request.variant.is_some();
            return Ok(asked.then_some(request));
        };
        if parts.0.is_some() || parts.1.is_some() {
            return Err(Error::refused(
                "--platform option can not be specified with --arch or --os",
            ));
        }
        let words: Vec<&str> = text.split('/').collect();
        let (os, arch, variant) = match words[..] {
            [os] => (os, None, None),
            [os, arch] => (os, Some(arch), None),
            [os, arch, variant] => (os, Some(arch), Some(variant)),
            _ => return Err(Error::refused(format!("invalid platform {text:?}"))),
        };
        Ok(Some(PlatformRequest {
            os: Some(os.to_owned()),
            arch: arch.map(str::to_owned),
            variant: variant.map(str::to_owned).or(parts.2),
        }))
    }
}

/// Reads `--pull` or `--policy`.
///
/// # Errors
/// If there is no such policy.
pub fn pull_policy(text: &str) -> Result<PullPolicy> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "always" | "true" => PullPolicy::Always,
        "missing" | "ifnotpresent" | "" => PullPolicy::Missing,
        "newer" | "ifnewer" => PullPolicy::Newer,
        "never" | "false" => PullPolicy::Never,
        _ => return Err(Error::refused(format!("unsupported pull policy {text:?}"))),
    })
}

fn credentials(text: &str) -> Credentials {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_have_colons() {
        let read = credentials("me:a:b");
        assert_eq!((read.user.as_str(), read.password.as_str()), ("me", "a:b"));
        assert_eq!(credentials("me").password, "");
    }
}
