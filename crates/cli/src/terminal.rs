//! The user's terminal: raw while attached, and how large it is.

use std::io::Write as _;
use std::os::fd::BorrowedFd;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

use crate::error::{Error, Result};

/// A terminal that passes every key on, until this is dropped.
#[derive(Debug)]
pub struct RawMode {
    terminal: BorrowedFd<'static>,
    before: Termios,
}

impl RawMode {
    /// Makes stdin raw. Does nothing where stdin is no terminal.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn enter() -> Result<Option<Self>> {
        let terminal = rustix::stdio::stdin();
        if !isatty(terminal) {
            return Ok(None);
        }
        let refused = Error::io("cannot put the terminal into raw mode");
        let before = match tcgetattr(terminal) {
            Ok(before) => before,
            Err(errno) => return Err(refused(errno.into())),
        };
        let mut raw = before.clone();
        raw.make_raw();
        match tcsetattr(terminal, OptionalActions::Now, &raw) {
            Ok(()) => Ok(Some(Self { terminal, before })),
            Err(errno) => Err(refused(errno.into())),
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone; there is nobody left to tell then.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks a question that is answered by `y` or anything else.
///
/// # Errors
/// If stdin or stdout fails.
pub fn confirm(question: &str) -> Result<bool> {
    print!("{question}");
    std::io::stdout()
        .flush()
        .map_err(Error::io(crate::output::STDOUT))?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(Error::io("read the answer"))?;
    Ok(answer.trim_start().to_ascii_lowercase().starts_with('y'))
}

/// Whether stdin is a terminal.
pub fn is_stdin() -> bool {
    isatty(rustix::stdio::stdin())
}

/// Whether stdout is a terminal.
pub fn is_stdout() -> bool {
    isatty(rustix::stdio::stdout())
}

/// Whether stderr is a terminal.
pub fn is_stderr() -> bool {
    isatty(rustix::stdio::stderr())
}

/// Rows and columns of the terminal that stdin is.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(rustix::stdio::stdin()).ok()?;
    Some((size.ws_row, size.ws_col))
}
