//! Images made of what Debian installed, as OCI layouts.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::program::{self, Program};

/// What the demo's web server says.
pub const GREETING: &str = "Hello from a container that minke runs.\n";

/// Serves `/www` until told to stop. Process 1 ignores signals it has no handler for, so a trap.
const SERVE: &str = "#!/bin/sh
trap 'echo \"told to stop\"; exit 0' TERM INT
echo \"serving /www on port 80\"
httpd -f -v -p 80 -h /www &
wait $!
";

/// A layer as it stands in a layout.
#[derive(Debug, Clone)]
pub struct Layer {
    diff_id: String,
    /// Digest of the compressed blob.
    pub digest: String,
    /// Bytes of the compressed blob.
    pub size: u64,
}

/// An OCI layout directory that holds one image.
#[derive(Debug, Clone)]
pub struct Layout {
    pub path: PathBuf,
    pub layers: Vec<Layer>,
}

impl Layout {
    /// Makes an empty layout.
    pub fn new(path: impl Into<PathBuf>) -> Result<Layout> {
        let path = path.into();
        fs::create_dir_all(path.join("blobs/sha256"))?;
        fs::write(
            path.join("oci-layout"),
            json!({"imageLayoutVersion": "1.0.0"}).to_string(),
        )?;
        Ok(Layout {
            path,
            layers: Vec::new(),
        })
    }

    /// Adds the content of a directory as the next layer.
    pub fn add_tree(&mut self, tree: &Path) -> Result<()> {
        let tar = self.path.join("layer.tar");
        Program::new(program::need("tar")?)
            .globals([
                "--sort=name",
                "--mtime=@1700000000",
                "--owner=0",
                "--group=0",
            ])
            .globals(["--numeric-owner", "--format=pax"])
            .globals(["--pax-option=delete=atime,delete=ctime"])
            .ok(["-C", text(tree)?, "-cf", text(&tar)?, "."])?;
        self.add_tar(&tar)
    }

    /// Takes a tar file in as the next layer, gzipped.
    pub fn add_tar(&mut self, tar: &Path) -> Result<()> {
        let diff_id = sha256(tar)?;
        Program::new(program::need("gzip")?).ok(["-n", "-4", "-f", text(tar)?])?;
        let blob = PathBuf::from(format!("{}.gz", text(tar)?));
        let (digest, size) = self.take_in(&blob)?;
        self.layers.push(Layer {
            diff_id,
            digest,
            size,
        });
        Ok(())
    }

    /// Writes config, manifest and index. `process` is the config's `config` object.
    pub fn finish(&self, process: Value) -> Result<()> {
        let config = json!({
            "created": "2023-11-14T22:13:20Z",
            "architecture": architecture(),
            "os": "linux",
            "config": process,
            "rootfs": {
                "type": "layers",
                "diff_ids": self.layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>(),
            },
            "history": self.layers.iter().map(|_| json!({"created_by": "xtask"})).collect::<Vec<_>>(),
        });
        let config = self.blob("application/vnd.oci.image.config.v1+json", &config)?;
        let layers = self.layers.iter().map(|layer| {
            let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
            json!({"mediaType": media_type, "digest": layer.digest, "size": layer.size})
        });
        let manifest_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": config,
            "layers": layers.collect::<Vec<_>>(),
        });
        let mut manifest = self.blob(manifest_type, &manifest)?;
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(self.path.join("index.json"), index.to_string())?;
        Ok(())
    }

    /// Bytes a pull of all layers moves.
    pub fn compressed_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }

    /// Stores a document; gives its descriptor.
    fn blob(&self, media_type: &str, document: &Value) -> Result<Value> {
        let file = self.path.join("document");
        fs::write(&file, document.to_string())?;
        let (digest, size) = self.take_in(&file)?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": size}))
    }

    fn take_in(&self, file: &Path) -> Result<(String, u64)> {
        let digest = sha256(file)?;
        let size = file.metadata()?.len();
        let hex = digest.trim_start_matches("sha256:");
        fs::rename(file, self.path.join("blobs/sha256").join(hex))?;
        Ok((digest, size))
    }
}

/// A busybox with a small web site: two layers.
pub fn web(directory: &Path) -> Result<Layout> {
    web_with(directory, "web", GREETING)
}

