//! Archives: ours read by skopeo, skopeo's read by us, and what is none.

use std::io::Write;
use std::path::Path;

use minke_image::archive::{DockerArchive, DockerArchiveWriter, OciArchiveDestination, open_all};
use minke_image::media_type::Compression;
use minke_image::progress::Silent;
use minke_image::{ErrorKind, ImageReference, LayoutDestination, LayoutSource, copy};

use crate::fixture::{MemoryImage, any};
use crate::peers::{have, run};

const MIXED: [Compression; 3] = [Compression::Gzip, Compression::None, Compression::Zstd];

fn names(texts: &[&str]) -> Vec<ImageReference> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Writes two images, which share their first layer, into a docker archive.
fn write_two(path: &Path) -> [MemoryImage; 2] {
    let scratch = path.parent().unwrap();
    let images = [
        MemoryImage::new(true, 50_000, &MIXED),
        MemoryImage::new(true, 50_000, &MIXED[..1]),
    ];
    let writer = DockerArchiveWriter::create(path, scratch).unwrap();
    let tags = [&["quay.io/a:1", "quay.io/a:2"][..], &["b:1"]];
    for (image, tags) in images.iter().zip(tags) {
        copy(image, &mut writer.image(names(tags)), &any(), &Silent).unwrap();
    }
    writer.finish().unwrap();
    images
}

#[test]
fn a_docker_archive_keeps_several_images() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("two.tar");
    let images = write_two(&path);
    let archive = DockerArchive::open(&path, scratch.path()).unwrap();
    assert_eq!(archive.len(), 2);
    assert_eq!(archive.names(0), names(&["quay.io/a:1", "quay.io/a:2"]));
    assert_eq!(archive.names(1), names(&["docker.io/library/b:1"]));
    for (index, image) in images.iter().enumerate() {
        let target = scratch.path().join(format!("layout{index}"));
        let mut layout = LayoutDestination::open(&target, None).unwrap();
        let source = archive.source(index).unwrap();
        let outcome = copy(&source, &mut layout, &any(), &Silent).unwrap();
        assert_eq!(*outcome.image_id(), image.config.digest);
    }
    assert!(archive.find(None).is_err());
    let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn skopeo_reads_our_archives() {
    if !have("skopeo") {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("two.tar");
    let images = write_two(&path);
    let docker = format!("docker-archive:{}:quay.io/a:2", path.display());
    let config = run("skopeo", &["inspect", "--config", "--raw", &docker]);
    assert_eq!(config.as_bytes(), images[0].blobs[&images[0].config.digest]);
    let copied = format!("dir:{}", scratch.path().join("dir").display());
    run("skopeo", &["copy", &docker, &copied]);

    let path = scratch.path().join("oci.tar");
    let mut oci = OciArchiveDestination::create(&path, Some("x:1"), scratch.path()).unwrap();
    let outcome = copy(&images[0], &mut oci, &any(), &Silent).unwrap();
    drop(oci);
    let oci = format!("oci-archive:{}:x:1", path.display());
    let raw = run("skopeo", &["inspect", "--raw", &oci]);
    assert_eq!(raw.as_bytes(), outcome.manifest.raw());
    let copied = format!("dir:{}", scratch.path().join("dir2").display());
    run("skopeo", &["copy", &oci, &copied]);
}

#[test]
fn we_read_skopeos_archives_compressed_or_not() {
    if !have("skopeo") {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let image = MemoryImage::new(false, 50_000, &MIXED[..2]);
    let mut layout = LayoutDestination::open(&at("layout"), Some("v1")).unwrap();
    copy(&image, &mut layout, &any(), &Silent).unwrap();
    let from = format!("oci:{}:v1", at("layout").display());
    let docker = format!("docker-archive:{}:quay.io/a:1", at("d.tar").display());
    let oci = format!("oci-archive:{}:quay.io/a:1", at("o.tar").display());
    run("skopeo", &["copy", &from, &docker]);
    run("skopeo", &["copy", &from, &oci]);
    let bytes = std::fs::read(at("d.tar")).unwrap();
    let zipped = crate::fixture::compress(&bytes, Compression::Gzip);
    std::fs::write(at("d.tar.gz"), zipped).unwrap();
    for file in ["d.tar", "o.tar", "d.tar.gz", "layout"] {
        let found = open_all(&at(file), scratch.path()).unwrap();
        assert_eq!(found.len(), 1, "{file}");
        if file != "layout" {
            assert_eq!(found[0].names, names(&["quay.io/a:1"]), "{file}");
        }
        let mut out = LayoutDestination::open(&at("out"), None).unwrap();
        let outcome = copy(found[0].source.as_ref(), &mut out, &any(), &Silent).unwrap();
        assert_eq!(outcome.manifest.layers().len(), 2, "{file}");
    }
    let archive = LayoutSource::open_archive(&at("o.tar"), None, scratch.path());
    archive.unwrap();
}

#[test]
fn what_is_no_image_archive_says_why_for_each_format() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("x");
    let tar = crate::fixture::tar_of("some/file", b"hello");
    for bytes in [&b"plain text"[..], &tar, &[0; 4096], b""] {
        std::fs::write(&path, bytes).unwrap();
        let error = open_all(&path, scratch.path()).err().unwrap();
        let text = error.to_string();
        let start = "payload does not match any of the supported image formats:\n * ";
        assert!(text.starts_with(start), "{text}");
    }
    let error = open_all(&scratch.path().join("none"), scratch.path()).err();
    assert_eq!(error.unwrap().kind(), ErrorKind::Io);
}

#[test]
fn a_layer_that_is_not_what_the_config_says_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("evil.tar");
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        "a".repeat(64)
    );
    let table = r#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["../l.tar"]}]"#;
    let layer = crate::fixture::tar_of("f", b"x");
    for name in ["../l.tar", "l.tar"] {
        let mut builder = tar::Builder::new(Vec::new());
        for (member, data) in [
            ("manifest.json", table.replace("../l.tar", name).as_bytes()),
            ("c.json", config.as_bytes()),
            ("l.tar", &layer),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            builder.append_data(&mut header, member, data).unwrap();
        }
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(&builder.into_inner().unwrap()).unwrap();
        let archive = DockerArchive::open(&path, scratch.path()).unwrap();
        let mut out = LayoutDestination::open(&scratch.path().join("out"), None).unwrap();
        let result = archive
            .source(0)
            .and_then(|source| copy(&source, &mut out, &any(), &Silent));
        let kind = result.unwrap_err().kind();
        let expected = [ErrorKind::NotFound, ErrorKind::DigestMismatch];
        assert!(expected.contains(&kind), "{name}: {kind:?}");
        assert!(!scratch.path().join("out/index.json").exists());
    }
}
