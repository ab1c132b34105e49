//! A normal user: own store, user namespace, networks none, host, pasta and slirp4netns.
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
    unshare_shows_files_as_containers_see_them,
    pasta_carries_the_network,
    slirp4netns_carries_the_network,
    a_killed_pasta_is_replaced_by_a_start,
];

pub const NAME: &str = "minke-sailor";

/// A throw-away user, with ids to map and a runtime directory.
pub struct User<'a> {
    pub ground: &'a Ground,
    pub uid: u32,
    pub home: PathBuf,
}

impl<'a> User<'a> {
    /// Makes the user, or takes it as an earlier case left it, with an empty home.
    pub fn new(ground: &'a Ground) -> Result<User<'a>> {
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
        connect_world()?;
        for directory in [home.clone(), home.join("run"), home.join("shared")] {
            fs::create_dir_all(&directory)?;
            fs::set_permissions(&directory, PermissionsExt::from_mode(0o700))?;
            chown(&directory, Some(uid), Some(uid))?;
        }
        Ok(User { ground, uid, home })
    }

    /// `program` as this user runs it.
    pub fn program(&self, program: Program) -> Program {
        program
            .user(self.uid, self.uid, &self.home)
            .env("HOME", &self.home)
            .env("USER", NAME)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("XDG_RUNTIME_DIR", self.home.join("run"))
    }

    /// minke with the default stores of this user.
    pub fn minke(&self) -> Program {
        self.program(Program::new(&self.ground.binaries.minke))
    }

    /// Pulls the web image into the user's store.
    pub fn pull(&self) -> Result<()> {
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

/// An address of this world towards the outside, and one out there (documentation's own).
const WORLD: &str = "198.51.100.2";
const OUTSIDE: &str = "198.51.100.1";

/// Gives the world an outside, with a default route to it: pasta copies the host's addresses, and
/// this world has but a loopback device. Out there a web server answers `outside`.
fn connect_world() -> Result<()> {
    let ip = Program::new(need("ip")?);
    if ip.call(["link", "show", "outward"])?.code == 0 {
        return Ok(());
    }
    let call = |line: &str| ip.ok(line.split(' ')).map(drop);
    call("netns add outside")?;
    call("link add outward type veth peer name inward netns outside")?;
    call(&format!("addr add {WORLD}/24 dev outward"))?;
    call("link set outward up")?;
    call("-n outside link set lo up")?;
    call("-n outside link set inward up")?;
    call(&format!("-n outside addr add {OUTSIDE}/24 dev inward"))?;
    call(&format!("route add default via {OUTSIDE}"))?;
    let site = std::env::temp_dir().join("outside");
    fs::create_dir_all(&site)?;
    fs::write(site.join("index.html"), "outside\n")?;
    let serve = format!(
        "netns exec outside busybox httpd -p {OUTSIDE}:80 -h {}",
        fixture::text(&site)?
    );
    call(&serve)
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

/// The network of a normal user as `mode` makes it: a published port, the way out, names, the
/// host's closed loopback, and an end that leaves nothing.
fn network(ground: &Ground, mode: &str, nameserver: &str) -> Result<()> {
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    let network = format!("--network={mode}");
    let run = ["run", "-d", "--name=net", "-p=127.0.0.1:8081:80", &network];
    minke.ok([&run[..], &[&ground.image()]].concat())?;
    let curl = user.program(Program::new(need("curl")?));
    until("the published port answers", PATIENCE, || {
        let answer = curl.call(["-sf", "http://127.0.0.1:8081/"])?;
        Ok((answer.stdout == fixture::GREETING).then_some(()))
    })?;
    let exec = |command: &[&str]| minke.call([&["exec", "net"], command].concat());
    let get = get_by_nc(OUTSIDE, 80);
    let got = exec(&["sh", "-c", &get])?;
    ensure!(got.stdout.ends_with("outside\n"), "the outside: {got}");
    let names = exec(&["cat", "/etc/resolv.conf"])?;
    let first = names
        .stdout
        .lines()
        .find(|line| line.starts_with("nameserver"));
    ensure!(
        first == Some(&format!("nameserver {nameserver}")),
        "{names}"
    );
    let shown = minke.ok(["inspect", "--format={{.HostConfig.NetworkMode}}", "net"])?;
    ensure!(shown == mode, "its mode is {shown}");
    minke.ok(["restart", "--time=5", "net"])?;
    until("the port answers again", PATIENCE, || {
        let answer = curl.call(["-sf", "http://127.0.0.1:8081/"])?;
        Ok((answer.code == 0).then_some(()))
    })?;
    minke.ok(["rm", "--force", "--time=0", "net"])?;
    nobody_carries(&user)?;
    let answer = curl.call(["-sf", "http://127.0.0.1:8081/"])?;
    ensure!(answer.code == 7, "somebody still listens: {answer}");
    Ok(())
}

/// Asks a web server in the shell of a container; busybox's wget wants libraries for names. What is
/// sent ends late: pasta of 2023 does not carry a connection that is half closed.
fn get_by_nc(address: &str, port: u16) -> String {
    format!(r"{{ printf 'GET / HTTP/1.0\r\n\r\n'; sleep 1; }} | timeout 5 nc {address} {port}")
}

const PATIENCE: Duration = Duration::from_secs(20);

/// No program carries a network of the user's any more.
fn nobody_carries(user: &User<'_>) -> Result<()> {
    until("pasta and slirp4netns are gone", PATIENCE, || {
        let left = carriers(user)?;
        Ok(left.is_empty().then_some(()))
    })
}

fn carriers(user: &User<'_>) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for (pid, _) in processes()? {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let named = name.starts_with("pasta") || name.starts_with("slirp4netns");
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let theirs = fs::metadata(&process).is_ok_and(|data| data.uid() == user.uid);
        if named && !line.is_empty() && theirs {
            found.push(pid.to_string().parse()?);
        }
    }
    Ok(found)
}

fn pasta_carries_the_network(ground: &Ground) -> Result<Outcome> {
    if crate::program::find("pasta").is_none() {
        return Ok(Outcome::Skipped("pasta is not installed".into()));
    }
    network(ground, "pasta", "169.254.1.1")?;
    let user = User::new(ground)?;
    user.pull()?;
    // A port of the host's loopback, opened to the container by name only.
    let site = user.home.join("shared");
    fs::write(site.join("index.html"), "loopback")?;
    let port = "127.0.0.1:8082";
    Program::new(need("busybox")?).ok(["httpd", "-p", port, "-h", fixture::text(&site)?])?;
    let get = |network: &str| {
        let run = ["run", "--rm", network, &ground.image()];
        let get = get_by_nc("127.0.0.1", 8082);
        user.minke().call([&run[..], &["sh", "-c", &get]].concat())
    };
    let open = get("--network=pasta:-T,8082")?;
    ensure!(open.stdout.ends_with("loopback"), "{open}");
    let closed = get("--network=pasta")?;
    ensure!(
        closed.code != 0 && closed.stdout.is_empty(),
        "the host's loopback is open: {closed}"
    );
    nobody_carries(&user)?;
    Ok(Passed)
}

fn slirp4netns_carries_the_network(ground: &Ground) -> Result<Outcome> {
    if crate::program::find("slirp4netns").is_none() {
        return Ok(Outcome::Skipped("slirp4netns is not installed".into()));
    }
    network(ground, "slirp4netns", "10.0.2.3")?;
    let user = User::new(ground)?;
    user.pull()?;
    let run = ["run", "--rm", "--network=slirp4netns:speed=9"];
    let image = ground.image();
    let line = [&run[..], &[&image, "true"]].concat();
    user.minke()
        .refuses(&line, 126, &["speed=9", "no such option"])?;
    nobody_carries(&user)?;
    Ok(Passed)
}

fn a_killed_pasta_is_replaced_by_a_start(ground: &Ground) -> Result<Outcome> {
    if crate::program::find("pasta").is_none() {
        return Ok(Outcome::Skipped("pasta is not installed".into()));
    }
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    minke.ok(["run", "-d", "--name=net", "-p=8083:80", &ground.image()])?;
    for pid in carriers(&user)? {
        Program::new("/bin/kill").ok(["-9", &pid.to_string()])?;
    }
    minke.ok(["restart", "--time=5", "net"])?;
    let curl = user.program(Program::new(need("curl")?));
    until("the port answers again", PATIENCE, || {
        let answer = curl.call(["-sf", "http://127.0.0.1:8083/"])?;
        Ok((answer.code == 0).then_some(()))
    })?;
    minke.ok(["rm", "--force", "--time=0", "net"])?;
    nobody_carries(&user)?;
    Ok(Passed)
}

fn unshare_shows_files_as_containers_see_them(ground: &Ground) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    let minke = user.minke();
    let inside = minke.ok(["unshare", "id", "-u"])?;
    ensure!(inside == "0", "{inside} is not root inside");
    minke.ok(["create", "--name", "seen", &ground.image()])?;
    minke.refuses(
        &["mount", "seen"],
        125,
        &["must execute `minke unshare` first"],
    )?;
    let program = fixture::text(&ground.binaries.minke)?;
    let script = format!("cat \"$({program} mount seen)/www/index.html\"");
    let page = minke.ok(["unshare", "sh", "-c", &script])?;
    ensure!(page == fixture::GREETING.trim_end(), "{page:?}");
    minke.refuses(&["unshare", "sh", "-c", "exit 9"], 9, &[])?;
    minke.refuses(&["unshare", "no-such-command"], 127, &["no-such-command"])?;
    minke.refuses(
        &["unshare", "--rootless-netns", "true"],
        125,
        &["rootless-netns"],
    )?;
    let site = ground.site()?;
    let root = site.minke();
    root.refuses(
        &["unshare", "true"],
        125,
        &["please use unshare with rootless"],
    )?;
    Ok(Passed)
}
