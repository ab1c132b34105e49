//! Copying one image from a source to a destination.
//!
//! Each layer runs through up to three threads, each a bounded distance ahead of the next:
//! fetch and digest; decompress; digest of the tar and unpack. Several layers run at once.
//! Nothing is recorded at the destination until every layer has passed every check.

mod ahead;
mod inflate;
mod layer;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use inflate::{Inflate, InflateLimits, detect};

use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, VerifyingReader};
use crate::document::MAX_CONFIG_BYTES;
use crate::error::{Error, Result};
use crate::manifest::{ImageManifest, Manifest, RawManifest};
use crate::platform::Platform;
use crate::policy::Policy;
use crate::progress::{BlobKind, Event, Progress};
use crate::transport::{CopiedImage, ImageDestination, ImageSource, Layer, LayerForm};

/// How to copy.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// Decides whether the image may be taken at all.
    pub policy: Policy,
    /// Which instance of an index to take.
    pub platform: Platform,
    /// How many layers run at once.
    pub parallel_layers: usize,
    /// Bounds on decompression.
    pub limits: InflateLimits,
    /// gzip level, 0 to 9, for layers that a destination wants compressed.
    pub gzip_level: u32,
}

impl CopyOptions {
    /// The host's platform, six layers at once, default limits, under `policy`.
    pub fn new(policy: Policy) -> Self {
        CopyOptions {
            policy,
            platform: Platform::host(),
            parallel_layers: 6,
            limits: InflateLimits::default(),
            gzip_level: 6,
        }
    }
}

/// What was copied.
#[derive(Debug, Clone)]
pub struct CopyOutcome {
    /// The manifest as recorded at the destination.
    pub manifest: ImageManifest,
    /// The digest the source's document has: of the index if there is one.
    pub source_digest: Digest,
    /// The index the image was chosen from.
    pub index: Option<RawManifest>,
    /// The config, verbatim.
    pub config: Vec<u8>,
    /// How many layers the destination had already.
    pub layers_skipped: usize,
}

impl CopyOutcome {
    /// The image ID: the digest of the config.
    pub fn image_id(&self) -> &Digest {
        &self.manifest.config().digest
    }
}

/// Copies the image of `source` to `destination`.
///
/// Of an index, the instance for `options.platform` is copied. Layers the destination has are
/// not read. Blocks until done.
///
/// # Errors
/// `Denied` by the policy; `DigestMismatch`, `SizeMismatch` or `Io` of damaged content;
/// `TooLarge` past a limit; otherwise as the source and destination fail. The destination is
/// then as it was before.
pub fn copy(
    source: &dyn ImageSource,
    destination: &mut dyn ImageDestination,
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<CopyOutcome> {
    let chosen = choose(source, options)?;
    let config = read_config(source, &chosen.manifest, progress)?;
    let diff_ids = diff_ids(&chosen.manifest, &config)?;
    if diff_ids.is_none() && destination.layer_form() == LayerForm::Tar {
        return Err(Error::Unsupported {
            what: format!("an artifact in {}", destination.name().transport()),
            hint: "it is not an image, its layers cannot be unpacked".to_owned(),
        });
    }
    let served = source.served_layers(&chosen.manifest)?;
    let layers = served.as_deref().unwrap_or(chosen.manifest.layers());
    if let Some(diff_ids) = &diff_ids {
        check_count(layers, diff_ids)?;
    }
    let diff_ids = diff_ids.unwrap_or_default();
    let run = Run {
        source,
        destination,
        options,
        progress,
        aborted: AtomicBool::new(false),
        skipped: AtomicUsize::new(0),
    };
    let written = run.layers(layers, &diff_ids)?;
    let layers_skipped = run.skipped.into_inner();
    let to_oci = !destination.accepts(chosen.manifest.media_type());
    let manifest = chosen.manifest.with_layers(written, to_oci)?;
    progress.event(Event::WritingManifest);
    destination.commit(&CopiedImage {
        manifest: &manifest,
        index: chosen.index.as_ref(),
        config: &config,
        diff_ids: &diff_ids,
    })?;
    Ok(CopyOutcome {
        manifest,
        source_digest: chosen.digest,
        index: chosen.index,
        config,
        layers_skipped,
    })
}

struct Chosen {
    manifest: ImageManifest,
    index: Option<RawManifest>,
    digest: Digest,
}

/// Reads the source's document and follows an index to the instance for the platform. The
/// policy sees the document as it came, before anything it names is read.
fn choose(source: &dyn ImageSource, options: &CopyOptions) -> Result<Chosen> {
    let raw = source.manifest(None)?;
    options.policy.admit(source.name(), &raw)?;
    let digest = raw.digest();
    let index = match Manifest::parse(raw.clone())? {
        Manifest::Image(manifest) => {
            let index = None;
            return Ok(Chosen {
                manifest: *manifest,
                index,
                digest,
            });
        }
        Manifest::Index(index) => index,
    };
    let instance = options.platform.choose(index.manifests())?;
    let member = source.manifest(Some(&instance.digest))?;
    instance.digest.verify(&member.bytes, "manifest")?;
    options.policy.admit(source.name(), &member)?;
    match Manifest::parse(member)? {
        Manifest::Image(manifest) => Ok(Chosen {
            manifest: *manifest,
            index: Some(raw),
            digest,
        }),
        Manifest::Index(_) => Err(Error::InvalidDocument {
            what: "index",
            problem: "its member is an index again".to_owned(),
        }),
    }
}

fn read_config(
    source: &dyn ImageSource,
    manifest: &ImageManifest,
    progress: &dyn Progress,
) -> Result<Vec<u8>> {
    let descriptor = manifest.config();
    let size_bytes = descriptor.size_bytes;
    if size_bytes > MAX_CONFIG_BYTES {
        return Err(Error::TooLarge {
            what: "image config".to_owned(),
            limit: MAX_CONFIG_BYTES,
        });
    }
    let digest = &descriptor.digest;
    let kind = BlobKind::Config;
    progress.event(Event::Started {
        digest,
        kind,
        size_bytes,
    });
    let bytes = read_blob(source, descriptor, "image config")?;
    progress.event(Event::Advanced {
        digest,
        bytes: size_bytes,
    });
    progress.event(Event::Done { digest, kind });
    Ok(bytes)
}

/// Reads a whole small blob and checks it. The caller has bounded its size.
pub(crate) fn read_blob(
    source: &dyn ImageSource,
    descriptor: &Descriptor,
    what: &str,
) -> Result<Vec<u8>> {
    let stream = source.blob(descriptor, 0)?;
    let expected = descriptor.digest.clone();
    let mut verified = VerifyingReader::new(
        stream,
        what.to_owned(),
        expected,
        Some(descriptor.size_bytes),
    );
    let mut bytes = Vec::with_capacity(usize::try_from(descriptor.size_bytes).unwrap_or(0));
    verified
        .read_to_end(&mut bytes)
        .map_err(|error| Error::from_stream(error, what))?;
    Ok(bytes)
}

fn diff_ids(manifest: &ImageManifest, config: &[u8]) -> Result<Option<Vec<Digest>>> {
    if !manifest.is_image() {
        return Ok(None);
    }
    Ok(Some(ImageConfig::parse(config)?.rootfs.diff_ids))
}

fn check_count(layers: &[Descriptor], diff_ids: &[Digest]) -> Result<()> {
    if diff_ids.len() == layers.len() {
        return Ok(());
    }
    Err(Error::InvalidDocument {
        what: "image config",
        problem: format!(
            "it has {} diff IDs, but the manifest has {} layers",
            diff_ids.len(),
            layers.len()
        ),
    })
}

/// One copy in progress, shared by its threads.
struct Run<'a> {
    source: &'a dyn ImageSource,
    destination: &'a dyn ImageDestination,
    options: &'a CopyOptions,
    progress: &'a dyn Progress,
    aborted: AtomicBool,
    skipped: AtomicUsize,
}

