//! The engine on the real kernel. This binary is the engine's `self_exe` too: as `conmon`, `oci`
//! and `container cleanup` it is those programs, as `act` a client that may be killed.
//!
//! Each test runs in a process of its own, since the engine forks.

mod archive;
mod boot;
mod crash;
mod crash_parts;
mod damage;
mod life;
mod place;
mod streams;

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

/// A test, and whether it wants network and mount namespaces of its own.
type Test = (&'static str, fn(), bool);

fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    tests.extend(life::TESTS);
    tests.extend(streams::TESTS);
    tests.extend(damage::TESTS);
    tests.extend(crash::TESTS);
    tests.extend(crash_parts::TESTS);
    tests.extend(boot::TESTS);
    tests
}

/// Asks for every container.
fn all_of_them() -> minke_engine::ListRequest {
    minke_engine::ListRequest {
        all: true,
        ..minke_engine::ListRequest::default()
    }
}

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let role = words.get(1).and_then(|word| word.to_str()).unwrap_or("");
    match role {
        "conmon" => exit(minke_conmon_rs::run(words.split_off(2), &environment())),
        "oci" => exit(minke_oci_runtime::cli::run(words.split_off(1), &around())),
        "act" => place::act(&words.split_off(2)),
        "test" => {
            let name = words[2].to_str().unwrap_or("");
            let found = tests().into_iter().find(|test| test.0 == name);
            (found.expect("a test of this name").1)();
            ExitCode::SUCCESS
        }
        _ if words.iter().any(|word| word == "healthcheck") => place::check(&words.split_off(1)),
        _ if words.iter().any(|word| word == "cleanup") => place::clean_up(&words.split_off(1)),
        _ => run_all(&words.split_off(1)),
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(code as u8)
}

fn environment() -> minke_conmon_rs::Environment {
    minke_conmon_rs::Environment {
        vars: std::env::vars_os().collect(),
        cwd: std::env::current_dir().unwrap_or_default(),
    }
}

fn around() -> minke_oci_runtime::cli::Surroundings {
    minke_oci_runtime::cli::Surroundings {
        runtime_dir: None,
        is_root: true,
    }
}

/// Runs the tests whose names hold one of the words, three at a time.
fn run_all(words: &[OsString]) -> ExitCode {
    let asked = |option: &str| words.iter().any(|word| word == option);
    if asked("--list") {
        // Listed once: nextest asks for those that are ignored apart, and none is.
        if !asked("--ignored") {
            tests().iter().for_each(|test| println!("{}: test", test.0));
        }
        return ExitCode::SUCCESS;
    }
    let fits = |name: &str, text: &str| {
        if asked("--exact") {
            name == text
        } else {
            name.contains(text)
        }
    };
    let filters: Vec<&str> = words
        .iter()
        .filter_map(|word| word.to_str().filter(|word| !word.starts_with('-')))
        .collect();
    let chosen: Vec<Test> = tests()
        .into_iter()
        .filter(|test| filters.is_empty() || filters.iter().any(|text| fits(test.0, text)))
        .collect();
    if !rustix::process::geteuid().is_root() || !std::path::Path::new("/bin/busybox").exists() {
        eprintln!("skipped: needs root and /bin/busybox (package busybox-static)");
        return ExitCode::SUCCESS;
    }
    let queue = Mutex::new(chosen.into_iter());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(test) = queue.lock().unwrap().next() else {
                        return;
                    };
                    if !run_one(&test) {
                        failed.lock().unwrap().push(test.0);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::FAILURE
}

fn run_one(&(name, _, isolated): &Test) -> bool {
    let exe = std::env::current_exe().unwrap();
    let mut command = if isolated {
        let mut unshare = Command::new("unshare");
        unshare.args(["-n", "-m", "--"]).arg(exe);
        unshare
    } else {
        Command::new(exe)
    };
    let begun = std::time::Instant::now();
    let output = command
        .args(["test", name])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let word = if output.status.success() {
        "ok"
    } else {
        "FAILED"
    };
    println!("test {name} ... {word} ({:?})", begun.elapsed());
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("skipped:") {
        println!("{}{said}", String::from_utf8_lossy(&output.stdout));
    }
    output.status.success()
}
