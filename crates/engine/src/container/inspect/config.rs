//! The section `Config`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::container::record::Record;

pub(super) fn section(record: &Record) -> Value {
    let config = &record.config;
    let (spec, image) = (&config.spec, &config.image);
    let mut env: BTreeMap<String, String> = image
        .env
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    env.extend(spec.env.clone());
    let env: Vec<String> = env
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let command = if spec.command.is_empty() {
        &image.cmd
    } else {
        &spec.command
    };
    let hostname = spec
        .hostname
        .clone()
        .unwrap_or_else(|| record.id.chars().take(12).collect());
    json!({
        "Hostname": hostname,
        "Domainname": spec.domainname.clone().unwrap_or_default(),
        "User": spec.user.clone().unwrap_or_else(|| image.user.clone()),
        "AttachStdin": spec.stdin,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": spec.terminal,
        "OpenStdin": spec.stdin,
        "StdinOnce": false,
        "Env": env,
        "Cmd": command,
        "Image": config.image_name,
        "Volumes": null,
        "ExposedPorts": (!image.exposed_ports.is_empty()).then(|| {
            image
                .exposed_ports
                .keys()
                .map(|port| (port.clone(), json!({})))
                .collect::<serde_json::Map<_, _>>()
        }),
        "WorkingDir": spec.workdir.clone().unwrap_or_else(|| {
            if image.working_dir.is_empty() { "/".to_owned() } else { image.working_dir.clone() }
        }),
        "Entrypoint": spec.entrypoint.clone().unwrap_or_else(|| image.entrypoint.clone()),
        "OnBuild": null,
        "Labels": spec.labels,
        "Annotations": spec.annotations,
        "StopSignal": spec.stop_signal
            .and_then(minke_runtime_spec::option::signal::name)
            .unwrap_or_else(|| "SIGTERM".to_owned()),
        "sdNotifyMode": spec.sdnotify.as_str(),
        "Healthcheck": record.health_check(),
        "StartupHealthCheck": spec.health.startup,
        "HealthcheckOnFailureAction": spec.health.on_failure.as_str(),
        "HealthLogDestination": spec.health.log_destination.as_deref().unwrap_or("local"),
        "HealthcheckMaxLogCount": spec.health.max_log_count.unwrap_or(5),
        "HealthcheckMaxLogSize": spec.health.max_log_bytes.unwrap_or(500),
        "CreateCommand": config.create_command,
        "Umask": format!("{:04o}", spec.umask.unwrap_or(0o022)),
        "Timeout": spec.timeout_seconds.unwrap_or(0),
        "StopTimeout": spec.stop_timeout_seconds.unwrap_or(10),
        "Passwd": true,
    })
}
