use std::collections::BTreeMap;

use super::Context;

/// What the variable `container` says; systemd and scripts test that it is not empty.
pub const CONTAINER_ENV: &str = "minke";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Defaults, then the image's, then those asked for.
pub(super) fn variables(context: &Context<'_>) -> Vec<String> {
    let spec = context.spec;
    let mut env = BTreeMap::new();
    if !spec.unset_env_all {
        defaults(context, &mut env);
        for line in &context.image.env {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            env.insert(key.to_owned(), value.to_owned());
        }
    }
    env.retain(|key, _| !spec.unset_env.contains(key));
    env.extend(spec.env.clone());
    if !spec.unset_env_all && !spec.unset_env.contains("HOME") {
        env.entry("HOME".to_owned())
            .or_insert_with(|| context.host.user.home.clone());
    }
    env.into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

fn defaults(context: &Context<'_>, env: &mut BTreeMap<String, String>) {
    env.insert("PATH".to_owned(), PATH.to_owned());
    env.insert("container".to_owned(), CONTAINER_ENV.to_owned());
    if context.spec.terminal {
        env.insert("TERM".to_owned(), "xterm".to_owned());
    }
    if let Some(name) = super::hostname(context) {
        env.insert("HOSTNAME".to_owned(), name);
    }
    env.extend(context.host.default_env.clone());
}
