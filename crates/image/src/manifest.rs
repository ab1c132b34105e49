//! Manifests of one image and indexes of several.
//!
//! A document is parsed once, from the bytes that were verified, and keeps those bytes: they
//! alone are what is hashed, stored and sent on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document;
use crate::error::{Error, Result};
use crate::media_type::MediaType;

/// The most layers or instances a document may list.
pub const MAX_DESCRIPTORS: usize = 4096;

/// Manifest bytes as they came, with the type the transport claims for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawManifest {
    /// The bytes, verbatim.
    pub bytes: Vec<u8>,
    /// The claimed type, if the transport knows one.
    pub media_type: Option<MediaType>,
}

impl RawManifest {
    /// The digest of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// A parsed document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// One image.
    Image(Box<ImageManifest>),
    /// Several images to choose from.
    Index(ImageIndex),
}

/// A Docker schema 2 or OCI manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    raw: Vec<u8>,
    media_type: MediaType,
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
}

/// An OCI index or Docker manifest list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageIndex {
    raw: Vec<u8>,
    media_type: MediaType,
    manifests: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: u32,
    media_type: Option<MediaType>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "document::null_is_default")]
    annotations: BTreeMap<String, String>,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// The part that is read before anything else is believed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    schema_version: Option<u32>,
}

impl Manifest {
    /// Parses a document whose digest has been checked already.
    ///
    /// # Errors
    /// [`Error::InvalidDocument`] if the document is malformed, or is ambiguous: its own media
    /// type is not the claimed one, or it lists both layers and manifests.
    /// [`Error::Unsupported`] for Docker schema 1. [`Error::TooLarge`] past
    /// [`document::MAX_MANIFEST_BYTES`].
    pub fn parse(raw: RawManifest) -> Result<Self> {
        let RawManifest { bytes, media_type } = raw;
        if bytes.len() as u64 > document::MAX_MANIFEST_BYTES {
            return Err(Error::TooLarge {
                what: "manifest".to_owned(),
                limit: document::MAX_MANIFEST_BYTES,
            });
        }
        let claimed = media_type.filter(is_telling);
        let version: Version = document::parse("manifest", &bytes)?;
        if version.schema_version == Some(1) || claimed.as_ref().is_some_and(MediaType::is_schema1)
        {
            return Err(Error::Unsupported {
                what: "Docker image manifest version 2, schema 1".to_owned(),
                hint: "push the image again with a current tool".to_owned(),
            });
        }
        let wire: Wire = document::parse("manifest", &bytes)?;
        let media_type = wire.media_type(claimed)?;
        wire.check(&media_type)?;
        Ok(wire.into_manifest(bytes, media_type))
    }

    /// The document, verbatim.
    pub fn raw(&self) -> &[u8] {
        match self {
            Manifest::Image(image) => &image.raw,
            Manifest::Index(index) => &index.raw,
        }
    }

    /// The type of the document.
    pub fn media_type(&self) -> &MediaType {
        match self {
            Manifest::Image(image) => &image.media_type,
            Manifest::Index(index) => &index.media_type,
        }
    }
}

/// Types that servers and files send for want of a better one say nothing.
fn is_telling(media_type: &MediaType) -> bool {
    !matches!(
        media_type.as_str(),
        "" | "text/plain" | "application/json" | "application/octet-stream"
    )
}

impl Wire {
    fn media_type(&self, claimed: Option<MediaType>) -> Result<MediaType> {
        match (&self.media_type, claimed) {
            (Some(own), Some(claimed)) if *own != claimed => Err(invalid(format!(
                "its media type is {own}, but it was served as {claimed}"
            ))),
            (Some(own), _) => Ok(own.clone()),
            (None, Some(claimed)) => Ok(claimed),
            (None, None) if self.manifests.is_some() => Ok(MediaType::OCI_INDEX),
            (None, None) => Ok(MediaType::OCI_MANIFEST),
        }
    }

