//! A command that is run again and again while the container lives: a health check.
//!
//! Each run says when the next is to be (`again MILLISECONDS`, see [`crate::again`]); one that says
//! nothing is the last. Only one runs at a time.

use crate::again::Voice;
use crate::args::Options;
use crate::environment::Environment;
use crate::error::{Result, at, doing};
use crate::fork::{self, Program, Setup};
use crate::oom::OomScore;
use rustix::process::Pid;
use std::time::{Duration, Instant};

/// The command and where it is.
pub(crate) struct Periodic {
    program: Program,
    next: Option<Instant>,
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

    /// A child has ended.
    pub(crate) fn reaped(&mut self, pid: Pid) {
        let Some((_, voice)) = self.running.take_if(|(running, _)| *running == pid) else {
            return;
        };
        let wished = voice
            .heard()
            .and_then(|wait| Instant::now().checked_add(wait));
        // Hurried meanwhile, it is run at once.
        self.next = self.next.or(wished);
    }
}
