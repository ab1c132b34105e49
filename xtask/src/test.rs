//! Everything this machine can test.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::account::{self, Account};
use crate::cargo::{self, cargo};
use crate::scratch::{self, Scratch};
use crate::{lane, program, world};

/// Runs unit and integration tests and all lanes, or the lanes that match the filters.
pub fn run(arguments: &[String]) -> Result<()> {
    if arguments.iter().any(|argument| argument == "--list") {
        return lane::list();
    }
    if let Some(("--as-podman", filters)) = arguments.split_first().map(|(a, b)| (a.as_str(), b)) {
        let account = lanes(&Peer::Podman, filters)?;
        println!("{account}");
        return Ok(());
    }
    if let Some(flag) = arguments.iter().find(|argument| argument.starts_with('-')) {
        bail!("test takes filters, --list and --as-podman, not {flag}");
    }
    ensure!(
        arguments.is_empty() || lane::any_matches(arguments),
        "no lane or case has {} in its name (cargo xtask test --list)",
        arguments.join(" or ")
    );
    let binaries = cargo::build_dev()?;
    let mut sum = Account::default();
    if arguments.is_empty() {
        sum += workspace_tests()?;
    }
    sum += lanes(&Peer::Ours(binaries), arguments)?;
    println!("{sum}");
    ensure!(sum.failed == 0, "{} failed", sum.failed);
    Ok(())
}

fn workspace_tests() -> Result<Account> {
    if !program::is_root() {
        println!("(not root: tests that need it will say so and be skipped)");
    }
    let mut sum = if program::find("cargo-nextest").is_some() {
        with_nextest()?
    } else {
        with_libtest()?
    };
    sum += libtest(&["--doc"])?;
    Ok(sum)
}

/// A process for each test. The report tells which of those that passed only said why they
/// cannot run here.
fn with_nextest() -> Result<Account> {
    let config = cargo::workspace().join("xtask/nextest.toml");
    let report = cargo::workspace().join("target/nextest/default/junit.xml");
    let _ = fs::remove_file(&report); // an earlier run's
    let (status, output) = program::echoed(
        cargo()
            .args([
                "nextest",
                "run",
                "--workspace",
                "--locked",
                "--no-fail-fast",
            ])
            .args(["--status-level", "fail", "--config-file"])
            .arg(&config),
    )?;
    let mut account = account::of_nextest(&output).unwrap_or_default();
    // Without a report nothing ran, and there is no one to have skipped.
    let report = fs::read_to_string(&report).unwrap_or_default();
    for test in report.split("<testcase").skip(1) {
        let lines = test.replace("skipped: ", "\nskipped: ");
        own_skips(
            &mut account,
            account::skip_reasons(&lines).into_iter().take(1),
        );
    }
    if !status.success() && account.failed == 0 {
        account.failed = 1; // it did not compile, or the runner failed
    }
    Ok(account)
}

fn with_libtest() -> Result<Account> {
    libtest(&["--lib", "--bins", "--tests", "--examples"])
}

fn libtest(kinds: &[&str]) -> Result<Account> {
    let (status, output) = program::echoed(
        cargo()
            .args([
                "test",
                "--workspace",
                "--locked",
                "--no-fail-fast",
                "--quiet",
            ])
            .args(kinds)
            .args(["--", "--show-output"]),
    )?;
    let mut account = account::of_libtest(&output);
    own_skips(&mut account, account::skip_reasons(&output).into_iter());
    if !status.success() && account.failed == 0 {
        account.failed = 1;
    }
    Ok(account)
}

/// Counts tests that passed by saying `skipped: REASON` as skipped.
fn own_skips<'a>(account: &mut Account, reasons: impl Iterator<Item = &'a str>) {
    for reason in reasons {
        println!("skipped: {}", reason.split("</").next().unwrap_or(reason));
        account.passed = account.passed.saturating_sub(1);
        account.skipped += 1;
    }
}

/// Who stands in the lanes where minke does.
enum Peer {
    Ours(cargo::Binaries),
    /// Debian's podman, runc and conmon: shows that a case asks for what the peer does. Cases of
    /// what only minke has, or does better, fail.
    Podman,
}

impl Peer {
    fn install(&self, directory: &Path) -> Result<()> {
        match self {
            Peer::Ours(binaries) => binaries.copy_to(directory).map(drop),
            Peer::Podman => {
                let podman = program::need("podman")?;
                let options = "--cgroup-manager=cgroupfs --storage-driver=overlay";
                script(
                    &directory.join("minke"),
                    &format!(
                        "export CONTAINERS_CONF=\"${{0%/bin/*}}/containers.conf\"\nexec {} {options} \"$@\"",
                        podman.display()
                    ),
                )?;
                let stand_ins = [("minke-oci", "runc"), ("minke-conmon", "conmon")];
                for (name, peer) in stand_ins {
                    let peer = program::need(peer)?;
                    script(
                        &directory.join(name),
                        &format!("exec {} \"$@\"", peer.display()),
                    )?;
                }
                Ok(())
            }
        }
    }
}

fn script(path: &Path, body: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{body}\n"))?;
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// Runs the lanes in a world of their own.
fn lanes(peer: &Peer, filters: &[String]) -> Result<Account> {
    if !program::is_root() {
        let skipped = lane::count(filters);
        println!(
            "skipped: {skipped} cases of the lanes need root (sudo -E env PATH=\"$PATH\" cargo xtask test)"
        );
        return Ok(Account {
            skipped,
            ..Account::default()
        });
    }
    scratch::sweep("lanes", Path::new("minke"))?;
    let scratch = Scratch::new("lanes")?;
    peer.install(&scratch.directory("bin")?)?;
    let code = world::run(scratch.path(), lane::INSIDE, filters)?;
    read_account(scratch.path(), code)
}

/// What the lanes wrote down before their world ended.
fn read_account(directory: &Path, code: i32) -> Result<Account> {
    let text = fs::read_to_string(directory.join(lane::ACCOUNT))
        .with_context(|| format!("the lanes ended with {code} before they were done"))?;
    text.parse()
}
