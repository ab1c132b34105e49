//! Any tree, any stream: what holds for all of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use minke_storage::{ExtractOptions, Packer, extract};
use minke_sys::rooted::Root;
use proptest::prelude::*;

use crate::archive::Archive;

/// Something to make below a directory.
#[derive(Debug, Clone)]
enum Item {
    File(Vec<u8>, u32),
    Directory(u32),
    Symlink(String),
    HardLink,
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-d]",
        "\\PC{1,20}".prop_filter("a name", |name| !name.contains(['/', '\0'])
            && name != "."
            && name != ".."),
        "x{90,200}",
    ]
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..2000), 0u32..0o1000)
            .prop_map(|(content, mode)| Item::File(content, mode | 0o400)),
        (0u32..0o1000).prop_map(|mode| Item::Directory(mode | 0o700)),
        "[a-z./]{1,150}".prop_map(Item::Symlink),
        Just(Item::HardLink),
    ]
}

/// Makes the items that can be made; each path is put below what the path before made.
fn make(top: &Path, items: &[(Vec<String>, Item)]) {
    let mut first_file: Option<PathBuf> = None;
    for (parts, item) in items {
        let path = parts
            .iter()
            .fold(top.to_owned(), |path, part| path.join(part));
        if let Some(parent) = path.parent()
            && fs::create_dir_all(parent).is_err()
        {
            continue;
        }
        match item {
            Item::File(content, mode) => {
                if fs::symlink_metadata(&path).is_ok() || fs::write(&path, content).is_err() {
                    continue;
                }
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                first_file.get_or_insert(path);
            }
            Item::Directory(mode) => {
                if fs::create_dir(&path).is_ok() {
                    fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                }
            }
            Item::Symlink(target) => drop(symlink(target, &path)),
            Item::HardLink => {
                if let Some(file) = &first_file {
                    let _ = fs::hard_link(file, &path);
                }
            }
        }
    }
}

fn packed(directory: &Path) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut packer = Packer::new(&mut stream);
    packer
        .below(fs::File::open(directory).unwrap(), Path::new(""))
        .unwrap();
    packer.finish().unwrap();
    stream
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_packed_and_extracted_packs_the_same(
        items in prop::collection::vec((prop::collection::vec(name(), 1..4), item()), 0..20)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for path in [&from, &to] {
            fs::create_dir(path).unwrap();
        }
        make(&from, &items);
        let stream = packed(&from);
        let root = Root::open_dir(&to).unwrap();
        extract(&stream[..], &root, Path::new(""), &ExtractOptions::default()).unwrap();
        prop_assert!(packed(&to) == stream);
    }

    #[test]
    fn a_stream_that_is_damaged_or_hostile_changes_nothing_outside(
        entries in prop::collection::vec(("[a-c./]{1,12}", 0u8..8, "[a-c./]{0,12}"), 1..12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let kinds = [
            tar::EntryType::Regular,
            tar::EntryType::Link,
            tar::EntryType::Symlink,
            tar::EntryType::Directory,
            tar::EntryType::Fifo,
            tar::EntryType::XHeader,
            tar::EntryType::GNULongName,
            tar::EntryType::GNUSparse,
        ];
        let mut archive = Archive::new();
        for (name, kind, link) in &entries {
            archive = archive.raw(name, kinds[usize::from(*kind)], link, b"content");
        }
        let mut stream = archive.finish();
        for (place, byte) in &damage {
            let at = place.index(stream.len());
            stream[at] = *byte;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/in")).unwrap();
        fs::write(dir.path().join("root/beside"), "untouched").unwrap();
        fs::write(dir.path().join("outside"), "untouched").unwrap();
        let root = Root::open_dir(&dir.path().join("root")).unwrap();
        let mut options = ExtractOptions::default();
        options.replace_kinds = true;
        options.devices = false;
        let _ = extract(&stream[..], &root, Path::new("in"), &options);
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        prop_assert_eq!(names, ["outside", "root"]);
        prop_assert_eq!(fs::read(dir.path().join("outside")).unwrap(), b"untouched");
    }
}
