//! The same store, used by this crate and by podman, buildah and skopeo.

use std::fs;

use minke_storage::{CreateContainer, Digest, LayerExport, MountRequest};

use crate::archive::{Archive, busybox};
use crate::scratch::{Scratch, add_image, add_layer, have, in_mount_namespace};

/// A store with a runnable image of two layers, `localhost/ours:latest`.
fn with_our_image(scratch: &Scratch) -> Option<(minke_storage::Store, minke_storage::Image)> {
    let tar = busybox()?;
    let mut store = scratch.store();
    let base = add_layer(&mut store, &tar, None);
    let top = Archive::new()
        .file("hello", "from minke\n")
        .file("etc/.wh.passwd", "")
        .finish();
    let top = add_layer(&mut store, &top, Some(&base.id));
    let image = add_image(&mut store, "localhost/ours:latest", &[base, top]);
    Some((store, image))
}

/// Runs a container by podman, asking nothing of the host that a test may not have and leaving
/// no control group.
fn run(scratch: &Scratch, args: &[&str]) -> String {
    let parent = format!("minke-storage-test-{}", std::process::id());
    let parent_arg = format!("--cgroup-parent=/{parent}");
    let limits = [
        "--ulimit=nofile=512:512",
        "--ulimit=nproc=512:512",
        &parent_arg,
    ];
    let all = [
        &["--runtime=runc", "run", "--rm", "--network=none"],
        &limits[..],
        args,
    ];
    let mut command = scratch.peer("podman", &all.concat());
    let output = command.output().unwrap();
    remove_control_groups(&parent);
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The monitor ends a little after podman: until then a group may be busy.
fn remove_control_groups(name: &str) {
    for _ in 0..500 {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        let groups = hierarchies.map(|hierarchy| hierarchy.path().join(name));
        let groups: Vec<_> = groups.filter(|group| group.exists()).collect();
        for group in &groups {
            let children = fs::read_dir(group).into_iter().flatten().flatten();
            for child in children.filter(|child| child.path().is_dir()) {
                let _ = fs::remove_dir(child.path());
            }
            let _ = fs::remove_dir(group);
        }
        if groups.is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("control groups {name} are left behind");
}

#[test]
fn podman_lists_inspects_and_runs_our_image() {
    if !have("podman") || !have("runc") {
        return;
    }
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let Some((_store, image)) = with_our_image(&scratch) else {
            return;
        };
        let listed = scratch.run(
            "podman",
            &["images", "--no-trunc", "--format", "{{.ID}} {{.Names}}"],
        );
        assert_eq!(
            listed.trim(),
            format!("sha256:{} [localhost/ours:latest]", image.id)
        );
        let digest = scratch.run("podman", &["inspect", "--format", "{{.Digest}}", "ours"]);
        assert_eq!(digest.trim(), image.digest.as_ref().unwrap().to_string());
        assert_eq!(run(&scratch, &["ours", "cat", "/hello"]), "from minke\n");
        assert!(!run(&scratch, &["ours", "ls", "/etc"]).contains("passwd"));
        scratch.run("podman", &["rmi", "ours"]);
        let store = scratch.store();
        assert!(store.layers().unwrap().is_empty());
        assert!(store.images().unwrap().is_empty());
    });
}

#[test]
fn podman_saves_our_layers_byte_for_byte() {
    if !have("podman") {
        return;
    }
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let Some((store, _)) = with_our_image(&scratch) else {
            return;
        };
        let saved = scratch.path("saved");
        let args = [
            "save",
            "--format",
            "docker-dir",
            "-o",
            saved.to_str().unwrap(),
            "localhost/ours",
        ];
        let mut command = scratch.peer("podman", &args);
        command.arg("--uncompressed");
        crate::scratch::succeed(command);
        for layer in store.layers().unwrap().iter() {
            let diff_id = layer.diff_id.as_ref().unwrap();
            let blob = fs::read(saved.join(diff_id.hex())).unwrap();
            assert_eq!(Digest::of(&blob), *diff_id);
        }
    });
}

#[test]
fn buildah_and_skopeo_read_our_image() {
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let Some((_store, image)) = with_our_image(&scratch) else {
            return;
        };
        if have("buildah") {
            let listed = scratch.run("buildah", &["images", "--no-trunc", "--quiet"]);
            assert_eq!(listed.trim(), format!("sha256:{}", image.id));
            let name = scratch.run("buildah", &["from", "--pull=never", "localhost/ours"]);
            let root = scratch.run("buildah", &["mount", name.trim()]);
            let hello = std::path::Path::new(root.trim()).join("hello");
            assert_eq!(fs::read_to_string(hello).unwrap(), "from minke\n");
            let store = scratch.store();
            assert_eq!(store.containers().unwrap().len(), 1);
            scratch.run("buildah", &["rm", name.trim()]);
            assert!(store.containers().unwrap().is_empty());
        }
        if have("skopeo") {
            let source = format!(
                "containers-storage:[overlay@{}+{}]localhost/ours:latest",
                scratch.path("graph").display(),
                scratch.path("run").display()
            );
            let text = scratch.run("skopeo", &["inspect", "--raw", &source]);
            assert_eq!(Digest::of(text.as_bytes()), *image.digest.as_ref().unwrap());
            let target = format!("dir:{}", scratch.path("copied").display());
            scratch.run("skopeo", &["copy", &source, &target]);
            assert!(scratch.path("copied/manifest.json").exists());
        }
    });
}

