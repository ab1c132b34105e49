use std::collections::BTreeSet;

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities};

use super::Context;
use crate::Result;
use crate::container::UserMode;
use crate::host::Host;
use crate::option::capability::merge;
use crate::{ContainerSpec, ImageConfig};

/// The five sets, of which two have no life of their own: permitted is effective, and
/// inheritable is ambient, because the kernel raises no ambient capability without it. For a
/// root process both are empty (CVE-2022-24769).
pub(super) struct Sets {
    pub bounding: BTreeSet<String>,
    effective: BTreeSet<String>,
    ambient: BTreeSet<String>,
}

/// What a container may have, `(effective, bounding)` by name, without making its config.
///
/// # Errors
/// As [`super::generate`].
pub fn names(
    spec: &ContainerSpec,
    image: &ImageConfig,
    host: &Host,
) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let sets = sets(&Context { spec, image, host })?;
    Ok((sets.effective, sets.bounding))
}

/// Root gets all that the container may have; another user only what was added by name.
pub(super) fn sets(context: &Context<'_>) -> Result<Sets> {
    let security = &context.spec.security;
    let known = &context.host.bounding;
    let given =
        |set: &BTreeSet<String>| -> BTreeSet<String> { set.intersection(known).cloned().collect() };

    let bounding: BTreeSet<String> = if security.privileged {
        known.clone()
    } else {
        let base = &context.host.default_capabilities;
        given(&merge(base, known, &security.cap_add, &security.cap_drop)?)
    };
    if is_root(context) {
        return Ok(Sets {
            effective: bounding.clone(),
            ambient: BTreeSet::new(),
            bounding,
        });
    }
    let nothing = BTreeSet::new();
    let added: BTreeSet<String> = given(&merge(&nothing, known, &security.cap_add, &[])?);
    Ok(Sets {
        bounding,
        effective: added.clone(),
        ambient: added,
    })
}

fn is_root(context: &Context<'_>) -> bool {
    let asked = context.spec.user.as_deref().unwrap_or(&context.image.user);
    match asked.split(':').next().unwrap_or_default() {
        "" => !matches!(context.spec.namespaces.user, UserMode::KeepId { .. }),
        "root" | "0" => true,
        _ => false,
    }
}

impl Sets {
    pub fn to_oci(&self) -> LinuxCapabilities {
        let mut capabilities = LinuxCapabilities::default();
        capabilities
            .set_bounding(Some(oci(&self.bounding)))
            .set_effective(Some(oci(&self.effective)))
            .set_permitted(Some(oci(&self.effective)))
            .set_inheritable(Some(oci(&self.ambient)))
            .set_ambient(Some(oci(&self.ambient)));
        capabilities
    }
}

/// Names the runtime-spec's types lack are left out; there are none today.
fn oci(names: &BTreeSet<String>) -> Capabilities {
    names
        .iter()
        .filter_map(|name| serde_json::from_value::<Capability>(name.as_str().into()).ok())
        .collect()
}
