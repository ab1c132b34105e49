//! User namespaces of containers: whose ids, and what of the image is theirs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Outcome::Passed;
use super::ground::Ground;
use super::volume::{pulled, run};
use super::{Outcome, cases};

cases![
    a_mapping_makes_the_image_the_containers_own,
    a_volume_is_filled_with_mapped_owners,
    an_idmapped_mount_shows_and_writes_the_sources_ids,
    automatic_namespaces_do_not_overlap,
    a_namespace_is_joined_with_its_mapping,
    modes_of_a_normal_user_are_refused_to_root,
    memory_is_shared_with_who_joins,
    hooks_of_a_directory_run_at_their_stages,
    an_init_passes_signals_on_and_reaps,
];

const MAP: &str = "--uidmap=0:100000:65536";

pub const PATIENCE: Duration = Duration::from_secs(20);

fn a_mapping_makes_the_image_the_containers_own(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let script =
        "cat /proc/self/uid_map; touch /new; stat -c '%u %n' /new /bin/busybox /data/out; id -u";
    let said = run(&site, &[MAP, "--image-volume=ignore"], &image, script)?;
    let words: Vec<&str> = said.split_whitespace().collect();
    ensure!(
        words.join(" ") == "0 100000 65536 0 /new 0 /bin/busybox 1000 /data/out 0",
        "{said}"
    );
    // Nothing was copied: the layer holds what was written only.
    site.ok(&[
        "create",
        "--name=c",
        "--network=none",
        MAP,
        &image,
        "touch",
        "/made",
    ])?;
    site.ok(&["start", "c"])?;
    site.ok(&["wait", "c"])?;
    let upper = site.ok(&["inspect", "--format={{.GraphDriver.Data.UpperDir}}", "c"])?;
    let made = fs::symlink_metadata(format!("{upper}/made"))?;
    ensure!(made.uid() == 100_000, "it is {}'s on disk", made.uid());
    ensure!(!fs::exists(format!("{upper}/bin/busybox"))?);
    Ok(Passed)
}

fn a_volume_is_filled_with_mapped_owners(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let said = run(
        &site,
        &[MAP, "-v", "v:/data"],
        &image,
        "stat -c %u /data /data/below/file",
    )?;
    ensure!(said == "1000\n1000", "{said}");
    let data = site.root().join("volumes/v/_data");
    ensure!(fs::metadata(data)?.uid() == 101_000);
    Ok(Passed)
}

fn an_idmapped_mount_shows_and_writes_the_sources_ids(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let source = site.directory.join("source");
    fs::create_dir(&source)?;
    fs::write(source.join("old"), "")?;
    let mount = format!("{}:/x:idmap", source.display());
    let said = run(
        &site,
        &[MAP, "-v", &mount],
        &image,
        "stat -c %u /x/old; touch /x/new",
    )?;
    ensure!(said == "0", "{said}");
    ensure!(fs::metadata(source.join("new"))?.uid() == 0);
    let mount = format!("{}:/x:idmap=uids=0-555-1;gids=0-556-1", source.display());
    let said = run(&site, &["-v", &mount], &image, "stat -c %u:%g /x/old")?;
    ensure!(said == "555:556", "{said}");
    Ok(Passed)
}

fn automatic_namespaces_do_not_overlap(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let refused = site.minke().call(["create", "--userns=auto", &image])?;
    if refused.code == 0 {
        site.ok(&["rm", "--all"])?;
    } else {
        ensure!(
            refused.stderr.contains("not find enough available IDs"),
            "{refused}"
        );
    }
    // The world's /etc is its own.
    for file in ["/etc/subuid", "/etc/subgid"] {
        fs::write(file, "containers:200000:5000\n").context("cannot write")?;
    }
    let map = |name: &str, options: &str| -> Result<Vec<u32>> {
        let name = format!("--name={name}");
        site.ok(&[
            "run",
            "-d",
            "--network=none",
            &name,
            options,
            &image,
            "sleep",
            "100",
        ])?;
        let name = name.trim_start_matches("--name=");
        let said = site.ok(&["exec", name, "cat", "/proc/self/uid_map"])?;
        Ok(said
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect())
    };
    ensure!(
        map("a", "--userns=auto")? == [0, 200_000, 2001],
        "as many as the image names"
    );
    ensure!(map("b", "--userns=auto:size=2500")? == [0, 202_001, 2500]);
    let full = site
        .minke()
        .call(["create", "--userns=auto:size=3000", &image])?;
    ensure!(full.code == 125, "{full}");
    site.ok(&["rm", "--force", "--time=0", "a"])?;
    ensure!(
        map("c", "--userns=auto:size=2000")? == [0, 200_000, 2000],
        "a gap is used"
    );
    Ok(Passed)
}

fn a_namespace_is_joined_with_its_mapping(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    site.ok(&[
        "run",
        "-d",
        "--name=a",
        "--network=none",
        MAP,
        &image,
        "sleep",
        "100",
    ])?;
    let script = "readlink /proc/self/ns/user; touch /new; stat -c %u /new";
    let ours = run(&site, &["--userns=container:a"], &image, script)?;
    let theirs = site.ok(&["exec", "a", "readlink", "/proc/self/ns/user"])?;
    ensure!(ours == format!("{theirs}\n0"), "{ours} is not {theirs}");
    Ok(Passed)
}

