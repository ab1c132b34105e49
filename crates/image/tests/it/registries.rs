//! Against Debian's docker-registry, with skopeo at the other end.

use std::sync::Mutex;
use std::time::Duration;

use minke_image::auth::{AuthFile, Credentials};
use minke_image::media_type::Compression;
use minke_image::progress::{Event, Silent};
use minke_image::registries::Endpoint;
use minke_image::registry::{Access, Registry as Connection};
use minke_image::{
    ErrorKind, ImageReference, LayoutDestination, LayoutSource, RegistryDestination,
    RegistryOptions, RegistrySource, copy,
};

use crate::fixture::{MemoryImage, any};
use crate::peers::{Registry, free_address, have, run};

pub fn insecure() -> RegistryOptions {
    RegistryOptions {
        insecure: true,
        retry_delay: Duration::from_millis(10),
        ..RegistryOptions::default()
    }
}

pub fn push(registry: &Registry, name: &str, image: &MemoryImage) -> ImageReference {
    let reference: ImageReference = format!("{}/{name}", registry.host).parse().unwrap();
    let mut destination = RegistryDestination::open(&reference, &insecure()).unwrap();
    copy(image, &mut destination, &any(), &Silent).unwrap();
    reference
}

const ALL: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::None];

#[test]
fn what_is_pushed_can_be_pulled() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let image = MemoryImage::new(false, 1 << 20, &ALL[..2]);
    let reference = push(&registry, "team/app:v1", &image);
    let scratch = tempfile::tempdir().unwrap();
    let source = RegistrySource::open(&reference, &insecure()).unwrap();
    let mut layout = LayoutDestination::open(scratch.path(), Some("v1")).unwrap();
    let seen = Mutex::new(0);
    let count = |event: Event<'_>| {
        if let Event::Advanced { bytes, .. } = event {
            *seen.lock().unwrap() += bytes;
        }
    };
    let outcome = copy(&source, &mut layout, &any(), &count).unwrap();
    assert_eq!(outcome.manifest.raw(), image.manifest.bytes);
    assert_eq!(*outcome.image_id(), image.config.digest);
    let all: u64 = image.layers.iter().map(|layer| layer.size_bytes).sum();
    assert_eq!(*seen.lock().unwrap(), all + image.config.size_bytes);
    let again = copy(&source, &mut layout, &any(), &Silent).unwrap();
    assert_eq!(again.layers_skipped, 2);
    assert_eq!(source.registry().tags().unwrap(), ["v1"]);
    let head = source.registry().manifest_descriptor("v1").unwrap();
    assert_eq!(head.unwrap().digest, outcome.source_digest);
}

#[test]
fn plain_layers_are_compressed_on_push() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let image = MemoryImage::new(true, 1 << 20, &ALL);
    let reference = push(&registry, "app:v1", &image);
    let source = RegistrySource::open(&reference, &insecure()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut layout = LayoutDestination::open(scratch.path(), None).unwrap();
    let outcome = copy(&source, &mut layout, &any(), &Silent).unwrap();
    let last = &outcome.manifest.layers()[2];
    assert_eq!(last.media_type.layer_compression(), Some(Compression::Gzip));
    assert_ne!(last.digest, image.layers[2].digest);
    assert_eq!(outcome.manifest.config().digest, image.config.digest);
}

#[test]
fn skopeo_and_we_read_each_other() {
    let Some(registry) = Registry::start() else {
        return;
    };
    if !have("skopeo") {
        return;
    }
    let image = MemoryImage::new(true, 1 << 18, &ALL[..1]);
    let reference = push(&registry, "ours:v1", &image);
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let insecure_source = ["copy", "--src-tls-verify=false"];
    let theirs = format!("oci:{}:v1", at("theirs"));
    run(
        "skopeo",
        &[
            &insecure_source[..],
            &[&format!("docker://{reference}"), &theirs],
        ]
        .concat(),
    );
    let layout = LayoutSource::open(at("theirs").as_ref(), Some("v1")).unwrap();
    let mut ours = LayoutDestination::open(at("ours").as_ref(), Some("v1")).unwrap();
    let outcome = copy(&layout, &mut ours, &any(), &Silent).unwrap();
    assert_eq!(outcome.manifest.layers()[0].digest, image.layers[0].digest);
    let inspected = run("skopeo", &["inspect", &format!("oci:{}:v1", at("ours"))]);
    assert!(inspected.contains(image.layers[0].digest.as_str()));
    let pushed = format!("docker://{}/theirs:v1", registry.host);
    let from = format!("oci:{}:v1", at("ours"));
    run(
        "skopeo",
        &["copy", "--dest-tls-verify=false", &from, &pushed],
    );
    let reference = pushed.trim_start_matches("docker://").parse().unwrap();
    let source = RegistrySource::open(&reference, &insecure()).unwrap();
    let again = copy(&source, &mut ours, &any(), &Silent).unwrap();
    assert_eq!(again.source_digest, outcome.manifest.digest());
    assert_eq!(again.layers_skipped, 1);
}

