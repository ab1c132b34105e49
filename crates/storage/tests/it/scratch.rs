//! A store of one test, and podman on the same directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use minke_storage::{
    CommitRequest, CreateImage, Digest, Image, ImageId, Layer, LayerId, Store, StoreOptions,
};

pub struct Scratch {
    pub dir: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn options(&self) -> StoreOptions {
        let mut options = StoreOptions::new(self.path("graph"), self.path("run"));
        options.durable = false;
        options
    }

    pub fn store(&self) -> Store {
        Store::open(self.options()).unwrap()
    }

    /// A command of the containers tools on this store, with nothing of the host's.
    pub fn peer(&self, program: &str, args: &[&str]) -> Command {
        peer(self.dir.path(), program, args)
    }

    /// Runs a peer that must succeed; gives what it printed.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        succeed(self.peer(program, args))
    }
}

pub fn peer(dir: &Path, program: &str, args: &[&str]) -> Command {
    let conf = dir.join("containers.conf");
    if !conf.exists() {
        let text = format!(
            "[engine]\nlock_type = \"file\"\nevents_logger = \"none\"\ntmp_dir = \"{0}/tmp\"\n\
             cgroup_manager = \"cgroupfs\"\nnetwork_cmd_path = \"\"\n[network]\n\
             network_config_dir = \"{0}/net\"\n",
            dir.display()
        );
        fs::write(&conf, text).unwrap();
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            dir.display()
        );
        fs::write(dir.join("storage.conf"), storage).unwrap();
        fs::write(
            dir.join("policy.json"),
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )
        .unwrap();
    }
    let mut command = Command::new(program);
    match program {
        "skopeo" => {
            command.args(["--policy"]).arg(dir.join("policy.json"));
        }
        _ => {
            let root = dir.join("graph");
            let run = dir.join("run");
            command.arg("--root").arg(root).arg("--runroot").arg(run);
            command.args(["--storage-driver", "overlay"]);
        }
    }
    command
        .args(args)
        .env("CONTAINERS_CONF", &conf)
        .env("CONTAINERS_STORAGE_CONF", dir.join("storage.conf"))
        .env("TMPDIR", dir)
        .stdin(Stdio::null());
    command
}

pub fn succeed(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.success(),
        "{command:?}: {status}\n{stdout}\n{stderr}"
    );
    stdout
}

/// Whether `program` is installed; says so if not.
pub fn have(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Runs `body` on a thread with its own mount namespace, which ends with it.
pub fn in_mount_namespace(body: impl FnOnce() + Send) {
    use minke_sys::mount::{Depth, MountAttributes, Propagation, set_attributes};
    use nix::sched::{CloneFlags, unshare};
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS) {
                eprintln!("skipped: no mount namespace: {error}");
                return;
            }
            let private = MountAttributes {
                propagation: Some(Propagation::Private),
                ..Default::default()
            };
            let root = fs::File::open("/").unwrap();
            set_attributes(root, Depth::Recursive, &private).unwrap();
            body();
        });
        if let Err(panic) = worker.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Stores `tar` as a layer named by its digest.
pub fn add_layer(store: &mut Store, tar: &[u8], parent: Option<&LayerId>) -> Layer {
    let mut stage = store.stage().unwrap();
    let summary = stage.apply(tar).unwrap();
    let id = match parent {
        None => LayerId::from_digest(&summary.diff_id).unwrap(),
        Some(parent) => {
            let chain = format!("sha256:{parent} {}", summary.diff_id);
            LayerId::from_digest(&Digest::of(chain.as_bytes())).unwrap()
        }
    };
    let request = CommitRequest::new(id).parent(parent.cloned());
    store
        .write_layers()
        .unwrap()
        .commit(stage, request)
        .unwrap()
}

/// Stores an image of these layers, from the bottom up, as a pull would.
pub fn add_image(store: &mut Store, name: &str, layers: &[Layer]) -> Image {
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| layer.diff_id.as_ref().unwrap().to_string())
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
        "config": {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": diff_ids.iter().map(|_| serde_json::json!({"created_by": "test"})).collect::<Vec<_>>(),
    });
    let config = config.to_string().into_bytes();
    let blobs: Vec<_> = layers
        .iter()
        .map(|layer| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer.diff_id, "size": layer.diff_size,
            })
        })
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::of(&config), "size": config.len()},
        "layers": blobs,
    });
    let manifest = manifest.to_string().into_bytes();
    let digest = Digest::of(&manifest);
    let mut request = CreateImage::new(ImageId::from_digest(&Digest::of(&config)).unwrap())
        .name(name)
        .big_data(Digest::of(&config).to_string(), config)
        .big_data(format!("manifest-{digest}"), manifest.clone())
        .big_data("manifest", manifest);
    request.top_layer = layers.last().map(|layer| layer.id.clone());
    store.write_images().unwrap().create(request).unwrap()
}
