//! User namespaces that a normal user gives his containers, beside podman's on the same store.

use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};

use super::Outcome::Passed;
use super::ground::Ground;
use super::rootless::{NAME, User};
use super::{Outcome, cases};
use crate::program::{Program, need};

cases![
    the_user_keeps_his_id,
    keep_id_may_name_other_ids,
    mappings_of_a_normal_user_are_what_was_asked,
    an_image_is_copied_once_for_a_mapping,
    files_of_a_mapped_container_come_out_with_the_ids_inside,
];

const MAPS: &str = "tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map";

impl User<'_> {
    fn podman(&self) -> Result<Program> {
        let podman = Program::new(need("podman")?)
            .globals(["--storage-driver=overlay", "--cgroup-manager=cgroupfs"])
            .env(
                "CONTAINERS_CONF",
                self.ground.directory().join("containers.conf"),
            );
        Ok(self.program(podman))
    }

    /// What a shell in a container says.
    fn says(&self, engine: &Program, options: &[&str], script: &str) -> Result<String> {
        let image = self.ground.image();
        let run = ["run", "--rm", "--network=none"];
        engine.ok([&run[..], options, &[&image, "sh", "-c", script]].concat())
    }
}

fn the_user_keeps_his_id(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let (minke, podman) = (user.minke(), user.podman()?);
    let shared = format!("-v={}:/shared", user.home.join("shared").display());
    let options = ["--userns=keep-id", &shared];
    let script = format!(
        "id -u; id -g; grep {NAME} /etc/passwd; grep {NAME} /etc/group; echo $HOME; pwd; \
         stat -c %u:%g /bin/busybox / /shared; {MAPS}"
    );
    let ours = user.says(&minke, &options, &script)?;
    let theirs = user.says(&podman, &options, &script)?;
    ensure!(ours == theirs, "{ours}\nis not\n{theirs}");
    ensure!(ours.starts_with(&format!("{}\n", user.uid)), "{ours}");
    user.says(&minke, &options, "echo mine > /shared/file")?;
    let made = fs::metadata(user.home.join("shared/file"))?;
    ensure!(made.uid() == user.uid, "it is {}'s", made.uid());
    // Root of the container is somebody else out there.
    let root = ["--userns=keep-id", "--user=0", &shared];
    user.says(&minke, &root, "touch /shared/other")?;
    let made = fs::metadata(user.home.join("shared/other"))?;
    ensure!(made.uid() >= 100_000, "it is {}'s", made.uid());
    // At home, where that is mounted.
    let home = format!("-v={0}:{0}", user.home.display());
    let options = ["--userns=keep-id", &home];
    let ours = user.says(&minke, &options, "echo $HOME")?;
    let theirs = user.says(&podman, &options, "echo $HOME")?;
    ensure!(
        ours == theirs && ours == user.home.display().to_string(),
        "{ours} {theirs}"
    );
    Ok(Passed)
}

fn keep_id_may_name_other_ids(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    let shared = format!("-v={}:/shared", user.home.join("shared").display());
    let mode = "--userns=keep-id:uid=55,gid=66,size=1000";
    let script = format!("id -u; id -g; touch /shared/file; stat -c %u:%g /shared/file; {MAPS}");
    let said = user.says(&minke, &[mode, &shared], &script)?;
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let expected = [
        "55",
        "66",
        "55:66",
        "0 1 55",
        "55 0 1",
        "56 56 945",
        "0 1 66",
        "66 0 1",
        "67 67 934",
    ];
    ensure!(lines == expected, "{said}");
    let made = fs::metadata(user.home.join("shared/file"))?;
    ensure!(made.uid() == user.uid, "it is {}'s", made.uid());
    Ok(Passed)
}

