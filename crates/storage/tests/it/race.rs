//! Several processes of both kinds on one store.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use minke_storage::{CreateContainer, Store, StoreOptions};

use crate::archive::Archive;
use crate::scratch::{Scratch, add_image, add_layer, have, in_mount_namespace};

const ROUNDS: usize = 6;
const WORKERS: usize = 4;

/// Another process of this test binary, running one of its ignored tests.
pub fn child(test: &str, scratch: &Scratch, number: usize) -> Command {
    child_by(
        Command::new(std::env::current_exe().unwrap()),
        test,
        scratch,
        number,
    )
}

/// As [`child`], where `command` already ends with the test binary.
pub fn child_by(mut command: Command, test: &str, scratch: &Scratch, number: usize) -> Command {
    command
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("MINKE_STORAGE_TEST_DIR", scratch.dir.path())
        .env("MINKE_STORAGE_TEST_NUMBER", number.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// The store of the parent, and which child we are.
pub fn inherited() -> Option<(Store, usize)> {
    let dir = PathBuf::from(std::env::var_os("MINKE_STORAGE_TEST_DIR")?);
    let number = std::env::var("MINKE_STORAGE_TEST_NUMBER")
        .ok()?
        .parse()
        .ok()?;
    let mut options = StoreOptions::new(dir.join("graph"), dir.join("run"));
    options.durable = false;
    Some((Store::open(options).unwrap(), number))
}

#[test]
#[ignore = "run by another test, as a process of its own"]
fn worker() {
    let Some((mut store, number)) = inherited() else {
        return;
    };
    for round in 0..ROUNDS {
        let text = format!("{number}-{round}");
        let layer = add_layer(
            &mut store,
            &Archive::new().file(&text, &text).finish(),
            None,
        );
        let name = format!("localhost/ours-{text}:latest");
        let image = add_image(&mut store, &name, &[layer]);
        let container = store
            .create_container(CreateContainer::new(&image.id))
            .unwrap();
        assert!(store.containers().unwrap().get(&container.id).is_some());
        store.delete_container(&container.id).unwrap();
        if round % 3 == 2 {
            store.delete_image(&image.id).unwrap();
        }
    }
}

#[test]
fn nothing_is_lost_between_us_and_podman() {
    if !have("podman") {
        return;
    }
    let scratch = Scratch::new();
    in_mount_namespace(|| {
        let store = scratch.store();
        scratch.run("podman", &["images"]);
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| child("race::worker", &scratch, number).spawn().unwrap())
            .collect();
        for round in 0..ROUNDS {
            let archive = scratch.path(&format!("{round}.tar"));
            fs::write(
                &archive,
                Archive::new().file("theirs", format!("{round}")).finish(),
            )
            .unwrap();
            let name = format!("localhost/theirs-{round}:latest");
            scratch.run(
                "podman",
                &["import", "-q", archive.to_str().unwrap(), &name],
            );
            // Podman lists and then inspects: an image deleted in between is an error to it.
            let listed = scratch.peer("podman", &["images", "-q"]).output().unwrap();
            let text = String::from_utf8_lossy(&listed.stderr).into_owned();
            assert!(
                listed.status.success() || text.contains("image not known"),
                "{text}"
            );
        }
        for mut worker in workers {
            assert!(worker.wait().unwrap().success());
        }
        let listed = scratch.run("podman", &["images", "--format", "{{.Repository}}"]);
        let mut listed: Vec<_> = listed.lines().collect();
        listed.sort_unstable();
        let mut expected: Vec<_> = (0..ROUNDS)
            .map(|round| format!("localhost/theirs-{round}"))
            .collect();
        for number in 0..WORKERS {
            let kept = (0..ROUNDS).filter(|round| round % 3 != 2);
            expected.extend(kept.map(|round| format!("localhost/ours-{number}-{round}")));
        }
        expected.sort_unstable();
        assert_eq!(listed, expected);
        assert_eq!(store.images().unwrap().len(), expected.len());
        assert_eq!(store.layers().unwrap().len(), expected.len());
        for layer in store.layers().unwrap().iter() {
            store.export_layer(&layer.id, &mut std::io::sink()).unwrap();
        }
        assert_eq!(
            fs::read_dir(scratch.path("graph/overlay/l"))
                .unwrap()
                .count(),
            expected.len()
        );
    });
}
