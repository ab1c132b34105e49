//! Image names with a transport: `docker://...`, `oci:dir:tag`, `docker-archive:file:ref`...

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::reference::ImageReference;

/// Where and how an image is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A registry.
    Docker,
    /// A directory in OCI image layout.
    Oci,
    /// A tar of an OCI image layout.
    OciArchive,
    /// The tar `docker save` writes.
    DockerArchive,
    /// A plain directory with a manifest and blobs.
    Dir,
    /// A containers/storage store.
    ContainersStorage,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Transport; 6] = [
        Transport::Docker,
        Transport::Oci,
        Transport::OciArchive,
        Transport::DockerArchive,
        Transport::Dir,
        Transport::ContainersStorage,
    ];

    /// The text before the first colon, also the key of `transports` in `policy.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Docker => "docker",
            Transport::Oci => "oci",
            Transport::OciArchive => "oci-archive",
            Transport::DockerArchive => "docker-archive",
            Transport::Dir => "dir",
            Transport::ContainersStorage => "containers-storage",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An image, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageName {
    /// `docker://REFERENCE`.
    Docker(ImageReference),
    /// `oci:PATH[:NAME]`.
    Oci {
        /// The layout directory.
        path: PathBuf,
        /// The `org.opencontainers.image.ref.name` of the image; needed if there are several.
        name: Option<String>,
    },
    /// `oci-archive:PATH[:NAME]`.
    OciArchive {
        /// The archive file.
        path: PathBuf,
        /// The name of the image in it; needed if there are several.
        name: Option<String>,
    },
    /// `docker-archive:PATH[:REFERENCE|:@INDEX]`.
    DockerArchive {
        /// The archive file.
        path: PathBuf,
        /// Which image in it; needed if there are several.
        selector: Option<ArchiveSelector>,
    },
    /// `dir:PATH`.
    Dir {
        /// The directory.
        path: PathBuf,
    },
    /// `containers-storage:[STORE]NAME`: everything after the colon, still to be interpreted
    /// by the store.
    ContainersStorage {
        /// A store specifier in brackets, if given, without them.
        store: Option<String>,
        /// Name or ID of the image.
        image: String,
    },
}

/// Picks one of several images in a docker archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveSelector {
    /// By one of its tags.
    Reference(ImageReference),
    /// By its place in `manifest.json`.
    Index(usize),
}

impl ImageName {
    /// The transport.
    pub fn transport(&self) -> Transport {
        match self {
            ImageName::Docker(_) => Transport::Docker,
            ImageName::Oci { .. } => Transport::Oci,
            ImageName::OciArchive { .. } => Transport::OciArchive,
            ImageName::DockerArchive { .. } => Transport::DockerArchive,
            ImageName::Dir { .. } => Transport::Dir,
            ImageName::ContainersStorage { .. } => Transport::ContainersStorage,
        }
    }

    /// Whether `text` starts with a transport, even one that is not supported.
    pub fn has_transport(text: &str) -> bool {
        let Some((name, _)) = text.split_once(':') else {
            return false;
        };
        UNSUPPORTED.contains(&name) || Transport::ALL.iter().any(|t| t.name() == name)
    }
}

const UNSUPPORTED: [&str; 5] = ["docker-daemon", "sif", "ostree", "tarball", "atomic"];

impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text
            .split_once(':')
            .ok_or_else(|| invalid(text, "expected colon-separated transport:reference"))?;
        let transport = Transport::ALL
            .into_iter()
            .find(|transport| transport.name() == name)
            .ok_or_else(|| unknown_transport(text, name))?;
        match transport {
            Transport::Docker => parse_docker(text, rest),
            Transport::Oci => {
                let (path, name) = split_layout(text, rest)?;
                Ok(ImageName::Oci { path, name })
            }
            Transport::OciArchive => {
                let (path, name) = split_layout(text, rest)?;
                Ok(ImageName::OciArchive { path, name })
            }
            Transport::DockerArchive => parse_docker_archive(text, rest),
            Transport::Dir if rest.is_empty() => Err(invalid(text, "the path is empty")),
            Transport::Dir => Ok(ImageName::Dir { path: rest.into() }),
            Transport::ContainersStorage => parse_storage(text, rest),
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageName::Docker(reference) => write!(f, "docker://{reference}"),
            ImageName::Oci { path, name } | ImageName::OciArchive { path, name } => {
                write!(f, "{}:{}", self.transport(), path.display())?;
                name.as_ref().map_or(Ok(()), |name| write!(f, ":{name}"))
            }
            ImageName::DockerArchive { path, selector } => {
                write!(f, "docker-archive:{}", path.display())?;
                match selector {
                    Some(ArchiveSelector::Reference(reference)) => write!(f, ":{reference}"),
                    Some(ArchiveSelector::Index(index)) => write!(f, ":@{index}"),
                    None => Ok(()),
                }
            }
            ImageName::Dir { path } => write!(f, "dir:{}", path.display()),
            ImageName::ContainersStorage { store, image } => {
                f.write_str("containers-storage:")?;
                if let Some(store) = store {
                    write!(f, "[{store}]")?;
                }
                f.write_str(image)
            }
        }
    }
}

