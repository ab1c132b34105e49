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
    let merged: Vec<(String, String)> = spec
        .env_merge
        .iter()
        // Only what is there is changed, as Podman does.
        .filter(|(key, _)| env.contains_key(*key))
        .map(|(key, text)| (key.clone(), expand(text, &env)))
        .collect();
    env.extend(merged);
    env.extend(spec.env.clone());
    env.entry("HOME".to_owned())
        .or_insert_with(|| context.host.user.home.clone());
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
    if super::systemd::is_on(context) {
        let id = context.host.container_id.chars().take(32);
        env.insert("container_uuid".to_owned(), id.collect());
    }
    env.extend(context.host.default_env.clone());
    if context.spec.http_proxy.unwrap_or(true) {
        env.extend(context.host.proxy_env.clone());
    }
}

/// Puts the variables' values for `$NAME` and `${NAME}`, as a shell would; an unknown one is
/// empty.
fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, next) = match after.strip_prefix('{').and_then(|in_braces| {
            in_braces
                .find('}')
                .map(|end| (&in_braces[..end], &in_braces[end + 1..]))
        }) {
            Some(found) => found,
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        if name.is_empty() {
            expanded.push('$');
        }
        expanded.push_str(env.get(name).map_or("", String::as_str));
        rest = next;
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, expected) in [
            ("x$A-${A}y", "x1-1y"),
            ("$AB", ""),
            ("5$", "5$"),
            ("${A", "${A"),
            ("$$", "$$"),
        ] {
            assert_eq!(expand(text, &env), expected, "{text}");
        }
    }
}
