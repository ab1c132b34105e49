use crate::args::{self, Command};
use crate::environment::Environment;
use crate::startup;
use std::ffi::OsString;
use std::io::Write;

/// The version of conmon whose behaviour this is. Podman reads it from `--version`.
pub const VERSION: &str = "2.1.13";

/// Is conmon: does what `args` (without the program's name) ask for and returns the exit code.
///
/// This is a program's main function in all but name: it writes the answers to `--version` and
/// `--help` on stdout, and a failure on stderr in conmon's form. The forked monitor returns from
/// here too, so the caller should do nothing but exit.
pub fn run(args: Vec<OsString>, environment: &Environment) -> i32 {
    let result = match args::parse(args) {
        Ok(Command::Version) => return say(&version()),
        Ok(Command::Help) => return say(&args::help()),
        Ok(Command::Monitor(options)) => startup::start(*options, environment),
        Err(error) => Err(error),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let line = format!("[conmon:e]: {}\n", error.to_line());
            // There is nobody left to tell if this fails.
            let _ = std::io::stderr().write_all(line.as_bytes());
            1
        }
    }
}

fn version() -> String {
    let ours = concat!("minke ", env!("CARGO_PKG_VERSION"));
    format!("conmon version {VERSION}\ncommit: {ours}\n")
}

fn say(text: &str) -> i32 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_can_read_the_version() {
        let text = version();
        let numbers = text.strip_prefix("conmon version ").unwrap();
        let first = numbers.lines().next().unwrap();
        assert_eq!(first.split('.').count(), 3);
        assert!(first.split('.').all(|part| part.parse::<u32>().is_ok()));
    }
}