#[test]
fn basic_credentials_open_a_closed_registry() {
    let Some(registry) = Registry::with_basic_auth() else {
        return;
    };
    let reference: ImageReference = format!("{}/app:v1", registry.host).parse().unwrap();
    let without = RegistrySource::open(&reference, &insecure()).unwrap_err();
    assert_eq!(without.kind(), ErrorKind::Unauthorized, "{without}");
    let wrong = RegistryOptions {
        credentials: Some(Credentials::Password {
            username: "user".to_owned(),
            password: "wrong".to_owned(),
        }),
        ..insecure()
    };
    let wrong = RegistryDestination::open(&reference, &wrong)
        .and_then(|mut to| copy(&small(), &mut to, &any(), &Silent));
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Unauthorized);
    let file = format!(
        r#"{{"auths":{{"{}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#,
        registry.host
    );
    let right = RegistryOptions {
        auth_files: vec![AuthFile::parse(&file, "auth.json").unwrap()],
        ..insecure()
    };
    let mut destination = RegistryDestination::open(&reference, &right).unwrap();
    copy(&small(), &mut destination, &any(), &Silent).unwrap();
    RegistrySource::open(&reference, &right).unwrap();
}

fn small() -> MemoryImage {
    MemoryImage::new(false, 1000, &ALL[..1])
}

#[test]
fn what_is_missing_is_named_as_podman_names_it() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let reference: ImageReference = format!("{}/none:v1", registry.host).parse().unwrap();
    let error = RegistrySource::open(&reference, &insecure()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let expected = format!(
        "reading manifest v1 in {}/none: manifest unknown",
        registry.host
    );
    assert_eq!(error.to_string(), expected);
    let secure = Connection::connect(&reference, Access::Pull, &RegistryOptions::default());
    let text = secure.unwrap_err().to_string();
    assert!(
        text.contains("server gave HTTP response to HTTPS client"),
        "{text}"
    );
}

#[test]
fn nobody_listening_is_a_refused_connection() {
    let host = free_address();
    let reference: ImageReference = format!("{host}/x").parse().unwrap();
    let error = RegistrySource::open(&reference, &insecure()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("pinging container registry {host}: ")),
        "{text}"
    );
    assert!(text.ends_with("connection refused"), "{text}");
}

#[test]
fn a_dead_mirror_is_passed_over() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let reference = push(&registry, "app:v1", &small());
    let dead = format!("{}/app:v1", free_address()).parse().unwrap();
    let places = [dead, reference.clone()].map(|reference| Endpoint {
        reference,
        insecure: true,
    });
    let options = RegistryOptions::default();
    let source = RegistrySource::open_at(&reference, &places, &options).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut layout = LayoutDestination::open(scratch.path(), None).unwrap();
    copy(&source, &mut layout, &any(), &Silent).unwrap();
}

#[test]
fn tls_is_verified_unless_the_registry_is_insecure() {
    let Some((registry, certificate)) = Registry::with_tls() else {
        return;
    };
    let reference = push(&registry, "app:v1", &small());
    let unknown = RegistrySource::open(&reference, &RegistryOptions::default()).unwrap_err();
    let text = unknown.to_string();
    assert!(
        text.contains("certificate signed by unknown authority"),
        "{text}"
    );
    let trusting = RegistryOptions {
        extra_roots: vec![certificate],
        ..RegistryOptions::default()
    };
    RegistrySource::open(&reference, &trusting).unwrap();
    let elsewhere = reference.to_string().replace("127.0.0.1", "localhost");
    let misnamed = RegistrySource::open(&elsewhere.parse().unwrap(), &trusting).unwrap_err();
    assert_eq!(misnamed.kind(), ErrorKind::Unreachable);
}
