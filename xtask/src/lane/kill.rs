//! Any process may be killed at any time: the next command of any engine works.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::snapshot::{Snapshot, processes};
use super::{Outcome, cases};
use crate::fixture;
use crate::program::{Program, until};
use crate::quickstart::answer;
use crate::registry::free_port;

cases![
    containers_outlive_every_cli_process,
    cli_killed_during_pull,
    cli_killed_during_run,
    container_killed_from_outside,
    monitor_killed,
    parts_of_a_published_container_killed,
];

/// Milliseconds after which a command is killed: from before its first write to after its end.
const MOMENTS: &[u64] = &[1, 3, 6, 10, 15, 20, 30, 40, 60, 80, 120, 200, 400];

fn containers_outlive_every_cli_process(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let port = free_port()?;
    let publish = format!("127.0.0.1:{port}:80");
    let id = site.ok(&["run", "-d", "-p", &publish, &site.image()])?;
    let pid = pid_of(&site, &id)?;
    let ours = ground.binaries.minke.display().to_string();
    for (_, words) in processes()? {
        let is_minke = words
            .first()
            .is_some_and(|word| *word == ours || word.ends_with("/minke"));
        ensure!(
            !is_minke || is_monitor(&words),
            "a process of the command line still runs: {words:?}"
        );
    }
    ensure!(answer(&format!("http://127.0.0.1:{port}/"))? == fixture::GREETING);
    ensure!(pid_of(&site, &id)? == pid, "it is another process now");
    ensure!(site.ok(&["ps", "-q", "--no-trunc"])? == id);
    Ok(Passed)
}

fn cli_killed_during_pull(ground: &Ground) -> Result<Outcome> {
    let image = ground.image();
    for moment in MOMENTS {
        let site = ground.site()?;
        kill_after(
            &site.minke(),
            &["pull", "--quiet", "--tls-verify=false", &image],
            *moment,
        )?;
        usable(&site).with_context(|| format!("killed {moment} ms into a pull"))?;
    }
    Ok(Passed)
}

fn cli_killed_during_run(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let before = Snapshot::at_rest(&site.root())?;
    let image = site.image();
    for moment in MOMENTS {
        let publish = format!("127.0.0.1:{}:80", free_port()?);
        let run = ["run", "-d", "--name", "victim", "-p", &publish, &image];
        kill_after(&site.minke(), &run, *moment)?;
        let context = || format!("killed {moment} ms into a run");
        site.ok(&["ps", "-a"]).with_context(context)?;
        site.ok(&["rm", "--force", "--time", "0", "victim"])
            .with_context(context)?;
        usable(&site).with_context(context)?;
        site.ok(&["rm", "--all", "--force", "--time", "0"])
            .with_context(context)?;
        before
            .same(&Snapshot::at_rest(&site.root())?)
            .with_context(context)?;
    }
    Ok(Passed)
}

fn container_killed_from_outside(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let id = site.ok(&["run", "-d", "--network=none", &site.image()])?;
    kill(pid_of(&site, &id)?)?;
    ensure!(site.ok(&["wait", &id])? == "137");
    ensure!(site.ok(&["ps", "-a"])?.contains("Exited (137)"));
    Ok(Passed)
}

/// Without its monitor a container's exit code is lost, but nothing else.
fn monitor_killed(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let id = site.ok(&[
        "run",
        "-d",
        "--name",
        "orphan",
        "--network=none",
        &site.image(),
    ])?;
    let monitors: Vec<u32> = processes()?
        .into_iter()
        .filter(|(_, words)| is_monitor(words) && words.contains(&id))
        .map(|(pid, _)| pid)
        .collect();
    ensure!(
        monitors.len() == 1,
        "{} monitors for one container",
        monitors.len()
    );
    kill(monitors[0])?;
    site.ok(&["ps"])?;
    site.ok(&["stop", "--time", "1", "orphan"])?;
    site.ok(&["rm", "orphan"])?;
    usable(&site)?;
    Ok(Passed)
}

/// Whoever is killed of a container in a bridge, with a port: one list, and it can be removed with
/// no force and leaves nothing; with a restart policy it runs again, at its address and port.
fn parts_of_a_published_container_killed(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let before = Snapshot::at_rest(&site.root())?;
    for (with_monitor, policy) in [
        (false, "no"),
        (true, "no"),
        (false, "always"),
        (true, "always"),
    ] {
        let context = || format!("monitor killed: {with_monitor}, policy {policy}");
        let port = free_port()?;
        let publish = format!("127.0.0.1:{port}:80");
        let flags = ["run", "-d", "--name", "victim", "--restart", policy, "-p"];
        let id = site.ok(&[&flags[..], &[&publish, &site.image()]].concat())?;
        let pid = pid_of(&site, &id)?;
        if with_monitor {
            monitors_of(&id)?.into_iter().try_for_each(kill)?;
        }
        kill(pid)?;
        if policy == "no" {
            until("it is seen to have ended", Duration::from_secs(10), || {
                let listed = site.ok(&["ps", "-a", "--format", "{{.Status}}"])?;
                Ok(listed.starts_with("Exited").then_some(()))
            })?;
            // Without a monitor the list has cleaned up; with one its exit command does.
            site.ok(&["rm", "victim"]).with_context(context)?;
        } else {
            until("it answers again", Duration::from_secs(20), || {
                site.ok(&["ps", "-a"])?;
                let text = answer(&format!("http://127.0.0.1:{port}/"));
                Ok((text.is_ok_and(|text| text == fixture::GREETING)).then_some(()))
            })
            .with_context(context)?;
            site.ok(&["rm", "--force", "--time", "0", "victim"])?;
        }
        before
            .same(&Snapshot::at_rest(&site.root())?)
            .with_context(context)?;
    }
    Ok(Passed)
}

fn monitors_of(id: &str) -> Result<Vec<u32>> {
    let monitors = processes()?
        .into_iter()
        .filter(|(_, words)| is_monitor(words) && words.iter().any(|word| word == id));
    Ok(monitors.map(|(pid, _)| pid).collect())
}

/// Whether a command line is that of `conmon` or `minke conmon`.
fn is_monitor(words: &[String]) -> bool {
    words
        .iter()
        .take(2)
        .any(|word| word == "conmon" || word.ends_with("/conmon"))
}

/// minke and podman both get their work done on the store, with no repair asked for.
fn usable(site: &Site<'_>) -> Result<()> {
    site.pull()?;
    let run = [
        "run",
        "--rm",
        "--network=none",
        &site.image(),
        "echo",
        "works",
    ];
    ensure!(site.ok(&run)? == "works");
    ensure!(site.podman()?.ok(run)? == "works");
    Ok(())
}

fn kill_after(program: &Program, arguments: &[&str], milliseconds: u64) -> Result<()> {
    let mut child = program
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    thread::sleep(Duration::from_millis(milliseconds));
    child.kill()?; // SIGKILL; no error if it has ended
    child.wait()?;
    Ok(())
}

fn kill(pid: u32) -> Result<()> {
    Program::new("/bin/kill").ok(["-9", &pid.to_string()])?;
    until(
        "the killed process is gone",
        Duration::from_secs(10),
        || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            Ok((status.is_empty() || status.contains(") Z ")).then_some(()))
        },
    )
}

fn pid_of(site: &Site<'_>, id: &str) -> Result<u32> {
    let value: Value = serde_json::from_str(&site.ok(&["inspect", id])?)?;
    let pid = value[0]["State"]["Pid"]
        .as_u64()
        .context("inspect tells no pid")?;
    ensure!(pid > 0, "the container does not run");
    Ok(u32::try_from(pid)?)
}
