//! Stores: what we put there Podman and Skopeo see, and the other way round.

use minke_image::archive::{DockerArchiveWriter, open_all};
use minke_image::media_type::Compression;
use minke_image::progress::Silent;
use minke_image::{
    Digest, ErrorKind, ImageReference, LayoutDestination, RawManifest, RegistryDestination,
    RegistrySource, StorageDestination, StorageSource, copy,
};
use minke_storage::{Store, StoreOptions};
use tempfile::TempDir;

use crate::fixture::{MemoryImage, any};
use crate::peers::{Registry, have, run};
use crate::registries::insecure;

const MIXED: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::None];

struct Scratch {
    root: TempDir,
}

impl Scratch {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Scratch { root }
    }

    fn at(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn store(&self) -> Store {
        let mut options = StoreOptions::new(self.at("graph"), self.at("run"));
        options.durable = false;
        options.overlay.skip_mount_home = true;
        Store::open(options).unwrap()
    }

    /// Names an image in the store as skopeo does.
    fn named(&self, image: &str) -> String {
        let (graph, run) = (self.at("graph"), self.at("run"));
        format!("containers-storage:[overlay@{graph}+{run}:.skip_mount_home=true]{image}")
    }
}

fn reference(text: &str) -> ImageReference {
    text.parse().unwrap()
}

fn put(store: &Store, image: &MemoryImage, name: &str) -> minke_image::Result<usize> {
    let mut destination = StorageDestination::new(store.clone(), &[reference(name)]);
    let outcome = copy(image, &mut destination, &any(), &Silent)?;
    Ok(outcome.layers_skipped)
}

#[test]
fn an_image_comes_back_as_it_went() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let image = MemoryImage::new(false, 100_000, &MIXED);
    assert_eq!(put(&store, &image, "quay.io/x:1").unwrap(), 0);
    assert_eq!(put(&store, &image, "quay.io/x:2").unwrap(), 3);
    let source = StorageSource::open(store.clone(), "quay.io/x:1").unwrap();
    assert_eq!(source.image().names, ["quay.io/x:1", "quay.io/x:2"]);
    assert_eq!(source.image().id.as_str(), image.config.digest.hex());
    let mut layout = LayoutDestination::open(scratch.at("layout").as_ref(), None).unwrap();
    let outcome = copy(&source, &mut layout, &any(), &Silent).unwrap();
    assert_eq!(*outcome.image_id(), image.config.digest);
    assert_eq!(outcome.source_digest, image.manifest.digest());
}

#[test]
fn a_shared_base_is_kept_once() {
    let scratch = Scratch::new();
    let store = scratch.store();
    put(
        &store,
        &MemoryImage::new(true, 9000, &MIXED[..1]),
        "quay.io/base:1",
    )
    .unwrap();
    let skipped = put(
        &store,
        &MemoryImage::new(true, 9000, &MIXED),
        "quay.io/app:1",
    )
    .unwrap();
    assert_eq!(skipped, 1);
    assert_eq!(store.layers().unwrap().len(), 3);
}

#[test]
fn a_bad_layer_leaves_the_store_as_it_was() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let good = MemoryImage::new(false, 50_000, &MIXED);
    let digests: Vec<Digest> = good
        .layers
        .iter()
        .map(|layer| layer.digest.clone())
        .collect();
    let wrong_diff_id = MemoryImage::of(
        false,
        good.blobs.clone(),
        good.layers.clone(),
        &[digests[0].clone(), digests[1].clone(), digests[2].clone()],
    );
    let mut wrong_blob = MemoryImage::new(false, 50_000, &MIXED);
    wrong_blob.blobs.get_mut(&digests[1]).unwrap()[4000] ^= 1;
    for image in [wrong_diff_id, wrong_blob] {
        let error = put(&store, &image, "quay.io/bad:1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
        assert!(store.layers().unwrap().is_empty());
        assert!(store.images().unwrap().is_empty());
    }
    put(&store, &good, "quay.io/good:1").unwrap();
}

#[test]
fn an_index_is_kept_beside_its_image() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let mut image = MemoryImage::new(false, 1000, &MIXED[..1]);
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},"platform":{{"os":"linux","architecture":"{}"}}}}]}}"#,
        image.manifest.digest(),
        image.manifest.bytes.len(),
        minke_image::Platform::host().architecture
    );
    let index = RawManifest {
        bytes: index.into_bytes(),
        media_type: None,
    };
    image.index = Some(index.clone());
    put(&store, &image, "quay.io/x:1").unwrap();
    let images = store.images().unwrap();
    let record = images.by_name("quay.io/x:1").unwrap();
    for digest in [index.digest(), image.manifest.digest()] {
        let key = format!("manifest-{digest}");
        assert!(record.big_data_names.contains(&key), "{key}");
    }
    assert_eq!(
        record.digest.as_ref().unwrap().to_string(),
        image.manifest.digest().as_str()
    );
}

