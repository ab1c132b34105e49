//! The image in the binary: a first container with no registry at all.
//!
//! One layer holds one static program of a few hundred bytes, written here instruction by
//! instruction: it writes a text and exits. The image is made the same, byte for byte, each
//! time, and goes through the same copy, digests and all, as one from a registry.

use std::io::Read;

use minke_image::manifest::RawManifest;
use minke_image::{Descriptor, Digest, ImageName, ImageSource, MediaType};

use crate::error::{Error, Result};

/// Its name in the store.
pub(super) const NAME: &str = "localhost/minke/hello:latest";

const TEXT: &str = "\
Hello from minke.

This container ran with namespaces, a cgroup, a seccomp filter and a copy-on-write root of its
own, started by one static binary and no daemon. A next step:

    minke run -it --rm docker.io/library/alpine sh
";

/// Whether what was typed means this image.
pub(super) fn is_meant(typed: &str) -> bool {
    let name = typed.strip_prefix("localhost/").unwrap_or(typed);
    matches!(name, "minke/hello" | "minke/hello:latest")
}

/// The image as a source to copy from.
#[derive(Debug)]
pub(super) struct Hello {
    name: ImageName,
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Hello {
    pub fn new() -> Result<Self> {
        let (architecture, program) = program();
        let layer = layer(&program);
        let config = serde_json::json!({
            "created": "2026-01-01T00:00:00Z",
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(&layer).to_string()]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "minke"}],
        })
        .to_string()
        .into_bytes();
        let part = |kind: &str, bytes: &[u8]| {
            serde_json::json!({
                "mediaType": kind,
                "digest": Digest::of(bytes).to_string(),
                "size": bytes.len(),
            })
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": part("application/vnd.oci.image.config.v1+json", &config),
            "layers": [part("application/vnd.oci.image.layer.v1.tar", &layer)],
        })
        .to_string()
        .into_bytes();
        Ok(Self {
            name: NAME.parse().map(ImageName::Docker).map_err(Error::Image)?,
            layer,
            config,
            manifest,
        })
    }
}

impl ImageSource for Hello {
    fn name(&self) -> &ImageName {
        &self.name
    }

    fn manifest(&self, _instance: Option<&Digest>) -> minke_image::Result<RawManifest> {
        Ok(RawManifest {
            bytes: self.manifest.clone(),
            media_type: Some(MediaType::OCI_MANIFEST),
        })
    }

    fn blob(
        &self,
        blob: &Descriptor,
        start_bytes: u64,
    ) -> minke_image::Result<Box<dyn Read + Send>> {
        let bytes = [&self.layer, &self.config]
            .into_iter()
            .find(|bytes| blob.digest.matches(bytes))
            .expect("the copy asks for the blobs of our own manifest");
        let start = usize::try_from(start_bytes).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default().to_vec();
        Ok(Box::new(std::io::Cursor::new(rest)))
    }
}

/// A tar archive with the program as `hello`.
fn layer(program: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..5].copy_from_slice(b"hello");
    header[100..107].copy_from_slice(b"0000755");
    header[108..115].copy_from_slice(b"0000000");
    header[116..123].copy_from_slice(b"0000000");
    header[124..135].copy_from_slice(format!("{:011o}", program.len()).as_bytes());
    // 2026-01-01T00:00:00Z
    header[136..147].copy_from_slice(format!("{:011o}", 1_767_225_600).as_bytes());
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    header[263..265].copy_from_slice(b"00");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(program);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

/// Where the program is mapped.
const BASE: u64 = 0x40_0000;
/// An ELF header and one program header.
const HEADERS: u64 = 64 + 56;

/// The architecture's name and a static ELF program that writes [`TEXT`] and exits with 0.
#[cfg(target_arch = "x86_64")]
fn program() -> (&'static str, Vec<u8>) {
    const CODE_BYTES: u64 = 34;
    let text_at = BASE + HEADERS + CODE_BYTES;
    let mut code = Vec::new();
    code.extend([0xb8, 1, 0, 0, 0]); // mov eax, 1 (write)
    code.extend([0xbf, 1, 0, 0, 0]); // mov edi, 1 (stdout)
    code.push(0xbe); // mov esi, the text
    code.extend((text_at as u32).to_le_bytes());
    code.push(0xba); // mov edx, its length
    code.extend((TEXT.len() as u32).to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0xb8, 60, 0, 0, 0]); // mov eax, 60 (exit)
    code.extend([0xbf, 0, 0, 0, 0]); // mov edi, 0
    code.extend([0x0f, 0x05]); // syscall
    debug_assert_eq!(code.len() as u64, CODE_BYTES);
    ("amd64", elf(62, &code))
}

/// The architecture's name and a static ELF program that writes [`TEXT`] and exits with 0.
#[cfg(target_arch = "aarch64")]
fn program() -> (&'static str, Vec<u8>) {
    const CODE_BYTES: u64 = 36;
    let text_at = BASE + HEADERS + CODE_BYTES;
    let movz = |register: u32, value: u64, shift: u32| {
        0xd280_0000 | (shift / 16) << 21 | ((value >> shift) as u32 & 0xffff) << 5 | register
    };
    let movk = |register: u32, value: u64, shift: u32| movz(register, value, shift) | 0x2000_0000;
    let code: [u32; 9] = [
        movz(0, 1, 0),       // stdout
        movz(1, text_at, 0), // the text
        movk(1, text_at, 16),
        movz(2, TEXT.len() as u64, 0), // its length
        movz(8, 64, 0),                // write
        0xd400_0001,                   // svc 0
        movz(0, 0, 0),
        movz(8, 93, 0), // exit
        0xd400_0001,
    ];
    let code: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    debug_assert_eq!(code.len() as u64, CODE_BYTES);
    ("arm64", elf(183, &code))
}

/// An executable of one segment: headers, code, text (elf(5)).
fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    let size = HEADERS + code.len() as u64 + TEXT.len() as u64;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(2u16.to_le_bytes()); // ET_EXEC
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend((BASE + HEADERS).to_le_bytes()); // entry
    file.extend(64u64.to_le_bytes()); // program headers
    file.extend(0u64.to_le_bytes()); // section headers
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes()); // PT_LOAD
    file.extend(5u32.to_le_bytes()); // read, execute
    for word in [0, BASE, BASE, size, size, 0x1000u64] {
        file.extend(word.to_le_bytes());
    }
    file.extend_from_slice(code);
    file.extend_from_slice(TEXT.as_bytes());
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_program_says_its_text() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("hello");
        std::fs::write(&path, program().1).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = std::process::Command::new(&path).output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), TEXT);
    }

    #[test]
    fn the_image_is_the_same_each_time() {
        let (one, two) = (Hello::new().unwrap(), Hello::new().unwrap());
        assert_eq!(one.manifest, two.manifest);
        assert!(is_meant("minke/hello"));
        assert!(!is_meant("docker.io/minke/hello"));
    }
}
