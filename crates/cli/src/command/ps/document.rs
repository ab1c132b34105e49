//! What `--format` shows of a container.

use jiff::Timestamp;
use minke_engine::ContainerSummary;
use serde_json::{Value, json};

use super::ports::ports;
use super::{command, room, shown_id, status};
use crate::output::time;

fn seconds(moment: Option<Timestamp>) -> i64 {
    moment.map_or(GO_ZERO_SECONDS, Timestamp::as_second)
}

/// Go's zero time in Unix seconds: what Podman's JSON has for what did not happen.
const GO_ZERO_SECONDS: i64 = -62_135_596_800;

/// One element of `--format json`.
pub fn document(container: &ContainerSummary, now: Timestamp) -> Value {
    let ports: Vec<Value> = container
        .ports
        .iter()
        .map(|port| {
            json!({
                "host_ip": port.host_ip,
                "container_port": port.container_port,
                "host_port": port.host_port,
                "range": port.range,
                "protocol": port.protocol,
            })
        })
        .collect();
    let state = container.state.as_str();
    json!({
        "AutoRemove": container.auto_remove,
        "Command": container.command,
        "CreatedAt": time::ago(container.created, now),
        "CIDFile": container.cidfile.clone().unwrap_or_default(),
        "Exited": matches!(state, "exited" | "stopped"),
        "ExitedAt": seconds(container.finished),
        "ExitCode": container.exit_code.unwrap_or(0),
        "ExposedPorts": (!container.exposed_ports.is_empty()).then_some(&container.exposed_ports),
        "Id": container.id,
        "Image": container.image,
        "ImageID": container.image_id,
        "IsInfra": false,
        "Labels": container.labels,
        "Mounts": container.mounts,
        "Names": [container.name],
        "Namespaces": namespaces(container),
        "Networks": container.networks,
        "Pid": container.pid.unwrap_or(0),
        "Pod": "",
        "PodName": "",
        "Ports": ports,
        "Restarts": container.restarts,
        "Size": container.size.map(|size| json!({
            "rootFsSize": size.root_bytes,
            "rwSize": size.changes_bytes,
        })),
        "StartedAt": seconds(container.started),
        "State": state,
        "Status": status(container, now),
        "Created": container.created.as_second(),
    })
}

fn namespaces(container: &ContainerSummary) -> Value {
    match &container.namespaces {
        Some(spaces) => json!({
            "Mnt": spaces.mnt,
            "Cgroup": spaces.cgroup,
            "Ipc": spaces.ipc,
            "Net": spaces.net,
            "Pidns": spaces.pid,
            "Uts": spaces.uts,
            "User": spaces.user,
        }),
        None => json!({}),
    }
}

/// What templates see: the document, with what people read in place of what programs do.
pub fn fields(container: &ContainerSummary, whole: bool, now: Timestamp) -> Value {
    let document = document(container, now);
    let mut fields = document.clone();
    let labels = container.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let spaces = container.namespaces.clone().unwrap_or_default();
    let readable = json!({
        "ID": shown_id(&container.id, whole),
        "Id": container.id,
        "Names": container.name,
        "Command": command(&container.command, whole),
        "CreatedAt": time::go_text(container.created),
        "CreatedHuman": time::ago(container.created, now),
        "RunningFor": time::ago(container.created, now),
        "Labels": labels.join(","),
        "ImageID": shown_id(&container.image_id, whole),
        "Networks": container.networks.join(","),
        "Ports": ports(container),
        "Restarts": container.restarts.to_string(),
        "Size": room(container),
        "CGROUPNS": spaces.cgroup,
        "Cgroup": spaces.cgroup,
        "IPC": spaces.ipc,
        "MNT": spaces.mnt,
        "NET": spaces.net,
        "PIDNS": spaces.pid,
        "USERNS": spaces.user,
        "User": spaces.user,
        "UTS": spaces.uts,
        "Label()": container.labels,
        "json()": document,
    });
    if let (Value::Object(fields), Value::Object(readable)) = (&mut fields, readable) {
        fields.extend(readable);
    }
    fields
}