fn modes_of_a_normal_user_are_refused_to_root(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let podman = site.podman()?;
    for mode in ["keep-id", "nomap"] {
        let option = format!("--userns={mode}");
        let ours = site.minke().call(["create", &option, &image])?;
        let theirs = podman.call(["create", &option, &image])?;
        ensure!(ours.code == theirs.code, "{ours} {theirs}");
        ensure!(ours.stderr == theirs.stderr, "{ours} {theirs}");
    }
    Ok(Passed)
}

fn memory_is_shared_with_who_joins(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    for (name, ipc) in [("open", "shareable"), ("closed", "private")] {
        let (named, ipc) = (format!("--name={name}"), format!("--ipc={ipc}"));
        let script = "echo ahoy > /dev/shm/note; sleep 100";
        site.ok(&[
            "run",
            "-d",
            "--network=none",
            &named,
            &ipc,
            "--shm-size=1m",
            &image,
            "sh",
            "-c",
            script,
        ])?;
        crate::program::until("the note is written", PATIENCE, || {
            Ok(site.ok(&["exec", name, "cat", "/dev/shm/note"]).ok())
        })?;
    }
    let script = "cat /dev/shm/note 2>/dev/null || echo nothing";
    ensure!(run(&site, &["--ipc=container:open"], &image, script)? == "ahoy");
    ensure!(run(&site, &["--ipc=container:closed"], &image, script)? == "nothing");
    let size = site.ok(&[
        "exec",
        "open",
        "sh",
        "-c",
        "df -k /dev/shm | tail -1 | awk '{print $2}'",
    ])?;
    ensure!(size == "1024", "{size}");
    site.ok(&["rm", "--all", "--force", "--time=0"])?;
    let mounts = crate::scratch::mounts_below(&site.directory);
    ensure!(
        !mounts.iter().any(|path| path.ends_with("shm")),
        "{mounts:?}"
    );
    Ok(Passed)
}

fn hooks_of_a_directory_run_at_their_stages(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    let dir = site.directory.join("hooks");
    let log = site.directory.join("log");
    fs::create_dir(&dir)?;
    let hook = site.directory.join("hook");
    // The root of a createContainer hook is the host's still, its mounts are the container's.
    let text = format!(
        "#!/bin/sh\ncat > /dev/null\necho $1 $(readlink /proc/self/ns/mnt) >> {}\n",
        log.display()
    );
    fs::write(&hook, text)?;
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?;
    for stage in [
        "prestart",
        "createRuntime",
        "createContainer",
        "poststart",
        "poststop",
    ] {
        let file = serde_json::json!({
            "version": "1.0.0",
            "hook": {"path": hook, "args": ["hook", stage], "env": ["PATH=/usr/bin:/bin"]},
            "when": {"annotations": {"^hooked$": "^yes$"}},
            "stages": [stage],
        });
        fs::write(dir.join(format!("{stage}.json")), file.to_string())?;
    }
    let hooks = format!("--hooks-dir={}", dir.display());
    let plain = ["run", "--rm", "--network=none", &hooks, &image, "true"];
    site.ok(&plain)?;
    ensure!(!log.exists(), "hooks ran that were not meant");
    let mut hooked = plain.to_vec();
    hooked.insert(1, "--annotation=hooked=yes");
    site.ok(&hooked)?;
    crate::program::until("all hooks have run", PATIENCE, || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        Ok((text.lines().count() >= 5).then_some(()))
    })?;
    let text = fs::read_to_string(&log)?;
    let lines: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let stages: Vec<&str> = lines.iter().map(|line| line.0).collect();
    ensure!(
        stages
            == [
                "prestart",
                "createRuntime",
                "createContainer",
                "poststart",
                "poststop"
            ],
        "{stages:?}"
    );
    ensure!(
        lines[0].1 == lines[1].1 && lines[0].1 != lines[2].1,
        "{text}"
    );
    fs::write(dir.join("broken.json"), "{")?;
    let broken = site.minke().call(plain)?;
    ensure!(
        broken.code != 0 && broken.stderr.contains("broken.json"),
        "{broken}"
    );
    Ok(Passed)
}

fn an_init_passes_signals_on_and_reaps(ground: &Ground) -> Result<Outcome> {
    let (site, image) = pulled(ground)?;
    // A binary for development wants the host's libraries; a released one is static.
    let libraries = ["/lib", "/lib64", "/usr/lib"].map(|dir| format!("-v={dir}:{dir}:ro"));
    let mut line = vec!["run", "-d", "--name=a", "--network=none", "--init"];
    line.extend(libraries.iter().map(String::as_str));
    let script = "trap 'exit 7' TERM; (sleep 0.1 &); while :; do sleep 0.05; done";
    line.extend([image.as_str(), "sh", "-c", script]);
    site.ok(&line)?;
    let first = site.ok(&["exec", "a", "cat", "/proc/1/cmdline"])?;
    ensure!(first.starts_with("/run/podman-init"), "{first:?}");
    crate::program::until("the orphan is reaped", PATIENCE, || {
        let zombies = site.ok(&[
            "exec",
            "a",
            "sh",
            "-c",
            "grep -l '^State:.Z' /proc/[0-9]*/status",
        ]);
        Ok(zombies.is_err().then_some(()))
    })?;
    site.ok(&["stop", "a"])?;
    let code = site.ok(&["inspect", "--format={{.State.ExitCode}}", "a"])?;
    ensure!(code == "7", "it ended with {code}");
    Ok(Passed)
}
