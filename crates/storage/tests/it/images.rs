use minke_storage::{BigDataItem, CreateContainer, CreateImage, Digest, ErrorKind, ImageId, Store};

use crate::archive::Archive;
use crate::scratch::{Scratch, add_image, add_layer};

fn three_images(scratch: &Scratch) -> Store {
    let mut store = scratch.store();
    let base = add_layer(&mut store, &Archive::new().file("base", "x").finish(), None);
    let one = add_layer(
        &mut store,
        &Archive::new().file("one", "x").finish(),
        Some(&base.id),
    );
    let two = add_layer(
        &mut store,
        &Archive::new().file("two", "x").finish(),
        Some(&base.id),
    );
    add_image(
        &mut store,
        "localhost/base:latest",
        std::slice::from_ref(&base),
    );
    add_image(&mut store, "localhost/one:latest", &[base.clone(), one]);
    add_image(&mut store, "localhost/two:latest", &[base, two]);
    store
}

#[test]
fn names_move_to_the_last_who_takes_them() {
    let scratch = Scratch::new();
    let mut store = three_images(&scratch);
    let images = store.images().unwrap();
    let one = images.lookup("localhost/one:latest").unwrap().id.clone();
    let two = images.by_name("localhost/two:latest").unwrap().id.clone();
    assert_eq!(images.lookup(&one.as_str()[..10]).unwrap().id, one);
    let mut write = store.write_images().unwrap();
    write
        .add_names(&two, &["localhost/one:latest".to_owned()])
        .unwrap();
    write
        .remove_names(&two, &["localhost/two:latest".to_owned()])
        .unwrap();
    drop(write);
    let images = store.images().unwrap();
    assert_eq!(images.by_name("localhost/one:latest").unwrap().id, two);
    assert!(images.get(&one).unwrap().names.is_empty());
    let history = &images.get(&two).unwrap().names_history;
    assert_eq!(history, &["localhost/one:latest", "localhost/two:latest"]);
}

#[test]
fn data_items_are_kept_with_size_and_digest() {
    let scratch = Scratch::new();
    let mut store = scratch.store();
    let signature = BigDataItem {
        key: "signature-x".into(),
        bytes: vec![1; 9],
        digest: None,
    };
    let request = CreateImage::new(ImageId::random().unwrap()).big_data("manifest", b"m".to_vec());
    let mut images = store.write_images().unwrap();
    let image = images.create(request).unwrap();
    images.set_big_data(&image.id, signature).unwrap();
    drop(images);
    let image = store.images().unwrap().get(&image.id).unwrap().clone();
    assert_eq!(image.digest, Some(Digest::of(b"m")));
    assert_eq!(image.big_data_names, ["manifest", "signature-x"]);
    assert_eq!(image.big_data_sizes["signature-x"], 9);
    assert_eq!(
        store.image_big_data(&image.id, "signature-x").unwrap(),
        [1; 9]
    );
    let error = store.image_big_data(&image.id, "missing").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        store.images().unwrap().by_digest(&Digest::of(b"m")).count(),
        1
    );
}

#[test]
fn deleting_takes_the_layers_nobody_needs() {
    let scratch = Scratch::new();
    let mut store = three_images(&scratch);
    let id = |store: &Store, name: &str| store.images().unwrap().by_name(name).unwrap().id.clone();
    let [base, one, two] =
        ["base", "one", "two"].map(|name| id(&store, &format!("localhost/{name}:latest")));
    let container = store.create_container(CreateContainer::new(&one)).unwrap();
    assert_eq!(
        store.delete_image(&one).unwrap_err().kind(),
        ErrorKind::InUse
    );
    assert_eq!(store.delete_image(&base).unwrap(), []);
    assert_eq!(store.delete_image(&two).unwrap().len(), 1);
    store.delete_container(&container.id).unwrap();
    assert_eq!(store.delete_image(&one).unwrap().len(), 2);
    assert!(store.layers().unwrap().is_empty());
    assert!(store.images().unwrap().is_empty());
    assert!(store.containers().unwrap().is_empty());
    assert_eq!(
        store.delete_image(&one).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn containers_keep_their_names() {
    let scratch = Scratch::new();
    let mut store = three_images(&scratch);
    let image = store.images().unwrap().iter().next().unwrap().id.clone();
    let request = |name: &str| {
        let mut request = CreateContainer::new(&image);
        request.names = vec![name.to_owned()];
        request
    };
    let first = store.create_container(request("web")).unwrap();
    let layers = store.layers().unwrap().len();
    let error = store.create_container(request("web")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(store.layers().unwrap().len(), layers);
    let mut volatile = request("temporary");
    volatile.volatile = true;
    let second = store.create_container(volatile).unwrap();
    assert!(
        scratch
            .path("graph/overlay-containers/volatile-containers.json")
            .exists()
    );
    assert!(
        scratch
            .path("graph/overlay-layers/volatile-layers.json")
            .exists()
    );
    assert_eq!(store.containers().unwrap().len(), 2);
    for container in [first, second] {
        store.delete_container(&container.id).unwrap();
    }
    assert_eq!(store.layers().unwrap().len(), layers - 1);
}

#[test]
fn durable_and_transient_stores_go_through_a_life() {
    for transient in [false, true] {
        let scratch = Scratch::new();
        let mut options = scratch.options();
        options.durable = true;
        options.transient = transient;
        let mut store = Store::open(options.clone()).unwrap();
        let layer = add_layer(&mut store, &Archive::new().file("f", "x").finish(), None);
        let image = add_image(&mut store, "localhost/x:1", &[layer]);
        let container = store
            .create_container(CreateContainer::new(&image.id))
            .unwrap();
        let file = "overlay-containers/volatile-containers.json";
        assert_eq!(scratch.path("run").join(file).exists(), transient);
        let mut store = Store::open(options).unwrap();
        assert_eq!(store.layers().unwrap().len(), 2);
        store.delete_container(&container.id).unwrap();
        assert_eq!(store.delete_image(&image.id).unwrap().len(), 1);
        assert!(store.layers().unwrap().is_empty());
    }
}
