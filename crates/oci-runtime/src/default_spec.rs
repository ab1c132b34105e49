//! The configuration that `spec` writes: a shell in a container of its own.

use oci_spec::runtime::{
    Capabilities, LinuxBuilder, LinuxCapabilities, LinuxCapabilitiesBuilder, LinuxIdMappingBuilder,
    LinuxNamespaceBuilder, LinuxNamespaceType, MountBuilder, Spec,
};

/// A config.json to start from; `rootless` maps the caller's ids and leaves out what takes
/// privilege.
pub fn default_spec(rootless: Option<(u32, u32)>) -> Spec {
    let mut spec = Spec::default();
    if let Some(process) = spec.process_mut() {
        process.set_terminal(Some(true));
    }
    if let Some((uid, gid)) = rootless {
        make_rootless(&mut spec, uid, gid);
    }
    spec
}

fn make_rootless(spec: &mut Spec, uid: u32, gid: u32) {
    let kinds = [
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Cgroup,
        LinuxNamespaceType::User,
    ];
    let namespaces: Vec<_> = kinds
        .into_iter()
        .map(|kind| {
            LinuxNamespaceBuilder::default()
                .typ(kind)
                .build()
                .expect("a type is all a namespace needs")
        })
        .collect();
    let map = |host: u32| {
        vec![
            LinuxIdMappingBuilder::default()
                .container_id(0u32)
                .host_id(host)
                .size(1u32)
                .build()
                .expect("every field is set"),
        ]
    };
    let old = spec.linux().clone().unwrap_or_default();
    let linux = LinuxBuilder::default()
        .namespaces(namespaces)
        .uid_mappings(map(uid))
        .gid_mappings(map(gid))
        .masked_paths(old.masked_paths().clone().unwrap_or_default())
        .readonly_paths(old.readonly_paths().clone().unwrap_or_default())
        .build()
        .expect("every field has a value");
    spec.set_linux(Some(linux));
    bind_sysfs(spec);
}

/// sysfs belongs to a network namespace of ours, and there is none.
fn bind_sysfs(spec: &mut Spec) {
    let Some(mounts) = spec.mounts_mut() else {
        return;
    };
    mounts.retain(|mount| mount.typ().as_deref() != Some("cgroup"));
    for mount in mounts {
        if mount.typ().as_deref() == Some("sysfs") {
            *mount = MountBuilder::default()
                .destination("/sys")
                .typ("none")
                .source("/sys")
                .options(
                    ["rbind", "nosuid", "noexec", "nodev", "ro"]
                        .map(str::to_owned)
                        .to_vec(),
                )
                .build()
                .expect("a destination is all a mount needs");
        } else if let Some(options) = mount.options_mut() {
            // The tty group is not mapped.
            options.retain(|option| option != "gid=5");
        }
    }
}

/// Every capability there is, in the sets a privileged process has. The inheritable set stays
/// empty (CVE-2022-24769).
pub fn every_capability() -> LinuxCapabilities {
    let all: Capabilities = (0..crate::capability::COUNT)
        .filter_map(crate::capability::from_number)
        .collect();
    LinuxCapabilitiesBuilder::default()
        .bounding(all.clone())
        .effective(all.clone())
        .permitted(all)
        .inheritable(Capabilities::default())
        .ambient(Capabilities::default())
        .build()
        .expect("every set is given")
}
