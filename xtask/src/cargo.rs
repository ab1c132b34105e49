//! The workspace: its directories, builds and tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::program;

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent()
        .expect("xtask is a directory of the workspace")
        .to_owned()
}

/// The cargo that runs us, in the root of the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Where builds go, whatever decides it.
pub fn target_directory() -> Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let directory = metadata["target_directory"]
        .as_str()
        .context("no target_directory")?;
    Ok(PathBuf::from(directory))
}

/// The triple of this machine.
pub fn host_triple() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// The binaries lanes use, in the dev profile.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub minke: PathBuf,
    pub oci: PathBuf,
    pub conmon: PathBuf,
}

impl Binaries {
    pub fn below(directory: &Path) -> Binaries {
        Binaries {
            minke: directory.join("minke"),
            oci: directory.join("minke-oci"),
            conmon: directory.join("minke-conmon"),
        }
    }

    /// Copies them to `directory`, where every user can run them.
    pub fn copy_to(&self, directory: &Path) -> Result<Binaries> {
        let copies = Binaries::below(directory);
        let pairs = [
            (&self.minke, &copies.minke),
            (&self.oci, &copies.oci),
            (&self.conmon, &copies.conmon),
        ];
        for (from, to) in pairs {
            std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(copies)
    }
}

/// Builds every binary of the workspace in the dev profile.
pub fn build_dev() -> Result<Binaries> {
    program::shown(cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    Ok(Binaries::below(&target_directory()?.join("debug")))
}
