//! A docker-archive with one layer: busybox and the names it goes by.

use std::fs::{self, File};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

const APPLETS: &[&str] = &[
    "cat", "chown", "echo", "env", "false", "grep", "hostname", "id", "ip", "kill", "ls", "mount",
    "ps", "pwd", "sh", "sleep", "stty", "test", "touch", "true", "wc",
];

/// The image's name.
pub const IMAGE: &str = "localhost/busybox:latest";

/// Writes the archive. Nothing where this host has no busybox.
pub fn write(path: &Path) -> Option<()> {
    let busybox = fs::read("/bin/busybox").ok()?;
    let layer = layer(&busybox);
    let config = serde_json::json!({
        "architecture": architecture(),
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "Cmd": ["sh"],
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"}],
    })
    .to_string();
    let config_name = format!("{}.json", hex(config.as_bytes()));
    let manifest = serde_json::json!([{
        "Config": config_name,
        "RepoTags": [IMAGE],
        "Layers": ["layer.tar"],
    }])
    .to_string();
    let mut archive = Builder::new(File::create(path).unwrap());
    add_file(&mut archive, &config_name, 0o644, config.as_bytes());
    add_file(&mut archive, "layer.tar", 0o644, &layer);
    add_file(&mut archive, "manifest.json", 0o644, manifest.as_bytes());
    archive.finish().unwrap();
    Some(())
}

fn layer(busybox: &[u8]) -> Vec<u8> {
    let mut layer = Builder::new(Vec::new());
    for (directory, mode) in [
        ("bin", 0o755),
        ("dev", 0o755),
        ("etc", 0o755),
        ("proc", 0o755),
        ("sys", 0o755),
        ("tmp", 0o1777),
    ] {
        add(&mut layer, EntryType::Directory, directory, mode, &[]);
    }
    add_file(&mut layer, "bin/busybox", 0o755, busybox);
    for applet in APPLETS {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        let path = format!("bin/{applet}");
        layer.append_link(&mut header, path, "busybox").unwrap();
    }
    let users = b"root:x:0:0:root:/:/bin/sh\nworker:x:1000:1000:worker:/tmp:/bin/sh\n";
    add_file(&mut layer, "etc/passwd", 0o644, users);
    add_file(
        &mut layer,
        "etc/group",
        0o644,
        b"root:x:0:\nworker:x:1000:\n",
    );
    add_file(&mut layer, "etc/plain", 0o644, b"not a program\n");
    layer.into_inner().unwrap()
}

fn add_file<W: std::io::Write>(to: &mut Builder<W>, path: &str, mode: u32, data: &[u8]) {
    add(to, EntryType::Regular, path, mode, data);
}

fn add<W: std::io::Write>(
    to: &mut Builder<W>,
    kind: EntryType,
    path: &str,
    mode: u32,
    data: &[u8],
) {
    let mut header = header(kind, mode, data.len() as u64);
    to.append_data(&mut header, path, data).unwrap();
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(1_700_000_000);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
