use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use minke_storage::{Error, ExtractOptions, Packer, extract};
use minke_sys::rooted::Root;
use tar::EntryType;

use crate::archive::Archive;

/// A directory `root` with a directory `in` in it, beside a directory `out`.
fn places() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["root/in", "out"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    let root = Root::open_dir(&dir.path().join("root")).unwrap();
    (dir, root)
}

fn put(tar: &[u8], root: &Root, options: &ExtractOptions) -> Result<u64, Error> {
    extract(tar, root, Path::new("/in"), options)
}

#[test]
fn entries_come_among_what_is_there() {
    let (dir, root) = places();
    let inside = dir.path().join("root/in");
    fs::create_dir(inside.join("d")).unwrap();
    fs::write(inside.join("d/kept"), "kept").unwrap();
    fs::write(inside.join("f"), "before").unwrap();
    fs::hard_link(inside.join("f"), dir.path().join("other")).unwrap();
    let tar = Archive::new()
        .dir("d/")
        .file("d/new", "new")
        .file("f", "after")
        .hardlink("g", "f")
        .file(".wh.d", "")
        .finish();
    assert_eq!(put(&tar, &root, &ExtractOptions::default()).unwrap(), 5);
    let read = |name: &str| fs::read_to_string(inside.join(name)).unwrap();
    assert_eq!(
        (read("d/kept"), read("d/new")),
        ("kept".into(), "new".into())
    );
    assert_eq!((read("f"), read("g")), ("after".into(), "after".into()));
    assert_eq!(read(".wh.d"), "", "a whiteout is a file like any other");
    let other = fs::read_to_string(dir.path().join("other")).unwrap();
    assert_eq!(other, "before", "a file is replaced, not written through");
}

#[test]
fn a_directory_and_a_file_take_each_others_place_only_when_told_to() {
    let (dir, root) = places();
    let inside = dir.path().join("root/in");
    fs::create_dir_all(inside.join("was-dir/sub")).unwrap();
    fs::write(inside.join("was-file"), "").unwrap();
    for (tar, name, is_directory) in [
        (Archive::new().file("was-dir", "x"), "was-dir", false),
        (Archive::new().dir("was-file/"), "was-file/", true),
        (Archive::new().symlink("was-dir", "x"), "was-dir", false),
    ] {
        let tar = tar.finish();
        let error = put(&tar, &root, &ExtractOptions::default()).unwrap_err();
        match error {
            Error::KindDiffers {
                entry,
                is_directory: found,
            } => assert_eq!((entry.as_path(), found), (Path::new(name), is_directory)),
            error => panic!("{error}"),
        }
    }
    let mut options = ExtractOptions::default();
    options.replace_kinds = true;
    let tar = Archive::new()
        .file("was-dir", "x")
        .dir("was-file/")
        .finish();
    put(&tar, &root, &options).unwrap();
    assert!(inside.join("was-dir").is_file() && inside.join("was-file").is_dir());
}

#[test]
fn owners_attributes_and_devices_are_as_asked() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let (dir, root) = places();
    let inside = dir.path().join("root/in");
    let tar = Archive::new()
        .entry("null", Archive::header(EntryType::Char, 0), b"")
        .file("f", "x")
        .finish();
    let mut options = ExtractOptions::default();
    options.owner = Some((1234, 77));
    options.devices = false;
    put(&tar, &root, &options).unwrap();
    assert!(!inside.join("null").exists());
    let meta = fs::metadata(inside.join("f")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (1234, 77));
}

#[test]
fn zeros_become_holes_and_nothing_else_changes() {
    let (dir, root) = places();
    let mut content = vec![0; 8 << 20];
    content[1_000_000] = 1;
    content[5 << 20] = 2;
    let tar = Archive::new().file("sparse", content.clone()).finish();
    let mut options = ExtractOptions::default();
    options.holes = true;
    put(&tar, &root, &options).unwrap();
    let file = dir.path().join("root/in/sparse");
    assert!(fs::read(&file).unwrap() == content);
    assert!(fs::metadata(&file).unwrap().blocks() * 512 < 1 << 20);
}

#[test]
fn hostile_streams_stay_inside() {
    let (dir, root) = places();
    let outside = dir.path().join("out");
    fs::write(outside.join("secret"), "secret").unwrap();
    let up = "../../../../../../../../".to_owned();
    let absolute = outside.to_str().unwrap().to_owned();
    let by_words = format!("{up}{}", &absolute[1..]);
    for target in [absolute.as_str(), by_words.as_str()] {
        let tar = Archive::new()
            .symlink("link", target)
            .file("link/escaped", "x")
            .finish();
        let _ = put(&tar, &root, &ExtractOptions::default());
        let tar = Archive::new()
            .symlink("link", target)
            .hardlink("hard", "link/secret")
            .finish();
        put(&tar, &root, &ExtractOptions::default()).unwrap_err();
    }
    for name in ["../escaped", "a/../../escaped", "/../escaped"] {
        let tar = Archive::new().file(name, "x").finish();
        put(&tar, &root, &ExtractOptions::default()).unwrap_err();
    }
    let names: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["secret"]);
    assert!(!dir.path().join("escaped").exists() && !dir.path().join("root/escaped").exists());
}

/// A container that swaps a directory with a link to the host's while files are copied, in
/// either direction.
#[test]
fn a_tree_that_is_swapped_meanwhile_leads_nowhere_else() {
    let (dir, root) = places();
    let inside = dir.path().join("root/in");
    let outside = dir.path().join("out");
    fs::write(outside.join("f"), "secret").unwrap();
    fs::create_dir(inside.join("real")).unwrap();
    fs::write(inside.join("real/f"), "mine").unwrap();
    symlink(&outside, inside.join("link")).unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o755)).unwrap();
    let tar = Archive::new()
        .dir("real/")
        .file("real/planted", "x")
        .finish();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let handle = fs::File::open(&inside).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&handle, "real", &handle, "link", flags).unwrap();
            }
        });
        for _ in 0..400 {
            let mut options = ExtractOptions::default();
            options.replace_kinds = false;
            let _ = put(&tar, &root, &options);
            let mut stream = Vec::new();
            let mut packer = Packer::new(&mut stream);
            let opened = root
                .open(Path::new("in"), rustix::fs::OFlags::RDONLY)
                .unwrap();
            let packed = packer.below(&opened, Path::new(""));
            if packed.is_ok() && packer.finish().is_ok() {
                assert!(!stream.windows(6).any(|bytes| bytes == b"secret"));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(!outside.join("planted").exists());
    assert_eq!(fs::metadata(&outside).unwrap().mode() & 0o777, 0o755);
}
