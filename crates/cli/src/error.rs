//! What goes wrong: the words on stderr and the exit code.
//!
//! Codes are Podman's, by command: a [`Table`] says which code a kind of failure has there.

use std::io;

use minke_engine::ErrorKind;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub i32);

impl Exit {
    /// All went well.
    pub const OK: Exit = Exit(0);

    /// The one to report of two.
    pub fn worse(self, other: Exit) -> Exit {
        Exit(self.0.max(other.0))
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] minke_engine::Error),
    /// The value of a flag is not of its form.
    #[error(transparent)]
    Option(#[from] minke_runtime_spec::Error),
    /// The flags are wrong; the help says how.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// Of which command: `minke run`.
        command: String,
    },
    /// No command has this name.
    #[error("unrecognized command `{parent} {name}`")]
    UnknownCommand {
        /// As typed.
        name: String,
        /// Where it was looked for: `minke container`.
        parent: String,
    },
    /// A group of commands was named, and none of them.
    #[error("missing command '{group} COMMAND'")]
    CommandMissing {
        /// `minke container`.
        group: String,
    },
    /// What was asked cannot be.
    #[error("{0}")]
    Refused(String),
    /// A named object is not there, in this command's words.
    #[error("{0}")]
    Missing(String),
    /// A file or stream of ours failed.
    #[error("{what}")]
    Io {
        /// What was attempted: `open /x`.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// Several, reported as one.
    #[error("{} errors occurred:{}", .0.len(), listed(.0))]
    Several(Vec<Error>),
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which command's exit codes apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Most commands.
    General,
    /// `run`, until the container is created.
    Create,
    /// `run`, once it is.
    Start,
    /// `exec`.
    Exec,
    /// `rm`, `rmi`.
    Remove,
}

impl Table {
    /// The code of a failure of this kind.
    pub fn code(self, kind: ErrorKind) -> i32 {
        match (self, kind) {
            (Table::Create | Table::Start | Table::Exec, ErrorKind::CommandNotFound) => 127,
            (
                Table::Create | Table::Start | Table::Exec,
                ErrorKind::CommandNotExecutable | ErrorKind::OciPermission,
            ) => 126,
            (Table::Create, ErrorKind::PortTaken) | (Table::Start, _) => 126,
            (Table::Exec, ErrorKind::NotFound | ErrorKind::Unsupported) => 125,
            (Table::Exec, _) => 255,
            (Table::Remove, ErrorKind::NotFound) => 1,
            (Table::Remove, ErrorKind::InUse | ErrorKind::Running | ErrorKind::WrongState) => 2,
            _ => 125,
        }
    }
}

impl Error {
    /// A refusal in these words.
    pub fn refused(message: impl Into<String>) -> Self {
        Error::Refused(message.into())
    }

    /// A failure of a file of ours.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Error::Io { what, source }
    }

    /// The engine's kind, where the engine was asked.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Error::Engine(error) => Some(error.kind()),
            Error::Missing(_) => Some(ErrorKind::NotFound),
            _ => None,
        }
    }

    /// Whether something named is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self.kind(), Some(ErrorKind::NotFound))
    }

    /// The exit code by `table`.
    pub fn code(&self, table: Table) -> i32 {
        match self {
            Error::Several(errors) => {
                let codes = errors.iter().map(|error| error.code(table));
                codes.max().unwrap_or(125)
            }
            _ => self.kind().map_or(125, |kind| table.code(kind)),
        }
    }

    /// Tells the user and returns the exit code by `table`.
    pub fn fail(&self, table: Table) -> Exit {
        if self.is_closed_stdout() {
            return Exit::OK; // whoever read it has enough
        }
        eprintln!("Error: {}", self.text());
        match self {
            Error::Usage { command, .. } => eprintln!("See '{command} --help'"),
            Error::UnknownCommand { parent, .. } => {
                eprintln!("Try '{parent} --help' for more information");
            }
            Error::Engine(error) => {
                if let Some(hint) = error.hint() {
                    eprintln!("hint: {hint}");
                }
            }
            _ => {}
        }
        Exit(self.code(table))
    }

    /// The whole text, from the outside in.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            let reason = match error.downcast_ref::<io::Error>() {
                Some(error) => plain(error),
                None => error.to_string(),
            };
            if !text.contains(&reason) {
                text = format!("{text}: {reason}");
            }
            source = error.source();
        }
        text
    }

    fn is_closed_stdout(&self) -> bool {
        match self {
            Error::Io { what, source } => {
                what == crate::output::STDOUT && source.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }
}

/// An operating system's error as other programs print it: no number, no capital.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = match text.split_once(" (os error") {
        Some((text, _)) => text,
        None => &text,
    };
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn listed(errors: &[Error]) -> String {
    let lines = errors.iter().map(|error| format!("\n\t* {}", error.text()));
    let mut text: String = lines.collect();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_podmans() {
        use ErrorKind as Kind;
        for (table, kind, expected) in [
            (Table::General, Kind::NotFound, 125),
            (Table::General, Kind::CommandNotFound, 125),
            (Table::Create, Kind::NotFound, 125),
            (Table::Create, Kind::Registry, 125),
            (Table::Create, Kind::CommandNotFound, 127),
            (Table::Create, Kind::CommandNotExecutable, 126),
            (Table::Start, Kind::CommandNotFound, 127),
            (Table::Start, Kind::OciPermission, 126),
            (Table::Start, Kind::PortTaken, 126),
            (Table::Start, Kind::InvalidArgument, 126),
            (Table::Exec, Kind::CommandNotFound, 127),
            (Table::Exec, Kind::CommandNotExecutable, 126),
            (Table::Exec, Kind::WrongState, 255),
            (Table::Exec, Kind::InvalidArgument, 255),
            (Table::Exec, Kind::NotFound, 125),
            (Table::Remove, Kind::NotFound, 1),
            (Table::Remove, Kind::Running, 2),
            (Table::Remove, Kind::InUse, 2),
            (Table::Remove, Kind::Io, 125),
        ] {
            assert_eq!(table.code(kind), expected, "{table:?} {kind:?}");
        }
    }

    #[test]
    fn several_errors_are_listed() {
        let errors = Error::Several(vec![
            Error::Missing("a: image not known".into()),
            Error::refused("b"),
        ]);
        assert_eq!(
            errors.text(),
            "2 errors occurred:\n\t* a: image not known\n\t* b\n"
        );
        assert_eq!(errors.code(Table::Remove), 125);
    }

    #[test]
    fn causes_are_told_once_and_plainly() {
        let source = io::Error::from_raw_os_error(2);
        let error = Error::io("open /x")(source);
        assert_eq!(error.text(), "open /x: no such file or directory");
    }
}
