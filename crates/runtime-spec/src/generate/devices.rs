use oci_spec::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};

use super::Context;
use crate::host::DeviceNode;
use crate::option::device::Device;
use crate::{Error, Result};

/// Nodes to make. In a user namespace nodes cannot be made: [`super::mounts`] binds them.
pub(super) fn nodes(context: &Context<'_>) -> Result<Option<Vec<LinuxDevice>>> {
    let mut nodes = Vec::new();
    for (device, node) in asked(context)? {
        if !context.host.rootless {
            nodes.push(oci_node(&device.destination, *node));
        }
    }
    if context.privileged() && !context.host.rootless {
        let all = context.host.all_devices.iter();
        nodes.extend(all.map(|(path, node)| oci_node(path, *node)));
    }
    Ok((!nodes.is_empty()).then_some(nodes))
}

/// The devices asked for, with their nodes.
pub(super) fn asked<'a>(context: &'a Context<'_>) -> Result<Vec<(&'a Device, &'a DeviceNode)>> {
    let devices = context.spec.devices.iter();
    devices
        .map(
            |device| match context.host.device_nodes.get(&device.source) {
                Some(node) => Ok((device, node)),
                None => Err(Error::DeviceMissing {
                    path: device.source.clone(),
                }),
            },
        )
        .collect()
}

/// The device cgroup: closed but for what was asked; open when privileged; and none in a user
/// namespace, where the kernel keeps nodes from being made.
pub(super) fn rules(context: &Context<'_>) -> Result<Vec<LinuxDeviceCgroup>> {
    if context.host.rootless {
        if !context.spec.device_cgroup_rules.is_empty() {
            return Err(Error::DeviceRulesRootless);
        }
        return Ok(Vec::new());
    }
    if context.privileged() {
        return Ok(vec![rule(true, None, None, None, "rwm")]);
    }
    let mut rules = Vec::new();
    if !context.new_user_namespace() {
        rules.push(rule(false, None, None, None, "rwm"));
    }
    for (device, node) in asked(context)? {
        let (major, minor) = (i64::from(node.major), i64::from(node.minor));
        rules.push(rule(
            true,
            Some(typ(*node)),
            Some(major),
            Some(minor),
            &device.permissions,
        ));
    }
    for text in &context.spec.device_cgroup_rules {
        rules.push(parse_rule(text)?);
    }
    Ok(rules)
}

/// Reads `c 1:3 rwm`, where a number may be `*`.
fn parse_rule(text: &str) -> Result<LinuxDeviceCgroup> {
    let refuse = || {
        let message = format!("invalid device cgroup rule format: '{text}'");
        Error::syntax("--device-cgroup-rule", message)
    };
    let [kind, numbers, access] = text.split(' ').collect::<Vec<_>>()[..] else {
        return Err(refuse());
    };
    let kind = match kind {
        "a" => LinuxDeviceType::A,
        "b" => LinuxDeviceType::B,
        "c" => LinuxDeviceType::C,
        _ => return Err(refuse()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(refuse)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        _ => text
            .parse::<u32>()
            .map(|number| Some(i64::from(number)))
            .map_err(|_| refuse()),
    };
    if access.is_empty() || !access.chars().all(|c| "rwm".contains(c)) {
        return Err(refuse());
    }
    Ok(rule(
        true,
        Some(kind),
        number(major)?,
        number(minor)?,
        access,
    ))
}

fn rule(
    allow: bool,
    kind: Option<LinuxDeviceType>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow)
        .set_typ(kind)
        .set_major(major)
        .set_minor(minor)
        .set_access(Some(access.to_owned()));
    rule
}

fn oci_node(path: &str, node: DeviceNode) -> LinuxDevice {
    let mut device = LinuxDevice::default();
    device
        .set_path(path.into())
        .set_typ(typ(node))
        .set_major(node.major.into())
        .set_minor(node.minor.into())
        .set_file_mode(Some(node.mode & 0o7777))
        .set_uid(Some(node.uid))
        .set_gid(Some(node.gid));
    device
}

fn typ(node: DeviceNode) -> LinuxDeviceType {
    if node.block {
        LinuxDeviceType::B
    } else {
        LinuxDeviceType::C
    }
}
