//! Platforms, and the choice of an index's instance for one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};

/// Operating system and processor, in Go's names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`...
    pub os: String,
    /// `amd64`, `arm64`, `arm`...
    pub architecture: String,
    /// `v7`, `v8`...
    #[serde(default, deserialize_with = "crate::document::null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// The version of the operating system, where that matters.
    #[serde(rename = "os.version", default)]
    #[serde(deserialize_with = "crate::document::null_is_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Features the operating system must have.
    #[serde(rename = "os.features", default)]
    #[serde(deserialize_with = "crate::document::null_is_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
}

impl Platform {
    /// A platform without variant.
    pub fn new(os: &str, architecture: &str) -> Self {
        Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: String::new(),
            os_version: String::new(),
            os_features: Vec::new(),
        }
    }

    /// The platform this program was built for.
    pub fn host() -> Self {
        let mut platform = Platform::new(std::env::consts::OS, go_architecture());
        platform.variant = host_variant().to_owned();
        platform
    }

    /// How well `offered` serves this platform; smaller is better, `None` is not at all.
    fn rank(&self, offered: &Platform) -> Option<usize> {
        if offered.os != self.os || offered.architecture != self.architecture {
            return None;
        }
        let accepted = accepted_variants(&self.architecture, &self.variant);
        match accepted.iter().position(|v| *v == offered.variant) {
            None if self.variant.is_empty() => Some(accepted.len()),
            found => found,
        }
    }

    /// Picks the instance of an index for this platform: the best variant, then the first listed;
    /// failing that, an instance that names no platform.
    ///
    /// # Errors
    /// [`Error::NoPlatform`].
    pub fn choose<'a>(&self, instances: &'a [Descriptor]) -> Result<&'a Descriptor> {
        instances
            .iter()
            .filter_map(|instance| Some((self.rank(instance.platform.as_ref()?)?, instance)))
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, instance)| instance)
            .or_else(|| instances.iter().find(|i| i.platform.is_none()))
            .ok_or_else(|| Error::NoPlatform {
                architecture: self.architecture.clone(),
                variant: self.variant.clone(),
                os: self.os.clone(),
            })
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Parses `os/arch[/variant]`, or `arch` alone for Linux; `x86_64` and `aarch64` are
    /// understood.
    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [architecture] => ("linux", architecture, ""),
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] => (os, architecture, variant),
            _ => ("", "", ""),
        };
        if os.is_empty() || architecture.is_empty() {
            return Err(Error::InvalidImageName {
                text: text.to_owned(),
                problem: "a platform is os/arch[/variant]".to_owned(),
            });
        }
        let (architecture, implied) = match architecture {
            "x86_64" | "x86-64" => ("amd64", ""),
            "aarch64" => ("arm64", ""),
            "armhf" => ("arm", "v7"),
            "armel" => ("arm", "v6"),
            "i386" | "i686" => ("386", ""),
            other => (other, ""),
        };
        let mut platform = Platform::new(os, architecture);
        platform.variant = if variant.is_empty() { implied } else { variant }.to_owned();
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

const fn host_variant() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "v8"
    } else if cfg!(target_arch = "arm") {
        "v7"
    } else {
        ""
    }
}

/// The variants that run where `wanted` is asked for, best first; ARM runs older ones too.
fn accepted_variants<'a>(architecture: &str, wanted: &'a str) -> Vec<&'a str> {
    const ARM: [&str; 4] = ["v8", "v7", "v6", "v5"];
    const ARM64: [&str; 1] = ["v8"];
    let known: &[&'static str] = match architecture {
        "arm" => &ARM,
        "arm64" => &ARM64,
        _ => &[],
    };
    let mut accepted = vec![wanted];
    if let Some(at) = known.iter().position(|variant| *variant == wanted) {
        accepted.extend(&known[at + 1..]);
    }
    if !wanted.is_empty() {
        accepted.push("");
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::media_type::MediaType;

    fn instances(platforms: &[&str]) -> Vec<Descriptor> {
        let describe = |text: &&str| {
            let mut descriptor = Descriptor::new(
                MediaType::OCI_MANIFEST,
                Digest::of(text.as_bytes()),
                text.len() as u64,
            );
            descriptor.platform = (!text.is_empty()).then(|| text.parse().unwrap());
            descriptor
        };
        platforms.iter().map(describe).collect()
    }

    #[test]
    fn the_fitting_instance_is_chosen() {
        let table: [(&str, &[&str], Option<usize>); 10] = [
            ("linux/amd64", &["linux/arm64", "linux/amd64"], Some(1)),
            ("linux/amd64", &["windows/amd64"], None),
            (
                "linux/arm64/v8",
                &["linux/arm64", "linux/arm64/v8"],
                Some(1),
            ),
            ("linux/arm64/v8", &["linux/arm64"], Some(0)),
            ("linux/arm64", &["linux/arm64/v8"], Some(0)),
            ("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6"], Some(1)),
            ("linux/arm/v6", &["linux/arm/v7"], None),
            ("linux/amd64", &["unknown/unknown"], None),
            ("linux/amd64", &["", "linux/amd64"], Some(1)),
            ("linux/amd64", &["linux/arm64", ""], Some(1)),
        ];
        for (wanted, offered, expected) in table {
            let offered = instances(offered);
            let chosen = wanted.parse::<Platform>().unwrap().choose(&offered).ok();
            assert_eq!(chosen, expected.map(|at| &offered[at]), "{wanted}");
        }
    }

    #[test]
    fn platforms_are_parsed() {
        assert_eq!(
            "aarch64".parse::<Platform>().unwrap().to_string(),
            "linux/arm64"
        );
        assert_eq!(
            "linux/armhf".parse::<Platform>().unwrap().to_string(),
            "linux/arm/v7"
        );
        for text in ["", "linux/", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
