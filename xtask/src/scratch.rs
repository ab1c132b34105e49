//! Directories that leave nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::program::Program;

const PREFIX: &str = "minke-xtask";

/// A directory of one run, removed on drop with whatever is mounted below it.
///
/// It is below `$TMPDIR` or `/var/tmp`: overlay needs a real file system, which `/tmp` may not be.
/// Names are short, since socket addresses have 108 bytes.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the directory, readable by every user (lanes run programs as other users).
    pub fn new(purpose: &str) -> Result<Scratch> {
        let path = base().join(format!("{PREFIX}.{purpose}.{}", std::process::id()));
        if path.exists() {
            clear(&path);
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Scratch { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        clear(&self.path);
    }
}

/// Removes what a killed run of the same purpose left, its containers first.
///
/// Stores of such a run are `root` and `runroot` in its directory.
pub fn sweep(purpose: &str, minke: &Path) -> Result<()> {
    let prefix = format!("{PREFIX}.{purpose}.");
    for entry in fs::read_dir(base())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(&prefix) else {
            continue;
        };
        if Path::new("/proc").join(pid).exists() {
            continue;
        }
        println!(
            "(clearing what an earlier run left in {})",
            entry.path().display()
        );
        if entry.path().join("root").exists() {
            let _ = store(minke, &entry.path()).call(["rm", "--all", "--force"]);
        }
        clear(&entry.path());
    }
    Ok(())
}

/// minke on the store in `directory`.
pub fn store(minke: &Path, directory: &Path) -> Program {
    let option = |name: &str, below: &str| {
        let mut option = std::ffi::OsString::from(name);
        option.push(directory.join(below));
        option
    };
    Program::new(minke).globals([
        option("--root=", "root"),
        option("--runroot=", "runroot"),
        option("--network-config-dir=", "networks"),
    ])
}

fn base() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
}

fn clear(path: &Path) {
    let mut below = mounts_below(path);
    below.reverse();
    for mount in below {
        let _ = Command::new("umount").arg("-l").arg(mount).status();
    }
    if let Err(error) = fs::remove_dir_all(path) {
        eprintln!("cannot remove {}: {error}", path.display());
    }
}

/// Mount points below `path`, in the order they were mounted.
pub fn mounts_below(path: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|escaped| PathBuf::from(escaped.replace("\\040", " ")))
        .filter(|mount| mount.starts_with(path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_ends_with_its_owner() {
        let scratch = Scratch::new("test").unwrap();
        let path = scratch.path().to_owned();
        fs::write(scratch.directory("a").unwrap().join("file"), "x").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
