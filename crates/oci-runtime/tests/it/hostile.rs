//! Images and callers that attack: nothing happens outside the container's root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};

use crate::bundle::{Bundle, able, text};

/// A directory of the host that nothing may be made in.
fn victim(bundle: &Bundle) -> PathBuf {
    let dir = bundle.dir().join("victim");
    fs::create_dir(&dir).unwrap();
    dir
}

fn assert_untouched(victim: &Path) {
    let found: Vec<_> = fs::read_dir(victim).unwrap().flatten().collect();
    assert!(found.is_empty(), "made on the host: {found:?}");
}

fn without_dev(bundle: &mut Bundle) {
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
}

#[test]
fn dev_as_a_symlink_is_refused() {
    if !able() {
        return;
    }
    for target in ["/", "../../victim", "/data"] {
        for fresh in [true, false] {
            let mut bundle = Bundle::new("true");
            let victim = victim(&bundle);
            fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
            symlink(target, bundle.rootfs().join("dev")).unwrap();
            bundle.mount(json!({"destination": "/data", "source": victim, "options": ["bind"]}));
            if !fresh {
                without_dev(&mut bundle);
                bundle.config["linux"]["devices"] =
                    json!([{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}]);
            }
            let refusal = bundle.refusal();
            assert!(refusal.contains("/dev"), "{refusal}");
            assert_untouched(&victim);
            bundle.assert_nothing_left();
        }
    }
}

#[test]
fn a_replaced_dev_null_masks_nothing() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("stat -c %t:%T /etc/passwd; cat /etc/passwd");
    without_dev(&mut bundle);
    symlink(
        "/proc/sys/kernel/core_pattern",
        bundle.rootfs().join("dev/null"),
    )
    .unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(["/etc/passwd"]);
    assert_eq!(bundle.output(), "1:3\n");
    bundle.config["linux"]["devices"] =
        json!([{"path": "/dev/null", "type": "c", "major": 1, "minor": 3}]);
    assert!(bundle.refusal().contains("/dev/null"));
}

#[test]
fn proc_as_a_symlink_is_refused() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("true");
    fs::remove_dir(bundle.rootfs().join("proc")).unwrap();
    symlink("tmp", bundle.rootfs().join("proc")).unwrap();
    assert!(bundle.refusal().contains("/proc"));
}

#[test]
fn a_working_directory_through_a_leaked_descriptor_is_refused() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("pwd; ls");
    for number in 3..14 {
        bundle.config["process"]["cwd"] = json!(format!("/proc/self/fd/{number}"));
        bundle.save();
        let script = format!(
            "exec 3</ 4</ 5</ 6</ 7</ 8</ 9</; exec \"$0\" --root state run {}",
            bundle.id
        );
        let output = Command::new("/bin/sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_minke-oci")])
            .current_dir(bundle.dir())
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "fd {number}: {}",
            text(&output)
        );
        assert!(text(&output).contains("chdir"), "{}", text(&output));
    }
    bundle.config["process"]["cwd"] = json!("/");
    bundle.config["process"]["args"] = json!(["sleep", "300"]);
    bundle.up();
    for number in 3..14 {
        let cwd = format!("/proc/self/fd/{number}");
        let output = bundle.exec(&["--cwd", &cwd], &["pwd"]);
        assert!(!output.status.success(), "fd {number}: {}", text(&output));
    }
    bundle.clean();
}

#[test]
fn mount_points_behind_links_stay_inside() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("test -d /data/made && echo inside");
    let victim = victim(&bundle);
    symlink("../../../../../../../..", bundle.rootfs().join("up")).unwrap();
    symlink(&victim, bundle.rootfs().join("data")).unwrap();
    bundle.mount(json!({"destination": "/data/made", "type": "tmpfs"}));
    let below = format!("/up{}/again", victim.display());
    bundle.mount(json!({"destination": below, "type": "tmpfs"}));
    assert_eq!(bundle.output(), "inside\n");
    assert_untouched(&victim);
    bundle.mount(json!({"destination": "/tmp/../../x", "type": "tmpfs"}));
    assert!(bundle.refusal().contains("`..`"));
}

#[test]
fn the_runtimes_binary_cannot_be_overwritten_from_inside() {
    if !able() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let copy = scratch.path().join("runtime");
    fs::copy(env!("CARGO_BIN_EXE_minke-oci"), &copy).unwrap();
    let before = fs::read(&copy).unwrap();
    // It waits for every process that enters, and writes to what that one executes.
    let mut bundle = Bundle::of(
        &copy,
        "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || \
         { echo x >$p/exe && echo wrote >>/wrote; } 2>/dev/null; done; done",
    );
    bundle.config["process"]["capabilities"]["bounding"]
        .as_array_mut()
        .unwrap()
        .push(json!("CAP_SYS_PTRACE"));
    for set in ["effective", "permitted"] {
        let set = bundle.config["process"]["capabilities"][set]
            .as_array_mut()
            .unwrap();
        set.push(json!("CAP_SYS_PTRACE"));
    }
    bundle.up();
    for _ in 0..30 {
        assert!(bundle.exec(&[], &["true"]).status.success());
        let _ = bundle.exec(&[], &["/proc/self/exe", "--version"]);
    }
    bundle.clean();
    assert!(fs::read(&copy).unwrap() == before, "the binary was changed");
}

#[test]
fn a_swapped_mount_point_never_leads_outside() {
    if !able() {
        return;
    }
    let mut bundle = Bundle::new("true");
    let victim = victim(&bundle);
    let (real, link) = (bundle.rootfs().join("swap"), bundle.rootfs().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&victim, &link).unwrap();
    bundle.mount(json!({"destination": "/swap/a", "type": "tmpfs"}));
    bundle.mount(json!({"destination": "/swap/b/c", "type": "tmpfs", "options": ["tmpcopyup"]}));
    bundle.config["linux"]["devices"] =
        json!([{"path": "/swap/null", "type": "c", "major": 1, "minor": 3}]);
    bundle.config["linux"]["maskedPaths"] = json!(["/swap/a"]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE);
            }
        });
        let runs = std::panic::catch_unwind(|| {
            for _ in 0..50 {
                // Whether it comes to be depends on the race; where it writes must not.
                let _ = bundle.run();
                assert_untouched(&victim);
            }
        });
        done.store(true, Ordering::Relaxed);
        runs.unwrap();
    });
    bundle.assert_nothing_left();
}

#[test]
fn state_is_closed_to_others() {
    if !able() {
        return;
    }
    let bundle = Bundle::new("exec sleep 300");
    bundle.up();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(bundle.state_root()), 0o700);
    assert_eq!(mode(bundle.state_root().join(&bundle.id)), 0o700);
    bundle.clean();
    for bad in ["../x", "a/b", ".."] {
        assert!(
            bundle
                .must_fail(&["create", bad])
                .contains("invalid container id")
        );
    }
    let mut odd = Bundle::new("true");
    odd.config["process"]["env"] = Value::Null;
    odd.config["process"]["args"] = json!(["/bin/true"]);
    assert!(odd.run().status.success());
}
