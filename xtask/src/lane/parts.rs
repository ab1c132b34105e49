//! Parts swapped between minke and its peers, at the seams both speak.

use std::path::Path;

use anyhow::{Result, ensure};

use super::Outcome::{Passed, Skipped};
use super::ground::{Ground, Site};
use super::{Outcome, cases};
use crate::program::{Program, need};

cases![
    minke_with_runc,
    minke_with_crun,
    minke_with_conmon,
    minke_with_conmon_and_runc,
    podman_with_our_oci_runtime,
    podman_with_our_conmon,
    podman_with_both,
];

fn minke_with_runc(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    lives(&site, &site.minke().globals(["--runtime=runc"]))
}

fn minke_with_crun(ground: &Ground) -> Result<Outcome> {
    if hybrid_cgroups() && crun_is_older_than("1.9")? {
        return Ok(Skipped(
            "crun before 1.9 refuses this machine's hybrid cgroup layout".into(),
        ));
    }
    let site = ground.site_with_image()?;
    lives(&site, &site.minke().globals(["--runtime=crun"]))
}

fn minke_with_conmon(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let conmon = need("conmon")?;
    lives(
        &site,
        &site
            .minke()
            .globals([format!("--conmon={}", conmon.display())]),
    )
}

fn minke_with_conmon_and_runc(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let conmon = format!("--conmon={}", need("conmon")?.display());
    lives(
        &site,
        &site.minke().globals([conmon, "--runtime=runc".into()]),
    )
}

fn podman_with_our_oci_runtime(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let runtime = format!("--runtime={}", ground.binaries.oci.display());
    lives(&site, &site.podman()?.globals([runtime]))
}

fn podman_with_our_conmon(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let conmon = format!("--conmon={}", ground.binaries.conmon.display());
    lives(&site, &site.podman()?.globals([conmon]))
}

fn podman_with_both(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let conmon = format!("--conmon={}", ground.binaries.conmon.display());
    let runtime = format!("--runtime={}", ground.binaries.oci.display());
    lives(&site, &site.podman()?.globals([conmon, runtime]))
}

/// A container's whole life under `engine`: foreground, exit code, detached, exec, logs, stop, rm.
fn lives(site: &Site<'_>, engine: &Program) -> Result<Outcome> {
    let image = site.image();
    let said = engine.ok(["run", "--rm", "--network=none", &image, "echo", "hello"])?;
    ensure!(
        said == "hello",
        "a container in the foreground said {said:?}"
    );
    let ended = engine.call([
        "run",
        "--rm",
        "--network=none",
        &image,
        "sh",
        "-c",
        "exit 42",
    ])?;
    ensure!(ended.code == 42, "exit code 42 expected; {ended}");
    engine.ok([
        "run",
        "-d",
        "--name",
        "long",
        "--network=none",
        "-m",
        "64m",
        &image,
    ])?;
    ensure!(engine.ok(["exec", "long", "cat", "/proc/1/comm"])? == "serve");
    ensure!(engine.ok(["ps"])?.contains("long"));
    let logs = engine.call(["logs", "long"])?;
    ensure!(logs.stdout.contains("serving /www"), "{logs}");
    engine.ok(["stop", "long"])?;
    let listed = engine.ok(["ps", "-a"])?;
    ensure!(listed.contains("Exited (0)"), "{listed}");
    engine.ok(["rm", "long"])?;
    ensure!(engine.ok(["ps", "-a", "-q"])?.is_empty());
    Ok(Passed)
}

fn hybrid_cgroups() -> bool {
    Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists()
}

fn crun_is_older_than(wanted: &str) -> Result<bool> {
    let text = Program::new(need("crun")?).ok(["--version"])?;
    let version = text.split_whitespace().nth(2).unwrap_or("0");
    let numbers = |text: &str| -> Vec<u32> {
        text.split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    Ok(numbers(version) < numbers(wanted))
}
