//! A command that is run again and again while the container lives: a health check.
//!
//! Each run says when the next is to be (`again MILLISECONDS`, see [`crate::again`]); one that ends
//! well and says nothing is the last, one that fails or is killed is followed by another after the
//! time that was asked for before. Only one runs at a time.

use crate::again::Voice;
use crate::args::Options;
use crate::environment::Environment;
use crate::error::{Result, at, doing};
use crate::fork::{self, Program, Setup};
use crate::oom::OomScore;
use rustix::process::Pid;
use std::time::{Duration, Instant};

/// Where nothing was ever asked for.
const INTERVAL: Duration = Duration::from_secs(30);

/// The command and where it is.
pub(crate) struct Periodic {
    program: Program,
    next: Option<Instant>,
    /// What was asked for last.
    interval: Duration,
    running: Option<(Pid, Voice)>,
}

impl Periodic {
    /// Prepares what `options` asks for, if anything.
    pub(crate) fn new(options: &Options, environment: &Environment) -> Result<Option<Periodic>> {
        let Some(path) = &options.periodic_command else {
            return Ok(None);
        };
        let program = Program::new(path, &options.periodic_args, environment);
        Ok(Some(Periodic {
            program: program.map_err(at("prepare the periodic command", path))?,
            next: options
                .periodic_delay
                .and_then(|delay| Instant::now().checked_add(delay)),
            interval: options.periodic_delay.unwrap_or(INTERVAL),
            running: None,
        }))
    }

    /// When it is to be run, if it does not run.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.next.filter(|_| self.running.is_none())
    }

    /// It is to be run now, or as soon as it has ended.
    pub(crate) fn hurry(&mut self) {
        self.next = Some(Instant::now());
    }

    /// Runs it if it is time.
    pub(crate) fn run_if_due(&mut self, oom_score: &OomScore) -> Result<()> {
        if self.due().is_none_or(|due| due > Instant::now()) {
            return Ok(());
        }
        self.next = None;
        let voice = Voice::new().map_err(doing("make a pipe"))?;
        let setup = Setup {
            stdio: Some(voice.stdio()),
            close_from: 3,
            oom_score,
            // It may be what ends the container, and has something left to do then.
            die_with_monitor: false,
            delay: Duration::ZERO,
        };
        let pid = fork::spawn(&mut self.program, &setup).map_err(doing("run the command"))?;
        self.running = Some((pid, voice));
        Ok(())
    }

    /// A child has ended with this exit code.
    pub(crate) fn reaped(&mut self, pid: Pid, code: i32) {
        let Some((_, voice)) = self.running.take_if(|(running, _)| *running == pid) else {
            return;
        };
        let wished = voice.heard();
        self.interval = wished.unwrap_or(self.interval);
        // Hurried meanwhile, it is run at once.
        if self.next.is_none() && (wished.is_some() || code != 0) {
            self.next = Instant::now().checked_add(self.interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{WaitOptions, waitpid};
    use std::path::Path;

    fn periodic(script: &str) -> Periodic {
        let options = Options {
            periodic_command: Some("/bin/sh".into()),
            periodic_args: vec!["-c".into(), script.into()],
            ..Options::default()
        };
        Periodic::new(&options, &Environment::default())
            .unwrap()
            .unwrap()
    }

    /// Runs it once and tells after how long it is due again.
    fn run(periodic: &mut Periodic) -> Option<Duration> {
        periodic.hurry();
        periodic.run_if_due(&OomScore::protect()).unwrap();
        let pid = periodic.running.as_ref().unwrap().0;
        assert_eq!(periodic.due(), None, "one at a time");
        let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
        periodic.reaped(pid, crate::exit::code_of(status));
        let due = periodic.due()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    #[test]
    fn it_is_run_again_when_it_says_so_or_has_failed() {
        assert!(Path::new("/bin/sh").exists());
        let mut well = periodic("echo again 60000");
        assert_eq!(well.due(), None, "it waits to be told");
        let due = run(&mut well).unwrap();
        assert!(due > Duration::from_secs(50) && due <= Duration::from_secs(60));
        assert_eq!(run(&mut periodic("exit 0")), None);
        for script in ["exit 1", "kill -9 $$"] {
            let due = run(&mut periodic(script)).unwrap();
            assert!(due > Duration::from_secs(20), "{script}: {due:?}");
        }
    }
}
