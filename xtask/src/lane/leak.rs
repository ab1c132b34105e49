//! Nothing is left behind: no mount, link, rule, namespace, cgroup, process or record.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Outcome::Passed;
use super::ground::Ground;
use super::snapshot::{Snapshot, cgroups_of, processes};
use super::{Outcome, cases};
use crate::fixture;
use crate::program::until;
use crate::quickstart::answer;
use crate::registry::free_port;

cases![a_whole_life, a_failed_start, many_at_once];

fn a_whole_life(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let before = Snapshot::at_rest(&site.root())?;
    let running = processes()?.len();
    let port = free_port()?;
    let publish = format!("127.0.0.1:{port}:80");
    let id = site.ok(&["run", "-d", "-p", &publish, "-m", "64m", &site.image()])?;
    ensure!(answer(&format!("http://127.0.0.1:{port}/"))? == fixture::GREETING);
    site.ok(&["exec", &id, "true"])?;
    site.ok(&["stop", &id])?;
    site.ok(&["start", &id])?;
    site.ok(&["rm", "--force", "--time", "0", &id])?;
    before.same_soon(&site.root())?;
    no_traces(&id, running)?;
    Ok(Passed)
}

fn a_failed_start(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let before = Snapshot::at_rest(&site.root())?;
    let running = processes()?.len();
    for command in ["no-such-command", "/etc"] {
        let publish = format!("127.0.0.1:{}:80", free_port()?);
        let ended = site
            .minke()
            .call(["run", "--rm", "-p", &publish, &site.image(), command])?;
        ensure!([126, 127].contains(&ended.code), "{ended}");
    }
    before.same_soon(&site.root())?;
    no_traces("no container", running)?;
    Ok(Passed)
}

fn many_at_once(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let before = Snapshot::at_rest(&site.root())?;
    let running = processes()?.len();
    let (minke, image) = (site.minke(), site.image());
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..12)
            .map(|number| {
                let (minke, image) = (&minke, &image);
                scope.spawn(move || minke.ok(["run", "--rm", image, "echo", &number.to_string()]))
            })
            .collect();
        for (number, thread) in threads.into_iter().enumerate() {
            let said = thread.join().expect("no thread panics")?;
            ensure!(
                said == number.to_string(),
                "container {number} said {said:?}"
            );
        }
        Ok(())
    })?;
    before.same_soon(&site.root())?;
    no_traces("no container", running)?;
    Ok(Passed)
}

/// Monitors end a moment after their containers.
fn no_traces(id: &str, running: usize) -> Result<()> {
    let mut left = Vec::new();
    let result = until("all processes have ended", Duration::from_secs(10), || {
        left = processes()?;
        Ok((left.len() <= running).then_some(()))
    });
    ensure!(result.is_ok(), "processes are left: {left:?}");
    let cgroups = cgroups_of(id);
    ensure!(cgroups.is_empty(), "cgroups are left: {cgroups:?}");
    Ok(())
}
