//! `cp`, in all directions.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Stdio;

use crate::archive::IMAGE;
use crate::scratch::Scratch;

/// A directory of the host with some files: `f`, `d/x`, `d/sub/y`.
fn host(scratch: &Scratch) -> String {
    let host = scratch.path("host");
    fs::create_dir_all(host.join("d/sub")).unwrap();
    fs::write(host.join("f"), "from host").unwrap();
    fs::write(host.join("d/x"), "x").unwrap();
    fs::write(host.join("d/sub/y"), "y").unwrap();
    host.to_str().unwrap().to_owned()
}

#[test]
fn files_go_in_and_out_whether_it_runs_or_not() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let host = host(&scratch);
    scratch.ok(&format!(
        "create --network none --name c {IMAGE} sleep 1000"
    ));
    scratch.ok(&format!("cp {host}/f c:/tmp/created"));
    scratch.ok("start c");
    scratch.ok(&format!("cp {host}/d c:/tmp"));
    scratch.ok(&format!("cp {host}/d/. c:/tmp/renamed"));
    scratch.ok(&format!("cp {host}/f c:tmp/relative"));
    for (path, content) in [
        ("/tmp/created", "from host"),
        ("/tmp/d/sub/y", "y"),
        ("/tmp/renamed/x", "x"),
        ("/tmp/relative", "from host"),
    ] {
        assert_eq!(scratch.ok(&format!("exec c cat {path}")), content, "{path}");
    }
    scratch.ok(&format!("cp c:/tmp/d {host}/out"));
    assert_eq!(
        fs::read_to_string(format!("{host}/out/sub/y")).unwrap(),
        "y"
    );
    scratch.ok("stop -t 0 c");
    scratch.ok(&format!("cp c:/tmp/created {host}/stopped"));
    assert_eq!(
        fs::read_to_string(format!("{host}/stopped")).unwrap(),
        "from host"
    );
    scratch.ok("cp c:/tmp/d/. c:/etc/between");
    scratch.ok(&format!("cp c:/etc/between/x {host}"));
    assert_eq!(fs::read_to_string(format!("{host}/x")).unwrap(), "x");
    assert_eq!(scratch.ok("mount"), "", "nothing stays mounted");
}

#[test]
fn volumes_are_seen_running_and_stopped() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let host = host(&scratch);
    let bind = scratch.path("bind");
    fs::create_dir(&bind).unwrap();
    let mount = format!("{}:/mnt/bind", bind.display());
    let create = "run -d --network none --tmpfs /memory --name c -v vol:/vol -v";
    scratch.ok(&format!("{create} {mount} {IMAGE} sleep 1000"));
    scratch.ok(&format!("cp {host}/f c:/memory"));
    assert_eq!(scratch.ok("exec c cat /memory/f"), "from host");
    scratch.ok(&format!("cp {host}/f c:/mnt/bind/running"));
    scratch.ok("stop -t 0 c");
    scratch.ok(&format!("cp {host}/f c:/mnt/bind/stopped"));
    scratch.ok(&format!("cp {host}/f c:/vol/stopped"));
    for name in ["running", "stopped"] {
        assert!(bind.join(name).exists(), "{name}");
    }
    scratch.ok(&format!("cp c:/vol/stopped {host}/back"));
    scratch.ok("start c");
    assert_eq!(scratch.ok("exec c cat /vol/stopped"), "from host");
}

#[test]
fn owners_are_the_containers_user_or_stay() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let host = host(&scratch);
    std::os::unix::fs::chown(format!("{host}/f"), Some(1234), Some(77)).unwrap();
    scratch.ok(&format!(
        "run -d --network none --user 1000:1001 --name c {IMAGE} sleep 1000"
    ));
    scratch.ok(&format!("cp {host}/f c:/tmp/its"));
    scratch.ok(&format!("cp -a=false {host}/f c:/tmp/kept"));
    let listed = scratch.ok("exec c ls -ln /tmp/its /tmp/kept");
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let owners: Vec<_> = listed
        .lines()
        .map(|line| words(line)[2..4].join(":"))
        .collect();
    assert_eq!(owners, ["1000:1001", "1234:77"]);
    scratch.ok(&format!("cp c:/tmp/its {host}/mine"));
    let meta = fs::metadata(format!("{host}/mine")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (0, 0));
}