impl Run<'_> {
    /// Copies every layer; gives their descriptors at the destination, in order.
    fn layers(&self, layers: &[Descriptor], diff_ids: &[Digest]) -> Result<Vec<Descriptor>> {
        let twins = self.twins(layers);
        let next = AtomicUsize::new(0);
        let written: Vec<Mutex<Option<Descriptor>>> =
            layers.iter().map(|_| Mutex::new(None)).collect();
        let failure = Mutex::new(None);
        let work = || {
            while let Some(index) = claim(&next, layers.len(), &self.aborted) {
                if twins[index] != index {
                    continue;
                }
                let layer = Layer {
                    index,
                    descriptor: &layers[index],
                    chain: diff_ids.get(..=index).unwrap_or(&[]),
                    recompressed: None,
                };
                match self.layer(layer) {
                    Ok(descriptor) => *lock(&written[index]) = Some(descriptor),
                    Err(error) => self.fail(&failure, error),
                }
            }
        };
        let workers = self.options.parallel_layers.clamp(1, 64).min(layers.len());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
        if let Some(error) = lock(&failure).take() {
            return Err(error);
        }
        let finished = |twin: &usize| lock(&written[*twin]).clone().ok_or(Error::Aborted);
        twins.iter().map(finished).collect()
    }

    /// For each layer the first one of the same content. Only where layers are unpacked does a
    /// repeated one count again.
    fn twins(&self, layers: &[Descriptor]) -> Vec<usize> {
        if self.destination.layer_form() == LayerForm::Tar {
            return (0..layers.len()).collect();
        }
        let mut first = BTreeMap::new();
        layers
            .iter()
            .enumerate()
            .map(|(index, layer)| *first.entry(&layer.digest).or_insert(index))
            .collect()
    }

    /// Keeps the first failure that is a cause, and has the other layers stop.
    fn fail(&self, failure: &Mutex<Option<Error>>, error: Error) {
        self.aborted.store(true, Ordering::Relaxed);
        let mut kept = lock(failure);
        if matches!(*kept, None | Some(Error::Aborted)) {
            *kept = Some(error);
        }
    }
}

fn claim(next: &AtomicUsize, count: usize, aborted: &AtomicBool) -> Option<usize> {
    if aborted.load(Ordering::Relaxed) {
        return None;
    }
    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
