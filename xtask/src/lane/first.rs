//! minke alone: what the README shows, and what each option does.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::{Outcome, cases};
use crate::fixture;
use crate::program::until;
use crate::quickstart::answer;
use crate::registry::free_port;

cases![
    hello_needs_no_registry,
    web_server_is_published_listed_logged_and_stopped,
    options_reach_the_container,
    exit_codes_are_the_process_own,
    stdin_reaches_the_container,
    exec_joins_a_running_container,
    logs_follow_until_the_end,
    start_attach_and_wait,
    inspect_tells_what_was_asked_for,
    saved_images_load_again,
];

fn hello_needs_no_registry(ground: &Ground) -> Result<Outcome> {
    let site = ground.site()?;
    let said = site.ok(&["run", "--rm", "minke/hello"])?;
    ensure!(said.to_lowercase().contains("hello"), "it said {said:?}");
    let left = site.ok(&["ps", "-a", "-q"])?;
    ensure!(left.is_empty(), "left: {left}");
    Ok(Passed)
}

fn web_server_is_published_listed_logged_and_stopped(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let port = free_port()?;
    let publish = format!("127.0.0.1:{port}:80");
    site.ok(&["run", "-d", "--name", "web", "-p", &publish, &site.image()])?;
    let url = format!("http://127.0.0.1:{port}/");
    ensure!(answer(&url)? == fixture::GREETING);
    let listed = site.ok(&["ps"])?;
    ensure!(
        listed.contains("web") && listed.contains(&format!("127.0.0.1:{port}->80/tcp")),
        "{listed}"
    );
    let logs = site.minke().call(["logs", "web"])?;
    ensure!(logs.stdout.contains("serving /www"), "{logs}");
    site.ok(&["stop", "web"])?;
    let listed = site.ok(&["ps", "-a"])?;
    ensure!(listed.contains("Exited (0)"), "{listed}");
    site.ok(&["rm", "web"])?;
    site.ok(&["rmi", &site.image()])?;
    ensure!(site.ok(&["images", "-q"])?.is_empty());
    Ok(Passed)
}

/// Options of `run`, a command in the image, and what it must print.
const OPTIONS: &[(&[&str], &[&str], &str)] = &[
    (&[], &["echo", "a b", "c"], "a b c"),
    (&[], &["pwd"], "/www"),
    (&[], &["sh", "-c", "echo $GREETING"], "hello"),
    (
        &["-e", "GREETING=ahoy"],
        &["sh", "-c", "echo $GREETING"],
        "ahoy",
    ),
    (&["-w", "/tmp"], &["pwd"], "/tmp"),
    (&["-u", "sailor"], &["id", "-un"], "sailor"),
    (
        &["-u", "1000:2000"],
        &["id"],
        "uid=1000(sailor) gid=2000(harbour) groups=2000(harbour)",
    ),
    (&["--hostname", "boat"], &["hostname"], "boat"),
    (&["--entrypoint", "echo"], &["instead"], "instead"),
    (
        &["--read-only"],
        &["sh", "-c", "touch /file 2>/dev/null || echo kept"],
        "kept",
    ),
    (
        &["--cap-drop", "all"],
        &["sh", "-c", "grep CapEff /proc/self/status"],
        "CapEff:\t0000000000000000",
    ),
    (
        &["--cap-drop", "all", "--cap-add", "CHOWN"],
        &["sh", "-c", "grep CapEff /proc/self/status"],
        "CapEff:\t0000000000000001",
    ),
    (
        &[],
        &["sh", "-c", "grep Seccomp: /proc/self/status"],
        "Seccomp:\t2",
    ),
    (
        &["--security-opt", "seccomp=unconfined"],
        &["sh", "-c", "grep Seccomp: /proc/self/status"],
        "Seccomp:\t0",
    ),
    (
        &["--security-opt", "no-new-privileges"],
        &["sh", "-c", "grep NoNewPrivs /proc/self/status"],
        "NoNewPrivs:\t1",
    ),
    (&[], &["sh", "-c", "echo $$"], "1"),
    (
        &["--network", "none"],
        &["sh", "-c", "ls /sys/class/net"],
        "lo",
    ),
    (
        &["-t"],
        &["sh", "-c", "test -t 0 && test -t 1 && echo terminal"],
        "terminal",
    ),
    (
        &["--tmpfs", "/scratch"],
        &["sh", "-c", "grep -c ' /scratch tmpfs' /proc/mounts"],
        "1",
    ),
];

