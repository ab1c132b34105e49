use std::fs;
use std::process::Command;

use minke_storage::{CreateContainer, Error, LayerExport, MountRequest};
use tar::EntryType;

use crate::archive::Archive;
use crate::scratch::{Scratch, add_image, add_layer, in_mount_namespace};

#[test]
fn layers_come_out_as_they_went_in() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let long = "ü".repeat(120);
    let mut tar = Archive::new()
        .dir("./")
        .dir("d/")
        .file("d/f", vec![3; 100_000])
        .hardlink("d/g", "d/f")
        .symlink("l", "d/f")
        .file(".wh.gone", "")
        .file("./d/.wh..wh..opq", "")
        .pax(&[("comment", b"kept")])
        .file("p", "x")
        .entry(&long, Archive::header(EntryType::Regular, 0), b"y")
        .finish();
    for padding in [0, 10_240, 1_500_000] {
        tar.resize(tar.len() + padding, 0);
        let layer = add_layer(&mut store, &tar, None);
        let mut again = Vec::new();
        assert_eq!(
            store.export_layer(&layer.id, &mut again).unwrap(),
            LayerExport::Original
        );
        assert!(again == tar, "padding {padding}");
    }
}

#[test]
fn changed_files_are_told() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let layer = add_layer(&mut store, &Archive::new().file("f", "one").finish(), None);
    let file = store.changes_directory(&layer.id).join("f");
    for content in ["two", "longer"] {
        fs::write(&file, content).unwrap();
        let error = store.export_layer(&layer.id, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, Error::LayerModified { .. }), "{error}");
    }
}

#[test]
fn repeated_files_still_export_an_equivalent() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let tar = Archive::new().file("f", "one").file("f", "two").finish();
    let layer = add_layer(&mut store, &tar, None);
    let mut again = Vec::new();
    assert_eq!(
        store.export_layer(&layer.id, &mut again).unwrap(),
        LayerExport::Equivalent
    );
    let copy = add_layer(&mut store, &again, None);
    let file = store.changes_directory(&copy.id).join("f");
    assert_eq!(fs::read_to_string(file).unwrap(), "two");
}

#[test]
fn changes_of_a_container_become_a_layer() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let mut store = scratch.store();
        let base = Archive::new()
            .file("removed", "x")
            .file("changed", "x")
            .dir("replaced/")
            .file("replaced/old", "x")
            .finish();
        let base = add_layer(&mut store, &base, None);
        let image = add_image(
            &mut store,
            "localhost/x:latest",
            std::slice::from_ref(&base),
        );
        let container = store
            .create_container(CreateContainer::new(&image.id))
            .unwrap();
        let root = store
            .mount(&container.layer, &MountRequest::default())
            .unwrap();
        fs::remove_file(root.join("removed")).unwrap();
        fs::write(root.join("changed"), "y").unwrap();
        fs::remove_dir_all(root.join("replaced")).unwrap();
        fs::create_dir(root.join("replaced")).unwrap();
        fs::write(root.join("replaced/new"), vec![1; 70_000]).unwrap();
        fs::hard_link(root.join("changed"), root.join("linked")).unwrap();
        std::os::unix::fs::symlink("changed", root.join("symlink")).unwrap();
        store.unmount(&container.layer).unwrap();

        let mut tar = Vec::new();
        let export = store.export_layer(&container.layer, &mut tar).unwrap();
        assert_eq!(export, LayerExport::Equivalent);
        fs::write(scratch.path("diff.tar"), &tar).unwrap();
        let listed = Command::new("tar")
            .arg("-tf")
            .arg(scratch.path("diff.tar"))
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let expected =
            ".wh.removed changed linked replaced/ replaced/.wh..wh..opq replaced/new symlink";
        let mut names: Vec<_> = listed.lines().collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), {
            let mut names: Vec<_> = expected.split(' ').collect();
            names.sort_unstable();
            names.join(" ")
        });

        let copy = add_layer(&mut store, &tar, Some(&base.id));
        let request = MountRequest {
            read_only: true,
            ..MountRequest::default()
        };
        let root = store.mount(&copy.id, &request).unwrap();
        assert!(!root.join("removed").exists());
        assert!(!root.join("replaced/old").exists());
        assert_eq!(fs::read_to_string(root.join("linked")).unwrap(), "y");
        assert_eq!(fs::read(root.join("replaced/new")).unwrap(), [1; 70_000]);
        store.unmount(&copy.id).unwrap();
    });
}
