use std::collections::HashMap;

use super::Context;
use crate::{Error, Result};

/// Those of the IPC namespace that do not begin with `fs.mqueue.`.
const IPC: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Only parameters of namespaces, and only of those that are the container's own. Defaults
/// that do not fit are passed over, as Podman does.
pub(super) fn sysctls(context: &Context<'_>) -> Result<Option<HashMap<String, String>>> {
    let mut all = HashMap::new();
    // A network namespace made beforehand is not that of the container's root.
    let foreign_network = context.new_user_namespace() && context.host.netns.is_some();
    for (key, value) in &context.host.default_sysctls {
        if foreign_network && key.starts_with("net.") {
            tracing::info!(key, value, "default sysctl is not set in a user namespace");
            continue;
        }
        match host_namespace(context, key)? {
            Some(namespace) => tracing::info!(key, value, namespace, "default sysctl is not set"),
            None => drop(all.insert(key.clone(), value.clone())),
        }
    }
    for (key, value) in &context.spec.sysctls {
        if let Some(namespace) = host_namespace(context, key)? {
            return Err(Error::SysctlOfHost {
                key: key.clone(),
                value: value.clone(),
                namespace,
            });
        }
        all.insert(key.clone(), value.clone());
    }
    Ok((!all.is_empty()).then_some(all))
}

/// The namespace of a parameter, if it is the host's.
fn host_namespace(context: &Context<'_>, key: &str) -> Result<Option<&'static str>> {
    let namespaces = &context.spec.namespaces;
    // A separator would let a key reach a file of another namespace (CVE-2022-0811).
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    let (host, name) = if !key.chars().all(plain) || key.contains("..") {
        return Err(not_allowed(key));
    } else if key.starts_with("net.") {
        (namespaces.network.is_host(), "Network")
    } else if key.starts_with("fs.mqueue.") || IPC.contains(&key) {
        (namespaces.ipc.is_host(), "IPC")
    } else if matches!(key, "kernel.domainname" | "kernel.hostname") {
        (namespaces.uts.is_host(), "UTS")
    } else {
        return Err(not_allowed(key));
    };
    Ok(host.then_some(name))
}

fn not_allowed(key: &str) -> Error {
    Error::SysctlNotAllowed {
        key: key.to_owned(),
    }
}
