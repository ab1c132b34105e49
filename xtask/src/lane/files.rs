//! The commands about a container's files, beside Podman's on the same store.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::{Outcome, cases};
use crate::fixture::text;
use crate::program::{Ended, Program};
use crate::registry::skopeo;

cases![
    diff_names_what_podman_names,
    export_has_what_podmans_has,
    mounts_are_counted_with_podmans,
    what_was_committed_is_an_image_to_others,
    copies_are_podmans,
];

/// What a container does to its files.
const CHANGES: &str = "echo new > /www/new; rm /www/index.html; mkdir -p /a/b; touch /a/b/c; \
    rm -r /tmp; mkdir /etc/d; chmod 700 /www; echo x >> /etc/group; ln -s /etc/passwd /a/link";

/// Both engines on one store, each with a container of the web image that has run `script`.
fn both<'s>(site: &'s Site<'_>, script: &str) -> Result<[(Program, &'s str); 2]> {
    let engines = [(site.minke(), "ours"), (site.podman()?, "theirs")];
    for (engine, name) in &engines {
        let image = site.image();
        let run = [
            "run",
            "--network=none",
            "--name",
            *name,
            &image,
            "sh",
            "-c",
            script,
        ];
        engine.ok(run)?;
    }
    Ok(engines)
}

/// What a call says, with the container's name and the program's taken out.
fn said(ended: &Ended, name: &str) -> (i32, String, String) {
    let general = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("hint:"));
        let lines: Vec<_> = lines.collect();
        lines
            .join("\n")
            .replace(name, "CONTAINER")
            .replace("podman", "minke")
    };
    (ended.code, general(&ended.stdout), general(&ended.stderr))
}

fn diff_names_what_podman_names(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let engines = both(&site, CHANGES)?;
    let image = site.image();
    for arguments in [
        vec!["diff"],
        vec!["diff", "--format", "json"],
        vec!["container", "diff"],
        vec!["diff", "--format", "yaml"],
    ] {
        let mut answers = Vec::new();
        for (engine, name) in &engines {
            let ended = engine.call(arguments.iter().copied().chain([*name]))?;
            answers.push(said(&ended, name));
        }
        ensure!(answers[0] == answers[1], "{arguments:?}: {answers:#?}");
    }
    for arguments in [["diff", "nothing"], ["diff", image.as_str()]] {
        let answers: Vec<_> = engines
            .iter()
            .map(|(engine, name)| Ok(said(&engine.call(arguments)?, name)))
            .collect::<Result<_>>()?;
        let same_code = answers[0].0 == answers[1].0;
        ensure!(
            same_code && answers[0].1 == answers[1].1,
            "{arguments:?}: {answers:#?}"
        );
    }
    Ok(Passed)
}

fn export_has_what_podmans_has(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let engines = both(&site, CHANGES)?;
    let mut listings = Vec::new();
    for (engine, name) in &engines {
        let archive = site.directory.join("export.tar");
        engine.ok(["export", "--output", text(&archive)?, *name])?;
        let listed = Program::new("tar").ok(["-tf", text(&archive)?])?;
        // Podman's runtime leaves a link that ours does not make, and ours a file that it binds.
        let lines = listed
            .lines()
            .filter(|line| !matches!(*line, "etc/mtab" | "etc/resolv.conf"));
        listings.push(lines.map(str::to_owned).collect::<Vec<_>>());
    }
    ensure!(listings[0] == listings[1], "{listings:#?}");
    Ok(Passed)
}

fn mounts_are_counted_with_podmans(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let [(minke, ours), (podman, theirs)] = both(&site, "echo x > /www/new")?;
    let path = podman.ok(["mount", theirs])?;
    ensure!(minke.ok(["mount", theirs])? == path, "another place");
    ensure!(minke.ok(["mount"])?.contains(&path));
    podman.ok(["umount", theirs])?;
    ensure!(
        Path::new(&path).join("www/new").exists(),
        "podman counted one away too many"
    );
    minke.ok(["umount", theirs])?;
    ensure!(
        !Path::new(&path).join("www/new").exists(),
        "it stays mounted"
    );
    let path = minke.ok(["mount", ours])?;
    ensure!(Path::new(&path).join("www/new").exists());
    minke.ok(["umount", ours])?;
    ensure!(
        !Path::new(&path).join("www/new").exists(),
        "it stays mounted"
    );
    Ok(Passed)
}

fn what_was_committed_is_an_image_to_others(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    both(&site, "echo made > /www/new")?;
    for (flags, name) in [
        (&["-q"][..], "one"),
        (&["-q", "-f", "docker", "-m", "said"][..], "two"),
        (&["-q", "-s"][..], "flat"),
    ] {
        let arguments = ["commit"].iter().chain(flags).copied();
        let id = site.ok(&arguments.chain(["ours", name]).collect::<Vec<_>>())?;
        let podman = site.podman()?;
        let listed = podman.ok([
            "images",
            "--no-trunc",
            "--format",
            "{{.ID}} {{.Repository}}",
        ])?;
        ensure!(
            listed.contains(&format!("sha256:{id} localhost/{name}")),
            "{listed}"
        );
        let run = ["run", "--rm", "--network=none", name, "cat", "/www/new"];
        ensure!(podman.ok(run)? == "made");
        let working = site
            .buildah()?
            .ok(["from", "--pull-never", &format!("localhost/{name}")])?;
        site.buildah()?.ok(["rm", &working])?;
        // Each layer is checked against its digest on the way.
        let copy = format!("dir:{}", text(&site.directory.join(name))?);
        let stored = site.skopeo_name(&format!("localhost/{name}:latest"));
        skopeo()?.ok(["copy", "--quiet", &stored, &copy])?;
    }
    Ok(Passed)
}

