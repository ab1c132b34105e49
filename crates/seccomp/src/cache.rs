//! Compiled programs, kept by content.
//!
//! # Format
//! One file a program, named by the hash of what it was made from, `HEX.bpf`:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `minkeBPF` |
//! | 32 | the key: SHA-256 of crate version, native architecture and `linux.seccomp` as JSON |
//! | 4 | number of instructions, little-endian |
//! | 32 | SHA-256 of the instructions |
//! | 8 each | the instructions: code, jt, jf, k, little-endian |
//!
//! An entry that is not exactly so is ignored and replaced. Entries are written whole and
//! renamed into place, so a reader never sees half of one; nothing is locked. Losing the
//! directory loses nothing but time.
//!
//! A program decides what a container may do, so the directory must belong to the caller and
//! be writable by nobody else, and so must the entry; otherwise the cache is not used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use oci_spec::runtime::LinuxSeccomp;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::bpf::{self, MAX_INSTRUCTIONS, SockFilter};
use crate::{Architecture, Result};

const MAGIC: &[u8; 8] = b"minkeBPF";
const HASH: usize = 32;
const HEADER: usize = MAGIC.len() + HASH + 4 + HASH;
const INSTRUCTION: usize = 8;

/// The program of `seccomp`, from `directory` if it has it, else compiled and put there.
///
/// The directory must exist. Whatever is wrong with it costs time, never the result, and is
/// told to `tracing`.
///
/// # Errors
/// As [`bpf::compile_for`].
pub fn load_or_compile(
    directory: &Path,
    seccomp: &LinuxSeccomp,
    native: Architecture,
) -> Result<Vec<SockFilter>> {
    if let Err(reason) = trust(directory) {
        tracing::debug!(directory = %directory.display(), %reason, "seccomp cache is not used");
        return bpf::compile_for(seccomp, native);
    }
    let key = key(seccomp, native);
    let path = directory.join(format!("{}.bpf", hex(&key)));
    match read(&path, &key) {
        Ok(Some(program)) => return Ok(program),
        Ok(None) => {}
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "seccomp cache entry ignored")
        }
    }
    let program = bpf::compile_for(seccomp, native)?;
    if let Err(error) = write(directory, &path, &encode(&key, &program)) {
        tracing::debug!(path = %path.display(), %error, "seccomp program not kept");
    }
    Ok(program)
}

fn trust(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    trust_owner(&metadata)
}

fn trust_owner(metadata: &fs::Metadata) -> io::Result<()> {
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if own && metadata.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(io::Error::other("others can write it"))
    }
}

fn key(seccomp: &LinuxSeccomp, native: Architecture) -> [u8; HASH] {
    let mut hasher = Sha256::new();
    hasher.update(env!("CARGO_PKG_VERSION"));
    hasher.update([0u8]);
    hasher.update(native.libseccomp_name());
    hasher.update([0u8]);
    let json = serde_json::to_vec(seccomp).expect("linux.seccomp has no map with odd keys");
    hasher.update(json);
    hasher.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn encode(key: &[u8; HASH], program: &[SockFilter]) -> Vec<u8> {
    let mut body = Vec::with_capacity(program.len() * INSTRUCTION);
    for instruction in program {
        body.extend(instruction.code.to_le_bytes());
        body.extend([instruction.jt, instruction.jf]);
        body.extend(instruction.k.to_le_bytes());
    }
    let count = u32::try_from(program.len()).expect("a compiled program is bounded");
    let mut entry = Vec::with_capacity(HEADER + body.len());
    entry.extend(MAGIC);
    entry.extend(key);
    entry.extend(count.to_le_bytes());
    entry.extend(Sha256::digest(&body));
    entry.extend(body);
    entry
}

fn decode(key: &[u8; HASH], entry: &[u8]) -> Option<Vec<SockFilter>> {
    let rest = entry.strip_prefix(MAGIC)?.strip_prefix(key)?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (hash, body) = rest.split_first_chunk::<HASH>()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let whole = count > 0 && count <= MAX_INSTRUCTIONS && body.len() == count * INSTRUCTION;
    let digest: [u8; HASH] = Sha256::digest(body).into();
    if !whole || digest != *hash {
        return None;
    }
    let instruction = |bytes: &[u8; INSTRUCTION]| SockFilter {
        code: u16::from_le_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    };
    let (instructions, _) = body.as_chunks::<INSTRUCTION>();
    Some(instructions.iter().map(instruction).collect())
}

fn read(path: &Path, key: &[u8; HASH]) -> io::Result<Option<Vec<SockFilter>>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    trust_owner(&metadata)?;
    let limit = HEADER + MAX_INSTRUCTIONS * INSTRUCTION;
    let mut entry = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut entry)?;
    match decode(key, &entry) {
        Some(program) => Ok(Some(program)),
        None => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn write(directory: &Path, path: &Path, entry: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = directory.join(format!(".{}-{number}.tmp", std::process::id()));
    // A name left by a killed process of the same id is nobody's.
    let _ = fs::remove_file(&temporary);
    let written = write_whole(&temporary, entry).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary); // it may not exist
    }
    written
}

