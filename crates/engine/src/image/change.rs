//! Changes to what an image says of its containers: `CMD ["sh"]`, `ENV=A=b`. The instructions,
//! their forms and the words of refusals are Podman's for `commit --change`.

use minke_image::config::{ContainerDefaults, Empty};

use crate::error::{Error, Result};

/// Makes one change.
///
/// # Errors
/// An instruction that is not known, or not of its form.
pub(crate) fn apply(change: &str, config: &mut ContainerDefaults) -> Result<()> {
    let refuse = |why: &str| Error::invalid(format!("invalid change {change:?} - {why}"));
    let (key, value) = change
        .split_once(' ')
        .or_else(|| change.split_once('='))
        .ok_or_else(|| refuse("must be formatted as KEY VALUE"))?;
    let value = value.trim();
    match key.trim().to_uppercase().as_str() {
        "USER" if value.is_empty() => return Err(refuse("must provide a value to USER")),
        "USER" => config.user = value.to_owned(),
        "EXPOSE" => {
            let port = port(value).map_err(|why| refuse(&why))?;
            config.exposed_ports.insert(port, Empty {});
        }
        "ENV" => {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            if key.is_empty() {
                return Err(refuse("ENV must have at least one argument"));
            }
            set_variable(config, unquoted(key), unquoted(value));
        }
        "ENTRYPOINT" => config.entrypoint = Some(command(value)),
        "CMD" => config.cmd = Some(command(value)),
        "VOLUME" => {
            let paths = volumes(value);
            if paths.is_empty() || paths.iter().any(String::is_empty) {
                return Err(refuse("VOLUME paths must not be empty"));
            }
            let paths = paths.into_iter().map(|path| (path, Empty {}));
            config.volumes.extend(paths);
        }
        "WORKDIR" if value.is_empty() => return Err(refuse("must provide a non-empty WORKDIR")),
        "WORKDIR" => config.working_dir = value.to_owned(),
        "LABEL" => {
            let (key, value) = value
                .split_once('=')
                .ok_or_else(|| refuse("LABEL must be formatted key=value"))?;
            if key.is_empty() {
                return Err(refuse("LABEL must have a non-empty key"));
            }
            let (key, value) = (unquoted(key), unquoted(value));
            config.labels.insert(key.to_owned(), value.to_owned());
        }
        "STOPSIGNAL" => {
            let number = minke_runtime_spec::option::signal::parse(value).map_err(|_| {
                refuse(&format!(
                    "KILLSIGNAL must be given a valid signal: invalid signal: {value}"
                ))
            })?;
            config.stop_signal = number.to_string();
        }
        "ONBUILD" if value.is_empty() => {
            return Err(refuse("ONBUILD must be given an argument"));
        }
        "ONBUILD" => config.on_build.push(value.to_owned()),
        other => return Err(refuse(&format!("invalid instruction {other}"))),
    }
    Ok(())
}

/// Puts what `other` says over what `config` says: lists and maps grow, the rest is replaced.
pub(crate) fn overlay(config: &mut ContainerDefaults, other: ContainerDefaults) {
    let text = |own: &mut String, other: String| {
        if !other.is_empty() {
            *own = other;
        }
    };
    text(&mut config.user, other.user);
    text(&mut config.working_dir, other.working_dir);
    text(&mut config.stop_signal, other.stop_signal);
    for variable in &other.env {
        let (key, value) = variable.split_once('=').unwrap_or((variable, ""));
        set_variable(config, key, value);
    }
    config.exposed_ports.extend(other.exposed_ports);
    config.volumes.extend(other.volumes);
    config.labels.extend(other.labels);
    config.on_build.extend(other.on_build);
    config.entrypoint = other.entrypoint.or(config.entrypoint.take());
    config.cmd = other.cmd.or(config.cmd.take());
    config.stop_timeout = other.stop_timeout.or(config.stop_timeout);
    config.healthcheck = other.healthcheck.or(config.healthcheck.take());
    if !other.shell.is_empty() {
        config.shell = other.shell;
    }
}

/// Sets a variable where it stands, or at the end.
pub(crate) fn set_variable(config: &mut ContainerDefaults, key: &str, value: &str) {
    let line = format!("{key}={value}");
    let same =
        |other: &&mut String| other.split_once('=').map_or(other.as_str(), |(key, _)| key) == key;
    match config.env.iter_mut().find(same) {
        Some(own) => *own = line,
        None => config.env.push(line),
    }
}

