//! Images whose files have other owners.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use minke_storage::{CreateContainer, Image, MountRequest, Store};
use minke_sys::idmap::IdMap;
use tar::EntryType;

use crate::archive::Archive;
use crate::crash::shifted;
use crate::scratch::{Scratch, add_image, add_layer, have, in_mount_namespace};

fn image(store: &mut Store) -> Image {
    let mut owned = Archive::header(EntryType::Regular, 1);
    owned.set_uid(7);
    owned.set_gid(8);
    let base = Archive::new()
        .file("gone", "x")
        .entry("owned", owned, b"x")
        .finish();
    let top = Archive::new()
        .file(".wh.gone", "")
        .file("new", "x")
        .finish();
    let base = add_layer(store, &base, None);
    let top = add_layer(store, &top, Some(&base.id));
    add_image(store, "localhost/x:latest", &[base, top])
}

fn container(store: &mut Store, image: &Image, map: &IdMap) -> minke_storage::Container {
    let mut create = CreateContainer::new(&image.id);
    create.parent = store.mapped_top_layer(&image.id, map).unwrap();
    let layer = store.layers().unwrap();
    let parent = layer.get(create.parent.as_ref().unwrap()).unwrap();
    create.uid_map.clone_from(&parent.uid_map);
    create.gid_map.clone_from(&parent.gid_map);
    store.create_container(create).unwrap()
}

#[test]
fn a_mapped_layer_is_made_once_and_goes_with_its_image() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let image = image(&mut store);
        let first = store.mapped_top_layer(&image.id, &shifted()).unwrap();
        let again = store.mapped_top_layer(&image.id, &shifted()).unwrap();
        assert_eq!(first, again);
        let mut other = shifted();
        other.users[0].outside = 9000;
        let other = store.mapped_top_layer(&image.id, &other).unwrap().unwrap();
        assert_ne!(first.as_ref(), Some(&other));
        let layers = store.layers().unwrap();
        let made = layers.get(first.as_ref().unwrap()).unwrap();
        let top = layers.get(image.top_layer.as_ref().unwrap()).unwrap();
        assert_eq!((&made.parent, &made.diff_id), (&top.parent, &top.diff_id));
        let root = fs::metadata(store.changes_directory(&made.id)).unwrap();
        assert_eq!((root.uid(), root.gid()), (1000, 1000));

        let container = container(&mut store, &image, &shifted());
        let root = store
            .mount(&container.layer, &MountRequest::default())
            .unwrap();
        assert!(!root.join("gone").exists());
        let owned = fs::metadata(root.join("owned")).unwrap();
        assert_eq!((owned.uid(), owned.gid()), (1007, 1008));
        fs::write(root.join("made"), "").unwrap();
        chown(root.join("made"), Some(1003), Some(1004)).unwrap();
        let mut written = Vec::new();
        store.export_layer(&container.layer, &mut written).unwrap();
        let mut tar = tar::Archive::new(&written[..]);
        let entry = tar.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.header().uid().unwrap(), 3);
        assert_eq!(entry.header().gid().unwrap(), 4);
        store.delete_container(&container.id).unwrap();
        store.delete_image(&image.id).unwrap();
        assert!(store.layers().unwrap().iter().next().is_none());
    });
}

#[test]
fn a_file_whose_owner_is_not_mapped_is_refused() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let image = image(&mut store);
        let mut small = shifted();
        small.users[0].size = 5;
        let error = store.mapped_top_layer(&image.id, &small).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("7:8"), "{source}");
        let names = store.images().unwrap();
        assert!(names.get(&image.id).unwrap().mapped_top_layers.is_empty());
    });
}

#[test]
fn podman_uses_and_removes_mapped_layers() {
    if !have("podman") {
        return;
    }
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let image = image(&mut store);
    let mapped = store.mapped_top_layer(&image.id, &shifted()).unwrap();
    let mapped = mapped.unwrap();
    assert!(scratch.run("podman", &["images"]).contains("localhost/x"));
    let directory = store.changes_directory(&mapped);
    assert!(directory.exists());
    scratch.run("podman", &["rmi", "localhost/x:latest"]);
    assert!(!directory.exists());
    assert!(store.layers().unwrap().iter().next().is_none());
}
