use std::fs;

use minke_storage::{CreateContainer, ErrorKind, LayerId, MountRequest};

use crate::archive::Archive;
use crate::scratch::{Scratch, add_image, add_layer, in_mount_namespace};

#[test]
fn layers_are_seen_as_one_tree() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let base = Archive::new()
            .file("gone", "x")
            .dir("opaque/")
            .file("opaque/old", "x")
            .file("kept", "base")
            .finish();
        let top = Archive::new()
            .file(".wh.gone", "")
            .dir("opaque/")
            .file("opaque/.wh..wh..opq", "")
            .file("opaque/new", "x")
            .finish();
        let base = add_layer(&mut store, &base, None);
        let top = add_layer(&mut store, &top, Some(&base.id));
        let image = add_image(&mut store, "localhost/x:latest", &[base, top]);
        let container = store
            .create_container(CreateContainer::new(&image.id))
            .unwrap();
        let root = store
            .mount(&container.layer, &MountRequest::default())
            .unwrap();
        assert!(!root.join("gone").exists());
        assert!(!root.join("opaque/old").exists());
        assert!(root.join("opaque/new").exists());
        fs::write(root.join("kept"), "changed").unwrap();
        store.unmount(&container.layer).unwrap();
        let changes = store.changes_directory(&container.layer);
        assert_eq!(fs::read_to_string(changes.join("kept")).unwrap(), "changed");
        store.delete_container(&container.id).unwrap();
        assert!(!changes.exists());
    });
}

#[test]
fn mounts_are_counted() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let layer = add_layer(&mut store, &Archive::new().file("a", "x").finish(), None).id;
        let request = MountRequest {
            read_only: true,
            ..MountRequest::default()
        };
        let root = store.mount(&layer, &request).unwrap();
        assert_eq!(store.mount(&layer, &request).unwrap(), root);
        assert_eq!(store.mount_count(&layer).unwrap(), 2);
        assert_eq!(store.unmount(&layer).unwrap(), 1);
        assert!(root.join("a").exists());
        assert_eq!(store.unmount(&layer).unwrap(), 0);
        assert!(!root.join("a").exists());
        assert_eq!(store.unmount(&layer).unwrap(), 0);
        let text = fs::read_to_string(scratch.path("run/overlay-layers/mountpoints.json"));
        assert_eq!(text.unwrap(), "[]");
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        assert!(
            !mounts.contains(&scratch.dir.path().display().to_string()),
            "{mounts}"
        );
        let unknown = LayerId::random().unwrap();
        let error = store.mount(&unknown, &request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        store.unmount(&unknown).unwrap();
    });
}

#[test]
fn a_reboot_is_survived() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let layer = add_layer(&mut store, &Archive::new().file("a", "x").finish(), None).id;
        let root = store.mount(&layer, &MountRequest::default()).unwrap();
        minke_sys::mount::detach(&root).unwrap();
        // The run root may have stayed, its records now wrong ...
        store.mount(&layer, &MountRequest::default()).unwrap();
        assert_eq!(store.mount_count(&layer).unwrap(), 1);
        assert!(root.join("a").exists());
        minke_sys::mount::detach(&root).unwrap();
        // ... or be gone.
        fs::remove_dir_all(scratch.path("run")).unwrap();
        let store = scratch.store();
        store.mount(&layer, &MountRequest::default()).unwrap();
        assert!(root.join("a").exists());
        assert_eq!(store.unmount(&layer).unwrap(), 0);
    });
}

#[test]
fn options_reach_the_kernel() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut options = scratch.options();
        options.overlay.mount_options = vec!["nodev".into(), "metacopy=on".into()];
        let mut store = minke_storage::Store::open(options).unwrap();
        let layer = add_layer(&mut store, &Archive::new().file("a", "x").finish(), None).id;
        let request = MountRequest {
            volatile: true,
            ..MountRequest::default()
        };
        let root = store.mount(&layer, &request).unwrap();
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let line = mounts
            .lines()
            .find(|line| line.contains(&root.display().to_string()))
            .unwrap();
        for option in ["nodev", "metacopy=on", "volatile"] {
            assert!(line.contains(option), "{line}");
        }
        store.unmount(&layer).unwrap();
        // A volatile mount that was not unmounted in order can be mounted again.
        store.mount(&layer, &request).unwrap();
        store.unmount_all(&layer).unwrap();
        let request = MountRequest {
            options: Some(vec!["nonsense=1".into()]),
            ..MountRequest::default()
        };
        let error = store.mount(&layer, &request).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("nonsense"), "{source}");
    });
}

#[test]
fn long_paths_and_many_layers_mount() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let deep = (0..3).fold(scratch.dir.path().to_owned(), |path, _| {
            path.join("x".repeat(100))
        });
        let mut options = minke_storage::StoreOptions::new(deep.join("graph"), deep.join("run"));
        options.durable = false;
        let mut store = minke_storage::Store::open(options).unwrap();
        let mut parent = None;
        for index in 0..130 {
            let tar = Archive::new().file(&format!("f{index}"), "x").finish();
            parent = Some(add_layer(&mut store, &tar, parent.as_ref()).id);
        }
        let top = parent.unwrap();
        let root = store.mount(&top, &MountRequest::default()).unwrap();
        assert_eq!(fs::read_dir(root).unwrap().count(), 130);
        store.unmount(&top).unwrap();
    });
}
