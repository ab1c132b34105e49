//! Containers on a directory of the host.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use crate::scratch::Scratch;

/// A directory with a busybox in it.
fn directory(scratch: &Scratch) -> PathBuf {
    let root = scratch.path("tree");
    for name in ["bin", "etc", "proc", "dev", "sys", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for name in ["sh", "cat", "ls", "stat", "sleep", "touch", "id"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    root
}

#[test]
fn a_directory_is_written_to_as_it_stands() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let root = directory(&scratch);
    let path = root.to_str().unwrap();
    scratch.ok(&format!(
        "run -d --network none --name c --rootfs {path} sh -c id>/new;exec${{IFS}}sleep${{IFS}}1000"
    ));
    crate::scratch::until("the file", || root.join("new").exists());
    assert_eq!(
        scratch.ok("inspect --format {{.Rootfs}}|{{.Image}}|{{.ImageName}} c"),
        format!("{path}||")
    );
    assert_eq!(scratch.ok("ps --format {{.Image}}|{{.Names}}"), "|c");
    assert_eq!(scratch.ok("mount c"), path);
    assert_eq!(
        scratch.ok("exec c cat /new"),
        fs::read_to_string(root.join("new")).unwrap().trim_end()
    );
    assert_eq!(scratch.ok("diff c"), "");
    fs::write(scratch.path("in"), "in").unwrap();
    scratch.ok(&format!("cp {} c:/etc/in", scratch.path("in").display()));
    scratch.ok("stop -t 0 c");
    scratch.ok(&format!("cp {} c:/etc/later", scratch.path("in").display()));
    for name in ["etc/in", "etc/later"] {
        assert_eq!(fs::read_to_string(root.join(name)).unwrap(), "in", "{name}");
    }
    let file = scratch.path("out.tar");
    scratch.ok(&format!("export -o {} c", file.display()));
    let mut archive = tar::Archive::new(fs::File::open(&file).unwrap());
    let names = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().into_owned());
    assert!(names.into_iter().any(|name| name.ends_with("etc/later")));
    let refused = scratch.minke("commit c image");
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (
            125,
            "Error: cannot commit a container that uses an exploded rootfs\n"
        )
    );
    scratch.ok("start c");
    scratch.ok("rm -f -t 0 c");
    assert!(root.join("bin/busybox").exists());
}

#[test]
fn what_is_written_upon_a_throw_away_layer_goes_with_the_end() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let root = directory(&scratch);
    let path = root.to_str().unwrap();
    scratch.ok(&format!(
        "run -d --network none --name c --rootfs {path}:O sh -c touch${{IFS}}/new;exec${{IFS}}sleep${{IFS}}1000"
    ));
    crate::scratch::until("the file", || scratch.minke("exec c cat /new").code == 0);
    assert!(!root.join("new").exists());
    let mounted = scratch.ok("mount c");
    assert!(PathBuf::from(&mounted).join("new").exists(), "{mounted}");
    scratch.ok("stop -t 0 c");
    assert!(!PathBuf::from(&mounted).exists(), "{mounted}");
    // Nothing may be written where it would stay.
    fs::write(scratch.path("in"), "in").unwrap();
    let refused = scratch.minke(&format!("cp {} c:/in", scratch.path("in").display()));
    assert_eq!(refused.code, 125, "{refused:?}");
    assert_eq!(scratch.minke("mount c").code, 125);
    assert!(!root.join("in").exists());
    // Killed with everything mounted, the next start undoes what was left.
    scratch.ok("start c");
    scratch.ok("kill c");
    scratch.ok("wait c");
    scratch.ok("start c");
    scratch.ok("rm -f -t 0 c");
    assert!(!root.join("new").exists());
}

#[test]
fn the_owners_of_a_directory_are_mapped() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let root = directory(&scratch);
    let run = |root: String| {
        scratch.run(&[
            "run",
            "--rm",
            "--network",
            "none",
            "--uidmap",
            "0:200000:65536",
            "--gidmap",
            "0:200000:65536",
            "--rootfs",
            &root,
            "sh",
            "-c",
            "stat -c %u /bin; touch /tmp/new",
        ])
    };
    let plain = run(root.display().to_string());
    assert_eq!(plain.out, "65534\n", "{plain:?}");
    let mapped = run(format!("{}:idmap", root.display()));
    assert_eq!((mapped.code, mapped.out.as_str()), (0, "0\n"), "{mapped:?}");
    assert_eq!(fs::metadata(root.join("tmp/new")).unwrap().uid(), 0);
    let own = format!("{}:idmap=uids=0-200007-1;gids=0-200007-1", root.display());
    assert_eq!(run(own).out, "7\n");
    let none = scratch.minke(&format!("create --rootfs {}:idmap sh", root.display()));
    assert_eq!(none.code, 125, "{none:?}");
}

#[test]
fn a_directory_that_is_not_there_is_refused() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let path = scratch.path("none:x");
    let refused = scratch.minke(&format!("create --rootfs {} sh", path.display()));
    let expected = format!(
        "Error: running container create option: stat {}: no such file or directory\n",
        path.display()
    );
    assert_eq!((refused.code, refused.err), (125, expected));
    let refused = scratch.minke("create --rootfs /");
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (
            125,
            "Error: no command or entrypoint provided, and no CMD or ENTRYPOINT from image\n"
        )
    );
    assert_eq!(scratch.ok("ps -aq"), "");
}
