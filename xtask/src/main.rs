//! Chores of the workspace: setup, quickstart, tests, benches, lint.
//!
//! Run as `cargo xtask COMMAND`. Every command checks what it needs and says what is missing.
#![forbid(unsafe_code)]

mod account; // what a test run came to
mod bench; // minke and Podman, timed in turns
mod cargo; // the workspace: its directories, builds and tests
mod elf; // is a binary static
mod fixture; // images made of what Debian installed
mod lane; // tests of the built binary against real peers
mod lint; // format, clippy, licences
mod peers; // today's Podman, in a root of its own
mod program; // other programs: run, captured, checked
mod quickstart; // the first voyage, shown
mod registry; // Debian's docker-registry on loopback
mod release; // the one static binary
mod scratch; // directories that leave nothing behind
mod setup; // Debian packages
mod test; // everything this machine can test
mod world; // namespaces that take all traces along

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask COMMAND

  setup              install the Debian packages that are missing (--list: only say which)
  quickstart         setup, release build, then pull and run a real image, step by step
  build              the release binary: one static file; prints its size and start-up time
  test [FILTER...]   unit and integration tests, then the lanes; with filters only those lanes
                     and cases whose names contain one of them (--list: only names)
  bench [-n N] [FILTER...]
                     minke beside Debian's podman with runc, in turns (default 15 of each);
                     --sid: beside the podman of `peers`; `crowd` asks for a thousand containers
  peers              a root with Debian sid's Podman, crun, conmon and netavark
  lint               rustfmt, clippy with warnings denied, cargo-deny if installed
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((command, rest)) => dispatch(command, rest),
        None => {
            print!("{HELP}");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Result<()> {
    match command {
        "setup" => setup::run(rest),
        "quickstart" => quickstart::run(rest),
        "build" => release::run(rest),
        "test" => test::run(rest),
        "bench" => bench::run(rest),
        "peers" => peers::run(rest),
        "lint" => lint::run(rest),
        lane::INSIDE => lane::run_inside(rest),
        bench::INSIDE => bench::run_inside(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("no command named {other}\n\n{HELP}"),
    }
}
