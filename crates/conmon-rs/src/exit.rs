//! What is left behind when a container has ended.

use crate::again;
use crate::args::Options;
use crate::environment::Environment;
use crate::error::{Result, at, doing};
use crate::fork::{self, Program, Setup};
use crate::oom::OomScore;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The exit code that stands for a wait status: 128 + n for signal n.
pub(crate) fn code_of(status: WaitStatus) -> i32 {
    let signalled = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signalled).unwrap_or(-1)
}

/// Writes `code` to the exit files that `options` asks for, each whole or not at all.
pub(crate) fn write_files(options: &Options, code: i32) -> Result<()> {
    let text = code.to_string();
    if let Some(directory) = &options.persist_dir {
        replace(directory, "exit", &text)?;
    }
    if let Some(directory) = &options.exit_dir {
        replace(directory, &options.cid, &text)?;
    }
    Ok(())
}

/// Replaces the file `name` by one that holds `text`.
pub(crate) fn replace(directory: &Path, name: &str, text: &str) -> Result<()> {
    let path = directory.join(name);
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let write = || {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&temporary, &path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        at("write", &path)(error)
    })
}

/// The program to run when all is over.
pub(crate) struct ExitCommand {
    program: Program,
}

impl ExitCommand {
    /// Prepares what `options` asks for, if anything.
    pub(crate) fn new(options: &Options, environment: &Environment) -> Result<Option<ExitCommand>> {
        let Some(path) = &options.exit_command else {
            return Ok(None);
        };
        let program = Program::new(path, &options.exit_args, environment);
        let program = program.map_err(at("prepare the exit command", path))?;
        Ok(Some(ExitCommand { program }))
    }

    /// Runs it, after the delay, and waits for it; with `--exit-again` as often as it asks for
    /// it, until somebody ends us. Returns its last exit code.
    ///
    /// This process stops being a subreaper first, so that what the command leaves running is
    /// not ours to wait for.
    pub(crate) fn run(mut self, options: &Options, oom_score: &OomScore) -> Result<i32> {
        if let Err(error) = nix::sys::prctl::set_child_subreaper(false) {
            tracing::warn!(%error, "cannot stop being a subreaper");
        }
        let mut delay = options.exit_delay;
        loop {
            let (code, said) = self.run_once(options.exit_again, delay, oom_score)?;
            match said {
                Some(pause)
                    if again::pause(pause).map_err(doing("wait for the next attempt"))? =>
                {
                    delay = Duration::ZERO;
                }
                _ => return Ok(code),
            }
        }
    }

    /// Returns its exit code and, where it is listened to, when it wants to be run again.
    fn run_once(
        &mut self,
        listens: bool,
        delay: Duration,
        oom_score: &OomScore,
    ) -> Result<(i32, Option<Duration>)> {
        let voice = match listens {
            true => Some(again::Voice::new().map_err(doing("make a pipe"))?),
            false => None,
        };
        let setup = Setup {
            stdio: voice.as_ref().map(again::Voice::stdio),
            close_from: 3,
            oom_score,
            die_with_monitor: false,
            delay,
        };
        let pid = fork::spawn(&mut self.program, &setup).map_err(doing("run the exit command"))?;
        let code = wait_for(pid);
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        Ok((code?, voice.and_then(again::Voice::heard)))
    }
}

/// Waits for `pid`, reaping whoever else ends meanwhile.
fn wait_for(pid: Pid) -> Result<i32> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => return Ok(code_of(status)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(doing("wait for the exit command")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            cid: "c1".into(),
            exit_dir: Some(directory.path().into()),
            persist_dir: Some(directory.path().into()),
            ..Options::default()
        };
        write_files(&options, 3).unwrap();
        write_files(&options, 137).unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("c1"), "137");
        assert_eq!(read("exit"), "137");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = replace(Path::new("/nonexistent"), "x", "0").unwrap_err();
        assert_eq!(error.to_string(), "cannot write /nonexistent/x");
    }
}
