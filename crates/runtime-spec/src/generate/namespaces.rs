use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace, LinuxNamespaceType,
};

use super::Context;
use crate::container::{NamespaceMode, NetworkMode, UserMode};
use crate::host::{Cgroup, IdMapping};
use crate::{Error, Result};

/// Which namespaces are made and which joined; the host's are not listed.
pub(super) fn namespaces(context: &Context<'_>) -> Result<Vec<LinuxNamespace>> {
    let asked = &context.spec.namespaces;
    let cgroup = asked.cgroup.clone().unwrap_or(match context.host.cgroup {
        Cgroup::V2 => NamespaceMode::Private,
        Cgroup::V1 | Cgroup::None => NamespaceMode::Host,
    });
    let mut all = Vec::new();
    for (typ, name, mode) in [
        (LinuxNamespaceType::Pid, "pid", &asked.pid),
        (LinuxNamespaceType::Ipc, "ipc", &asked.ipc),
        (LinuxNamespaceType::Uts, "uts", &asked.uts),
        (LinuxNamespaceType::Cgroup, "cgroup", &cgroup),
    ] {
        all.extend(plain(context, typ, name, mode)?);
    }
    all.push(own(LinuxNamespaceType::Mount));
    all.extend(network(context)?);
    all.extend(user(context)?);
    Ok(all)
}

fn plain(
    context: &Context<'_>,
    typ: LinuxNamespaceType,
    name: &'static str,
    mode: &NamespaceMode,
) -> Result<Option<LinuxNamespace>> {
    Ok(match mode {
        NamespaceMode::Private => Some(own(typ)),
        NamespaceMode::Host => None,
        NamespaceMode::Path(path) => Some(at(typ, path)),
        NamespaceMode::Container(_) => Some(at(typ, joined(context, name)?)),
    })
}

fn network(context: &Context<'_>) -> Result<Option<LinuxNamespace>> {
    let typ = LinuxNamespaceType::Network;
    Ok(match &context.spec.namespaces.network {
        NetworkMode::Host => None,
        NetworkMode::Path(path) => Some(at(typ, path)),
        NetworkMode::Container(_) => Some(at(typ, joined(context, "network")?)),
        _ => Some(match &context.host.netns {
            Some(path) => at(typ, path),
            None => own(typ),
        }),
    })
}

fn user(context: &Context<'_>) -> Result<Option<LinuxNamespace>> {
    let typ = LinuxNamespaceType::User;
    Ok(match &context.spec.namespaces.user {
        UserMode::Host => None,
        UserMode::Path(path) => Some(at(typ, path)),
        UserMode::Container(_) => Some(at(typ, joined(context, "user")?)),
        UserMode::Private | UserMode::Auto(_) | UserMode::KeepId { .. } | UserMode::NoMap => {
            Some(own(typ))
        }
    })
}

fn joined<'a>(context: &'a Context<'_>, kind: &'static str) -> Result<&'a PathBuf> {
    let path = context.host.joined.get(kind);
    path.ok_or(Error::NamespaceUnresolved { kind })
}

fn own(typ: LinuxNamespaceType) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(typ);
    namespace
}

fn at(typ: LinuxNamespaceType, path: &Path) -> LinuxNamespace {
    let mut namespace = own(typ);
    namespace.set_path(Some(path.to_owned()));
    namespace
}

/// Mappings for the runtime; none if there are none.
pub(super) fn mappings(mappings: &[IdMapping]) -> Option<Vec<LinuxIdMapping>> {
    let oci = |mapping: &IdMapping| {
        LinuxIdMappingBuilder::default()
            .container_id(mapping.container_id)
            .host_id(mapping.host_id)
            .size(mapping.size)
            .build()
            .expect("a mapping's builder has a default for every field")
    };
    (!mappings.is_empty()).then(|| mappings.iter().map(oci).collect())
}
