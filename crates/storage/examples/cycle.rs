//! Times the life of a container: create, mount, unmount, delete.
//!
//! `cargo run --release -p minke-storage --example cycle -- DIRECTORY`

use std::time::{Duration, Instant};

use minke_storage::{
    CommitRequest, CreateContainer, CreateImage, ImageId, LayerId, MountRequest, Store,
    StoreOptions,
};

const ROUNDS: u32 = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).ok_or("usage: cycle DIRECTORY")?;
    let directory = std::path::PathBuf::from(directory);
    let mut store = Store::open(StoreOptions::new(
        directory.join("graph"),
        directory.join("run"),
    ))?;
    let layer = LayerId::random()?;
    let stage = store.stage()?;
    store
        .write_layers()?
        .commit(stage, CommitRequest::new(layer.clone()))?;
    let image = CreateImage::new(ImageId::random()?).top_layer(layer);
    let image = store.write_images()?.create(image)?;
    for volatile in [false, true] {
        let mut spent = [Duration::ZERO; 4];
        for _ in 0..ROUNDS {
            let mut request = CreateContainer::new(&image.id);
            request.volatile = volatile;
            let mount = MountRequest {
                volatile,
                ..MountRequest::default()
            };
            let begin = Instant::now();
            let container = store.create_container(request)?;
            let created = Instant::now();
            store.mount(&container.layer, &mount)?;
            let mounted = Instant::now();
            store.unmount(&container.layer)?;
            let unmounted = Instant::now();
            store.delete_container(&container.id)?;
            spent[0] += created - begin;
            spent[1] += mounted - created;
            spent[2] += unmounted - mounted;
            spent[3] += unmounted.elapsed();
        }
        let [create, mount, unmount, delete] = spent.map(|time| time / ROUNDS);
        println!(
            "volatile {volatile}: create {create:.1?}, mount {mount:.1?}, unmount {unmount:.1?}, \
             delete {delete:.1?}"
        );
    }
    store.delete_image(&image.id)?;
    Ok(())
}
