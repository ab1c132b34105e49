//! A store of its own for each test, and nothing left of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::archive;

/// A store with the image in it.
pub struct Scratch {
    directory: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Scratch {
    /// Makes the store and loads the image. Nothing where that cannot be done here.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let scratch = Self {
            directory: TempDir::with_prefix("minke-it-").unwrap(),
        };
        let path = scratch.path("image.tar");
        if archive::write(&path).is_none() {
            eprintln!("skipped: /bin/busybox is missing (package busybox-static)");
            return None;
        }
        let loaded = scratch.run(&["load", "-q", "-i", path.to_str().unwrap()]);
        assert_eq!(loaded.code, 0, "{loaded:?}");
        assert_eq!(loaded.out, format!("Loaded image: {}\n", archive::IMAGE));
        Some(scratch)
    }

    /// A path of this test's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command, told where its store is.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minke"));
        command
            .arg("--root")
            .arg(self.path("root"))
            .arg("--runroot")
            .arg(self.path("run"))
            .stdin(Stdio::null());
        command
    }

    /// Runs the command with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        outcome(self.command().args(arguments))
    }

    /// Runs the command with the words of `line`.
    pub fn minke(&self, line: &str) -> Outcome {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// As [`minke`](Self::minke), and it must succeed. Its stdout, trimmed.
    pub fn ok(&self, line: &str) -> String {
        let outcome = self.minke(line);
        assert_eq!(outcome.code, 0, "{line}: {outcome:?}");
        outcome.out.trim_end().to_owned()
    }

    /// Runs a script in a new container that is removed after it.
    pub fn script(&self, flags: &str, script: &str) -> Outcome {
        let mut arguments = vec!["run", "--rm", "--network", "none"];
        arguments.extend(flags.split_whitespace());
        arguments.extend([archive::IMAGE, "sh", "-c", script]);
        self.run(&arguments)
    }

    /// Starts a container that sleeps.
    pub fn sleeper(&self, name: &str) {
        self.ok(&format!(
            "run -d --network none --name {name} {} sleep 1000",
            archive::IMAGE
        ));
    }

    /// The state that `inspect` tells.
    pub fn state(&self, name: &str) -> String {
        self.ok(&format!("inspect --format {{{{.State.Status}}}} {name}"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = outcome(self.command().args(["rm", "-f", "-a", "-t", "0"]));
        unmount_below(self.directory.path());
        if !std::thread::panicking() {
            assert_eq!(removed.code, 0, "{removed:?}");
        }
    }
}

/// Runs a command to its end.
pub fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until `holds`, for at most half a minute.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(20));
    }
}

fn unmount_below(directory: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| Path::new(point).starts_with(directory));
    for point in points.collect::<Vec<_>>().into_iter().rev() {
        let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
    }
}
