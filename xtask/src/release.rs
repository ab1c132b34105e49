//! The one static binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cargo::{cargo, host_triple, target_directory};
use crate::{elf, program};

const STARTS: usize = 31;

/// Static, and at a fixed address: see `docs/design/processes.md`.
const FLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static";

/// Builds it and says where it is, how large, and how fast it starts.
pub fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.is_empty(), "build takes no arguments");
    build()?;
    Ok(())
}

/// Builds the release binary and reports on it.
pub fn build() -> Result<PathBuf> {
    let triple = host_triple()?;
    program::shown(
        cargo()
            .args([
                "build",
                "--release",
                "--locked",
                "--package",
                "minke",
                "--bin",
                "minke",
            ])
            .args(["--target", &triple])
            .env("RUSTFLAGS", FLAGS),
    )?;
    let path = target_directory()?.join(&triple).join("release/minke");
    report(&path)?;
    Ok(path)
}

fn report(path: &Path) -> Result<()> {
    ensure!(
        elf::is_static(path)?,
        "{} asks for a dynamic linker",
        path.display()
    );
    let bytes = path.metadata().context("no binary was built")?.len();
    let (median, fastest) = start_up(path)?;
    println!("binary    {}", path.display());
    println!("size      {:.1} MB, static", bytes as f64 / 1e6);
    println!(
        "start-up  {:.2} ms median of {STARTS} runs of `minke --version`, {:.2} ms the fastest",
        median.as_secs_f64() * 1e3,
        fastest.as_secs_f64() * 1e3
    );
    Ok(())
}

/// Median and minimum of the time from fork to exit.
fn start_up(path: &Path) -> Result<(Duration, Duration)> {
    let mut times = (0..STARTS)
        .map(|_| {
            let begin = Instant::now();
            let status = Command::new(path)
                .arg("--version")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()?;
            ensure!(
                status.success(),
                "`{} --version` ended with {status}",
                path.display()
            );
            Ok(begin.elapsed())
        })
        .collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    Ok((times[STARTS / 2], times[0]))
}
