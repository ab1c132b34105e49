//! Root of a user namespace only.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::process::{Command, Stdio};

use minke_storage::{CreateContainer, ErrorKind, MountRequest, Store};
use tar::EntryType;

use crate::archive::Archive;
use crate::race::{child_by, inherited};
use crate::scratch::{Scratch, add_image, add_layer};

fn xattr(path: &std::path::Path, name: &str) -> Option<Vec<u8>> {
    minke_sys::xattr::get(fs::File::open(path).unwrap(), name.as_ref()).unwrap()
}

#[test]
#[ignore = "run by another test, as a process of its own"]
fn worker() {
    let Some((store, _)) = inherited() else {
        return;
    };
    let mut options = store.options().clone();
    options.in_user_namespace = true;
    let mut store = Store::open(options).unwrap();
    let mut device = Archive::header(EntryType::Char, 0);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    let base = Archive::new()
        .file("gone", "x")
        .dir("d/")
        .file("d/old", "x")
        .finish();
    let top = Archive::new()
        .file(".wh.gone", "")
        .dir("d/")
        .file("d/.wh..wh..opq", "")
        .pax(&[("SCHILY.xattr.user.overlay.whiteout", b"y")])
        .file("d/new", "x")
        .entry("null", device, b"")
        .finish();
    let base = add_layer(&mut store, &base, None);
    let top_layer = add_layer(&mut store, &top, Some(&base.id));
    let root = store.changes_directory(&top_layer.id);
    assert!(
        fs::symlink_metadata(root.join("gone"))
            .unwrap()
            .file_type()
            .is_char_device()
    );
    assert_eq!(xattr(&root.join("d"), "user.overlay.opaque").unwrap(), b"y");
    assert!(xattr(&root.join("d/new"), "user.overlay.whiteout").is_none());
    assert!(!root.join("null").exists());
    let mut again = Vec::new();
    store.export_layer(&top_layer.id, &mut again).unwrap();
    assert!(again == top);

    let image = add_image(&mut store, "localhost/x:1", &[base, top_layer]);
    let container = store
        .create_container(CreateContainer::new(&image.id))
        .unwrap();
    let root = store
        .mount(&container.layer, &MountRequest::default())
        .unwrap();
    assert!(!root.join("gone").exists() && !root.join("d/old").exists());
    fs::remove_dir_all(root.join("d")).unwrap();
    store.unmount(&container.layer).unwrap();
    let mut changes = Vec::new();
    store.export_layer(&container.layer, &mut changes).unwrap();
    assert!(changes.starts_with(b".wh.d\0"));

    let mut foreign = Archive::header(EntryType::Regular, 0);
    foreign.set_uid(1234);
    let tar = Archive::new().entry("f", foreign, b"").finish();
    let error = store.stage().unwrap().apply(&tar[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("user namespace"), "{source}");
    let mut options = store.options().clone();
    options.overlay.ignore_chown_errors = true;
    Store::open(options)
        .unwrap()
        .stage()
        .unwrap()
        .apply(&tar[..])
        .unwrap();
}

#[test]
fn a_store_works_for_root_of_a_user_namespace() {
    let scratch = Scratch::new();
    let possible = Command::new("unshare").args(["-Urm", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no user namespace");
        return;
    }
    let mut command = Command::new("unshare");
    command.arg("-Urm").arg(std::env::current_exe().unwrap());
    let mut command = child_by(command, "userns::worker", &scratch, 0);
    let output = command.stdout(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