fn write_whole(path: &Path, entry: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(entry)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn policy() -> LinuxSeccomp {
        serde_json::from_str(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#,
        )
        .unwrap()
    }

    fn entries(directory: &Path) -> Vec<std::path::PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
    }

    fn scratch() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        directory
    }

    #[test]
    fn an_entry_is_kept_read_and_replaced_when_damaged() {
        let directory = scratch();
        let native = Architecture::X86_64;
        let compiled = bpf::compile_for(&policy(), native).unwrap();
        assert_eq!(
            load_or_compile(directory.path(), &policy(), native).unwrap(),
            compiled
        );
        let all = entries(directory.path());
        let [path] = all.as_slice() else {
            panic!("one entry and no temporary file: {all:?}")
        };
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
        let whole = fs::read(path).unwrap();
        let key = key(&policy(), native);
        assert_eq!(decode(&key, &whole), Some(compiled.clone()));

        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 0x40;
            assert_eq!(decode(&key, &damaged), None, "byte {position}");
        }
        for length in 0..whole.len() {
            assert_eq!(decode(&key, &whole[..length]), None, "cut to {length}");
        }

        fs::write(path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(
            load_or_compile(directory.path(), &policy(), native).unwrap(),
            compiled
        );
        assert_eq!(fs::read(path).unwrap(), whole);
    }

    #[test]
    fn the_entry_is_what_is_used() {
        let directory = scratch();
        let native = Architecture::X86_64;
        load_or_compile(directory.path(), &policy(), native).unwrap();
        let path = entries(directory.path()).remove(0);
        let other = vec![bpf::compile_for(&policy(), native).unwrap()[0]];
        fs::write(&path, encode(&key(&policy(), native), &other)).unwrap();
        assert_eq!(
            load_or_compile(directory.path(), &policy(), native).unwrap(),
            other
        );
    }

    #[test]
    fn a_directory_or_entry_others_can_write_is_not_used() {
        let directory = scratch();
        let native = Architecture::X86_64;
        let compiled = bpf::compile_for(&policy(), native).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(
            load_or_compile(directory.path(), &policy(), native).unwrap(),
            compiled
        );
        assert!(entries(directory.path()).is_empty());

        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        load_or_compile(directory.path(), &policy(), native).unwrap();
        let path = entries(directory.path()).remove(0);
        let other = encode(&key(&policy(), native), &compiled[..1]);
        fs::write(&path, other).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(
            load_or_compile(directory.path(), &policy(), native).unwrap(),
            compiled
        );
    }

    #[test]
    fn keys_differ_by_architecture_and_policy() {
        let other: LinuxSeccomp =
            serde_json::from_str(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap();
        let keys = [
            key(&policy(), Architecture::X86_64),
            key(&policy(), Architecture::Aarch64),
            key(&other, Architecture::X86_64),
        ];
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
    }
}
