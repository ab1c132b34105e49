//! The `minke` command: what people type, turned into calls of the engine, and rendered.
#![forbid(unsafe_code)]

mod app; // from arguments to an exit code
mod command; // one file a command
mod complete; // what may come next on a command line
mod detach_keys; // the keys that leave a container running
mod error; // what goes wrong: words and exit codes
mod examples; // commands in use
mod flag; // flags as Go programs read them
mod globals; // flags before the command
#[cfg(test)]
mod manual; // pages made from the definition
mod output; // tables, sizes, times
mod progress; // what a copy shows while it runs
mod role; // other programs this binary can be
mod spec; // from flags to a container
#[cfg(test)]
mod surface; // beside Podman's
mod targets; // which containers a command is about
mod template; // --format: Go's templates
mod terminal; // raw mode and window size
mod tree; // all commands
mod verb; // one entry of the tree

use std::ffi::OsString;

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let code = match role::of(&arguments) {
        Some(role) => role.run(arguments),
        None => app::run(arguments),
    };
    std::process::exit(code);
}