#[test]
fn archives_come_from_stdin_and_go_to_stdout() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    host(&scratch);
    scratch.sleeper("c");
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all("d", scratch.path("host/d")).unwrap();
    let archive = archive.into_inner().unwrap();
    let send = |bytes: &[u8], to: &str| {
        let mut command = scratch.command();
        command.args(["cp", "-", to]).stdin(Stdio::piped());
        command.stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may refuse before it has read all.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(send(&archive, "c:/tmp"), (Some(0), String::new()));
    let output = scratch
        .command()
        .args(["cp", "c:/tmp/d", "-"])
        .output()
        .unwrap();
    let mut again = tar::Archive::new(&output.stdout[..]);
    let names = again
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["d/", "d/sub/", "d/sub/y", "d/x"]
    );
    for (bytes, to, words) in [
        (
            &b"no archive at all"[..],
            "c:/tmp",
            "source must be a (compressed) tar archive when copying from stdin",
        ),
        (
            &b""[..],
            "c:/tmp",
            "source must be a (compressed) tar archive when copying from stdin",
        ),
        (
            &archive[..],
            "c:/etc/passwd",
            "destination must be a directory when copying from stdin",
        ),
        (
            &archive[..],
            "c:/nothing",
            "destination must be a directory when copying from stdin",
        ),
    ] {
        assert_eq!(
            send(bytes, to),
            (Some(125), format!("Error: {words}\n")),
            "{to}"
        );
    }
}

#[test]
fn refusals_are_podmans() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let host = host(&scratch);
    scratch.sleeper("c");
    for (line, words) in [
        (
            "cp H/f nothing:/x".to_owned(),
            "container \"nothing\" does not exist",
        ),
        (
            "cp H/f c:".to_owned(),
            "invalid arguments \"H/f\", \"c:\": you must specify paths",
        ),
        (
            "cp H/no c:/tmp".to_owned(),
            "\"H/no\" could not be found on the host: no such file or directory",
        ),
        (
            "cp c:/no H".to_owned(),
            "\"/no\" could not be found on container c: no such file or directory",
        ),
        (
            "cp H/f c:/no/x".to_owned(),
            "\"/no/x\" could not be found on container c: no such file or directory",
        ),
        (
            "cp H/f c:/no/".to_owned(),
            "\"/no/\" could not be found on container c: no such file or directory",
        ),
        (
            "cp c:/bin/busybox H/no/".to_owned(),
            "\"H/no/\" could not be found on the host: no such file or directory",
        ),
        (
            "cp H/d c:/etc/passwd".to_owned(),
            "destination must be a directory when copying a directory",
        ),
        ("cp H H/f".to_owned(), "name or ID cannot be empty"),
        (
            "cp c:/tmp c:/tmp".to_owned(),
            "cannot copy a directory into itself",
        ),
    ] {
        scratch.ok("exec c touch /etc/passwd");
        let refused = scratch.minke(&line.replace("H/", &format!("{host}/")));
        let words = words.replace("H/", &format!("{host}/"));
        assert_eq!(
            (refused.code, refused.err),
            (125, format!("Error: {words}\n")),
            "{line}"
        );
    }
    scratch.ok("exec c touch /tmp/d");
    let kinds = scratch.minke(&format!("cp {host}/d c:/tmp"));
    assert!(
        kinds.code == 125 && kinds.err.ends_with(": file exists\n"),
        "{kinds:?}"
    );
    scratch.ok(&format!("cp --overwrite {host}/d c:/tmp"));
    assert_eq!(scratch.ok("exec c cat /tmp/d/x"), "x");
}

#[test]
fn links_of_a_container_lead_to_nothing_of_the_host() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let host = host(&scratch);
    scratch.sleeper("c");
    let root = scratch.ok("mount c");
    let secret = scratch.path("host/f");
    for (name, target) in [
        ("absolute", secret.display().to_string()),
        (
            "upwards",
            format!("../../../../../../..{}", secret.display()),
        ),
        ("magic", "/proc/1/root/etc/hostname".to_owned()),
    ] {
        symlink(&target, format!("{root}/tmp/{name}")).unwrap();
        for state in ["running", "exited"] {
            let copied = scratch.minke(&format!("cp c:/tmp/{name} {host}/got"));
            assert_eq!(copied.code, 125, "{name} {state}: {copied:?}");
            assert!(!scratch.path("host/got").exists());
            let written = scratch.minke(&format!("cp {host}/d/x c:/tmp/{name}/x"));
            assert_eq!(written.code, 125, "{name} {state}: {written:?}");
            let word = if state == "running" {
                "stop -t 0 c"
            } else {
                "start c"
            };
            scratch.ok(word);
        }
    }
    assert_eq!(fs::read_to_string(secret).unwrap(), "from host");
}