/// What is copied from where to where: `H` is a directory of the host, `C:` the container.
const COPIES: &[&[&str]] = &[
    &["H/f", "C:/t"],
    &["H/f", "C:/t/new"],
    &["H/f", "C:/t/f"],
    &["H/f", "C:/t/link"],
    &["H/f", "C:/t/dangling"],
    &["H/f", "C:/t/upwards"],
    &["H/link", "C:/t/d"],
    &["H/linkdir", "C:/t/d"],
    &["H/d", "C:/t"],
    &["H/d/.", "C:/t/d"],
    &["H/d", "C:/t/named"],
    &["H/d", "C:/t/f"],
    &["H/d", "C:/t/new/"],
    &["H/f", "C:/no/new"],
    &["H/no", "C:/t"],
    &["H/f", "nothing:/t"],
    &["H/f", "C:"],
    &["H/f", "H/g"],
    &["C:/t/f", "H/new"],
    &["C:/t/f", "H"],
    &["C:/t/f", "H/link"],
    &["C:/t/link", "H/d"],
    &["C:/t/linkdir", "H/d"],
    &["C:/t", "H/d"],
    &["C:/t/.", "H/d"],
    &["C:/t/.", "H/new"],
    &["C:/t", "H/f"],
    &["C:/no", "H"],
    &["C:/t/f", "H/no/new"],
    &["C:/t/f", "H/new/"],
    &["-a=false", "H/f", "C:/t"],
    &["--overwrite", "H/d", "C:/t/f"],
];

const PREPARE: &str = "rm -rf /t; mkdir -p /t/d /t/e; echo o > /t/f; echo q > /t/e/q; \
    ln -s /t/d /t/linkdir; ln -s f /t/link; ln -s missing /t/dangling; \
    ln -s ../../../../www/escaped /t/upwards; chmod 4755 /t/f; chown 1000:1000 /t/e/q";

const LIST: &str = "find /t /www | sort | while read p; do \
    [ -d \"$p\" ] && [ ! -L \"$p\" ] && s= || s=%s; stat -c \"%n %F %a %u %g %N $s\" \"$p\"; done";

fn copies_are_podmans(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let engines = [(site.minke(), "ours"), (site.podman()?, "theirs")];
    for (engine, name) in &engines {
        let image = site.image();
        engine.ok([
            "run",
            "-d",
            "--network=none",
            "--name",
            *name,
            &image,
            "sleep",
            "1000",
        ])?;
    }
    let mut differing = Vec::new();
    for copy in COPIES {
        let ours = copied(&site, &engines[0], copy)?;
        let theirs = copied(&site, &engines[1], copy)?;
        if ours != theirs {
            differing.push(format!("cp {}: {ours:#?} {theirs:#?}", copy.join(" ")));
        }
    }
    ensure!(differing.is_empty(), "{}", differing.join("\n"));
    Ok(Passed)
}

/// What a call said, and what host and container have after it.
type Copied = ((i32, String, String), Vec<String>, String);

fn copied(site: &Site<'_>, (engine, name): &(Program, &str), copy: &[&str]) -> Result<Copied> {
    let host = site.directory.join("host");
    if host.exists() {
        fs::remove_dir_all(&host)?;
    }
    make_host(&host)?;
    engine.ok(["exec", name, "sh", "-c", PREPARE])?;
    let place = text(&host)?;
    let words = copy.iter().map(|word| match word.strip_prefix("C:") {
        Some(path) => format!("{name}:{path}"),
        None => word.replacen('H', place, 1),
    });
    let ended = engine.call(["cp".to_owned()].into_iter().chain(words))?;
    let inside = engine.ok(["exec", name, "sh", "-c", LIST])?;
    let mut outside = Vec::new();
    list(&host, &host, &mut outside)?;
    outside.sort();
    Ok((said(&ended, name), outside, inside))
}

fn make_host(host: &Path) -> Result<()> {
    fs::create_dir_all(host.join("d/sub"))?;
    for (name, content) in [("f", "host"), ("d/x", "x"), ("d/sub/y", "y")] {
        fs::write(host.join(name), content)?;
    }
    std::os::unix::fs::chown(host.join("f"), Some(1234), Some(77))?;
    symlink("f", host.join("link"))?;
    symlink("d", host.join("linkdir"))?;
    symlink("/nowhere", host.join("d/dangling"))?;
    Ok(())
}

fn list(top: &Path, directory: &Path, lines: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let meta = fs::symlink_metadata(&path)?;
        let target = fs::read_link(&path).unwrap_or_default();
        let below = path.strip_prefix(top).context("it is below")?;
        let size = if meta.is_dir() { 0 } else { meta.len() };
        lines.push(format!(
            "{} {:o} {}:{} {size} {}",
            below.display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            target.display()
        ));
        if meta.is_dir() {
            list(top, &path, lines)?;
        }
    }
    Ok(())
}
