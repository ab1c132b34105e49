//! Tar streams as tests need them.

use tar::{Builder, EntryType, Header};

pub struct Archive(Builder<Vec<u8>>);

impl Archive {
    pub fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(if kind == EntryType::Directory {
            0o755
        } else {
            0o644
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header
    }

    /// Any name, also one that no path type would let through.
    pub fn raw(mut self, name: &str, kind: EntryType, link: &str, content: &[u8]) -> Self {
        let mut header = Self::header(kind, content.len() as u64);
        let bytes = header.as_mut_bytes();
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub fn entry(mut self, name: &str, mut header: Header, content: &[u8]) -> Self {
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, name, content).unwrap();
        self
    }

    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.raw(name, EntryType::Regular, "", content.as_ref())
    }

    pub fn dir(self, name: &str) -> Self {
        self.raw(name, EntryType::Directory, "", b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(name, EntryType::Symlink, target, b"")
    }

    pub fn hardlink(self, name: &str, target: &str) -> Self {
        self.raw(name, EntryType::Link, target, b"")
    }

    pub fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0
            .append_pax_extensions(records.iter().copied())
            .unwrap();
        self
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A root directory that runs: busybox and a few links to it.
pub fn busybox() -> Option<Vec<u8>> {
    let Ok(binary) = std::fs::read("/bin/busybox") else {
        eprintln!("skipped: no /bin/busybox");
        return None;
    };
    let mut header = Archive::header(EntryType::Regular, 0);
    header.set_mode(0o755);
    let mut archive = Archive::new()
        .dir("bin/")
        .dir("etc/")
        .dir("proc/")
        .dir("dev/")
        .dir("sys/")
        .file("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
        .entry("bin/busybox", header, &binary);
    for applet in ["sh", "cat", "echo", "ls", "true"] {
        archive = archive.symlink(&format!("bin/{applet}"), "busybox");
    }
    Some(archive.finish())
}
