//! Archives made to attack.

use std::fs;

use minke_storage::{Error, ErrorKind};
use tar::EntryType;

use crate::archive::Archive;
use crate::scratch::Scratch;

/// Unpacks `tar` next to a secret; gives the outcome, having seen that nothing got out.
fn unpack(tar: &[u8]) -> Result<Vec<String>, Error> {
    let scratch = Scratch::new();
    let secret = scratch.path("secret");
    fs::write(&secret, "secret").unwrap();
    let before = listing(scratch.dir.path());
    let store = scratch.store();
    let mut stage = store.stage().unwrap();
    let outcome = stage.apply(tar);
    let temporary = scratch.path("graph/overlay/tempdirs");
    let inside = fs::read_dir(temporary).unwrap().flatten();
    let inside = inside
        .map(|entry| entry.path().join("layer/diff"))
        .find(|path| path.exists());
    let unpacked = listing(&inside.unwrap());
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    drop(stage);
    let mut after = listing(scratch.dir.path());
    after.retain(|name| !["graph", "run"].contains(&name.as_str()));
    assert_eq!(before, after);
    assert!(!scratch.path("graph/overlay/tempdirs").exists());
    outcome.map(|_| unpacked)
}

fn listing(path: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn upward_names_are_refused() {
    for name in ["..", "../x", "a/../../x", "/../x", "a/..", "./../secret"] {
        let error = unpack(&Archive::new().file(name, "x").finish()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{name}");
    }
    for name in [".wh...", ".wh..", ".wh.", "a/.wh...", "../.wh.secret"] {
        let error = unpack(&Archive::new().file(name, "").finish()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{name}");
    }
    assert!(
        unpack(
            &Archive::new()
                .hardlink("x", "../../../../../../secret")
                .finish()
        )
        .is_err()
    );
}

#[test]
fn absolute_names_stay_inside() {
    let names = unpack(&Archive::new().file("/etc/x", "x").finish()).unwrap();
    assert_eq!(names, ["etc"]);
    assert!(!std::path::Path::new("/etc/x").exists());
}

#[test]
fn symlinks_lead_nowhere_else() {
    // Parents that are links are resolved inside, whatever they point to.
    let tar = Archive::new()
        .symlink("up", "../../../../..")
        .file("up/escaped", "x")
        .finish();
    assert_eq!(unpack(&tar).unwrap(), ["escaped", "up"]);
    let tar = Archive::new()
        .symlink("abs", "/tmp")
        .file("abs/escaped", "x")
        .finish();
    assert_eq!(unpack(&tar).unwrap(), ["abs", "tmp"]);
    assert!(!std::path::Path::new("/tmp/escaped").exists());
    let tar = Archive::new()
        .symlink("abs", "/proc/self/cwd")
        .file("abs/escaped", "x")
        .finish();
    assert_eq!(unpack(&tar).unwrap(), ["abs", "proc"]);
    // A link at the end is replaced, never written through.
    let tar = Archive::new()
        .symlink("f", "../../../../../secret")
        .file("f", "x")
        .finish();
    assert_eq!(unpack(&tar).unwrap(), ["f"]);
    let tar = Archive::new()
        .symlink("a", "b")
        .symlink("b", "a")
        .file("a/x", "")
        .finish();
    assert!(unpack(&tar).is_err());
}

#[test]
fn hardlinks_lead_nowhere_else() {
    for target in ["/etc/passwd", "secret", "up/passwd"] {
        let tar = Archive::new()
            .symlink("up", "/etc")
            .hardlink("x", target)
            .finish();
        let error = unpack(&tar).unwrap_err();
        assert!(matches!(error, Error::Unpack { .. }), "{error}");
    }
    // A hard link to a symlink is another name of the link, not of what it points to.
    let tar = Archive::new()
        .symlink("link", "/etc/passwd")
        .hardlink("x", "link")
        .file("x", "overwritten")
        .finish();
    assert_eq!(unpack(&tar).unwrap(), ["link", "x"]);
    assert!(
        !fs::read_to_string("/etc/passwd")
            .unwrap()
            .contains("overwritten")
    );
}

#[test]
fn opaque_marks_and_whiteouts_through_links_stay_inside() {
    let tar = Archive::new()
        .symlink("up", "../../../..")
        .file("up/.wh.secret", "")
        .file("up/.wh..wh..opq", "")
        .finish();
    assert_eq!(unpack(&tar).unwrap(), ["secret", "up"]);
}

#[test]
fn claimed_lengths_are_bounded() {
    let mut huge = Archive::header(EntryType::Regular, 0o77_777_777_777);
    huge.set_path("huge").unwrap();
    huge.set_cksum();
    let mut stream = huge.as_bytes().to_vec();
    stream.resize(10_000, 0);
    assert_eq!(unpack(&stream).unwrap_err().kind(), ErrorKind::InvalidData);

    for kind in [b'x', b'g', b'L', b'K'] {
        let mut header = Archive::header(EntryType::new(kind), 1 << 40);
        header.set_path("special").unwrap();
        header.set_size(1 << 32);
        header.set_cksum();
        let error = unpack(header.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }
}

#[test]
fn layers_beyond_the_limit_are_refused() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.max_layer_bytes = 10_000;
    let store = minke_storage::Store::open(options).unwrap();
    let tar = Archive::new().file("a", vec![0; 20_000]).finish();
    let error = store.stage().unwrap().apply(&tar[..]).unwrap_err();
    assert!(error.to_string().contains("10000"), "{error}");
}

#[test]
fn truncated_streams_are_refused() {
    let tar = Archive::new()
        .file("a", vec![7; 5000])
        .file("b", "x")
        .finish();
    for length in [1, 511, 513, 3000, 5500, 5900] {
        let error = unpack(&tar[..length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{length}");
    }
}

#[test]
fn pax_sizes_that_disagree_are_refused() {
    let hidden = Archive::new().file("hidden", "x").finish();
    let tar = Archive::new()
        .pax(&[("size", b"2048")])
        .file("a", "")
        .finish();
    let stream = [&tar[..tar.len() - 1024], &hidden].concat();
    let error = unpack(&stream).unwrap_err();
    assert!(error.to_string().contains("two sizes"), "{error}");
}

#[test]
fn failing_streams_leave_nothing() {
    struct Failing(usize);
    impl std::io::Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("the network is down"));
            }
            self.0 -= 1;
            buffer.fill(0);
            Ok(buffer.len().min(100))
        }
    }
    let scratch = Scratch::new();
    let store = scratch.store();
    let mut stage = store.stage().unwrap();
    assert!(matches!(stage.apply(Failing(3)), Err(Error::Stream { .. })));
    drop(stage);
    assert!(!scratch.path("graph/overlay/tempdirs").exists());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(60))]

    /// Valid archives of short paths that get in each other's way, then one byte changed.
    #[test]
    fn nothing_escapes_whatever_comes(
        entries in proptest::collection::vec((0_usize..5, "[ab./]{1,8}", "[ab./]{1,8}"), 1..12),
        damage in proptest::option::of((0_usize..6000, proptest::prelude::any::<u8>())),
    ) {
        let mut archive = Archive::new();
        for (kind, name, target) in &entries {
            archive = match kind {
                0 => archive.file(name, "content"),
                1 => archive.dir(name),
                2 => archive.symlink(name, target),
                3 => archive.hardlink(name, target),
                _ => archive.file(&format!("{name}/.wh.a"), ""),
            };
        }
        let mut tar = archive.finish();
        if let Some((at, byte)) = damage {
            let at = at % tar.len();
            tar[at] = byte;
        }
        let _ = unpack(&tar);
    }
}
