//! `oci:` directories, by image-spec `image-layout.md`, and reading the same from an archive.
//!
//! Blobs and the index appear by rename, so a reader sees whole files only. A blob that is
//! there under its digest counts as present if its size is right; it is verified when read.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::archive::Members;
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::document::{self, MAX_MANIFEST_BYTES};
use crate::error::{Error, Result};
use crate::manifest::RawManifest;
use crate::media_type::MediaType;
use crate::name::ImageName;
use crate::platform::Platform;
use crate::reference::ImageReference;
use crate::transport::{CopiedImage, ImageDestination, ImageSource, Layer, LayerForm};

/// The annotation that names an image in a layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
const LAYOUT_FILE: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const LAYOUT_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The index of a layout. Fields not known here are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayoutIndex {
    schema_version: u32,
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl LayoutIndex {
    /// An index without images.
    pub(crate) fn empty() -> Self {
        LayoutIndex {
            schema_version: 2,
            manifests: Vec::new(),
            rest: serde_json::Map::new(),
        }
    }

    /// Parses an `index.json`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let index: LayoutIndex = document::parse("index.json", bytes)?;
        if index.schema_version != 2 {
            return Err(Error::InvalidDocument {
                what: "index.json",
                problem: format!("unknown schema version {}", index.schema_version),
            });
        }
        Ok(index)
    }

    /// The bytes of an `index.json`.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("descriptors serialise")
    }

    /// The image called `name`; without a name, the only one.
    pub(crate) fn find(&self, name: Option<&str>, path: &Path) -> Result<&Descriptor> {
        let missing = |what: String| Error::NotInPlace {
            what,
            path: path.to_owned(),
        };
        match (name, &self.manifests[..]) {
            (Some(name), all) => all
                .iter()
                .find(|d| d.annotations.get(REF_NAME).is_some_and(|n| n == name))
                .ok_or_else(|| missing(format!("image {name:?}"))),
            (None, [only]) => Ok(only),
            (None, []) => Err(missing("an image".to_owned())),
            (None, _) => Err(missing("a single image (name one)".to_owned())),
        }
    }

    /// Adds an image under `name`, taking the name from whichever had it.
    pub(crate) fn put(&mut self, mut descriptor: Descriptor, name: Option<&str>) {
        if let Some(name) = name {
            for other in &mut self.manifests {
                if other.annotations.get(REF_NAME).is_some_and(|n| n == name) {
                    other.annotations.remove(REF_NAME);
                }
            }
            let key = REF_NAME.to_owned();
            descriptor.annotations.insert(key, name.to_owned());
        }
        let unnamed_twin = |other: &Descriptor| {
            other.digest == descriptor.digest && !other.annotations.contains_key(REF_NAME)
        };
        self.manifests.retain(|other| !unnamed_twin(other));
        if !self.manifests.contains(&descriptor) {
            self.manifests.push(descriptor);
        }
    }
}

/// The descriptor an index carries for a copied image.
pub(crate) fn describe(image: &CopiedImage<'_>) -> Descriptor {
    let manifest = image.manifest;
    let mut descriptor = Descriptor::of(manifest.media_type().clone(), manifest.raw());
    descriptor.platform = platform_of(image.config);
    descriptor
}

fn platform_of(config: &[u8]) -> Option<Platform> {
    let platform = crate::ImageConfig::parse(config).ok()?.platform();
    (!platform.os.is_empty() && !platform.architecture.is_empty()).then_some(platform)
}

/// The path of a blob below a layout.
pub(crate) fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs")
        .join(digest.algorithm().name())
        .join(digest.hex())
}

/// An image in a layout, to read: a directory or an archive of one.
#[derive(Debug)]
pub struct LayoutSource {
    name: ImageName,
    files: Files,
    descriptor: Descriptor,
}

/// Where a layout's files are.
#[derive(Debug, Clone)]
enum Files {
    Directory(PathBuf),
    Archive(Arc<Members>),
}

impl LayoutSource {
    /// Opens the image called `image` in the layout at `path`; without a name, the only one.
    ///
    /// # Errors
    /// [`Error::NotInPlace`]; [`Error::File`]; [`Error::InvalidDocument`].
    pub fn open(path: &Path, image: Option<&str>) -> Result<Self> {
        Files::Directory(path.to_owned()).open_image(image)
    }

    /// As [`LayoutSource::open`], of the archive at `path`. A compressed one is expanded in the
    /// directory `scratch`.
    ///
    /// # Errors
    /// As [`LayoutSource::open`].
    pub fn open_archive(path: &Path, image: Option<&str>, scratch: &Path) -> Result<Self> {
        let members = Members::open(path, scratch)?;
        Files::Archive(Arc::new(members)).open_image(image)
    }

