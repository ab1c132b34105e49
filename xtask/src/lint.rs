//! Format, clippy, licences.

use anyhow::{Result, ensure};

use crate::cargo::cargo;
use crate::program;

/// Checks the whole workspace. cargo-deny is used where it is installed: building it would take
/// longer than everything else here.
pub fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.is_empty(), "lint takes no arguments");
    program::shown(cargo().args(["fmt", "--all", "--check"]))?;
    program::shown(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    if program::find("cargo-deny").is_some() {
        program::shown(cargo().args([
            "deny",
            "--all-features",
            "check",
            "bans",
            "licenses",
            "sources",
        ]))?;
    } else {
        println!("skipped: cargo-deny is not installed (cargo install --locked cargo-deny)");
    }
    println!("lint: clean");
    Ok(())
}
