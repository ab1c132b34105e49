//! What every driver must pass.

use std::fs;
use std::path::Path;

use super::{Driver, MountRequest};
use crate::LayerId;
use crate::tempdir::TempDir;

fn layer(driver: &dyn Driver, parent: Option<&LayerId>, fill: impl FnOnce(&Path)) -> LayerId {
    let id = LayerId::random().unwrap();
    let mut temporary = TempDir::new(driver.temporary_root()).unwrap();
    fill(&driver.prepare(temporary.path()).unwrap());
    driver.install(&mut temporary, &id, parent).unwrap();
    id
}

/// Runs all of it on an empty driver. Must be called where mounts are allowed.
pub(super) fn run(driver: &dyn Driver) {
    let base = layer(driver, None, |root| {
        fs::write(root.join("base"), "base").unwrap()
    });
    let middle = layer(driver, Some(&base), |root| {
        fs::write(root.join("middle"), "m").unwrap()
    });
    let top = layer(driver, Some(&middle), |_| ());
    layers_lie_upon_each_other(driver, &top);
    changes_stay_in_the_top_layer(driver, &base, &top);
    read_only_mounts_refuse_writes(driver, &base);
    leftovers_are_replaced(driver, &base);
    removal_is_complete(driver, &top);
}

fn layers_lie_upon_each_other(driver: &dyn Driver, top: &LayerId) {
    driver.mount(top, &MountRequest::default(), None).unwrap();
    let root = driver.mount_point(top);
    assert_eq!(fs::read_to_string(root.join("base")).unwrap(), "base");
    assert_eq!(fs::read_to_string(root.join("middle")).unwrap(), "m");
}

fn changes_stay_in_the_top_layer(driver: &dyn Driver, base: &LayerId, top: &LayerId) {
    fs::write(driver.mount_point(top).join("base"), "changed").unwrap();
    driver.unmount(top).unwrap();
    driver.unmount(top).unwrap();
    assert!(!driver.mount_point(top).join("base").exists());
    assert_eq!(
        fs::read_to_string(driver.changes(base).join("base")).unwrap(),
        "base"
    );
    assert_eq!(
        fs::read_to_string(driver.changes(top).join("base")).unwrap(),
        "changed"
    );
}

fn read_only_mounts_refuse_writes(driver: &dyn Driver, base: &LayerId) {
    let request = MountRequest {
        read_only: true,
        ..MountRequest::default()
    };
    driver.mount(base, &request, None).unwrap();
    let file = driver.mount_point(base).join("base");
    assert_eq!(fs::read_to_string(&file).unwrap(), "base");
    assert!(fs::write(&file, "x").is_err());
    driver.unmount(base).unwrap();
}

fn leftovers_are_replaced(driver: &dyn Driver, base: &LayerId) {
    let mut temporary = TempDir::new(driver.temporary_root()).unwrap();
    fs::write(driver.prepare(temporary.path()).unwrap().join("new"), "").unwrap();
    let id = layer(driver, Some(base), |root| {
        fs::write(root.join("old"), "").unwrap()
    });
    driver.install(&mut temporary, &id, Some(base)).unwrap();
    assert!(driver.changes(&id).join("new").exists());
    assert!(!driver.changes(&id).join("old").exists());
    driver.mount(&id, &MountRequest::default(), None).unwrap();
    driver.unmount(&id).unwrap();
}

fn removal_is_complete(driver: &dyn Driver, top: &LayerId) {
    let mut temporary = TempDir::new(driver.temporary_root()).unwrap();
    driver.remove(top, &mut temporary).unwrap();
    driver.remove(top, &mut temporary).unwrap();
    assert!(!driver.changes(top).exists());
    drop(temporary);
    assert!(!driver.temporary_root().exists());
    driver.last_unmounted();
}
