//! Media types of manifests, configs and layers.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A media type as written in a document, without parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

/// How a layer's tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl MediaType {
    /// OCI image manifest.
    pub const OCI_MANIFEST: MediaType = fixed("application/vnd.oci.image.manifest.v1+json");
    /// OCI image index.
    pub const OCI_INDEX: MediaType = fixed("application/vnd.oci.image.index.v1+json");
    /// OCI image config.
    pub const OCI_CONFIG: MediaType = fixed("application/vnd.oci.image.config.v1+json");
    /// OCI layer, uncompressed.
    pub const OCI_LAYER: MediaType = fixed("application/vnd.oci.image.layer.v1.tar");
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: MediaType = fixed("application/vnd.oci.image.layer.v1.tar+gzip");
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: MediaType = fixed("application/vnd.oci.image.layer.v1.tar+zstd");
    /// Docker manifest, schema 2.
    pub const DOCKER_MANIFEST: MediaType =
        fixed("application/vnd.docker.distribution.manifest.v2+json");
    /// Docker manifest list.
    pub const DOCKER_LIST: MediaType =
        fixed("application/vnd.docker.distribution.manifest.list.v2+json");
    /// Docker image config.
    pub const DOCKER_CONFIG: MediaType = fixed("application/vnd.docker.container.image.v1+json");
    /// Docker layer, uncompressed.
    pub const DOCKER_LAYER: MediaType = fixed("application/vnd.docker.image.rootfs.diff.tar");
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: MediaType =
        fixed("application/vnd.docker.image.rootfs.diff.tar.gzip");
    /// Docker layer, zstd (written by some builders).
    pub const DOCKER_LAYER_ZSTD: MediaType =
        fixed("application/vnd.docker.image.rootfs.diff.tar.zstd");
    /// Docker manifest, schema 1; not supported.
    pub const DOCKER_SCHEMA1: MediaType =
        fixed("application/vnd.docker.distribution.manifest.v1+json");
    /// Docker manifest, schema 1 signed; not supported.
    pub const DOCKER_SCHEMA1_SIGNED: MediaType =
        fixed("application/vnd.docker.distribution.manifest.v1+prettyjws");

    /// The manifest types this crate reads, the value of `Accept` headers.
    pub const MANIFESTS: [MediaType; 4] = [
        MediaType::OCI_MANIFEST,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_LIST,
        MediaType::OCI_INDEX,
    ];

    /// Reads a `Content-Type` value: parameters are dropped.
    pub fn from_header(value: &str) -> Self {
        let bare = value.split(';').next().unwrap_or("").trim();
        MediaType(Cow::Owned(bare.to_ascii_lowercase()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a manifest of one image.
    pub fn is_image_manifest(&self) -> bool {
        *self == Self::OCI_MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// Whether this is an index or manifest list.
    pub fn is_index(&self) -> bool {
        *self == Self::OCI_INDEX || *self == Self::DOCKER_LIST
    }

    /// Whether this is a Docker schema 1 manifest.
    pub fn is_schema1(&self) -> bool {
        *self == Self::DOCKER_SCHEMA1 || *self == Self::DOCKER_SCHEMA1_SIGNED
    }

    /// Whether this is a Docker type.
    pub fn is_docker(&self) -> bool {
        self.0.starts_with("application/vnd.docker.")
    }

    /// Whether this is a layer served from elsewhere (`foreign`, `nondistributable`).
    pub fn is_foreign_layer(&self) -> bool {
        self.0.contains(".foreign.") || self.0.contains(".nondistributable.")
    }

    /// Whether this layer is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.ends_with("+encrypted")
    }

    /// The compression this layer type claims; `None` if it is no known layer type.
    pub fn layer_compression(&self) -> Option<Compression> {
        let text = self.0.as_ref();
        if !text.contains(".layer.") && !text.contains(".image.rootfs.") {
            return None;
        }
        match text.rsplit(['.', '+']).next()? {
            "tar" => Some(Compression::None),
            "gzip" => Some(Compression::Gzip),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The layer type for `compression`, in the Docker or the OCI family.
    pub fn layer(docker: bool, compression: Compression) -> Self {
        match (docker, compression) {
            (true, Compression::None) => Self::DOCKER_LAYER,
            (true, Compression::Gzip) => Self::DOCKER_LAYER_GZIP,
            (true, Compression::Zstd) => Self::DOCKER_LAYER_ZSTD,
            (false, Compression::None) => Self::OCI_LAYER,
            (false, Compression::Gzip) => Self::OCI_LAYER_GZIP,
            (false, Compression::Zstd) => Self::OCI_LAYER_ZSTD,
        }
    }

    /// The same kind of document or layer in the OCI family.
    pub fn to_oci(&self) -> Self {
        match self {
            t if *t == Self::DOCKER_MANIFEST => Self::OCI_MANIFEST,
            t if *t == Self::DOCKER_LIST => Self::OCI_INDEX,
            t if *t == Self::DOCKER_CONFIG => Self::OCI_CONFIG,
            t if t.is_docker() && !t.is_foreign_layer() => t
                .layer_compression()
                .map_or_else(|| t.clone(), |c| Self::layer(false, c)),
            t => t.clone(),
        }
    }
}

const fn fixed(text: &'static str) -> MediaType {
    MediaType(Cow::Borrowed(text))
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        MediaType(Cow::Owned(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_lose_their_parameters() {
        let header = "application/vnd.oci.image.index.v1+json; charset=utf-8";
        assert_eq!(MediaType::from_header(header), MediaType::OCI_INDEX);
    }

    #[test]
    fn layer_types_tell_their_compression() {
        use Compression::{Gzip, None as Plain, Zstd};
        let table = [
            (MediaType::OCI_LAYER, Some(Plain)),
            (MediaType::OCI_LAYER_GZIP, Some(Gzip)),
            (MediaType::OCI_LAYER_ZSTD, Some(Zstd)),
            (MediaType::DOCKER_LAYER, Some(Plain)),
            (MediaType::DOCKER_LAYER_GZIP, Some(Gzip)),
            (MediaType::OCI_CONFIG, None),
            (MediaType::from_header("text/plain"), None),
        ];
        for (media_type, compression) in table {
            assert_eq!(media_type.layer_compression(), compression, "{media_type}");
        }
        assert_eq!(
            MediaType::DOCKER_LAYER_GZIP.to_oci(),
            MediaType::OCI_LAYER_GZIP
        );
        assert_eq!(MediaType::DOCKER_CONFIG.to_oci(), MediaType::OCI_CONFIG);
    }
}