#[test]
fn skopeo_and_we_read_each_others_images() {
    if !have("skopeo") {
        return;
    }
    let scratch = Scratch::new();
    let store = scratch.store();
    let image = MemoryImage::new(false, 100_000, &MIXED);
    put(&store, &image, "quay.io/x:1").unwrap();
    let raw = run(
        "skopeo",
        &["inspect", "--raw", &scratch.named("quay.io/x:1")],
    );
    assert_eq!(raw.as_bytes(), image.manifest.bytes);
    let theirs = format!("oci:{}:v1", scratch.at("theirs"));
    run("skopeo", &["copy", &scratch.named("quay.io/x:1"), &theirs]);
    run("skopeo", &["copy", &theirs, &scratch.named("quay.io/y:1")]);
    let source = StorageSource::open(store.clone(), "quay.io/y:1").unwrap();
    let path = scratch.at("out.tar");
    let writer = DockerArchiveWriter::create(path.as_ref(), scratch.root.path()).unwrap();
    let mut destination = writer.image(vec![reference("quay.io/y:1")]);
    copy(&source, &mut destination, &any(), &Silent).unwrap();
    writer.finish().unwrap();
    run("skopeo", &["inspect", &format!("docker-archive:{path}")]);
    assert_eq!(store.layers().unwrap().len(), 3);
}

#[test]
fn podman_sees_saves_and_loads_what_we_store() {
    if !have("podman") {
        return;
    }
    let scratch = Scratch::new();
    let store = scratch.store();
    let image = MemoryImage::new(true, 60_000, &[Compression::Gzip; 2]);
    put(&store, &image, "quay.io/x:1").unwrap();
    let (graph, run_root) = (scratch.at("graph"), scratch.at("run"));
    let podman = |arguments: &[&str]| {
        let at = [
            "--root",
            &graph,
            "--runroot",
            &run_root,
            "--storage-driver",
            "overlay",
        ];
        let own = ["--storage-opt", "overlay.skip_mount_home=true"];
        run("podman", &[&at[..], &own, arguments].concat())
    };
    let listed = podman(&[
        "images",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.Repository}}:{{.Tag}}",
    ]);
    assert_eq!(
        listed.trim(),
        format!("{} quay.io/x:1", image.config.digest)
    );
    for format in ["docker-archive", "oci-archive"] {
        let path = scratch.at(format);
        podman(&["save", "-q", "--format", format, "-o", &path, "quay.io/x:1"]);
        let found = open_all(path.as_ref(), scratch.root.path()).unwrap();
        assert_eq!(found[0].names, [reference("quay.io/x:1")], "{format}");
        let name = format!("quay.io/loaded/{format}:1");
        let mut back = StorageDestination::new(store.clone(), &[reference(&name)]);
        let outcome = copy(found[0].source.as_ref(), &mut back, &any(), &Silent).unwrap();
        assert_eq!(outcome.layers_skipped, 2);
        let id = podman(&["image", "inspect", "--format", "{{.Id}}", &name]);
        assert_eq!(id.trim(), outcome.image_id().hex());
    }
    let path = scratch.at("ours.tar");
    let writer = DockerArchiveWriter::create(path.as_ref(), scratch.root.path()).unwrap();
    let mut destination = writer.image(vec![reference("quay.io/loaded:1")]);
    copy(&image, &mut destination, &any(), &Silent).unwrap();
    writer.finish().unwrap();
    let loaded = podman(&["load", "-q", "-i", &path]);
    assert!(loaded.contains("quay.io/loaded:1"), "{loaded}");
    StorageSource::open(store, "quay.io/loaded:1").unwrap();
}

#[test]
fn what_is_stored_can_be_pushed() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let scratch = Scratch::new();
    let store = scratch.store();
    let image = MemoryImage::new(true, 60_000, &MIXED);
    put(&store, &image, "quay.io/x:1").unwrap();
    let stored = StorageSource::open(store.clone(), image.config.digest.hex()).unwrap();
    let target: ImageReference = format!("{}/x:1", registry.host).parse().unwrap();
    let mut destination = RegistryDestination::open(&target, &insecure()).unwrap();
    copy(&stored, &mut destination, &any(), &Silent).unwrap();
    let pushed = RegistrySource::open(&target, &insecure()).unwrap();
    let fresh = Scratch::new();
    let mut destination = StorageDestination::new(fresh.store(), std::slice::from_ref(&target));
    let outcome = copy(&pushed, &mut destination, &any(), &Silent).unwrap();
    assert_eq!(*outcome.image_id(), image.config.digest);
    let gzip = |layer: &minke_image::Descriptor| {
        layer.media_type.layer_compression() == Some(Compression::Gzip)
    };
    assert!(outcome.manifest.layers().iter().all(gzip));
}
