//! Stores and the network, compared before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::program::{self, Program};

/// How long what is kept for a while may stay.
const SETTLING: Duration = Duration::from_secs(12);

/// What a store holds and what the network looks like, one fact a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    facts: BTreeSet<String>,
}

impl Snapshot {
    /// Reads the store below `root` and this network namespace.
    pub fn of(root: &Path) -> Result<Snapshot> {
        let mut facts = BTreeSet::new();
        for kind in ["layers", "images", "containers"] {
            records(root, kind, &mut facts)?;
        }
        layer_directories(root, &mut facts)?;
        network(&mut facts)?;
        mounts(root, &mut facts);
        Ok(Snapshot { facts })
    }

    /// As [`Snapshot::of`], once networks nobody is in are gone: minke keeps one for a few
    /// seconds, for the next container. Where somebody stays in it, it is taken as it is.
    pub fn at_rest(root: &Path) -> Result<Snapshot> {
        let patience = Instant::now() + SETTLING;
        loop {
            let now = Self::of(root)?;
            let idle = |fact: &String| fact == "link: podman0" || fact.contains("inet minke");
            if !now.facts.iter().any(idle) || Instant::now() > patience {
                return Ok(now);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Fails, naming each difference, unless `root` is as it was, now or in a few seconds.
    pub fn same_soon(&self, root: &Path) -> Result<()> {
        let patience = Instant::now() + SETTLING;
        loop {
            let result = self.same(&Self::of(root)?);
            if result.is_ok() || Instant::now() > patience {
                return result;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Fails, naming each difference, unless `later` is the same.
    pub fn same(&self, later: &Snapshot) -> Result<()> {
        let gone = self
            .facts
            .difference(&later.facts)
            .map(|fact| format!("\n- {fact}"));
        let new = later
            .facts
            .difference(&self.facts)
            .map(|fact| format!("\n+ {fact}"));
        let differences: String = gone.chain(new).collect();
        if !differences.is_empty() {
            bail!("left behind or lost:{differences}");
        }
        Ok(())
    }
}

fn records(root: &Path, kind: &str, facts: &mut BTreeSet<String>) -> Result<()> {
    let directory = root.join(format!("overlay-{kind}"));
    for file in [format!("{kind}.json"), format!("volatile-{kind}.json")] {
        let path = directory.join(&file);
        let Ok(text) = fs::read(&path) else { continue };
        let records: Value = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        for record in records.as_array().into_iter().flatten() {
            facts.insert(format!("{kind}: {} {}", record["id"], record["names"]));
        }
    }
    Ok(())
}

/// Directories of layers; 64 hexadecimal digits, unlike places for things in the making.
fn layer_directories(root: &Path, facts: &mut BTreeSet<String>) -> Result<()> {
    let Ok(entries) = fs::read_dir(root.join("overlay")) else {
        return Ok(());
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.len() == 64 {
            facts.insert(format!("layer directory: {name}"));
        }
    }
    Ok(())
}

fn network(facts: &mut BTreeSet<String>) -> Result<()> {
    let links = Program::new(program::need("ip")?).ok(["-br", "link"])?;
    for link in links.lines() {
        facts.insert(format!(
            "link: {}",
            link.split_whitespace().next().unwrap_or_default()
        ));
    }
    let rules = Program::new(program::need("nft")?).ok(["--stateless", "list", "ruleset"])?;
    let mut place = "";
    for line in rules
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && *line != "}")
    {
        facts.insert(format!("nft: {place} {line}"));
        if line.ends_with('{') {
            place = line;
        }
    }
    if let Ok(entries) = fs::read_dir("/run/netns") {
        for entry in entries {
            facts.insert(format!("netns: {}", entry?.file_name().to_string_lossy()));
        }
    }
    Ok(())
}

/// The driver's home is left out: containers/storage binds it onto itself once, for good.
fn mounts(root: &Path, facts: &mut BTreeSet<String>) {
    let site = root.parent().unwrap_or(root);
    let home = root.join("overlay");
    for mount in crate::scratch::mounts_below(site)
        .iter()
        .filter(|mount| **mount != home)
    {
        facts.insert(format!("mount: {}", mount.display()));
    }
}

/// Processes of this world by command line, without kernel threads, zombies and ourselves.
pub fn processes() -> Result<Vec<(u32, Vec<String>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let Ok(line) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        if line.is_empty() {
            continue;
        }
        let words = line
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into());
        found.push((pid, words.collect()));
    }
    Ok(found)
}

/// Directories of every mounted cgroup hierarchy whose path names `id`.
pub fn cgroups_of(id: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![Path::new("/sys/fs/cgroup").to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().contains(id) {
                    found.push(entry.path().display().to_string());
                }
                pending.push(entry.path());
            }
        }
    }
    found
}
