//! Images that mean harm: each container either starts unharmed or is refused, and the host's
//! files are as they were.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::{Outcome, cases};
use crate::fixture::{self, Layout};
use crate::program::Ended;

cases![
    etc_passwd_as_a_link_to_the_hosts,
    etc_group_as_a_link_to_the_hosts,
    dev_as_a_link_to_the_hosts,
    proc_as_a_link_to_the_hosts,
    sys_as_a_link_to_the_hosts,
    run_as_a_link_to_the_hosts,
    a_working_directory_in_proc_self_fd,
    a_volume_with_dots,
    a_volume_through_a_link,
    huge_labels_and_variables,
    users_with_absurd_numbers,
    a_mount_target_through_a_link,
];

const MARK: &str = "of the host\n";

struct Trap<'a> {
    site: Site<'a>,
    image: String,
    outside: std::path::PathBuf,
}

/// A busybox changed by `spoil`, and a directory outside that it must not reach.
fn trap<'a>(
    ground: &'a Ground,
    name: &str,
    config: Value,
    spoil: impl Fn(&Path, &Path) -> Result<()>,
) -> Result<Trap<'a>> {
    let site = ground.site()?;
    let outside = site.directory.join("outside");
    fs::create_dir_all(&outside)?;
    fs::write(outside.join("file"), MARK)?;
    let tree = site.directory.join("tree");
    fixture::busybox_tree(&tree)?;
    spoil(&tree, &outside)?;
    let mut layout = Layout::new(site.directory.join("layout"))?;
    layout.add_tree(&tree)?;
    let mut config = config;
    config["Env"]
        .as_array()
        .is_none()
        .then(|| config["Env"] = json!(["PATH=/bin"]));
    layout.finish(config)?;
    ground
        .registry
        .push(&layout.path, &format!("hostile/{name}:latest"))?;
    let image = ground.registry.name(&format!("hostile/{name}:latest"));
    site.ok(&["pull", "--quiet", "--tls-verify=false", &image])?;
    Ok(Trap {
        site,
        image,
        outside,
    })
}

impl Trap<'_> {
    fn run(&self, options: &[&str], script: &str) -> Result<Ended> {
        let mut line = vec!["run", "--rm", "--network=none"];
        line.extend(options);
        line.extend([self.image.as_str(), "sh", "-c", script]);
        self.site.minke().call(line)
    }

    /// Nothing outside was changed, and nothing is mounted there.
    fn unharmed(&self) -> Result<Outcome> {
        let names: Vec<_> = fs::read_dir(&self.outside)?
            .flatten()
            .map(|e| e.file_name())
            .collect();
        ensure!(names == ["file"], "outside there is {names:?}");
        ensure!(fs::read_to_string(self.outside.join("file"))? == MARK);
        let mounted = crate::scratch::mounts_below(&self.outside);
        ensure!(mounted.is_empty(), "{mounted:?}");
        Ok(Passed)
    }
}

fn replace_by_link(path: &Path, target: &Path) -> Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)?;
    } else {
        let _ = fs::remove_file(path);
    }
    Ok(symlink(target, path)?)
}

fn etc_passwd_as_a_link_to_the_hosts(ground: &Ground) -> Result<Outcome> {
    let trap = trap(
        ground,
        "passwd",
        json!({"User": "4242"}),
        |tree, outside| replace_by_link(&tree.join("etc/passwd"), &outside.join("file")),
    )?;
    let ended = trap.run(&[], "id -u; cat /etc/passwd")?;
    ensure!(!ended.stdout.contains(MARK.trim()), "{ended}");
    let named = trap.run(&["-u", "sailor"], "true")?;
    ensure!(named.code != 0, "{named}");
    trap.unharmed()
}

fn etc_group_as_a_link_to_the_hosts(ground: &Ground) -> Result<Outcome> {
    let trap = trap(
        ground,
        "group",
        json!({"User": "4242:4242"}),
        |tree, outside| replace_by_link(&tree.join("etc/group"), &outside.join("file")),
    )?;
    let ended = trap.run(&[], "cat /etc/group")?;
    ensure!(!ended.stdout.contains(MARK.trim()), "{ended}");
    trap.unharmed()
}

fn dev_as_a_link_to_the_hosts(ground: &Ground) -> Result<Outcome> {
    link_to_the_hosts(ground, "dev")
}

fn proc_as_a_link_to_the_hosts(ground: &Ground) -> Result<Outcome> {
    link_to_the_hosts(ground, "proc")
}

fn sys_as_a_link_to_the_hosts(ground: &Ground) -> Result<Outcome> {
    link_to_the_hosts(ground, "sys")
}

fn run_as_a_link_to_the_hosts(ground: &Ground) -> Result<Outcome> {
    link_to_the_hosts(ground, "run")
}

