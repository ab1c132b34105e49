//! Pulls an image from a registry into a containers/storage store, without an engine.
//!
//! `cargo run -p minke-image --example pull_to_store -- [--insecure] REFERENCE GRAPHROOT RUNROOT`

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use minke_image::progress::Silent;
use minke_image::{
    CopyOptions, ImageReference, Policy, RegistryOptions, RegistrySource, StorageDestination, copy,
};
use minke_storage::{Store, StoreOptions};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let insecure = arguments.iter().any(|argument| argument == "--insecure");
    arguments.retain(|argument| argument != "--insecure");
    let [reference, graph_root, run_root] = &arguments[..] else {
        eprintln!("usage: pull_to_store [--insecure] REFERENCE GRAPHROOT RUNROOT");
        return ExitCode::from(2);
    };
    match pull(reference, StoreOptions::new(graph_root, run_root), insecure) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("Error: {error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprint!(": {source}");
                cause = source.source();
            }
            eprintln!();
            ExitCode::from(125)
        }
    }
}

fn pull(reference: &str, store: StoreOptions, insecure: bool) -> Result<(), Box<dyn Error>> {
    let reference = reference.parse::<ImageReference>()?.with_default_tag();
    let options = RegistryOptions {
        insecure,
        ..RegistryOptions::default()
    };
    let started = Instant::now();
    let store = Store::open(store)?;
    let source = RegistrySource::open(&reference, &options)?;
    let mut destination = StorageDestination::new(store, &[reference]);
    let options = CopyOptions::new(Policy::accept_anything());
    let outcome = copy(&source, &mut destination, &options, &Silent)?;
    println!("{} in {:?}", outcome.image_id(), started.elapsed());
    Ok(())
}
