//! A container engine in one file: runs the embedded image below roots of its own, in a
//! temporary directory. The engine starts this binary again as monitor, as runtime and as what
//! cleans up: a program with an engine in it plays these three parts.
//!
//! As root: `cargo run -p minke-engine --example run_hello`

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::PathBuf;

use minke_engine::progress::Silent;
use minke_engine::spec::ContainerSpec;
use minke_engine::spec::container::NetworkMode;
use minke_engine::{
    AttachEnd, AttachRequest, CleanupRequest, CreateRequest, Engine, EngineOptions, RemoveRequest,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    match words.get(1).and_then(|word| word.to_str()) {
        Some("conmon") => {
            let around = minke_conmon_rs::Environment {
                vars: std::env::vars_os().collect(),
                cwd: std::env::current_dir()?,
            };
            std::process::exit(minke_conmon_rs::run(words.split_off(2), &around))
        }
        Some("oci") => {
            let around = minke_oci_runtime::cli::Surroundings {
                runtime_dir: None,
                is_root: true,
            };
            std::process::exit(minke_oci_runtime::cli::run(words.split_off(1), &around))
        }
        Some(_) => clean_up(&words),
        None => run_hello(),
    }
}

fn engine(graph_root: PathBuf, run_root: PathBuf) -> Result<Engine, Failure> {
    Ok(Engine::open(EngineOptions {
        network_config_dir: Some(graph_root.join("networks")),
        graph_root: Some(graph_root),
        run_root: Some(run_root),
        self_exe: std::env::current_exe()?,
        ..EngineOptions::default()
    })?)
}

fn run_hello() -> Result<(), Failure> {
    let scratch = std::env::temp_dir().join(format!("run-hello-{}", std::process::id()));
    let engine = engine(scratch.join("graph"), scratch.join("run"))?;
    let mut spec = ContainerSpec {
        image: "minke/hello".into(),
        ..ContainerSpec::default()
    };
    spec.namespaces.network = NetworkMode::None;
    let created = engine.create(&spec, &CreateRequest::default(), &Silent)?;
    let end = engine.start_attached(
        &created.id,
        AttachRequest {
            stdout: Some(std::io::stdout().as_fd()),
            stderr: Some(std::io::stderr().as_fd()),
            ..AttachRequest::default()
        },
    )?;
    engine.remove(&created.id, &RemoveRequest::default())?;
    drop(engine);
    std::fs::remove_dir_all(&scratch)?;
    assert_eq!(end, AttachEnd::Exited(0));
    Ok(())
}

/// What the monitor runs at the container's end:
/// `--root DIR --runroot DIR ... container cleanup ... ID`.
fn clean_up(words: &[OsString]) -> Result<(), Failure> {
    let after = |flag: &str| {
        let at = words.iter().position(|word| word == flag);
        at.and_then(|at| words.get(at + 1)).map(PathBuf::from)
    };
    let (Some(graph), Some(run)) = (after("--root"), after("--runroot")) else {
        return Err("usage: run_hello".into());
    };
    let id = words.last().and_then(|id| id.to_str()).unwrap_or_default();
    engine(graph, run)?.cleanup(id, &CleanupRequest::default())?;
    Ok(())
}
