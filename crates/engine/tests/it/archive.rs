//! A docker-archive of one layer: busybox and the names it goes by.

use std::fs::{self, File};
use std::path::Path;

use minke_storage::Digest;
use tar::{Builder, EntryType, Header};

const APPLETS: &[&str] = &["cat", "echo", "id", "ip", "sh", "sleep", "true"];

/// The image's name.
pub const IMAGE: &str = "localhost/busybox:latest";

/// Writes the archive.
pub fn write(path: &Path) {
    let layer = layer(&fs::read("/bin/busybox").unwrap());
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z",
        "config":{{"Env":["PATH=/bin"],"Cmd":["sh"]}},
        "rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        Digest::of(&layer)
    );
    let name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let manifest =
        format!(r#"[{{"Config":"{name}","RepoTags":["{IMAGE}"],"Layers":["layer.tar"]}}]"#);
    let mut archive = Builder::new(File::create(path).unwrap());
    add(&mut archive, &name, 0o644, config.as_bytes());
    add(&mut archive, "layer.tar", 0o644, &layer);
    add(&mut archive, "manifest.json", 0o644, manifest.as_bytes());
    archive.finish().unwrap();
}

fn layer(busybox: &[u8]) -> Vec<u8> {
    let mut layer = Builder::new(Vec::new());
    add(&mut layer, "bin/busybox", 0o755, busybox);
    for applet in APPLETS {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        let path = format!("bin/{applet}");
        layer.append_link(&mut header, path, "busybox").unwrap();
    }
    let users = b"root:x:0:0:root:/:/bin/sh\nworker:x:1000:1000::/tmp:/bin/sh\n";
    add(&mut layer, "etc/passwd", 0o644, users);
    layer.into_inner().unwrap()
}

fn add<W: std::io::Write>(to: &mut Builder<W>, path: &str, mode: u32, data: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_size(data.len() as u64);
    to.append_data(&mut header, path, data).unwrap();
}
