use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use minke_storage::{ChangeKind, CreateContainer, LayerId, MountRequest, Packer, Store};

use crate::archive::Archive;
use crate::scratch::{Scratch, add_image, add_layer, in_mount_namespace};

/// A container on one layer, and that layer.
fn container(store: &mut Store) -> (LayerId, LayerId) {
    let base = Archive::new()
        .dir("d/")
        .file("d/kept", "x")
        .file("d/removed", "x")
        .dir("again/")
        .file("again/old", "x")
        .file("changed", "x")
        .finish();
    let base = add_layer(store, &base, None);
    let image = add_image(store, "localhost/i:1", std::slice::from_ref(&base));
    let request = CreateContainer::new(&image.id);
    let layer = store.create_container(request).unwrap().layer;
    let root = store.mount(&layer, &MountRequest::default()).unwrap();
    fs::remove_file(root.join("d/removed")).unwrap();
    fs::remove_dir_all(root.join("again")).unwrap();
    fs::create_dir(root.join("again")).unwrap();
    fs::write(root.join("again/new"), "").unwrap();
    fs::write(root.join("changed"), "other").unwrap();
    fs::create_dir_all(root.join("new/sub")).unwrap();
    symlink("/etc/shadow", root.join("new/link")).unwrap();
    (layer, base.id)
}

fn listed(store: &Store, id: &LayerId, base: Option<&LayerId>) -> Vec<String> {
    let changes = store.changes(id, base).unwrap();
    let line = |change: &minke_storage::Change| {
        let letter = match change.kind {
            ChangeKind::Modified => 'C',
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
        };
        format!("{letter} {}", change.path.display())
    };
    changes.iter().map(line).collect()
}

#[test]
fn changes_of_a_container_are_listed_as_podman_lists_them() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let (layer, base) = container(&mut store);
        let expected = [
            "D /again",
            "C /again",
            "A /again/new",
            "C /changed",
            "C /d",
            "D /d/removed",
            "A /new",
            "A /new/link",
            "A /new/sub",
        ];
        let mut found = listed(&store, &layer, None);
        assert_eq!(found, listed(&store, &layer, Some(&base)));
        // Whether a directory made anew within the second is named twice depends on its time.
        found.retain(|line| line != "C /again");
        let expected: Vec<_> = expected
            .into_iter()
            .filter(|line| *line != "C /again")
            .collect();
        assert_eq!(found, expected);
        let back = listed(&store, &base, Some(&layer));
        assert!(back.contains(&"D /new".to_owned()), "{back:?}");
        assert!(back.contains(&"A /d/removed".to_owned()), "{back:?}");
        assert!(back.contains(&"C /changed".to_owned()), "{back:?}");
        assert!(!back.iter().any(|line| line.contains("kept")), "{back:?}");
        store.unmount_all(&layer).unwrap();
    });
}

#[test]
fn a_view_is_the_whole_tree_and_leaves_no_mount() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let (layer, base) = container(&mut store);
        let mounts = || {
            fs::read_to_string("/proc/thread-self/mountinfo")
                .unwrap()
                .lines()
                .count()
        };
        let mounted = mounts();
        let seen = store.view(&layer).unwrap();
        assert_eq!(seen.read(Path::new("changed"), 10).unwrap(), b"other");
        store.unmount_all(&layer).unwrap();
        let before = mounts();
        assert!(before < mounted);
        let views = [store.view(&layer).unwrap(), store.view(&base).unwrap()];
        assert_eq!(mounts(), before);
        assert_eq!(store.mount_count(&layer).unwrap(), 0);
        assert_eq!(views[0].read(Path::new("d/kept"), 10).unwrap(), b"x");
        assert!(views[0].read(Path::new("d/removed"), 10).is_err());
        assert_eq!(views[1].read(Path::new("d/removed"), 10).unwrap(), b"x");
    });
}

#[test]
fn a_packed_tree_has_no_marks_and_follows_no_link() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let (layer, _) = container(&mut store);
        let view = store.view(&layer).unwrap();
        let mut stream = Vec::new();
        let mut packer = Packer::new(&mut stream);
        packer.below(&view, Path::new("")).unwrap();
        packer
            .object(&view, "new".as_ref(), Path::new("called"))
            .unwrap();
        packer
            .object(&view, "absent".as_ref(), Path::new("x"))
            .unwrap();
        packer.finish().unwrap();
        let mut archive = tar::Archive::new(&stream[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let link = entry.link_name().unwrap().map(|link| link.into_owned());
                (entry.path().unwrap().into_owned(), link)
            })
            .collect();
        let has = |name: &str| names.iter().any(|(path, _)| path == Path::new(name));
        for name in [
            "again/",
            "again/new",
            "d/kept",
            "called/",
            "called/link",
            "new/sub/",
        ] {
            assert!(has(name), "{name} of {names:?}");
        }
        assert!(!has("d/removed") && !has("x"));
        assert!(
            !names
                .iter()
                .any(|(path, _)| path.to_string_lossy().contains(".wh."))
        );
        let link = names.iter().find(|(path, _)| path == Path::new("new/link"));
        assert_eq!(link.unwrap().1.as_deref(), Some(Path::new("/etc/shadow")));
        store.unmount_all(&layer).unwrap();
    });
}
