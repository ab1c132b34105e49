//! Attaching this process's streams to a container, for `run`, `start`, `attach` and `exec`.

use minke_engine::{AttachEnd, AttachRequest, Engine};

use crate::error::{Error, Exit, Result};
use crate::terminal::{self, RawMode};

/// Which streams, and what happens to keys and signals.
#[derive(Debug, Clone)]
pub struct Session {
    /// Pass stdin on.
    pub stdin: bool,
    /// Show stdout.
    pub stdout: bool,
    /// Show stderr.
    pub stderr: bool,
    /// The process has a terminal: ours becomes raw and its size is passed on.
    pub terminal: bool,
    /// Pass signals on.
    pub sig_proxy: bool,
    /// Keys that end the session and leave the process.
    pub detach_keys: Vec<u8>,
}

impl Session {
    /// Stdout and stderr.
    pub fn of_output(terminal: bool, detach_keys: Vec<u8>) -> Self {
        Self {
            stdin: false,
            stdout: true,
            stderr: true,
            terminal,
            sig_proxy: true,
            detach_keys,
        }
    }

    /// Runs `attach` with this process's streams. The terminal is as before when it returns.
    ///
    /// # Errors
    /// `attach`'s, or the terminal's.
    pub fn hold<T>(
        &self,
        attach: impl FnOnce(AttachRequest<'_>) -> Result<T, minke_engine::Error>,
    ) -> Result<T> {
        let raw = if self.terminal && self.stdin {
            RawMode::enter()?
        } else {
            None
        };
        let size: &dyn Fn() -> Option<(u16, u16)> = &terminal::size;
        let ended = attach(AttachRequest {
            stdin: self.stdin.then(rustix::stdio::stdin),
            stdout: self.stdout.then(rustix::stdio::stdout),
            stderr: self.stderr.then(rustix::stdio::stderr),
            detach_keys: self.detach_keys.clone(),
            resize: self.terminal.then_some(size),
            sig_proxy: self.sig_proxy,
        });
        drop(raw);
        Ok(ended?)
    }
}

/// The exit code of what was attached to; detaching is success.
pub fn exit(end: AttachEnd) -> Exit {
    match end {
        AttachEnd::Exited(code) => Exit(code),
        AttachEnd::Detached => Exit::OK,
    }
}

/// Whether the container was given a terminal.
pub fn has_terminal(engine: &Engine, name: &str) -> Result<bool> {
    let container = engine.inspect(name)?;
    let tty = container.pointer("/Config/Tty");
    Ok(tty.and_then(serde_json::Value::as_bool).unwrap_or(false))
}

/// Says so where a terminal was asked for and stdin is none.
pub fn warn_without_terminal(interactive: bool, tty: bool) {
    if interactive && tty && !terminal::is_stdin() {
        eprintln!(
            "The input device is not a TTY. The --tty and --interactive flags might not work properly"
        );
    }
}

/// Reads `--attach`.
///
/// # Errors
/// If there is no such stream.
pub fn streams(names: &[String]) -> Result<(bool, bool, bool)> {
    let (mut stdin, mut stdout, mut stderr) = (false, false, false);
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            "stdin" => stdin = true,
            "stdout" => stdout = true,
            "stderr" => stderr = true,
            _ => {
                return Err(Error::refused(format!(
                    "invalid stream {name:?} for --attach - must be one of stdin, stdout, or stderr: invalid argument"
                )));
            }
        }
    }
    Ok((stdin, stdout, stderr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_read() {
        for (line, expected) in [
            ("", Some((false, false, false))),
            ("stdin STDOUT", Some((true, true, false))),
            ("stderr", Some((false, false, true))),
            ("stdlog", None),
        ] {
            let names: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(streams(&names).ok(), expected, "{line}");
        }
    }
}
