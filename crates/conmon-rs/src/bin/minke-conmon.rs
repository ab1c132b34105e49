//! conmon, as a program of its own.

use minke_conmon_rs::{Environment, run};

fn main() {
    let environment = Environment {
        vars: std::env::vars_os().collect(),
        cwd: std::env::current_dir().unwrap_or_default(),
    };
    let code = run(std::env::args_os().skip(1).collect(), &environment);
    std::process::exit(code);
}
