//! Device nodes of the host.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use minke_runtime_spec::ContainerSpec;
use minke_runtime_spec::host::DeviceNode;
use minke_runtime_spec::option::device::Device;

use crate::error::{Error, Result};

/// The nodes of what is given to a container or limited for it.
pub(super) fn device_nodes(spec: &ContainerSpec) -> Result<BTreeMap<String, DeviceNode>> {
    let resources = &spec.resources;
    let limited = [
        &resources.blkio_weight_devices,
        &resources.read_bps,
        &resources.write_bps,
        &resources.read_iops,
        &resources.write_iops,
    ];
    let limited = limited.into_iter().flatten().map(|device| &device.path);
    let given = spec.devices.iter().map(|device| &device.source);
    given
        .chain(limited)
        .map(|path| match node(Path::new(path)) {
            Ok(Some(node)) => Ok((path.clone(), node)),
            Ok(None) => Err(Error::invalid(format!("{path} is not a device"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::invalid(format!(
                "stat {path}: no such file or directory"
            ))),
            Err(source) => Err(Error::path("examine device", path)(source)),
        })
        .collect()
}

/// Puts the devices below a directory in the place of the directory.
///
/// # Errors
/// A directory without any.
pub(super) fn expand_directories(devices: &mut Vec<Device>) -> Result<()> {
    let mut expanded = Vec::new();
    for device in std::mem::take(devices) {
        let source = Path::new(&device.source);
        if !source.is_dir() {
            expanded.push(device);
            continue;
        }
        let found = nodes_below(source, |_| true);
        if found.is_empty() {
            return Err(Error::invalid(format!(
                "no devices found in {}",
                device.source
            )));
        }
        for path in found.into_keys() {
            let below = path.strip_prefix(&device.source).unwrap_or(&path);
            expanded.push(Device {
                destination: format!("{}{below}", device.destination.trim_end_matches('/')),
                source: path.clone(),
                permissions: device.permissions.clone(),
            });
        }
    }
    *devices = expanded;
    Ok(())
}

pub(super) fn node(path: &Path) -> io::Result<Option<DeviceNode>> {
    let meta = fs::metadata(path)?;
    let kind = meta.file_type();
    if !kind.is_block_device() && !kind.is_char_device() {
        return Ok(None);
    }
    Ok(Some(DeviceNode {
        block: kind.is_block_device(),
        major: rustix::fs::major(meta.rdev()),
        minor: rustix::fs::minor(meta.rdev()),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
    }))
}

/// Every device below /dev, save what a container has of its own.
pub(super) fn all_devices() -> BTreeMap<String, DeviceNode> {
    const OWN: &[&str] = &[
        "pts", "shm", "mqueue", "fd", "console", "ptmx", "tty", "null", "zero", "full", "random",
        "urandom", "stdin", "stdout", "stderr", "core",
    ];
    let dev = Path::new("/dev");
    nodes_below(dev, |path| {
        path.parent() != Some(dev) || !OWN.iter().any(|own| path.ends_with(own))
    })
}

fn nodes_below(top: &Path, wanted: impl Fn(&Path) -> bool) -> BTreeMap<String, DeviceNode> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if !wanted(&path) || kind.is_symlink() {
                continue;
            }
            if kind.is_dir() {
                dirs.push(path);
            } else if let Ok(Some(node)) = node(&path)
                && let Some(path) = path.to_str()
            {
                found.insert(path.to_owned(), node);
            }
        }
    }
    found
}