    fn check(&self, media_type: &MediaType) -> Result<()> {
        if self.schema_version != 2 {
            let version = self.schema_version;
            return Err(invalid(format!("unknown schema version {version}")));
        }
        let image_parts = self.config.is_some() || self.layers.is_some();
        if self.manifests.is_some() && (image_parts || self.fs_layers.is_some()) {
            return Err(invalid("it lists both layers and manifests"));
        }
        if media_type.is_index() && self.manifests.is_none() {
            return Err(invalid("an index without manifests"));
        }
        if media_type.is_image_manifest() && (self.config.is_none() || self.layers.is_none()) {
            return Err(invalid("a manifest without config or layers"));
        }
        if !media_type.is_index() && !media_type.is_image_manifest() {
            return Err(Error::Unsupported {
                what: format!("manifest type {:?}", media_type.as_str()),
                hint: String::new(),
            });
        }
        let count = |list: &Option<Vec<Descriptor>>| list.as_ref().map_or(0, Vec::len);
        if count(&self.layers).max(count(&self.manifests)) > MAX_DESCRIPTORS {
            return Err(invalid(format!("more than {MAX_DESCRIPTORS} entries")));
        }
        Ok(())
    }

    fn into_manifest(self, raw: Vec<u8>, media_type: MediaType) -> Manifest {
        match (self.config, self.layers) {
            (Some(config), Some(layers)) => Manifest::Image(Box::new(ImageManifest {
                raw,
                media_type,
                config,
                layers,
                annotations: self.annotations,
                artifact_type: self.artifact_type,
                subject: self.subject,
            })),
            _ => Manifest::Index(ImageIndex {
                raw,
                media_type,
                manifests: self.manifests.unwrap_or_default(),
                annotations: self.annotations,
            }),
        }
    }
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::InvalidDocument {
        what: "manifest",
        problem: problem.into(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireOut<'a> {
    schema_version: u32,
    media_type: &'a MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    config: &'a Descriptor,
    layers: &'a [Descriptor],
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

impl ImageManifest {
    /// Writes a new manifest of `media_type` over `config` and `layers`.
    ///
    /// # Errors
    /// As [`Manifest::parse`], which reads what was written.
    pub fn compose(
        media_type: MediaType,
        config: Descriptor,
        layers: Vec<Descriptor>,
    ) -> Result<Self> {
        let template = ImageManifest {
            raw: Vec::new(),
            media_type,
            config,
            layers,
            annotations: BTreeMap::new(),
            artifact_type: None,
            subject: None,
        };
        template.rewritten()
    }

    /// The same image with other layer descriptors, converted to the OCI format if `to_oci`.
    /// Annotations and the rest stay. Returns the manifest unchanged if nothing differs.
    ///
    /// # Errors
    /// As [`Manifest::parse`], which reads what was written.
    pub fn with_layers(&self, layers: Vec<Descriptor>, to_oci: bool) -> Result<Self> {
        let mut changed = self.clone();
        changed.layers = layers;
        if to_oci {
            changed.media_type = changed.media_type.to_oci();
            changed.config.media_type = changed.config.media_type.to_oci();
            for layer in &mut changed.layers {
                layer.media_type = layer.media_type.to_oci();
            }
        }
        if changed == *self {
            return Ok(changed);
        }
        changed.rewritten()
    }

    fn rewritten(self) -> Result<Self> {
        let wire = WireOut {
            schema_version: 2,
            media_type: &self.media_type,
            artifact_type: self.artifact_type.as_deref(),
            config: &self.config,
            layers: &self.layers,
            subject: self.subject.as_ref(),
            annotations: &self.annotations,
        };
        let bytes = serde_json::to_vec(&wire).expect("descriptors serialise");
        let media_type = Some(self.media_type);
        match Manifest::parse(RawManifest { bytes, media_type })? {
            Manifest::Image(image) => Ok(*image),
            Manifest::Index(_) => Err(invalid("not the type of an image manifest")),
        }
    }

    /// The document, verbatim.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The digest of the document.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.raw)
    }

    /// The type of the document.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The image config. Its digest is the image ID.
    pub fn config(&self) -> &Descriptor {
        &self.config
    }

    /// The layers, base first.
    pub fn layers(&self) -> &[Descriptor] {
        &self.layers
    }

    /// Annotations of the image.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Whether the config is one of a runnable image, rather than of some other artifact.
    pub fn is_image(&self) -> bool {
        let config = &self.config.media_type;
        *config == MediaType::OCI_CONFIG || *config == MediaType::DOCKER_CONFIG
    }
}

impl ImageIndex {
    /// The document, verbatim.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The digest of the document.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.raw)
    }

    /// The type of the document.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The images to choose from; see [`crate::Platform::choose`].
    pub fn manifests(&self) -> &[Descriptor] {
        &self.manifests
    }

    /// Annotations of the index.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn raw(text: &str, media_type: Option<MediaType>) -> RawManifest {
        RawManifest {
            bytes: text.replace("$D", D).into_bytes(),
            media_type,
        }
    }