fn options_reach_the_container(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let image = site.image();
    let mut wrong = Vec::new();
    for (options, command, expected) in OPTIONS {
        let network: &[&str] = if options.contains(&"--network") {
            &[]
        } else {
            &["--network=none"]
        };
        let arguments = [&["run", "--rm"], network, options, &[&image], command].concat();
        match site.ok(&arguments) {
            Ok(said) if said.trim() == *expected => {}
            Ok(said) => wrong.push(format!(
                "{options:?} {command:?} printed {said:?}, not {expected:?}"
            )),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    bind_mounts(&site)?;
    Ok(Passed)
}

fn bind_mounts(site: &Site<'_>) -> Result<()> {
    let shared = site.directory.join("shared");
    fs::create_dir_all(&shared)?;
    let volume = format!("{}:/shared", shared.display());
    let image = site.image();
    let run = ["run", "--rm", "--network=none", "-v"];
    site.ok(&[
        &run[..],
        &[&volume, &image, "sh", "-c", "echo cargo > /shared/hold"],
    ]
    .concat())?;
    ensure!(fs::read_to_string(shared.join("hold"))? == "cargo\n");
    let volume = format!("{volume}:ro");
    let said = site.ok(&[
        &run[..],
        &[
            &volume,
            &image,
            "sh",
            "-c",
            "rm /shared/hold 2>/dev/null || echo kept",
        ],
    ]
    .concat())?;
    ensure!(
        said == "kept",
        "a read-only volume let a file be removed: {said:?}"
    );
    Ok(())
}

fn exit_codes_are_the_process_own(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let image = site.image();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exec sleep nonsense", 1)] {
        let ended =
            site.minke()
                .call(["run", "--rm", "--network=none", &image, "sh", "-c", script])?;
        ensure!(ended.code == code, "exit code {code} expected; {ended}");
    }
    Ok(Passed)
}

fn stdin_reaches_the_container(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let text = "line\n".repeat(40_000);
    let ended = site.minke().call_with_input(
        &["run", "--rm", "-i", "--network=none", &site.image(), "cat"],
        text.as_bytes(),
    )?;
    ensure!(
        ended.code == 0 && ended.stdout == text,
        "{} of {} bytes",
        ended.stdout.len(),
        text.len()
    );
    Ok(Passed)
}

fn exec_joins_a_running_container(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    site.ok(&[
        "run",
        "-d",
        "--name",
        "host",
        "--network=none",
        &site.image(),
        "sleep",
        "600",
    ])?;
    ensure!(site.ok(&["exec", "host", "cat", "/proc/1/comm"])? == "sleep");
    ensure!(
        site.ok(&[
            "exec",
            "-e",
            "A=b",
            "-u",
            "sailor",
            "host",
            "sh",
            "-c",
            "echo $A; id -u"
        ])? == "b\n1000"
    );
    let ended = site
        .minke()
        .call_with_input(&["exec", "-i", "host", "wc", "-c"], b"12345")?;
    ensure!(ended.stdout.trim() == "5", "{ended}");
    ensure!(
        site.minke()
            .call(["exec", "host", "sh", "-c", "exit 9"])?
            .code
            == 9
    );
    site.minke().refuses(
        &["exec", "host", "no-such-command"],
        127,
        &["no-such-command"],
    )?;
    site.ok(&["kill", "host"])?;
    until("the container is gone", Duration::from_secs(10), || {
        Ok(site.ok(&["ps", "-q"])?.is_empty().then_some(()))
    })?;
    site.minke().refuses(
        &["exec", "host", "true"],
        255,
        &["container state improper"],
    )?;
    Ok(Passed)
}

fn logs_follow_until_the_end(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let script = "for n in 1 2 3 4 5; do echo line $n; echo error $n >&2; sleep 0.1; done";
    site.ok(&[
        "run",
        "-d",
        "--name",
        "talker",
        "--network=none",
        &site.image(),
        "sh",
        "-c",
        script,
    ])?;
    let followed = site.minke().call(["logs", "-f", "talker"])?;
    ensure!(
        followed.code == 0 && followed.stdout == "line 1\nline 2\nline 3\nline 4\nline 5\n",
        "{followed}"
    );
    ensure!(followed.stderr.matches("error").count() == 5, "{followed}");
    let again = site.minke().call(["logs", "talker"])?;
    ensure!(
        again.stdout == followed.stdout && again.stderr == followed.stderr,
        "{again}"
    );
    Ok(Passed)
}

fn start_attach_and_wait(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    site.ok(&[
        "create",
        "--name",
        "once",
        "--network=none",
        &site.image(),
        "sh",
        "-c",
        "echo ran; exit 3",
    ])?;
    for _ in 0..2 {
        let ended = site.minke().call(["start", "-a", "once"])?;
        ensure!(ended.code == 3 && ended.stdout == "ran\n", "{ended}");
    }
    ensure!(site.ok(&["wait", "once"])? == "3");
    Ok(Passed)
}

fn inspect_tells_what_was_asked_for(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    let id = site.ok(&[
        "create",
        "--name",
        "box",
        "--hostname",
        "boat",
        "--network=none",
        &site.image(),
        "true",
    ])?;
    let text = site.ok(&["inspect", "box"])?;
    let value: Value = serde_json::from_str(&text)?;
    let container = &value[0];
    ensure!(
        container["Id"] == *id && container["Name"] == "box",
        "{text}"
    );
    ensure!(
        container["State"]["Status"] == "created",
        "{}",
        container["State"]
    );
    ensure!(
        container["Config"]["Hostname"] == "boat",
        "{}",
        container["Config"]
    );
    let image: Value = serde_json::from_str(&site.ok(&["inspect", &site.image()])?)?;
    ensure!(
        image[0]["Config"]["Labels"]["maker"] == "xtask",
        "{}",
        image[0]
    );
    Ok(Passed)
}

fn saved_images_load_again(ground: &Ground) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    for format in ["docker-archive", "oci-archive"] {
        let file = site.directory.join(format);
        let file = fixture::text(&file)?;
        site.ok(&["save", "--format", format, "-o", file, &site.image()])?;
        site.ok(&["rmi", &site.image()])?;
        site.ok(&["load", "-i", file])?;
        ensure!(
            site.ok(&[
                "run",
                "--rm",
                "--network=none",
                &site.image(),
                "echo",
                "back"
            ])? == "back"
        );
    }
    Ok(Passed)
}