fn link_to_the_hosts(ground: &Ground, name: &str) -> Result<Outcome> {
    let trap = trap(ground, name, json!({}), |tree, outside| {
        replace_by_link(&tree.join(name), outside)
    })?;
    let ended = trap.run(
        &["--device=/dev/null:/dev/more"],
        "echo started; touch /dev/x /run/x",
    )?;
    ensure!(
        ended.code == 0 || !ended.stdout.contains("started"),
        "{ended}"
    );
    trap.unharmed()
}

fn a_working_directory_in_proc_self_fd(ground: &Ground) -> Result<Outcome> {
    for number in [3, 5, 7, 8, 9, 11] {
        let dir = format!("/proc/self/fd/{number}");
        let config = json!({"WorkingDir": dir});
        let trap = trap(ground, &format!("fd{number}"), config, |_, _| Ok(()))?;
        let ended = trap.run(
            &[],
            "ls ../../../../../../etc/hostname ../../../.. | head -3; pwd",
        )?;
        let reached = ended.stdout.contains("minke-xtask") || ended.stdout.contains("vmlinuz");
        ensure!(ended.code != 0 || !reached, "{ended}");
        let asked = trap.run(&["-w", &dir], "true")?;
        ensure!(asked.code != 0, "{asked}");
    }
    Ok(Passed)
}

fn a_volume_with_dots(ground: &Ground) -> Result<Outcome> {
    let config = json!({"Volumes": {"/a/../../../../../inside": {}, "../up": {}}});
    let trap = trap(ground, "dots", config, |_, _| Ok(()))?;
    let ended = trap.run(&[], "grep -c -E ' /(inside|up) ' /proc/mounts")?;
    ensure!(ended.stdout.trim() == "2", "{ended}");
    let root = self::trap(
        ground,
        "rootvolume",
        json!({"Volumes": {"/a/..": {}}}),
        |_, _| Ok(()),
    )?;
    let ended = root.run(&[], "true")?;
    ensure!(
        ended.code == 125 && ended.stderr.contains("its root"),
        "{ended}"
    );
    trap.unharmed()
}

fn a_volume_through_a_link(ground: &Ground) -> Result<Outcome> {
    let config = json!({"Volumes": {"/link/deep": {}, "/data": {}}});
    let trap = trap(ground, "volumelink", config, |tree, outside| {
        symlink(outside, tree.join("link"))?;
        Ok(symlink(outside, tree.join("data"))?)
    })?;
    let ended = trap.run(&[], "cat /data/file; touch /data/x /link/deep/x")?;
    ensure!(!ended.stdout.contains(MARK.trim()), "{ended}");
    trap.unharmed()
}

fn huge_labels_and_variables(ground: &Ground) -> Result<Outcome> {
    let long = "x".repeat(200_000);
    let labels: serde_json::Map<String, Value> = (0..2000)
        .map(|n| (format!("label{n}"), json!("y".repeat(100))))
        .collect();
    let config = json!({"Env": ["PATH=/bin", format!("LONG={long}")], "Labels": labels});
    let trap = trap(ground, "huge", config, |_, _| Ok(()))?;
    // The kernel takes no variable of more than 128 KiB: a plain refusal, and nothing left.
    let ended = trap.run(&[], "echo ${#LONG}")?;
    ensure!(ended.code != 0 && !ended.stderr.is_empty(), "{ended}");
    let ended = trap.run(&["--unsetenv=LONG"], "echo started")?;
    ensure!(ended.stdout.contains("started"), "{ended}");
    ensure!(trap.site.ok(&["ps", "-aq"])?.is_empty());
    trap.unharmed()
}

fn users_with_absurd_numbers(ground: &Ground) -> Result<Outcome> {
    for (index, user) in [
        "4294967295",
        "4294967296",
        "-1",
        "2147483648",
        "0:99999999999",
        "a:b:c",
        "root\n0",
    ]
    .into_iter()
    .enumerate()
    {
        let trap = trap(
            ground,
            &format!("user{index}"),
            json!({"User": user}),
            |_, _| Ok(()),
        )?;
        let ended = trap.run(&[], "id -u")?;
        ensure!(
            ended.code != 0 && !ended.stderr.is_empty(),
            "{user:?}: {ended}"
        );
    }
    Ok(Passed)
}

fn a_mount_target_through_a_link(ground: &Ground) -> Result<Outcome> {
    let trap = trap(ground, "target", json!({}), |tree, outside| {
        symlink(outside, tree.join("link"))?;
        fs::remove_dir_all(tree.join("home"))?;
        Ok(symlink("../../../../../../../..", tree.join("home"))?)
    })?;
    let source = trap.site.directory.join("source");
    fs::create_dir_all(&source)?;
    let mounts = [
        format!("-v={}:/link/x", source.display()),
        format!("-v={}:/home/new", source.display()),
        "--tmpfs=/link/t".to_owned(),
    ];
    let options: Vec<&str> = mounts.iter().map(String::as_str).collect();
    trap.run(&options, "touch /link/x/y /home/new/y")?;
    ensure!(!Path::new("/new").exists());
    trap.unharmed()
}