/// As [`web`], under its own name and with its own greeting, so that images can be told apart.
pub fn web_with(directory: &Path, name: &str, greeting: &str) -> Result<Layout> {
    let base = directory.join(format!("{name}-base"));
    busybox_tree(&base)?;
    let site = directory.join(format!("{name}-site"));
    fs::create_dir_all(site.join("www"))?;
    fs::write(site.join("www/index.html"), greeting)?;
    let mut layout = Layout::new(directory.join(name))?;
    layout.add_tree(&base)?;
    layout.add_tree(&site)?;
    layout.finish(json!({
        "Env": ["PATH=/bin", "GREETING=hello"],
        "Cmd": ["/bin/serve"],
        "WorkingDir": "/www",
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"maker": "xtask"},
    }))?;
    fs::remove_dir_all(base)?;
    fs::remove_dir_all(site)?;
    Ok(layout)
}

pub fn busybox_tree(root: &Path) -> Result<()> {
    for directory in [
        "bin",
        "etc",
        "proc",
        "sys",
        "dev",
        "run",
        "root",
        "tmp",
        "home/sailor",
    ] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::set_permissions(root.join("tmp"), PermissionsExt::from_mode(0o1777))?;
    let busybox = program::need("busybox")?;
    fs::copy(&busybox, root.join("bin/busybox")).context("cannot copy busybox")?;
    let applets = Program::new(busybox).ok(["--list"])?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    let users = "root:x:0:0:root:/root:/bin/sh\nsailor:x:1000:1000::/home/sailor:/bin/sh\n";
    fs::write(root.join("etc/passwd"), users)?;
    fs::write(
        root.join("etc/group"),
        "root:x:0:\nsailor:x:1000:\nharbour:x:2000:sailor\n",
    )?;
    fs::write(root.join("bin/serve"), SERVE)?;
    fs::set_permissions(root.join("bin/serve"), PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// A busybox below `count` layers of real files of this machine, `bytes` each before compression.
pub fn large(directory: &Path, count: usize, bytes: u64) -> Result<Layout> {
    let base = directory.join("large-base");
    busybox_tree(&base)?;
    let mut layout = Layout::new(directory.join("large"))?;
    layout.add_tree(&base)?;
    fs::remove_dir_all(base)?;
    let files = real_files(bytes * count as u64)?;
    let mut files = files.into_iter().peekable();
    for number in 0..count {
        let mut list = String::new();
        let mut sum = 0;
        while sum < bytes {
            let Some((path, size)) = files.next() else {
                break;
            };
            list.push_str(&format!("{path}\0"));
            sum += size;
        }
        ensure!(sum > 0, "this machine has too few files for {count} layers");
        let names = directory.join(format!("large-{number}.list"));
        fs::write(&names, list)?;
        let tar = directory.join(format!("large-{number}.tar"));
        Program::new(program::need("tar")?).ok([
            "-C",
            "/",
            "--null",
            "-T",
            text(&names)?,
            "-cf",
            text(&tar)?,
        ])?;
        layout.add_tar(&tar)?;
    }
    layout.finish(json!({"Env": ["PATH=/bin"], "Cmd": ["true"]}))?;
    Ok(layout)
}

/// Regular files below `/usr`, relative to `/`, until they hold `bytes`.
fn real_files(bytes: u64) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut sum = 0;
    let mut pending = vec![
        PathBuf::from("/usr/share"),
        PathBuf::from("/usr/lib"),
        PathBuf::from("/usr/bin"),
    ];
    while let Some(directory) = pending.pop() {
        let mut entries: Vec<_> = fs::read_dir(&directory)?.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() {
                pending.push(path);
            } else if let (true, Some(name)) = (kind.is_file(), path.to_str()) {
                let size = entry.metadata()?.len();
                found.push((name.trim_start_matches('/').to_owned(), size));
                sum += size;
            }
        }
        if sum > bytes {
            break;
        }
    }
    Ok(found)
}

/// `sha256:HEX` of a file.
pub fn sha256(file: &Path) -> Result<String> {
    let output = Command::new("sha256sum")
        .arg(file)
        .output()
        .context("cannot run sha256sum")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let line = String::from_utf8(output.stdout)?;
    // A backslash in front marks a name that was escaped.
    let hex = line
        .trim_start_matches('\\')
        .split(' ')
        .next()
        .unwrap_or_default();
    ensure!(hex.len() == 64, "sha256sum said {line:?}");
    Ok(format!("sha256:{hex}"))
}

/// A path as text: ours are.
pub fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// This machine in Go's words, which images use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_that_of_the_content() {
        let scratch = crate::scratch::Scratch::new("sha").unwrap();
        let file = scratch.path().join("empty");
        fs::write(&file, "").unwrap();
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(&file).unwrap(), empty);
    }
}