    /// Opens every image of the layout at `path`.
    ///
    /// # Errors
    /// As [`LayoutSource::open`].
    pub fn open_all(path: &Path) -> Result<Vec<Self>> {
        Files::Directory(path.to_owned()).open_all()
    }

    /// Opens every image of an archive.
    pub(crate) fn open_all_in(members: &Arc<Members>) -> Result<Vec<Self>> {
        Files::Archive(members.clone()).open_all()
    }

    /// The image's name in the layout, if it is a reference.
    pub fn reference(&self) -> Option<ImageReference> {
        let name = self.descriptor.annotations.get(REF_NAME)?;
        // A bare tag is a name too; it is of no repository.
        name.contains(['/', ':']).then(|| name.parse().ok())?
    }
}

impl Files {
    fn path(&self) -> &Path {
        match self {
            Files::Directory(path) => path,
            Files::Archive(members) => members.path(),
        }
    }

    fn index(&self) -> Result<LayoutIndex> {
        LayoutIndex::parse(&self.read(Path::new(INDEX_FILE), "index.json")?)
    }

    fn open_image(self, image: Option<&str>) -> Result<LayoutSource> {
        let descriptor = self.index()?.find(image, self.path())?.clone();
        Ok(self.source(descriptor, image))
    }

    fn open_all(self) -> Result<Vec<LayoutSource>> {
        let images = self.index()?.manifests.into_iter();
        let open = |descriptor: Descriptor| {
            let image = descriptor.annotations.get(REF_NAME).cloned();
            self.clone().source(descriptor, image.as_deref())
        };
        Ok(images.map(open).collect())
    }

    fn source(self, descriptor: Descriptor, image: Option<&str>) -> LayoutSource {
        let path = self.path().to_owned();
        let name = image.map(str::to_owned);
        LayoutSource {
            name: match &self {
                Files::Directory(_) => ImageName::Oci { path, name },
                Files::Archive(_) => ImageName::OciArchive { path, name },
            },
            files: self,
            descriptor,
        }
    }

    fn read(&self, inside: &Path, what: &str) -> Result<Vec<u8>> {
        match self {
            Files::Directory(root) => read_small(&root.join(inside), what),
            Files::Archive(members) => {
                members.read_member(&inside.to_string_lossy(), MAX_MANIFEST_BYTES)
            }
        }
    }
}

impl ImageSource for LayoutSource {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn manifest(&self, instance: Option<&Digest>) -> Result<RawManifest> {
        let digest = instance.unwrap_or(&self.descriptor.digest);
        let bytes = self.files.read(&blob_path(digest), "manifest")?;
        digest.verify(&bytes, "manifest")?;
        let own = || self.descriptor.media_type.clone();
        let media_type = instance.is_none().then(own);
        Ok(RawManifest { bytes, media_type })
    }

    fn blob(&self, blob: &Descriptor, start_bytes: u64) -> Result<Box<dyn Read + Send + '_>> {
        let inside = blob_path(&blob.digest);
        match &self.files {
            Files::Directory(root) => {
                let path = root.join(inside);
                let opened = File::open(&path);
                let mut file = opened.map_err(|error| missing_blob(error, &path, blob))?;
                file.seek(SeekFrom::Start(start_bytes))
                    .map_err(Error::file("read", path))?;
                Ok(Box::new(file))
            }
            Files::Archive(members) => {
                let (mut section, _) = members.open_member(&inside.to_string_lossy())?;
                section.skip(start_bytes);
                Ok(Box::new(section))
            }
        }
    }
}

fn missing_blob(error: io::Error, path: &Path, blob: &Descriptor) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::NotInPlace {
            what: format!("blob {}", blob.digest),
            path: path.to_owned(),
        };
    }
    Error::file("open", path)(error)
}

fn read_small(path: &Path, what: &str) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let mut bytes = Vec::new();
    BufReader::new(file)
        .take(MAX_MANIFEST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::file("read", path))?;
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(Error::TooLarge {
            what: what.to_owned(),
            limit: MAX_MANIFEST_BYTES,
        });
    }
    Ok(bytes)
}

/// An image in a layout directory, to write. The directory is made if it is missing.
#[derive(Debug)]
pub struct LayoutDestination {
    name: ImageName,
    root: PathBuf,
    image: Option<String>,
}

