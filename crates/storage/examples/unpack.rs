//! Stores a tar file as a layer in a store of its own and says how fast that went.
//!
//! `cargo run --release -p minke-storage --example unpack -- layer.tar DIRECTORY [no-sync]`

use std::fs::File;
use std::time::Instant;

use minke_storage::{CommitRequest, LayerId, Store, StoreOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(tar), Some(directory)) = (args.next(), args.next()) else {
        return Err("usage: unpack layer.tar DIRECTORY [no-sync]".into());
    };
    let directory = std::path::PathBuf::from(directory);
    let mut options = StoreOptions::new(directory.join("graph"), directory.join("run"));
    options.durable = args.next().is_none_or(|word| word != "no-sync");
    let mut store = Store::open(options)?;
    let begin = Instant::now();
    let mut stage = store.stage()?;
    let summary = stage.apply(File::open(tar)?)?;
    let unpacked = begin.elapsed();
    let id = LayerId::random()?;
    let layer = store
        .write_layers()?
        .commit(stage, CommitRequest::new(id))?;
    let committed = begin.elapsed() - unpacked;
    println!("{} {} bytes", summary.diff_id, summary.size);
    println!("layer {}", layer.id);
    println!(
        "unpacked in {unpacked:.1?} ({:.0} MB/s), committed in {committed:.1?}",
        summary.size as f64 / 1e6 / unpacked.as_secs_f64()
    );
    Ok(())
}