#[test]
fn we_read_mount_and_export_what_podman_stored() {
    if !have("podman") {
        return;
    }
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let Some(tar) = busybox() else { return };
        let archive = scratch.path("root.tar");
        fs::write(&archive, &tar).unwrap();
        let args = [
            "import",
            "-q",
            archive.to_str().unwrap(),
            "localhost/theirs:1",
        ];
        let id = scratch.run("podman", &args);
        let mut store = scratch.store();
        let images = store.images().unwrap();
        let image = images.lookup("localhost/theirs:1").unwrap();
        assert_eq!(format!("sha256:{}", image.id), id.trim());
        let manifest = store.image_big_data(&image.id, "manifest").unwrap();
        assert_eq!(Some(Digest::of(&manifest)), image.digest);

        let layer = image.top_layer.clone().unwrap();
        let mut again = Vec::new();
        assert_eq!(
            store.export_layer(&layer, &mut again).unwrap(),
            LayerExport::Original
        );
        assert!(again == tar);

        let mut request = CreateContainer::new(&image.id);
        request.names = vec!["ours".into()];
        let container = store.create_container(request).unwrap();
        let root = store
            .mount(&container.layer, &MountRequest::default())
            .unwrap();
        assert!(root.join("bin/busybox").exists());
        // They see our container, and our mount, and count with us.
        let listed = scratch.run(
            "podman",
            &["ps", "-a", "--external", "--format", "{{.Names}}"],
        );
        assert_eq!(listed.trim(), "ours");
        assert!(root.join("bin/busybox").exists());
        let refused = scratch
            .peer("podman", &["rmi", "theirs:1"])
            .output()
            .unwrap();
        assert!(!refused.status.success());
        assert_eq!(store.unmount(&container.layer).unwrap(), 0);
        store.delete_container(&container.id).unwrap();

        scratch.run(
            "podman",
            &["create", "--name", "c", "--network=none", "theirs:1", "sh"],
        );
        let theirs = store.containers().unwrap().lookup("c").unwrap().clone();
        let mounted = scratch.run("podman", &["mount", "c"]);
        assert_eq!(
            std::path::Path::new(mounted.trim()),
            store.mount_point(&theirs.layer)
        );
        assert_eq!(store.mount_count(&theirs.layer).unwrap(), 1);
        store
            .mount(&theirs.layer, &MountRequest::default())
            .unwrap();
        scratch.run("podman", &["umount", "c"]);
        assert!(store.mount_point(&theirs.layer).join("bin").exists());
        assert_eq!(store.unmount(&theirs.layer).unwrap(), 0);
        scratch.run("podman", &["rm", "c"]);
        let image = store
            .images()
            .unwrap()
            .lookup("localhost/theirs:1")
            .unwrap()
            .id
            .clone();
        assert_eq!(store.delete_image(&image).unwrap(), [layer]);
        assert_eq!(scratch.run("podman", &["images", "-q"]), "");
    });
}

#[test]
fn their_records_survive_our_writes() {
    if !have("podman") {
        return;
    }
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let archive = scratch.path("root.tar");
        fs::write(&archive, Archive::new().file("a", "x").finish()).unwrap();
        scratch.run(
            "podman",
            &[
                "import",
                "-q",
                archive.to_str().unwrap(),
                "localhost/theirs:1",
            ],
        );
        scratch.run(
            "podman",
            &["create", "--name", "c", "--network=none", "theirs:1", "sh"],
        );
        let read = |name: &str| -> serde_json::Value {
            let text = fs::read(scratch.path("graph").join(name)).unwrap();
            let records: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
            records.into()
        };
        let files = [
            "overlay-layers/layers.json",
            "overlay-images/images.json",
            "overlay-containers/containers.json",
        ];
        let before = files.map(read);
        let mut store = scratch.store();
        let layer = add_layer(&mut store, &Archive::new().file("b", "x").finish(), None);
        let image = add_image(&mut store, "localhost/ours:1", &[layer]);
        let container = store
            .create_container(CreateContainer::new(&image.id))
            .unwrap();
        store.delete_container(&container.id).unwrap();
        store.delete_image(&image.id).unwrap();
        assert_eq!(before, files.map(read));
    });
}
