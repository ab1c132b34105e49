use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use minke_storage::{CommitRequest, Digest, ErrorKind, LayerId};
use tar::EntryType;

use crate::archive::Archive;
use crate::scratch::{Scratch, add_layer};

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    minke_sys::xattr::get(fs::File::open(path).unwrap(), name.as_ref()).unwrap()
}

#[test]
fn everything_a_layer_holds_is_unpacked() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let mut owned = Archive::header(EntryType::Regular, 0);
    owned.set_uid(1234);
    owned.set_gid(4321);
    owned.set_mode(0o4750);
    let mut device = Archive::header(EntryType::Char, 0);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    let tar = Archive::new()
        .dir("./")
        .dir("dir/")
        .entry("dir/owned", owned, b"content")
        .hardlink("dir/second", "dir/owned")
        .symlink("link", "dir/owned")
        .entry("null", device, b"")
        .raw("fifo", EntryType::Fifo, "", b"")
        .pax(&[
            ("mtime", b"1600000000.123456789"),
            ("SCHILY.xattr.user.colour", b"blue"),
        ])
        .file("timed", "")
        .pax(&[
            (
                "SCHILY.xattr.security.capability",
                b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ])
        .file("capable", "")
        .entry(&long, Archive::header(EntryType::Regular, 0), b"deep")
        .finish();
    let layer = add_layer(&mut store, &tar, None);
    assert_eq!(layer.diff_id, Some(Digest::of(&tar)));
    assert_eq!(layer.diff_size, Some(tar.len() as i64));
    assert_eq!((layer.uids, layer.gids), (vec![0, 1234], vec![0, 4321]));

    let root = store.changes_directory(&layer.id);
    let owned = fs::metadata(root.join("dir/owned")).unwrap();
    assert_eq!(
        (owned.uid(), owned.gid(), owned.mode() & 0o7777),
        (1234, 4321, 0o4750)
    );
    assert_eq!(
        owned.ino(),
        fs::metadata(root.join("dir/second")).unwrap().ino()
    );
    assert_eq!(owned.mtime(), 1_700_000_000);
    assert_eq!(
        fs::metadata(root.join("dir")).unwrap().mtime(),
        1_700_000_000
    );
    assert_eq!(
        fs::read_link(root.join("link")).unwrap(),
        Path::new("dir/owned")
    );
    let null = fs::symlink_metadata(root.join("null")).unwrap();
    assert!(null.file_type().is_char_device());
    assert_eq!(null.rdev(), 0x103);
    assert!(
        fs::metadata(root.join("fifo"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    let timed = fs::metadata(root.join("timed")).unwrap();
    assert_eq!(
        (timed.mtime(), timed.mtime_nsec()),
        (1_600_000_000, 123_456_789)
    );
    assert_eq!(xattr(&root.join("timed"), "user.colour").unwrap(), b"blue");
    assert!(xattr(&root.join("capable"), "security.capability").is_some());
    assert!(xattr(&root.join("capable"), "trusted.overlay.opaque").is_none());
    assert!(xattr(&root.join("capable"), "user.overlay.opaque").is_none());
    assert_eq!(fs::read(root.join(long)).unwrap(), b"deep");
    assert_eq!(
        fs::metadata(&root).unwrap().permissions().mode() & 0o7777,
        0o555
    );
}

#[test]
fn later_entries_replace_earlier_ones() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let tar = Archive::new()
        .file("a", "first")
        .file("a", "second")
        .dir("d/")
        .file("d/f", "x")
        .dir("d/")
        .dir("becomes-file/")
        .file("becomes-file/x", "x")
        .file("becomes-file", "now")
        .symlink("becomes-dir", "d")
        .dir("becomes-dir/")
        .file("becomes-dir/y", "y")
        .finish();
    let layer = add_layer(&mut store, &tar, None);
    let root = store.changes_directory(&layer.id);
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "second");
    assert_eq!(fs::read_to_string(root.join("d/f")).unwrap(), "x");
    assert_eq!(
        fs::read_to_string(root.join("becomes-file")).unwrap(),
        "now"
    );
    assert!(
        fs::symlink_metadata(root.join("becomes-dir"))
            .unwrap()
            .is_dir()
    );
    assert!(!root.join("d/y").exists());
}

#[test]
fn whiteouts_count_for_the_layers_below() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let tar = Archive::new()
        .file(".wh.gone", "")
        .dir("d/")
        .file("d/.wh..wh..opq", "")
        .file("d/new", "")
        .file("kept", "")
        .file(".wh.kept", "")
        .file(".wh.redone", "")
        .dir("redone/")
        .file(".wh..wh.plnk", "")
        .finish();
    let layer = add_layer(&mut store, &tar, None);
    let root = store.changes_directory(&layer.id);
    let gone = fs::symlink_metadata(root.join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(
        xattr(&root.join("d"), "trusted.overlay.opaque").unwrap(),
        b"y"
    );
    assert!(root.join("d/new").exists());
    assert!(fs::symlink_metadata(root.join("kept")).unwrap().is_file());
    assert!(root.join("redone").is_dir());
    assert_eq!(
        xattr(&root.join("redone"), "trusted.overlay.opaque").unwrap(),
        b"y"
    );
    let names = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        names
            .into_iter()
            .all(|name| !name.to_string_lossy().starts_with(".wh."))
    );
}

