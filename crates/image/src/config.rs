//! The image config: how to run the image, and what its layers are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document::{self, null_is_default};
use crate::error::{Error, Result};
use crate::platform::Platform;

/// An image config, OCI or Docker; the latter's extra fields included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// The processor it runs on.
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    /// The processor's variant.
    #[serde(default, deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// The operating system it runs on.
    #[serde(default, deserialize_with = "null_is_default")]
    pub os: String,
    /// Defaults for containers.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ContainerDefaults,
    /// The layers by content.
    pub rootfs: RootFs,
    /// How the image came about.
    #[serde(default, deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Free-form comment (Docker).
    #[serde(default, deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Version of Docker that made it (Docker).
    #[serde(default, deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
}

/// What an image says about containers made of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerDefaults {
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports as `80/tcp`.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value`.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The command that takes [`Self::cmd`] as arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The default command, or arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths that should be volumes.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Empty>,
    /// Where the command starts.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the container to stop.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Seconds between that signal and SIGKILL (Docker).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<u64>,
    /// How to tell whether the container is well (Docker).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for builds that start from this image (Docker).
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// The shell for shell-form instructions (Docker).
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// `{}`, the value of set-like maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// A health check. Times are nanoseconds on the wire; zero means inherited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", command]`; empty is inherited.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between checks.
    #[serde(with = "nanoseconds", skip_serializing_if = "Duration::is_zero")]
    pub interval: Duration,
    /// For one check.
    #[serde(with = "nanoseconds", skip_serializing_if = "Duration::is_zero")]
    pub timeout: Duration,
    /// Failures within this time of the start do not count.
    #[serde(with = "nanoseconds", skip_serializing_if = "Duration::is_zero")]
    pub start_period: Duration,
    /// Between checks during the start period.
    #[serde(with = "nanoseconds", skip_serializing_if = "Duration::is_zero")]
    pub start_interval: Duration,
    /// How many failures in a row make it unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let number = i64::deserialize(deserializer)?;
        Ok(Duration::from_nanos(u64::try_from(number).unwrap_or(0)))
    }
}

/// The layers of an image by the digests of their uncompressed tars.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type", default, deserialize_with = "null_is_default")]
    pub kind: String,
    /// Diff IDs, base first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
}

/// One step of an image's making.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Who.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// A remark.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether this step made no layer.
    #[serde(deserialize_with = "null_is_default")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Parses a config whose digest has been checked already.
    ///
    /// # Errors
    /// [`Error::InvalidDocument`]; [`Error::TooLarge`] past [`document::MAX_CONFIG_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > document::MAX_CONFIG_BYTES {
            return Err(Error::TooLarge {
                what: "image config".to_owned(),
                limit: document::MAX_CONFIG_BYTES,
            });
        }
        document::parse("image config", bytes)
    }

    /// The platform this image runs on.
    pub fn platform(&self) -> Platform {
        let mut platform = Platform::new(&self.os, &self.architecture);
        platform.variant.clone_from(&self.variant);
        platform
    }
}

/// The chain ID of the layers with these diff IDs, base first; `None` of none.
///
/// See image-spec `config.md` § Layer ChainID.
pub fn chain_id(diff_ids: &[Digest]) -> Option<Digest> {
    let (first, rest) = diff_ids.split_first()?;
    let chain = rest.iter().fold(first.clone(), |chain, diff_id| {
        Digest::of(format!("{chain} {diff_id}").as_bytes())
    });
    Some(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: &str = r#"{
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {
            "User": "1:2", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=b"], "Cmd": null,
            "Entrypoint": ["/e"], "Volumes": {"/data": {}}, "WorkingDir": "/w",
            "Labels": {"k": "v"}, "OnBuild": null, "StopSignal": "SIGUSR1", "StopTimeout": 3,
            "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5000000000, "Retries": 2},
            "Hostname": "ignored"
        },
        "rootfs": {"type": "layers", "diff_ids": [
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
        "history": [{"created_by": "x", "empty_layer": true}, {}]
    }"#;

    #[test]
    fn dockers_fields_are_read_and_written_back() {
        let config = ImageConfig::parse(DOCKER.as_bytes()).unwrap();
        let defaults = &config.config;
        assert_eq!(defaults.cmd, None);
        assert_eq!(defaults.entrypoint.as_deref(), Some(&["/e".to_owned()][..]));
        assert_eq!(defaults.stop_timeout, Some(3));
        let health = defaults.healthcheck.as_ref().unwrap();
        assert_eq!(health.interval, Duration::from_secs(5));
        assert!(defaults.exposed_ports.contains_key("80/tcp"));
        assert!(config.history[0].empty_layer);
        let again = serde_json::to_vec(&config).unwrap();
        assert_eq!(ImageConfig::parse(&again).unwrap(), config);
    }

    #[test]
    fn malformed_configs_are_refused() {
        for text in [
            "{}",
            "null",
            r#"{"rootfs":{"diff_ids":["../x"]}}"#,
            r#"{"rootfs":{},"Rootfs":{}}"#,
            r#"{"rootfs":{},"config":{"Env":"A=b"}}"#,
        ] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(ImageConfig::parse(br#"{"rootfs":{"diff_ids":null},"config":null}"#).is_ok());
    }

    #[test]
    fn chain_ids_follow_the_specification() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(chain_id(&[]), None);
        assert_eq!(chain_id(std::slice::from_ref(&a)), Some(a.clone()));
        let expected = Digest::of(format!("{a} {b}").as_bytes());
        assert_eq!(chain_id(&[a, b]), Some(expected));
    }
}
