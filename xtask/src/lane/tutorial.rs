//! The command lines tutorials teach, typed at a shell where `docker` and `podman` are minke.
//!
//! A tour is a list of steps in the order a reader would type them. Every tour is made as root on a
//! store of its own and as a normal user, and tells all steps that went wrong, not only the first.

mod life; // one container from its start to its end
mod lists; // many containers at once
mod options; // what `run` takes

use anyhow::{Result, ensure};

use super::Outcome::Passed;
use super::ground::{Ground, Site};
use super::rootless::User;
use super::{Outcome, cases};
use crate::fixture;
use crate::program::{Ended, Program};

cases![
    life_as_root,
    life_as_a_normal_user,
    options_as_root,
    options_as_a_normal_user,
    lists_as_root,
    lists_as_a_normal_user,
    there_are_a_hundred_commands,
];

/// What everybody's tutorial calls the image.
const NAMES: [&str; 3] = [
    "docker.io/library/nginx:latest",
    "docker.io/library/busybox:latest",
    "docker.io/library/alpine:latest",
];

/// The shell's start: both names, and waiting for what takes a moment. A binary for development
/// wants the host's libraries where it is a container's init; a released one is static.
const PRELUDE: &str = r#"
docker() { "$MINKE" $MINKE_GLOBALS "$@"; }
podman() { "$MINKE" $MINKE_GLOBALS "$@"; }
retry() { n=0; until "$@"; do n=$((n+1)); [ $n -lt 100 ] || return 1; sleep 0.1; done; }
LIBRARIES='-v /lib:/lib:ro -v /lib64:/lib64:ro -v /usr/lib:/usr/lib:ro'
"#;

/// Who types a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Everybody,
    /// What needs cgroups or the bridge.
    Root,
    /// How a normal user is refused.
    User,
}

/// What a step must print.
#[derive(Debug, Clone, Copy)]
enum Shows {
    /// Exactly this on stdout, but for the space around it.
    Exactly(&'static str),
    /// All of these, on stdout or stderr.
    All(&'static [&'static str]),
}

/// A line of a tutorial, and what follows from it.
#[derive(Debug, Clone, Copy)]
struct Step {
    line: &'static str,
    code: i32,
    shows: Shows,
    who: Who,
}

/// A line that succeeds and prints this.
const fn is(line: &'static str, text: &'static str) -> Step {
    step(line, 0, Shows::Exactly(text))
}

/// A line that succeeds and prints all of these.
const fn has(line: &'static str, fragments: &'static [&'static str]) -> Step {
    step(line, 0, Shows::All(fragments))
}

/// A line that fails with this code and prints all of these.
const fn fails(line: &'static str, code: i32, fragments: &'static [&'static str]) -> Step {
    step(line, code, Shows::All(fragments))
}

const fn step(line: &'static str, code: i32, shows: Shows) -> Step {
    Step {
        line,
        code,
        shows,
        who: Who::Everybody,
    }
}

impl Step {
    const fn only(mut self, who: Who) -> Step {
        self.who = who;
        self
    }

    /// Why what happened is wrong, if it is.
    fn fault(&self, ended: &Ended) -> Option<String> {
        if ended.code != self.code {
            return Some(format!("exit code {} expected", self.code));
        }
        match self.shows {
            Shows::Exactly(text) => {
                (ended.stdout.trim() != text).then(|| format!("{text:?} expected"))
            }
            Shows::All(fragments) => fragments
                .iter()
                .find(|fragment| {
                    !ended.stdout.contains(**fragment) && !ended.stderr.contains(**fragment)
                })
                .map(|fragment| format!("{fragment:?} is not in it")),
        }
    }
}

/// Makes a tour; `shell` is a timeout(1) that starts one. A step that hangs fails with 124.
fn walk(tour: &[Step], who: Who, shell: &Program) -> Result<Outcome> {
    let mut faults = Vec::new();
    let steps = tour
        .iter()
        .filter(|step| step.who == Who::Everybody || step.who == who);
    for step in steps {
        let script = format!("{PRELUDE}{}", step.line);
        let ended = shell.call(["30", "/bin/sh", "-c", &script])?;
        if let Some(fault) = step.fault(&ended) {
            faults.push(format!(
                "$ {}\n  {fault}; code {}\n  stdout: {}\n  stderr: {}",
                step.line,
                ended.code,
                ended.stdout.trim_end(),
                ended.stderr.trim_end()
            ));
        }
    }
    ensure!(
        faults.is_empty(),
        "{} of {} steps:\n{}",
        faults.len(),
        tour.len(),
        faults.join("\n")
    );
    Ok(Passed)
}

fn as_root(ground: &Ground, tour: &[Step]) -> Result<Outcome> {
    let site = ground.site_with_image()?;
    for name in NAMES {
        site.ok(&["tag", &site.image(), name])?;
    }
    walk(tour, Who::Root, &root_shell(&site)?)
}

/// A shell in the directory of the site.
fn root_shell(site: &Site<'_>) -> Result<Program> {
    let directory = &site.directory;
    let home = directory.join("home");
    std::fs::create_dir_all(&home)?;
    let globals = format!(
        "--root={0}/root --runroot={0}/runroot --network-config-dir={0}/networks",
        fixture::text(directory)?
    );
    Ok(Program::new("timeout")
        .user(0, 0, &home)
        .env("HOME", &home)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("MINKE", &site.ground.binaries.minke)
        .env("MINKE_GLOBALS", globals))
}

fn as_a_normal_user(ground: &Ground, tour: &[Step]) -> Result<Outcome> {
    let user = User::new(ground)?;
    user.pull()?;
    for name in NAMES {
        user.minke().ok(["tag", &ground.image(), name])?;
    }
    let shell = user
        .program(Program::new("timeout"))
        .env("MINKE", &ground.binaries.minke)
        .env("MINKE_GLOBALS", "");
    walk(tour, Who::User, &shell)
}

fn life_as_root(ground: &Ground) -> Result<Outcome> {
    as_root(ground, life::TOUR)
}

fn life_as_a_normal_user(ground: &Ground) -> Result<Outcome> {
    as_a_normal_user(ground, life::TOUR)
}

fn options_as_root(ground: &Ground) -> Result<Outcome> {
    as_root(ground, options::TOUR)
}

fn options_as_a_normal_user(ground: &Ground) -> Result<Outcome> {
    as_a_normal_user(ground, options::TOUR)
}

fn lists_as_root(ground: &Ground) -> Result<Outcome> {
    as_root(ground, lists::TOUR)
}

fn lists_as_a_normal_user(ground: &Ground) -> Result<Outcome> {
    as_a_normal_user(ground, lists::TOUR)
}

/// Fifty of Docker's wording and fifty of Podman's.
fn there_are_a_hundred_commands(_: &Ground) -> Result<Outcome> {
    let count = |name: &str| {
        [life::TOUR, options::TOUR, lists::TOUR]
            .into_iter()
            .flatten()
            .filter(|step| step.line.contains(name))
            .count()
    };
    let (docker, podman) = (count("docker "), count("podman "));
    ensure!(
        docker >= 50 && podman >= 50,
        "{docker} of docker, {podman} of podman"
    );
    Ok(Passed)
}