fn port(value: &str) -> std::result::Result<String, String> {
    let parts: Vec<_> = value.split('/').collect();
    let (number, protocol) = match parts.as_slice() {
        [number] => (*number, "tcp".to_owned()),
        [number, protocol] => (*number, protocol.to_lowercase()),
        _ => return Err("EXPOSE port must be formatted as PORT[/PROTO]".to_owned()),
    };
    let number: i64 = number.parse().map_err(|_| {
        format!("EXPOSE port must be an integer: strconv.Atoi: parsing {number:?}: invalid syntax")
    })?;
    if !(1..=65535).contains(&number) {
        return Err("EXPOSE port must be a valid port number".to_owned());
    }
    if !matches!(protocol.as_str(), "tcp" | "udp") {
        return Err("EXPOSE protocol must be TCP or UDP".to_owned());
    }
    Ok(format!("{number}/{protocol}"))
}

/// A JSON array, or a line for the shell; an empty line is no command.
fn command(value: &str) -> Vec<String> {
    match serde_json::from_str(value) {
        Ok(words) => words,
        Err(_) if value.is_empty() => Vec::new(),
        Err(_) => ["/bin/sh", "-c", value].map(str::to_owned).to_vec(),
    }
}

/// A JSON array, or paths between spaces.
fn volumes(value: &str) -> Vec<String> {
    let words = || value.split_whitespace().map(str::to_owned).collect();
    serde_json::from_str(value).unwrap_or_else(|_| words())
}

fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_podmans() {
        for (change, why) in [
            ("FOO=x", "invalid instruction FOO"),
            ("CMD", "must be formatted as KEY VALUE"),
            (
                "EXPOSE=x",
                "EXPOSE port must be an integer: strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            ("EXPOSE=1/sctp", "EXPOSE protocol must be TCP or UDP"),
            ("EXPOSE=70000", "EXPOSE port must be a valid port number"),
            (
                "EXPOSE=1/2/3",
                "EXPOSE port must be formatted as PORT[/PROTO]",
            ),
            ("ENV =x", "ENV must have at least one argument"),
            ("LABEL =x", "LABEL must have a non-empty key"),
            ("LABEL a b", "LABEL must be formatted key=value"),
            (
                "STOPSIGNAL=NOPE",
                "KILLSIGNAL must be given a valid signal: invalid signal: NOPE",
            ),
            ("VOLUME=", "VOLUME paths must not be empty"),
            ("WORKDIR=", "must provide a non-empty WORKDIR"),
            ("USER=", "must provide a value to USER"),
            ("ONBUILD=", "ONBUILD must be given an argument"),
            ("HEALTHCHECK x", "invalid instruction HEALTHCHECK"),
        ] {
            let error = apply(change, &mut ContainerDefaults::default()).unwrap_err();
            let expected = format!("invalid change {change:?} - {why}");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn every_instruction_changes_its_part() {
        let mut config = ContainerDefaults {
            env: vec!["A=1".into(), "B=2".into()],
            ..ContainerDefaults::default()
        };
        for change in [
            "ENV=A=b",
            "env \"C\"=\"d e\"",
            "CMD [\"a\",\"b\"]",
            "ENTRYPOINT /x y",
            "EXPOSE=1/UDP",
            "EXPOSE 80",
            "LABEL=k=v",
            "ONBUILD RUN x",
            "STOPSIGNAL=TERM",
            "USER=me",
            "VOLUME /a /b",
            "VOLUME [\"/c d\"]",
            "WORKDIR rel",
        ] {
            apply(change, &mut config).unwrap();
        }
        assert_eq!(config.env, ["A=b", "B=2", "C=d e"]);
        assert_eq!(config.cmd.unwrap(), ["a", "b"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "/x y"]);
        let ports: Vec<_> = config.exposed_ports.into_keys().collect();
        assert_eq!(ports, ["1/udp", "80/tcp"]);
        let volumes: Vec<_> = config.volumes.into_keys().collect();
        assert_eq!(volumes, ["/a", "/b", "/c d"]);
        assert_eq!(config.labels["k"], "v");
        assert_eq!(config.on_build, ["RUN x"]);
        assert_eq!(config.stop_signal, "15");
        assert_eq!(
            (config.user.as_str(), config.working_dir.as_str()),
            ("me", "rel")
        );
    }
}
