//! The commands about a container's files.

use std::fs;
use std::path::Path;

use crate::archive::IMAGE;
use crate::scratch::{Scratch, outcome, until};

/// Makes a container that has changed some files and ended.
fn changed(scratch: &Scratch, name: &str) {
    let script = "echo new > /tmp/new; echo root::0:0::/: > /etc/passwd; mkdir -p /a/b";
    let run = [
        "run",
        "--network",
        "none",
        "--name",
        name,
        IMAGE,
        "sh",
        "-c",
        script,
    ];
    let ran = scratch.run(&run);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn diff_leaves_out_what_the_engine_itself_put_there() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    changed(&scratch, "c");
    let lines = scratch.ok("diff c");
    for line in ["A /a", "A /a/b", "C /tmp", "A /tmp/new"] {
        assert!(
            lines.lines().any(|other| other == line),
            "{line} in {lines}"
        );
    }
    for path in ["/etc/hosts", "/etc/resolv.conf", "/dev", "/proc", "/run"] {
        assert!(
            !lines.lines().any(|line| line.ends_with(path)),
            "{path} in {lines}"
        );
    }
    assert_eq!(scratch.ok("diff --latest"), lines);
    let json = scratch.ok("container diff --format json c");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["added"].as_array().unwrap().contains(&"/a/b".into()));
    let missing = scratch.minke("diff nothing");
    assert_eq!(missing.code, 125);
    assert_eq!(missing.err, "Error: nothing not found: layer not known\n");
    let image = scratch.ok(&format!("image diff {IMAGE}"));
    assert!(
        image.lines().any(|line| line == "A /bin/busybox"),
        "{image}"
    );
}

#[test]
fn export_is_the_same_while_it_runs_and_after() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.sleeper("c");
    let file = scratch.path("out.tar");
    let file = file.to_str().unwrap();
    let names = || {
        scratch.ok(&format!("export -o {file} c"));
        let mut archive = tar::Archive::new(fs::File::open(file).unwrap());
        let entries = archive.entries().unwrap();
        let names = entries.map(|entry| entry.unwrap().path().unwrap().into_owned());
        names.collect::<Vec<_>>()
    };
    let running = names();
    assert!(running.iter().any(|name| name == Path::new("bin/busybox")));
    // What is mounted is not the container's.
    assert!(!running.iter().any(|name| name.starts_with("proc/self")));
    scratch.ok("stop -t 0 c");
    assert_eq!(names(), running);
    let piped = outcome(scratch.command().args(["export", "c"]));
    assert_eq!(piped.code, 0);
    let unwritable = scratch.minke("export -o /dev/null/x c");
    assert_eq!(unwritable.code, 125, "{unwritable:?}");
    let missing = scratch.minke(&format!(
        "export -o {}/y nothing",
        scratch.path("").display()
    ));
    assert!(missing.err.contains("no such container"), "{missing:?}");
    assert!(!scratch.path("y").exists());
}

#[test]
fn mounts_are_counted_and_a_running_container_keeps_its_own() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    changed(&scratch, "c");
    until("cleaned up", || scratch.ok("mount").is_empty());
    let root = scratch.ok("mount c");
    assert_eq!(scratch.ok("mount c"), root);
    let new = Path::new(&root).join("tmp/new");
    assert_eq!(fs::read_to_string(&new).unwrap(), "new\n");
    let json: serde_json::Value = serde_json::from_str(&scratch.ok("mount --format json")).unwrap();
    assert_eq!(json[0]["mountpoint"], root.as_str());
    assert_eq!(json[0]["Names"][0], "c");
    assert_eq!(scratch.ok("unmount c"), "c");
    assert!(new.exists(), "the second mount is left");
    assert_eq!(scratch.ok("umount c"), "c");
    assert!(!new.exists());
    assert_eq!(scratch.ok("umount c"), "c", "not mounted is no error");
    scratch.sleeper("r");
    let listed = scratch.ok("mount");
    assert_eq!(listed.lines().count(), 1, "{listed}");
    for line in ["umount r", "umount -f r", "umount -a"] {
        scratch.ok(line);
        assert_eq!(scratch.ok("mount"), listed, "{line}");
    }
    let several = scratch.minke("mount c nothing");
    assert_eq!((several.code, several.out.as_str()), (125, ""));
}
