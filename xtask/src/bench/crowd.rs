//! Many containers: at once, and lying around. And what each costs while it runs.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Engines, Plan, Times, row};
use crate::program::Program;

/// So many `run --rm` at once.
const AT_ONCE: usize = 32;
/// How often they are.
const ROUNDS: usize = 3;
/// A crowd lies around.
const CROWD: usize = 1000;

/// `run --rm` by many processes at once.
pub fn at_once(plan: &Plan, engines: &Engines, image: &str) -> Result<()> {
    let case = format!("{AT_ONCE} x run --rm at once");
    if !plan.wants(&case) {
        return Ok(());
    }
    let call = ["run", "--rm", "--network=none", image, "true"];
    let (mut minke, mut podman) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        minke.add((together(&engines.minke, &call)?, Duration::ZERO));
        podman.add((together(&engines.podman, &call)?, Duration::ZERO));
    }
    println!("{}", row(&case, &mut minke, &mut podman));
    Ok(())
}

fn together(engine: &Program, call: &[&str]) -> Result<Duration> {
    let begin = Instant::now();
    let children = (0..AT_ONCE).map(|_| {
        engine
            .command(call)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
    let children: Vec<_> = children.collect::<std::io::Result<_>>()?;
    let mut failed = 0;
    for mut child in children {
        failed += usize::from(!child.wait()?.success());
    }
    ensure!(failed == 0, "{failed} of {AT_ONCE} failed");
    Ok(begin.elapsed())
}

/// Lists with a thousand containers that do not run. Making them takes minutes: only where the
/// word `crowd` is asked for.
pub fn lying_around(plan: &Plan, engines: &Engines, image: &str) -> Result<()> {
    if !plan.asks_for("crowd") {
        return Ok(());
    }
    for number in 0..CROWD {
        let name = format!("crowd{number}");
        engines.both(&["create", "--name", &name, "--network=none", image, "true"])?;
    }
    for call in [&["ps"][..], &["ps", "--all"], &["inspect", "crowd500"]] {
        let case = format!("{}, crowd of {CROWD}", call.join(" "));
        plan.measure(&case, engines, call, &[])?;
    }
    Ok(())
}

/// What the monitor of a container holds while nothing happens.
pub fn monitors(plan: &Plan, engines: &Engines, image: &str) -> Result<()> {
    if !plan.wants("monitor") {
        return Ok(());
    }
    engines.both(&[
        "run",
        "-d",
        "--name",
        "m",
        "--network=none",
        image,
        "sleep",
        "3600",
    ])?;
    let ask = ["inspect", "--format", "{{.State.ConmonPid}}", "m"];
    let mut figures = Vec::new();
    for engine in [&engines.minke, &engines.podman] {
        let pid = engine.ok(ask)?;
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:"));
        figures.push(line.context("no line Anonymous:")?.trim().to_owned());
    }
    engines.clear();
    println!(
        "\nanonymous memory of the monitor: minke {}, conmon {}",
        figures[0], figures[1]
    );
    Ok(())
}