fn mappings_of_a_normal_user_are_what_was_asked(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    let own = format!("--uidmap=0:@{}:1", user.uid);
    let granted = fs::read_to_string("/etc/subuid")?;
    let first = granted
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{NAME}:"))?.split(':').next())
        .context("the user has no subordinate ids")?;
    let tenth = format!("--uidmap=0:@{}:3000", first.parse::<u32>()? + 10);
    let cases: &[(&[&str], &str)] = &[
        (&["--userns=nomap"], "0 1 65536"),
        (&["--userns=auto:size=1500"], "0 1 1500"),
        (&["--uidmap=0:100:3000"], "0 100 3000"),
        (&[&tenth], "0 11 3000"),
        (
            &["--uidmap=1:1:3000", &own, "--gidmap=0:0:3000"],
            "0 0 1 1 1 3000",
        ),
        (
            &["--uidmap=+5:0:1", "--gidmap=0:0:3000"],
            "1 1 4 5 0 1 6 6 65531",
        ),
        (&["--subuidname", NAME], "0 1 65536"),
    ];
    for (options, expected) in cases {
        let script = "cat /proc/self/uid_map; stat -c owner:%u /bin/busybox";
        // Without an id for root nobody could be root.
        let user_option = if expected.starts_with('1') {
            "--user=1"
        } else {
            "--user=0"
        };
        let options = [options, &[user_option][..]].concat();
        let said = user.says(&minke, &options, script);
        if expected.starts_with('1') {
            // The image's root has no id there.
            ensure!(said.is_err(), "{options:?}: {said:?}");
            continue;
        }
        let said = said.with_context(|| format!("{options:?}"))?;
        let words: Vec<&str> = said.split_whitespace().collect();
        ensure!(
            words.join(" ") == format!("{expected} owner:0"),
            "{options:?}: {said}"
        );
    }
    let foreign = minke.call([
        "create",
        "--network=none",
        "--uidmap=0:@5:1",
        &ground.image(),
        "true",
    ])?;
    ensure!(
        foreign.code == 125 && foreign.stderr.contains("/etc/subuid"),
        "{foreign}"
    );
    Ok(Passed)
}

fn an_image_is_copied_once_for_a_mapping(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let (minke, podman) = (user.minke(), user.podman()?);
    let store = user.home.join(".local/share/containers/storage");
    let mapped = || -> Result<usize> {
        let text = fs::read(store.join("overlay-images/images.json"))?;
        let images: serde_json::Value = serde_json::from_slice(&text)?;
        let layers = images[0]["mapped-layers"].as_array();
        Ok(layers.map_or(0, Vec::len))
    };
    ensure!(mapped()? == 0);
    for engine in [&minke, &podman, &minke] {
        user.says(engine, &["--userns=keep-id"], "true")?;
    }
    ensure!(mapped()? == 1, "{} copies", mapped()?);
    user.says(&minke, &["--userns=nomap"], "true")?;
    ensure!(mapped()? == 2, "{} copies", mapped()?);
    podman.ok(["rmi", &ground.image()])?;
    let left = fs::read_dir(store.join("overlay"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.len() == 64)
        .count();
    ensure!(left == 0, "{left} layers are left");
    Ok(Passed)
}

fn files_of_a_mapped_container_come_out_with_the_ids_inside(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    let image = ground.image();
    let script = "mkdir /made; touch /made/roots /made/sevens; chown 7:8 /made/sevens; sleep 1000";
    let run = [
        "run",
        "-d",
        "--name=c",
        "--network=none",
        "--userns=keep-id",
    ];
    minke.ok([&run[..], &["--user=0", &image, "sh", "-c", script]].concat())?;
    crate::program::until("the files are made", super::users::PATIENCE, || {
        let owner = minke.call(["exec", "c", "stat", "-c", "%u", "/made/sevens"])?;
        Ok((owner.stdout.trim() == "7").then_some(()))
    })?;
    let who = minke.ok(["exec", "--user", NAME, "c", "id", "-u"])?;
    ensure!(who == user.uid.to_string(), "exec is {who}");
    let changes = minke.ok(["diff", "c"])?;
    ensure!(
        !changes.contains("/bin") && changes.contains("A /made/sevens"),
        "{changes}"
    );
    minke.ok(["commit", "--quiet", "c", "localhost/mapped"])?;
    let stat = ["stat", "-c", "%u:%g", "/made/roots", "/made/sevens"];
    let plain = ["run", "--rm", "--network=none", "localhost/mapped"];
    let said = minke.ok([&plain[..], &stat].concat())?;
    ensure!(said == "0:0\n7:8", "committed: {said}");
    minke.ok(["export", "--output=out.tar", "c"])?;
    let tar = user.home.join("out.tar");
    let listed = Program::new("tar").ok(["--numeric-owner", "-tvf", &tar.display().to_string()])?;
    let line = listed.lines().find(|line| line.ends_with("made/sevens"));
    ensure!(
        line.is_some_and(|line| line.contains(" 7/8 ")),
        "exported: {line:?}"
    );
    Ok(Passed)
}
