//! Processes killed at any point.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use minke_storage::{CommitRequest, CreateContainer, LayerId};
use minke_sys::idmap::{IdMap, Range};

use crate::archive::Archive;
use crate::race::{child, inherited};
use crate::scratch::{Scratch, add_image, add_layer, have, in_mount_namespace};

#[test]
#[ignore = "run by another test, as a process of its own"]
fn worker() {
    let Some((mut store, number)) = inherited() else {
        return;
    };
    for round in 0.. {
        let text = format!("{number}-{round}");
        let tar = Archive::new()
            .dir("d/")
            .file("d/f", vec![1; 50_000])
            .file(&text, &text)
            .finish();
        let base = add_layer(&mut store, &tar, None);
        let top = add_layer(&mut store, &tar, Some(&base.id));
        let image = add_image(&mut store, &format!("localhost/x-{text}:1"), &[base, top]);
        let container = store
            .create_container(CreateContainer::new(&image.id))
            .unwrap();
        store.mapped_top_layer(&image.id, &shifted()).unwrap();
        store.delete_container(&container.id).unwrap();
        store.delete_image(&image.id).unwrap();
    }
}

/// Root's ids for those from 1000 on.
pub fn shifted() -> IdMap {
    let ranges = vec![Range {
        inside: 0,
        outside: 1000,
        size: 5000,
    }];
    IdMap {
        users: ranges.clone(),
        groups: ranges,
    }
}

#[test]
#[ignore = "run by another test, as a process of its own"]
fn staging_worker() {
    let Some((store, _)) = inherited() else {
        return;
    };
    let _ = store.stage().unwrap().apply(std::io::stdin());
}

/// Every record has its files, every file its record, and nothing temporary is left.
fn check(scratch: &Scratch) {
    let mut store = scratch.store();
    drop(store.write_layers().unwrap());
    let layers = store.layers().unwrap();
    for layer in layers.iter() {
        assert!(store.changes_directory(&layer.id).exists());
        if layer.diff_id.is_some() {
            store.export_layer(&layer.id, &mut std::io::sink()).unwrap();
        }
        if let Some(parent) = &layer.parent {
            assert!(layers.get(parent).is_some());
        }
    }
    for image in store.images().unwrap().iter() {
        assert!(layers.get(image.top_layer.as_ref().unwrap()).is_some());
        for key in &image.big_data_names {
            store.image_big_data(&image.id, key).unwrap();
        }
    }
    for container in store.containers().unwrap().iter() {
        assert!(layers.get(&container.layer).is_some());
    }
    let overlay = scratch.path("graph/overlay");
    assert!(!overlay.join("tempdirs").exists());
    assert!(!scratch.path("graph/overlay-layers/tmp").exists());
    let ids = fs::read_dir(&overlay).unwrap().flatten();
    let ids: Vec<_> = ids.filter(|entry| entry.file_name().len() == 64).collect();
    assert_eq!(ids.len(), layers.len());
    let splits = fs::read_dir(scratch.path("graph/overlay-layers"))
        .unwrap()
        .flatten();
    let splits = splits.filter(|entry| entry.file_name().to_string_lossy().ends_with(".gz"));
    assert_eq!(
        splits.count(),
        layers
            .iter()
            .filter(|layer| layer.diff_id.is_some())
            .count()
    );
}

#[test]
fn death_at_any_time_leaves_a_good_store() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        scratch.store();
        for round in 0..40 {
            let mut worker = child("crash::worker", &scratch, round)
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_micros(8_000 + 1_700 * round as u64));
            worker.kill().unwrap();
            worker.wait().unwrap();
            check(&scratch);
        }
        if have("podman") {
            let listed = scratch.run("podman", &["images", "-a", "-q"]);
            let images = scratch.store().images().unwrap().len();
            assert_eq!(listed.lines().count(), images);
            let archive = scratch.path("root.tar");
            fs::write(&archive, Archive::new().file("a", "x").finish()).unwrap();
            scratch.run(
                "podman",
                &["import", "-q", archive.to_str().unwrap(), "localhost/after"],
            );
            scratch.run("podman", &["rmi", "-a", "-f"]);
            assert!(scratch.store().images().unwrap().is_empty());
        }
    });
}

#[test]
fn death_while_unpacking_is_cleared_by_the_next() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let mut worker = child("crash::staging_worker", &scratch, 0);
    let mut worker = worker.stdin(Stdio::piped()).spawn().unwrap();
    let tar = Archive::new().file("a", vec![1; 2 << 20]).finish();
    let mut input = worker.stdin.take().unwrap();
    input.write_all(&tar[..1 << 20]).unwrap();
    let temporary = scratch.path("graph/overlay/tempdirs");
    let unpacking = || {
        let entries = fs::read_dir(&temporary).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path().join("layer/diff/a"))
            .any(|file| file.exists())
    };
    while !unpacking() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The living are not disturbed.
    scratch.store();
    assert!(unpacking());
    worker.kill().unwrap();
    worker.wait().unwrap();
    scratch.store();
    assert!(!temporary.exists());
    assert!(store.layers().unwrap().is_empty());
}

#[test]
fn unfinished_layers_are_hidden_and_removed() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let layer = add_layer(&mut store, &Archive::new().file("a", "x").finish(), None);
    // As a commit leaves it that dies before its last write.
    let path = scratch.path("graph/overlay-layers/layers.json");
    let text = fs::read_to_string(&path).unwrap();
    let marked = text.replace("\"uidset\"", "\"flags\":{\"incomplete\":true},\"uidset\"");
    assert_ne!(text, marked);
    fs::write(&path, marked).unwrap();
    assert!(store.layers().unwrap().get(&layer.id).is_none());
    let mut stage = store.stage().unwrap();
    stage
        .apply(&Archive::new().file("b", "y").finish()[..])
        .unwrap();
    let request = CommitRequest::new(LayerId::random().unwrap());
    store
        .write_layers()
        .unwrap()
        .commit(stage, request)
        .unwrap();
    assert!(!store.changes_directory(&layer.id).exists());
    assert_eq!(store.layers().unwrap().len(), 1);
    assert!(!fs::read_to_string(&path).unwrap().contains("incomplete"));
}