    fn image(media_type: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,{media_type}"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"$D","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"$D","size":3,"annotations":null}}]}}"#
        )
    }

    #[test]
    fn an_oci_manifest_keeps_its_bytes() {
        let text = image("") + "\n  ";
        let Manifest::Image(manifest) = Manifest::parse(raw(&text, None)).unwrap() else {
            panic!("an image");
        };
        assert_eq!(manifest.raw(), text.replace("$D", D).as_bytes());
        assert_eq!(*manifest.media_type(), MediaType::OCI_MANIFEST);
        assert_eq!(manifest.layers()[0].size_bytes, 3);
        let same = manifest
            .with_layers(manifest.layers().to_vec(), true)
            .unwrap();
        assert_eq!(same.raw(), manifest.raw());
    }

    #[test]
    fn hostile_documents_are_refused() {
        let docker = r#""mediaType":"application/vnd.docker.distribution.manifest.v2+json","#;
        let both = image(r#""manifests":[],"#);
        let many = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            vec![r#"{"mediaType":"a","digest":"$D","size":1}"#; MAX_DESCRIPTORS + 1].join(",")
        );
        let table = [
            (both.as_str(), None, ErrorKind::Invalid),
            (
                &image(docker),
                Some(MediaType::OCI_MANIFEST),
                ErrorKind::Invalid,
            ),
            (&image(""), Some(MediaType::OCI_INDEX), ErrorKind::Invalid),
            (&image(r#""schemaVersion":2,"#), None, ErrorKind::Invalid),
            (&image(r#""Layers":[],"#), None, ErrorKind::Invalid),
            (
                &image("").replace("$D", "sha256:.."),
                None,
                ErrorKind::Invalid,
            ),
            (
                &image("").replace("\"size\":3", "\"size\":-3"),
                None,
                ErrorKind::Invalid,
            ),
            (r#"{"schemaVersion":2}"#, None, ErrorKind::Invalid),
            (
                r#"{"schemaVersion":3,"manifests":[]}"#,
                None,
                ErrorKind::Invalid,
            ),
            (
                r#"{"schemaVersion":1,"fsLayers":[]}"#,
                None,
                ErrorKind::Unsupported,
            ),
            (
                r#"{"schemaVersion":2,"manifests":[],"fsLayers":[]}"#,
                None,
                ErrorKind::Invalid,
            ),
            (&many, None, ErrorKind::Invalid),
            ("", None, ErrorKind::Invalid),
        ];
        for (text, claimed, kind) in table {
            let error = Manifest::parse(raw(text, claimed)).unwrap_err();
            assert_eq!(error.kind(), kind, "{text:.200}: {error}");
        }
    }

    #[test]
    fn vague_content_types_are_ignored() {
        for vague in ["text/plain", "application/json", ""] {
            let claimed = Some(MediaType::from_header(vague));
            assert!(Manifest::parse(raw(&image(""), claimed)).is_ok());
        }
    }

    #[test]
    fn conversion_to_oci_changes_types_only() {
        let config = Descriptor::of(MediaType::DOCKER_CONFIG, b"{}");
        let layer = Descriptor::of(MediaType::DOCKER_LAYER_GZIP, b"layer");
        let docker = ImageManifest::compose(
            MediaType::DOCKER_MANIFEST,
            config.clone(),
            vec![layer.clone()],
        )
        .unwrap();
        let oci = docker.with_layers(vec![layer.clone()], true).unwrap();
        assert_eq!(*oci.media_type(), MediaType::OCI_MANIFEST);
        assert_eq!(oci.config().digest, config.digest);
        assert_eq!(oci.layers()[0].media_type, MediaType::OCI_LAYER_GZIP);
        assert_eq!(oci.layers()[0].digest, layer.digest);
        assert_ne!(oci.digest(), docker.digest());
    }
}
