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

#[test]
fn a_committed_container_is_an_image_that_runs() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    changed(&scratch, "c");
    let iid = scratch.path("iid");
    let id = scratch.run(&[
        "commit",
        "-q",
        "-a",
        "Somebody",
        "-c",
        "CMD [\"cat\",\"/tmp/new\"]",
        "-c",
        "ENV A=b c",
        "-c",
        "LABEL k=v",
        "--iidfile",
        iid.to_str().unwrap(),
        "c",
        "made:1",
    ]);
    assert_eq!(id.code, 0, "{id:?}");
    let id = id.out.trim();
    assert_eq!(fs::read_to_string(iid).unwrap(), id);
    assert_eq!(scratch.ok("run --rm --network none made:1"), "new");
    let said = scratch.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        "made:1",
        "sh",
        "-c",
        "echo $A",
    ]);
    assert_eq!(said.out, "b c\n");
    let squashed = scratch.ok("commit -q -s -f docker -m said -p c flat");
    let document: serde_json::Value =
        serde_json::from_str(&scratch.ok(&format!("image inspect {squashed}"))).unwrap();
    assert_eq!(document[0]["RootFS"]["Layers"].as_array().unwrap().len(), 1);
    assert_eq!(document[0]["Comment"], "said");
    assert_eq!(
        scratch.ok("run --rm --network none flat cat /tmp/new"),
        "new"
    );
    for (line, words) in [
        (
            "commit -m x c y",
            "messages are only compatible with the docker image format (-f docker)",
        ),
        ("commit -f tar c y", "unrecognized image format \"tar\""),
        (
            "commit -c FROM=x c y",
            "invalid change \"FROM=x\" - invalid instruction FROM",
        ),
        (
            "commit nothing y",
            "no container with name or ID \"nothing\" found: no such container",
        ),
    ] {
        let refused = scratch.minke(line);
        assert_eq!(
            (refused.code, refused.err),
            (125, format!("Error: {words}\n")),
            "{line}"
        );
    }
    assert!(!scratch.ok("images").contains("localhost/y"));
}

#[test]
fn a_commit_of_a_running_container_may_pause_it_and_lets_it_go_on() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.sleeper("c");
    scratch.ok("commit -q --pause c made");
    assert_eq!(scratch.state("c"), "running");
    assert_eq!(scratch.ok("exec c echo alive"), "alive");
}

#[test]
fn a_commit_that_was_killed_leaves_nothing() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let fill = "i=0; while [ $i -lt 80 ]; do cat /bin/busybox > /tmp/$i; i=$((i+1)); done";
    let ran = scratch.run(&[
        "run",
        "--network",
        "none",
        "--name",
        "c",
        IMAGE,
        "sh",
        "-c",
        fill,
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let temporary = scratch.path("root/overlay/tempdirs");
    let entries = || fs::read_dir(&temporary).map_or(0, Iterator::count);
    let mut commit = scratch
        .command()
        .args(["commit", "c", "made"])
        .spawn()
        .unwrap();
    until("it unpacks", || entries() > 0);
    commit.kill().unwrap();
    commit.wait().unwrap();
    assert!(!scratch.ok("images").contains("made"));
    assert_eq!(entries(), 0, "the next command has cleared it away");
    scratch.ok("commit -q c made");
    assert_eq!(
        scratch.ok("run --rm --network none made echo there"),
        "there"
    );
}

#[test]
fn a_clone_has_the_configuration_and_not_the_files() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.ok(&format!(
        "create --network none --name c -l k=v -v /anonymous -v named:/named {IMAGE} sleep 1000"
    ));
    scratch.ok("cp /bin/busybox c:/tmp/extra");
    scratch.ok("container clone c");
    let id = scratch.ok("container clone --run --name d c");
    assert_eq!(scratch.ok("inspect --format {{.Id}} d"), id);
    assert_eq!(scratch.state("d"), "running");
    assert_eq!(
        scratch.ok("inspect --format {{.Config.Labels.k}} c-clone"),
        "v"
    );
    assert_eq!(scratch.minke("exec d ls /tmp/extra").code, 1);
    let names = |name: &str| -> Vec<String> {
        let mounts = scratch.run(&["inspect", "--format", "{{json .Mounts}}", name]);
        let mounts: serde_json::Value = serde_json::from_str(&mounts.out).unwrap();
        let names = mounts.as_array().unwrap().iter();
        names
            .map(|mount| mount["Name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let (original, copy) = (names("c"), names("d"));
    assert!(original.contains(&"named".to_owned()) && copy.contains(&"named".to_owned()));
    assert!(
        copy.iter()
            .all(|name| name == "named" || !original.contains(name))
    );
    let refused = scratch.minke("container clone --destroy d never");
    assert_eq!(refused.code, 125);
    assert!(refused.err.contains("without force"), "{refused:?}");
    assert_eq!(
        scratch.minke("container exists never").code,
        1,
        "nothing half-done"
    );
    let first = scratch.ok("inspect --format {{.Id}} c");
    scratch.ok("container clone --destroy c copied");
    assert_eq!(scratch.minke(&format!("container exists {first}")).code, 1);
    let pod = scratch.minke("container clone --pod p d");
    assert!(pod.code == 125 && pod.err.contains("--pod"), "{pod:?}");
}

#[test]
fn a_label_runs_this_program_and_no_other() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.ok(&format!("create --name c {IMAGE}"));
    let label = "LABEL RUN=podman run --rm --network=none --name NAME -e \"A=x y\" IMAGE sh -c 'echo $0 $A;'";
    let commit = [
        "commit",
        "-q",
        "-c",
        label,
        "-c",
        "LABEL bad=/bin/touch /tmp/owned",
        "c",
        "lab/el",
    ];
    let committed = scratch.run(&commit);
    assert_eq!(committed.code, 0, "{committed:?}");
    let shown = scratch.ok("container runlabel --display run lab/el");
    let expected = "run --rm --network=none --name el -e A=x y localhost/lab/el:latest sh -c echo";
    assert!(shown.contains(expected), "{shown}");
    // Its variables are the label's, not a shell's of the host.
    let ran = scratch.ok("container runlabel run lab/el word");
    assert_eq!(ran, "");
    let bad = scratch.minke("container runlabel bad lab/el");
    assert!(bad.code == 125 && bad.err.contains("/bin/touch"), "{bad:?}");
    let missing = scratch.minke("container runlabel other lab/el");
    assert_eq!(
        missing.err,
        "Error: cannot find the value of label: other in image: lab/el\n"
    );
}