#[test]
fn files_with_holes_stay_sparse() {
    use std::process::Command;
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let source = scratch.path("sparse");
    let file = fs::File::create(&source).unwrap();
    for piece in 0..40_u64 {
        std::os::unix::fs::FileExt::write_all_at(&file, b"data", piece * (1 << 20)).unwrap();
    }
    file.set_len(64 << 20).unwrap();
    let expected = Digest::of(&fs::read(&source).unwrap());
    for format in [
        &["--format=gnu"][..],
        &["--format=pax", "--sparse-version=1.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=0.0"],
    ] {
        let tar = scratch.path("sparse.tar");
        let status = Command::new("tar")
            .args(format)
            .arg("-S")
            .arg("-C")
            .arg(scratch.dir.path())
            .arg("-cf")
            .arg(&tar)
            .arg("sparse")
            .status()
            .unwrap();
        assert!(status.success());
        let tar = fs::read(tar).unwrap();
        assert!(tar.len() < 8 << 20, "{format:?}");
        let layer = add_layer(&mut store, &tar, None);
        let root = store.changes_directory(&layer.id);
        let unpacked = root.join("sparse");
        assert_eq!(
            Digest::of(&fs::read(&unpacked).unwrap()),
            expected,
            "{format:?}"
        );
        assert!(fs::metadata(&unpacked).unwrap().blocks() * 512 < 8 << 20);
        let mut again = Vec::new();
        store.export_layer(&layer.id, &mut again).unwrap();
        assert!(again == tar, "{format:?}");
    }
}

#[test]
fn gnu_tar_agrees_on_a_real_tree() {
    use std::process::Command;
    let scratch = Scratch::new();
    let mut store = scratch.store();
    for format in ["gnu", "pax", "ustar"] {
        let tar = scratch.path("tree.tar");
        let status = Command::new("tar")
            .arg(format!("--format={format}"))
            .args(["-C", "/etc", "--exclude", "*.sock", "-cf"])
            .arg(&tar)
            .arg(".")
            .status()
            .unwrap();
        assert!(status.success());
        let layer = add_layer(&mut store, &fs::read(&tar).unwrap(), None);
        let compared = Command::new("tar")
            .arg("--compare")
            .arg("-f")
            .arg(&tar)
            .arg("-C")
            .arg(store.changes_directory(&layer.id))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&compared.stdout).into_owned();
        // The root's own mode is that of the layer below.
        let differences: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with(".: "))
            .collect();
        assert!(differences.is_empty(), "{differences:?}");
    }
}

#[test]
fn refused_commits_leave_nothing() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let tar = Archive::new().file("a", "x").finish();
    let layer = add_layer(&mut store, &tar, None);
    let again = |store: &mut minke_storage::Store, request: CommitRequest| {
        let mut stage = store.stage().unwrap();
        stage.apply(&tar[..]).unwrap();
        store
            .write_layers()
            .unwrap()
            .commit(stage, request)
            .unwrap_err()
            .kind()
    };
    let id = || LayerId::random().unwrap();
    assert_eq!(
        again(&mut store, CommitRequest::new(layer.id.clone())),
        ErrorKind::AlreadyExists
    );
    assert_eq!(
        again(&mut store, CommitRequest::new(id()).parent(Some(id()))),
        ErrorKind::NotFound
    );
    assert_eq!(
        again(
            &mut store,
            CommitRequest::new(id()).expect(Digest::of(b"other"))
        ),
        ErrorKind::DigestMismatch
    );
    assert_eq!(store.layers().unwrap().len(), 1);
    assert!(store.changes_directory(&layer.id).join("a").exists());
    let overlay = scratch.path("graph/overlay");
    assert!(!overlay.join("tempdirs").exists());
    assert_eq!(fs::read_dir(overlay.join("l")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(overlay).unwrap().count(), 2);
}

#[test]
fn a_failed_batch_is_taken_back_whole() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let tar = Archive::new().file("a", "x").finish();
    let mut batch = Vec::new();
    for index in 0..3 {
        let mut stage = store.stage().unwrap();
        stage.apply(&tar[..]).unwrap();
        let mut request = CommitRequest::new(LayerId::random().unwrap());
        if index == 2 {
            request = request.parent(Some(LayerId::random().unwrap()));
        }
        batch.push((stage, request));
    }
    assert!(store.write_layers().unwrap().commit_all(batch).is_err());
    assert!(store.layers().unwrap().is_empty());
    assert_eq!(
        fs::read_dir(scratch.path("graph/overlay/l"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn threads_unpack_at_the_same_time() {
    let scratch = Scratch::new();
    let store = scratch.store();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let mut store = store.clone();
            scope.spawn(move || {
                for round in 0..5 {
                    let text = format!("{thread}-{round}");
                    let tar = Archive::new().file(&text, &text).finish();
                    add_layer(&mut store, &tar, None);
                }
            });
        }
    });
    assert_eq!(store.layers().unwrap().len(), 40);
}

#[test]
fn deletion_spares_parents_and_leaves_nothing() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let base = add_layer(&mut store, &Archive::new().file("a", "x").finish(), None);
    let top = add_layer(
        &mut store,
        &Archive::new().file("b", "x").finish(),
        Some(&base.id),
    );
    let mut layers = store.write_layers().unwrap();
    assert_eq!(
        layers.delete(&base.id).unwrap_err().kind(),
        ErrorKind::InUse
    );
    layers.delete_all(&[top.id, base.id]).unwrap();
    drop(layers);
    assert!(store.layers().unwrap().is_empty());
    let overlay = scratch.path("graph/overlay");
    assert_eq!(fs::read_dir(overlay.join("l")).unwrap().count(), 0);
    assert!(!overlay.join("tempdirs").exists());
    let layers = fs::read_dir(scratch.path("graph/overlay-layers")).unwrap();
    assert!(
        layers
            .into_iter()
            .all(|entry| !entry.unwrap().path().ends_with(".gz"))
    );
}