fn invalid(text: &str, problem: impl Into<String>) -> Error {
    Error::InvalidImageName {
        text: text.chars().take(512).collect(),
        problem: problem.into(),
    }
}

fn unknown_transport(text: &str, name: &str) -> Error {
    if UNSUPPORTED.contains(&name) {
        return Error::Unsupported {
            what: format!("transport {name:?}"),
            hint: String::new(),
        };
    }
    invalid(text, format!("unknown transport {name:?}"))
}

fn parse_docker(text: &str, rest: &str) -> Result<ImageName> {
    let reference = rest
        .strip_prefix("//")
        .ok_or_else(|| invalid(text, "docker: image reference does not start with //"))?;
    let reference: ImageReference = reference.parse()?;
    Ok(ImageName::Docker(reference.with_default_tag()))
}

fn split_layout(text: &str, rest: &str) -> Result<(PathBuf, Option<String>)> {
    let (path, name) = match rest.split_once(':') {
        Some((path, name)) => (path, Some(name.to_owned()).filter(|name| !name.is_empty())),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(invalid(text, "the path is empty"));
    }
    Ok((path.into(), name))
}

fn parse_docker_archive(text: &str, rest: &str) -> Result<ImageName> {
    let (path, selector) = match rest.split_once(':') {
        Some((path, selector)) => (path, Some(parse_selector(text, selector)?)),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(invalid(text, "the path is empty"));
    }
    let path = path.into();
    Ok(ImageName::DockerArchive { path, selector })
}

fn parse_selector(text: &str, selector: &str) -> Result<ArchiveSelector> {
    if let Some(index) = selector.strip_prefix('@') {
        let index = index
            .parse()
            .map_err(|_| invalid(text, format!("invalid source index @{index}")))?;
        return Ok(ArchiveSelector::Index(index));
    }
    let reference: ImageReference = selector.parse()?;
    Ok(ArchiveSelector::Reference(reference.with_default_tag()))
}

fn parse_storage(text: &str, rest: &str) -> Result<ImageName> {
    let (store, image) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (store, image) = rest
                .split_once(']')
                .ok_or_else(|| invalid(text, "the store specifier has no closing bracket"))?;
            (Some(store.to_owned()), image)
        }
        None => (None, rest),
    };
    if image.is_empty() {
        return Err(invalid(text, "the image is empty"));
    }
    let image = image.to_owned();
    Ok(ImageName::ContainersStorage { store, image })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn names_round_trip() {
        let table = [
            (
                "docker://alpine",
                "docker://docker.io/library/alpine:latest",
            ),
            ("oci:/tmp/l:v1", "oci:/tmp/l:v1"),
            ("oci:l", "oci:l"),
            ("oci-archive:a.tar:x/y:1", "oci-archive:a.tar:x/y:1"),
            ("docker-archive:a.tar", "docker-archive:a.tar"),
            (
                "docker-archive:a.tar:quay.io/x:1",
                "docker-archive:a.tar:quay.io/x:1",
            ),
            ("docker-archive:a.tar:@2", "docker-archive:a.tar:@2"),
            ("dir:/tmp/x:y", "dir:/tmp/x:y"),
            (
                "containers-storage:[overlay@/a+/b]alpine",
                "containers-storage:[overlay@/a+/b]alpine",
            ),
            ("containers-storage:@abc", "containers-storage:@abc"),
        ];
        for (text, expected) in table {
            let name: ImageName = text.parse().unwrap();
            assert_eq!(name.to_string(), expected);
            assert_eq!(expected.parse::<ImageName>().unwrap(), name);
            assert!(ImageName::has_transport(text));
        }
        assert!(!ImageName::has_transport("alpine:3"));
    }

    #[test]
    fn bad_names_are_refused() {
        let table = [
            ("alpine", ErrorKind::Invalid),
            ("docker:alpine", ErrorKind::Invalid),
            ("docker://Alpine", ErrorKind::Invalid),
            ("oci:", ErrorKind::Invalid),
            ("docker-archive:a:@x", ErrorKind::Invalid),
            ("containers-storage:[x", ErrorKind::Invalid),
            ("nope:x", ErrorKind::Invalid),
            ("docker-daemon:x", ErrorKind::Unsupported),
        ];
        for (text, kind) in table {
            assert_eq!(
                text.parse::<ImageName>().unwrap_err().kind(),
                kind,
                "{text}"
            );
        }
    }
}