impl LayoutDestination {
    /// Prepares the layout at `path` for an image called `image`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(path: &Path, image: Option<&str>) -> Result<Self> {
        let blobs = path.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(Error::file("create", blobs))?;
        Ok(LayoutDestination {
            name: ImageName::Oci {
                path: path.to_owned(),
                name: image.map(str::to_owned),
            },
            root: path.to_owned(),
            image: image.map(str::to_owned),
        })
    }

    fn put_blob(&self, bytes: &[u8], digest: &Digest) -> Result<()> {
        let path = self.root.join(blob_path(digest));
        if fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
            return Ok(());
        }
        self.replace(&path, bytes)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut staged = Staged::create(&self.root)?;
        staged.write(bytes)?;
        staged.publish(path)
    }

    fn read_index(&self) -> Result<LayoutIndex> {
        let path = self.root.join(INDEX_FILE);
        match path.try_exists() {
            Ok(false) => Ok(LayoutIndex::empty()),
            _ => LayoutIndex::parse(&read_small(&path, "index.json")?),
        }
    }
}

impl ImageDestination for LayoutDestination {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn layer_form(&self) -> LayerForm {
        LayerForm::Compressed
    }

    fn accepts(&self, manifest: &MediaType) -> bool {
        *manifest == MediaType::OCI_MANIFEST
    }

    fn find_layer(&self, layer: &Layer<'_>) -> Result<Option<Descriptor>> {
        let path = self.root.join(blob_path(&layer.descriptor.digest));
        let there = fs::metadata(path).is_ok_and(|m| m.len() == layer.descriptor.size_bytes);
        Ok(there.then(|| layer.descriptor.clone()))
    }

    fn put_layer(&self, layer: &Layer<'_>, stream: &mut dyn Read) -> Result<Descriptor> {
        let mut staged = Staged::create(&self.root)?;
        let rehash = layer.recompressed.is_some();
        let mut hasher = rehash.then(|| Hasher::new(Algorithm::Sha256));
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = stream.read(&mut buffer);
            let count = count.map_err(|error| Error::from_stream(error, "layer"))?;
            if count == 0 {
                break;
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&buffer[..count]);
            }
            staged.write(&buffer[..count])?;
        }
        let mut descriptor = layer.descriptor.clone();
        if let (Some(hasher), Some(compression)) = (hasher, layer.recompressed) {
            descriptor.media_type = MediaType::layer(false, compression);
            descriptor.digest = hasher.finish();
            descriptor.size_bytes = staged.written_bytes;
        }
        let path = self.root.join(blob_path(&descriptor.digest));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        }
        staged.publish(&path)?;
        Ok(descriptor)
    }

    fn commit(&mut self, image: &CopiedImage<'_>) -> Result<()> {
        self.put_blob(image.config, &image.manifest.config().digest)?;
        self.put_blob(image.manifest.raw(), &image.manifest.digest())?;
        self.replace(&self.root.join(LAYOUT_FILE), LAYOUT_TEXT.as_bytes())?;
        let mut index = self.read_index()?;
        index.put(describe(image), self.image.as_deref());
        self.replace(&self.root.join(INDEX_FILE), &index.to_bytes())
    }
}

/// A file that appears under its name only when complete, and is gone otherwise.
#[derive(Debug)]
struct Staged {
    path: PathBuf,
    file: File,
    written_bytes: u64,
    published: bool,
}

impl Staged {
    fn create(directory: &Path) -> Result<Self> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".partial-{}-{number}", std::process::id()));
        let file = File::create_new(&path).map_err(Error::file("create", &path))?;
        Ok(Staged {
            path,
            file,
            written_bytes: 0,
            published: false,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let result = self.file.write_all(bytes);
        result.map_err(Error::file("write", &self.path))?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    fn publish(mut self, path: &Path) -> Result<()> {
        fs::rename(&self.path, path).map_err(Error::file("create", path))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(text: &str) -> Descriptor {
        Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes())
    }

    #[test]
    fn a_name_moves_to_the_newest_image() {
        let mut index = LayoutIndex::empty();
        index.put(descriptor("a"), Some("v1"));
        index.put(descriptor("b"), Some("v1"));
        index.put(descriptor("b"), Some("v1"));
        let path = Path::new("/layout");
        assert_eq!(
            index.find(Some("v1"), path).unwrap().digest,
            Digest::of(b"b")
        );
        assert_eq!(index.manifests.len(), 2);
        assert!(index.find(None, path).is_err());
        assert!(index.find(Some("v2"), path).is_err());
        index.put(descriptor("a"), Some("v2"));
        assert_eq!(index.manifests.len(), 2);
        assert_eq!(
            index.find(Some("v2"), path).unwrap().digest,
            Digest::of(b"a")
        );
    }

    #[test]
    fn unknown_index_fields_survive() {
        let text = br#"{"schemaVersion":2,"manifests":[],"x":{"y":1}}"#;
        let index = LayoutIndex::parse(text).unwrap();
        assert_eq!(index.to_bytes(), text);
        assert!(LayoutIndex::parse(br#"{"schemaVersion":1,"manifests":[]}"#).is_err());
    }
}
