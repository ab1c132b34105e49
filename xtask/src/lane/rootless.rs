//! A normal user: own store, user namespace, networks none and host.
//!
//! The user exists only in this world, whose `/etc` is a copy.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Outcome::Passed;
use super::ground::Ground;
use super::snapshot::processes;
use super::{Outcome, cases};
use crate::fixture;
use crate::program::{Program, need, until};

cases![
    containers_run_as_a_normal_user,
    detached_life_as_a_normal_user,
    health_and_restarts_as_a_normal_user,
    files_belong_to_the_user,
    files_come_and_go_as_a_normal_user,
    ids_come_from_subuid,
    podman_lists_what_the_user_pulled,
    refusals_as_a_normal_user,
];

const NAME: &str = "minke-sailor";

/// A throw-away user, with ids to map and a runtime directory.
struct User<'a> {
    ground: &'a Ground,
    uid: u32,
    home: PathBuf,
}

impl<'a> User<'a> {
    /// Makes the user, or takes it as an earlier case left it, with an empty home.
    fn new(ground: &'a Ground) -> Result<User<'a>> {
        let home = ground.directory().join("sailor");
        if uid_of(NAME)?.is_none() {
            Program::new(need("useradd")?).ok([
                "--home-dir",
                fixture::text(&home)?,
                "--no-create-home",
                "--shell=/bin/sh",
                NAME,
            ])?;
            give_subordinate_ids()?;
        }
        let uid = uid_of(NAME)?.context("useradd made no user")?;
        for directory in [home.clone(), home.join("run"), home.join("shared")] {
            fs::create_dir_all(&directory)?;
            fs::set_permissions(&directory, PermissionsExt::from_mode(0o700))?;
            chown(&directory, Some(uid), Some(uid))?;
        }
        Ok(User { ground, uid, home })
    }

    fn program(&self, program: Program) -> Program {
        program
            .user(self.uid, self.uid, &self.home)
            .env("HOME", &self.home)
            .env("USER", NAME)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("XDG_RUNTIME_DIR", self.home.join("run"))
    }

    /// minke with the default stores of this user.
    fn minke(&self) -> Program {
        self.program(Program::new(&self.ground.binaries.minke))
    }

    fn pull(&self) -> Result<()> {
        self.minke()
            .ok([
                "pull",
                "--quiet",
                "--tls-verify=false",
                &self.ground.image(),
            ])
            .map(drop)
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let _ = self.minke().call(["rm", "--all", "--force", "--time", "0"]);
        for (pid, _) in processes().unwrap_or_default() {
            let theirs =
                fs::metadata(format!("/proc/{pid}")).is_ok_and(|data| data.uid() == self.uid);
            if theirs {
                let _ = Program::new("/bin/kill").call(["-9", &pid.to_string()]);
            }
        }
        for mount in crate::scratch::mounts_below(&self.home).iter().rev() {
            let _ = Program::new("umount").call(["-l".as_ref(), mount.as_os_str()]);
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

fn uid_of(name: &str) -> Result<Option<u32>> {
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:x:")));
    Ok(line
        .and_then(|rest| rest.split(':').next())
        .and_then(|uid| uid.parse().ok()))
}

/// useradd gives them only where login.defs says so.
fn give_subordinate_ids() -> Result<()> {
    for file in ["/etc/subuid", "/etc/subgid"] {
        let mut text = fs::read_to_string(file).unwrap_or_default();
        if !text.contains(&format!("{NAME}:")) {
            text.push_str(&format!("{NAME}:200000:65536\n"));
            fs::write(file, text)?;
        }
    }
    Ok(())
}

fn containers_run_as_a_normal_user(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    for network in ["--network=none", "--network=host"] {
        let run = |command: &[&str]| {
            user.minke()
                .ok([&["run", "--rm", network, &ground.image()], command].concat())
        };
        ensure!(
            run(&["id", "-u"])? == "0",
            "process 1 is not root in its own namespace"
        );
        ensure!(run(&["cat", "/www/index.html"])? == fixture::GREETING.trim_end());
        let ended = user.minke().call([
            "run",
            "--rm",
            network,
            &ground.image(),
            "sh",
            "-c",
            "exit 6",
        ])?;
        ensure!(ended.code == 6, "{ended}");
    }
    Ok(Passed)
}

fn detached_life_as_a_normal_user(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    minke.ok([
        "run",
        "-d",
        "--name",
        "long",
        "--network=none",
        &ground.image(),
    ])?;
    ensure!(minke.ok(["ps"])?.contains("long"));
    ensure!(minke.ok(["exec", "long", "cat", "/proc/1/comm"])? == "serve");
    let logs = minke.call(["logs", "long"])?;
    ensure!(logs.stdout.contains("serving /www"), "{logs}");
    minke.ok(["stop", "long"])?;
    minke.ok(["rm", "long"])?;
    ensure!(minke.ok(["ps", "-a", "-q"])?.is_empty());
    Ok(Passed)
}

/// The monitor's work needs no privilege: checks, a restart by policy, readiness of a second life.
fn health_and_restarts_as_a_normal_user(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    let check = r#"["CMD","cat","/proc/1/comm"]"#;
    let flags = ["run", "-d", "--name", "well", "--network=none"];
    let policy = ["--restart=always", "--health-cmd", check];
    let interval = ["--health-interval=200ms", &ground.image()];
    minke.ok([&flags[..], &policy, &interval].concat())?;
    let healthy = ["wait", "--condition=healthy", "well"];
    minke.ok(healthy)?;
    let pid = minke.ok(["inspect", "--format={{.State.Pid}}", "well"])?;
    ensure!(pid.parse::<u32>()? > 1, "it does not run: {pid}");
    Program::new("/bin/kill").ok(["-9", &pid])?;
    until("it was started again", Duration::from_secs(20), || {
        let count = minke.ok(["inspect", "--format={{.RestartCount}}", "well"])?;
        Ok((count == "1").then_some(()))
    })?;
    minke.ok(healthy)?;
    minke.ok(["rm", "--force", "--time=0", "well"])?;
    Ok(Passed)
}

fn files_belong_to_the_user(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let shared = user.home.join("shared");
    let volume = format!("{}:/shared", shared.display());
    let run = [
        "run",
        "--rm",
        "--network=none",
        "-v",
        &volume,
        &ground.image(),
        "touch",
        "/shared/file",
    ];
    user.minke().ok(run)?;
    let owner = fs::metadata(shared.join("file"))?.uid();
    ensure!(
        owner == user.uid,
        "root of the container is {owner} outside, not {}",
        user.uid
    );
    let store = user.home.join(".local/share/containers/storage");
    ensure!(store.is_dir(), "the store is not below the home directory");
    Ok(Passed)
}

fn files_come_and_go_as_a_normal_user(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    let image = ground.image();
    let file = user.home.join("file");
    fs::write(&file, "mine")?;
    chown(&file, Some(user.uid), Some(user.uid))?;
    let run = [
        "run",
        "-d",
        "--name=files",
        "--network=none",
        "-v=kept:/kept",
    ];
    minke.ok([&run[..], &[&image, "sleep", "1000"]].concat())?;
    minke.ok(["cp", "file", "files:/tmp/file"])?;
    ensure!(minke.ok(["exec", "files", "cat", "/tmp/file"])? == "mine");
    minke.ok(["cp", "files:/www", "out"])?;
    let copied = fs::metadata(user.home.join("out/index.html"))?;
    ensure!(copied.uid() == user.uid, "it belongs to {}", copied.uid());
    let changes = minke.ok(["diff", "files"])?;
    ensure!(changes.contains("A /tmp/file"), "{changes}");
    minke.ok(["export", "--output=out.tar", "files"])?;
    let listed = Program::new("tar").ok(["-tf".as_ref(), user.home.join("out.tar").as_os_str()])?;
    ensure!(listed.lines().any(|line| line == "tmp/file"), "{listed}");
    minke.ok(["commit", "--quiet", "files", "made"])?;
    let run = ["run", "--rm", "--network=none", "made", "cat", "/tmp/file"];
    ensure!(minke.ok(run)? == "mine");
    minke.ok(["stop", "--time=0", "files"])?;
    minke.ok(["cp", "file", "files:/kept/file"])?;
    minke.ok(["cp", "files:/kept/file", "back"])?;
    ensure!(fs::read_to_string(user.home.join("back"))? == "mine");
    minke.refuses(
        &["mount", "files"],
        125,
        &["cannot run command \"minke mount\" in rootless mode"],
    )?;
    Ok(Passed)
}

fn ids_come_from_subuid(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let map = user.minke().ok([
        "run",
        "--rm",
        "--network=none",
        &ground.image(),
        "cat",
        "/proc/self/uid_map",
    ])?;
    let rows: Vec<Vec<&str>> = map
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    ensure!(
        rows.len() == 2 && rows[0][2] == "1",
        "unexpected map:\n{map}"
    );
    let said = user.minke().ok([
        "run",
        "--rm",
        "--network=none",
        "-u",
        "sailor",
        &ground.image(),
        "id",
        "-u",
    ])?;
    ensure!(said == "1000", "a second user of the container is {said:?}");
    Ok(Passed)
}

fn podman_lists_what_the_user_pulled(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let podman = Program::new(need("podman")?)
        .globals(["--storage-driver=overlay", "--cgroup-manager=cgroupfs"])
        .env(
            "CONTAINERS_CONF",
            ground.directory().join("containers.conf"),
        );
    let listed = user
        .program(podman)
        .ok(["images", "--format", "{{.Repository}}:{{.Tag}}"])?;
    ensure!(listed == ground.image(), "podman lists {listed:?}");
    Ok(Passed)
}

fn refusals_as_a_normal_user(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let run = [
        "run",
        "--rm",
        "--network=none",
        &ground.image(),
        "no-such-command",
    ];
    user.minke().refuses(&run, 127, &["no-such-command"])?;
    user.minke()
        .refuses(&["stop", "nobody"], 125, &["no such container"])?;
    ensure!(user.minke().ok(["ps", "-a", "-q"])?.is_empty());
    Ok(Passed)
}
