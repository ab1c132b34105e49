//! Pulls an image from a registry into an OCI layout directory, without an engine.
//!
//! `cargo run -p minke-image --example pull_to_oci_layout -- [--insecure] REFERENCE DIRECTORY`

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use minke_image::progress::Event;
use minke_image::{
    CopyOptions, ImageReference, LayoutDestination, Policy, RegistryOptions, RegistrySource, copy,
};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let insecure = arguments.iter().any(|argument| argument == "--insecure");
    arguments.retain(|argument| argument != "--insecure");
    let [reference, directory] = &arguments[..] else {
        eprintln!("usage: pull_to_oci_layout [--insecure] REFERENCE DIRECTORY");
        return ExitCode::from(2);
    };
    match pull(reference, Path::new(directory), insecure) {
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

fn pull(reference: &str, directory: &Path, insecure: bool) -> minke_image::Result<()> {
    let reference: ImageReference = reference.parse()?;
    let reference = reference.with_default_tag();
    let options = RegistryOptions {
        insecure,
        ..RegistryOptions::default()
    };
    let started = Instant::now();
    let source = RegistrySource::open(&reference, &options)?;
    let mut destination = LayoutDestination::open(directory, reference.tag())?;
    let progress = |event: Event<'_>| match event {
        Event::Done { digest, .. } => println!("copied {digest}"),
        Event::Skipped { digest, .. } => println!("already there {digest}"),
        _ => {}
    };
    let options = CopyOptions::new(Policy::accept_anything());
    let outcome = copy(&source, &mut destination, &options, &progress)?;
    println!("{} in {:?}", outcome.image_id(), started.elapsed());
    Ok(())
}
