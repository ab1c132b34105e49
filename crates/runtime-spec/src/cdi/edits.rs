use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::runtime::{
    Hook, Hooks, LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType, Mount as OciMount, Spec,
};

use super::{Edits, Mount, NamedHook, Node};
use crate::host::DeviceNode;
use crate::{Error, Result};

/// The runtime-spec's stages.
const STAGES: &[&str] = &[
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

/// How nodes come into the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// The runtime makes them.
    Made,
    /// The host's are mounted: nobody makes nodes in a normal user's namespace.
    Mounted,
}

impl Edits {
    pub(super) fn append(&mut self, other: &Edits) {
        self.env.extend(other.env.iter().cloned());
        self.device_nodes.extend(other.device_nodes.iter().cloned());
        self.hooks.extend(other.hooks.iter().cloned());
        self.mounts.extend(other.mounts.iter().cloned());
        self.intel_rdt = other.intel_rdt.clone().or(self.intel_rdt.take());
        self.additional_gids.extend(&other.additional_gids);
    }

    pub(super) fn wrong(&self) -> Option<String> {
        let env = self.env.iter().find(|text| !text.contains('='));
        if let Some(text) = env {
            return Some(format!("invalid variable {text:?}"));
        }
        for node in &self.device_nodes {
            let is_type = matches!(node.typ.as_deref(), None | Some("" | "b" | "c" | "u" | "p"));
            if !node.path.starts_with('/') || !is_type {
                return Some(format!("invalid device node {:?}", node.path));
            }
            let mut access = node.permissions.iter().flat_map(|text| text.chars());
            if access.any(|letter| !"rwm".contains(letter)) {
                return Some(format!(
                    "invalid permissions of device node {:?}",
                    node.path
                ));
            }
        }
        for mount in &self.mounts {
            if mount.host_path.is_empty() || !mount.container_path.starts_with('/') {
                return Some(format!("invalid mount {:?}", mount.container_path));
            }
        }
        let mut hooks = self.hooks.iter();
        let is_wrong =
            |hook: &&NamedHook| !STAGES.contains(&&*hook.hook_name) || hook.path.is_empty();
        let hook = hooks.find(is_wrong)?;
        Some(format!("invalid hook {:?} {:?}", hook.hook_name, hook.path))
    }

    /// The paths of the host whose nodes [`Edits::apply`] has to know.
    pub fn host_nodes(&self) -> impl Iterator<Item = &str> {
        self.device_nodes.iter().map(Node::source)
    }

    /// Changes a configuration. `nodes` are the host's nodes at [`Edits::host_nodes`], of those
    /// that are there.
    ///
    /// # Errors
    /// [`Error::DeviceMissing`] for a node of which nothing is said and that is not there.
    pub fn apply(
        &self,
        spec: &mut Spec,
        nodes: &BTreeMap<String, DeviceNode>,
        how: Nodes,
    ) -> Result<()> {
        self.set_variables(spec);
        for node in &self.device_nodes {
            match how {
                Nodes::Made => node.make(spec, nodes.get(node.source()))?,
                Nodes::Mounted => put_mount(spec, &node.mount()),
            }
        }
        for mount in &self.mounts {
            put_mount(spec, mount);
        }
        self.add_hooks(spec);
        if let (Some(rdt), Some(linux)) = (&self.intel_rdt, spec.linux_mut()) {
            linux.set_intel_rdt(Some(rdt.clone()));
        }
        self.add_groups(spec);
        Ok(())
    }

    fn set_variables(&self, spec: &mut Spec) {
        let Some(process) = spec.process_mut() else {
            return;
        };
        let mut env = process.env().clone().unwrap_or_default();
        for text in &self.env {
            let key = text.split_once('=').map_or(text.as_str(), |(key, _)| key);
            let is_other = |other: &String| {
                let own = other.split_once('=').map_or(other.as_str(), |(own, _)| own);
                own != key
            };
            env.retain(is_other);
            env.push(text.clone());
        }
        process.set_env(Some(env));
    }

    fn add_hooks(&self, spec: &mut Spec) {
        if self.hooks.is_empty() {
            return;
        }
        let mut all: Hooks = spec.hooks().clone().unwrap_or_default();
        for named in &self.hooks {
            let mut hook = Hook::default();
            hook.set_path(PathBuf::from(&named.path))
                .set_args(named.args.clone())
                .set_env(named.env.clone())
                .set_timeout(named.timeout);
            let with = |listed: &Option<Vec<Hook>>| {
                let listed = listed.iter().flatten().cloned();
                Some(listed.chain([hook.clone()]).collect::<Vec<_>>())
            };
            #[allow(deprecated)] // deprecated in the specification, and what most files still use
            match named.hook_name.as_str() {
                "prestart" => all.set_prestart(with(all.prestart())),
                "createRuntime" => all.set_create_runtime(with(all.create_runtime())),
                "createContainer" => all.set_create_container(with(all.create_container())),
                "startContainer" => all.set_start_container(with(all.start_container())),
                "poststart" => all.set_poststart(with(all.poststart())),
                _ => all.set_poststop(with(all.poststop())),
            };
        }
        spec.set_hooks(Some(all));
    }

    fn add_groups(&self, spec: &mut Spec) {
        let Some(process) = spec.process_mut() else {
            return;
        };
        let mut user = process.user().clone();
        let mut groups = user.additional_gids().clone().unwrap_or_default();
        for group in self.additional_gids.iter().filter(|&&group| group != 0) {
            if !groups.contains(group) {
                groups.push(*group);
            }
        }
        if !groups.is_empty() {
            user.set_additional_gids(Some(groups));
        }
        process.set_user(user);
    }
}

impl Node {
    fn source(&self) -> &str {
        self.host_path.as_deref().unwrap_or(&self.path)
    }

    fn mount(&self) -> Mount {
        Mount {
            host_path: self.source().to_owned(),
            container_path: self.path.clone(),
            options: ["bind", "nosuid", "noexec"].map(str::to_owned).to_vec(),
            typ: Some("bind".to_owned()),
        }
    }

    fn make(&self, spec: &mut Spec, host: Option<&DeviceNode>) -> Result<()> {
        let missing = || Error::DeviceMissing {
            path: self.source().to_owned(),
        };
        let typ = match (self.typ.as_deref(), host) {
            (Some("b"), _) => LinuxDeviceType::B,
            (Some("c"), _) => LinuxDeviceType::C,
            (Some("u"), _) => LinuxDeviceType::U,
            (Some("p"), _) => LinuxDeviceType::P,
            (_, Some(host)) if host.block => LinuxDeviceType::B,
            (_, Some(_)) => LinuxDeviceType::C,
            (_, None) => return Err(missing()),
        };
        let of_host = |number: fn(&DeviceNode) -> u32| host.map(|node| i64::from(number(node)));
        let is_fifo = typ == LinuxDeviceType::P;
        let numbers = (
            self.major.or(of_host(|node| node.major)),
            self.minor.or(of_host(|node| node.minor)),
        );
        let (major, minor) = match numbers {
            (Some(major), Some(minor)) => (major, minor),
            _ if is_fifo => (0, 0),
            _ => return Err(missing()),
        };
        // Who runs in there may use it.
        let user = spec
            .process()
            .as_ref()
            .map(|process| process.user().clone());
        let nonzero = |id: u32| (id > 0).then_some(id);
        let (uid, gid) = match &user {
            Some(user) => (nonzero(user.uid()), nonzero(user.gid())),
            None => (None, None),
        };
        let mut device = LinuxDevice::default();
        device
            .set_path(PathBuf::from(&self.path))
            .set_typ(typ)
            .set_major(major)
            .set_minor(minor)
            .set_file_mode(self.file_mode.or(host.map(|node| node.mode)))
            .set_uid(self.uid.or(uid).or(host.map(|node| node.uid)))
            .set_gid(self.gid.or(gid).or(host.map(|node| node.gid)));
        let Some(linux) = spec.linux_mut() else {
            return Ok(());
        };
        let mut devices = linux.devices().clone().unwrap_or_default();
        devices.retain(|other| other.path() != device.path());
        devices.push(device);
        linux.set_devices(Some(devices));
        if let Some(resources) = linux.resources_mut().as_mut().filter(|_| !is_fifo) {
            let access = self.permissions.as_deref().filter(|text| !text.is_empty());
            let mut rule = LinuxDeviceCgroup::default();
            rule.set_allow(true)
                .set_typ(Some(typ))
                .set_major(Some(major))
                .set_minor(Some(minor))
                .set_access(Some(access.unwrap_or("rwm").to_owned()));
            let mut rules = resources.devices().clone().unwrap_or_default();
            rules.push(rule);
            resources.set_devices(Some(rules));
        }
        Ok(())
    }
}

/// Puts a mount after those that lie above it, in place of another at its destination.
fn put_mount(spec: &mut Spec, mount: &Mount) {
    let mut made = OciMount::default();
    made.set_destination(PathBuf::from(&mount.container_path))
        .set_source(Some(PathBuf::from(&mount.host_path)))
        .set_typ(mount.typ.clone())
        .set_options(Some(mount.options.clone()));
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.retain(|other| other.destination() != made.destination());
    mounts.push(made);
    spec.set_mounts(Some(mounts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdi::{Document, Format, Registry};

    #[test]
    fn every_kind_of_edit_reaches_the_configuration() {
        let text = r#"
cdiVersion: "0.7.0"
kind: vendor.com/device
devices:
  - name: one
    containerEdits:
      env: ["A=new", "B=2"]
      deviceNodes:
        - path: /dev/mine
          hostPath: /dev/theirs
          permissions: rw
        - {path: /dev/own, type: c, major: 7, minor: 8, fileMode: 384, uid: 3}
      mounts:
        - {hostPath: /lib/x, containerPath: /x, options: [ro, bind]}
      hooks:
        - {hookName: createContainer, path: /bin/hook, args: [hook, x], timeout: 3}
      intelRdt: {closID: class}
      additionalGIDs: [0, 44, 44]
"#;
        let mut registry = Registry::default();
        registry.add(0, Document::parse(text, Format::Yaml).unwrap());
        let edits = registry.resolve(&["vendor.com/device=one".into()]).unwrap();
        let mut spec = Spec::default();
        let mut process = spec.process().clone().unwrap_or_default();
        process.set_env(Some(vec!["A=old".into(), "C=3".into()]));
        spec.set_process(Some(process));
        let node = DeviceNode {
            block: true,
            major: 1,
            minor: 2,
            mode: 0o660,
            uid: 4,
            gid: 5,
        };
        let nodes = BTreeMap::from([("/dev/theirs".to_owned(), node)]);
        edits.apply(&mut spec, &nodes, Nodes::Made).unwrap();
        let json = serde_json::to_value(&spec).unwrap();
        assert_eq!(
            json["process"]["env"],
            serde_json::json!(["C=3", "A=new", "B=2"])
        );
        assert_eq!(
            json["process"]["user"]["additionalGids"],
            serde_json::json!([44])
        );
        let devices = json["linux"]["devices"].as_array().unwrap();
        let expected = serde_json::json!({"path": "/dev/mine", "type": "b", "major": 1, "minor": 2,
            "fileMode": 0o660, "uid": 4, "gid": 5});
        assert!(devices.contains(&expected), "{devices:?}");
        let own = devices
            .iter()
            .find(|device| device["path"] == "/dev/own")
            .unwrap();
        assert_eq!((&own["major"], &own["uid"]), (&7.into(), &3.into()));
        let mounts = json["mounts"].as_array().unwrap();
        assert_eq!(mounts.last().unwrap()["source"], "/lib/x");
        assert_eq!(json["hooks"]["createContainer"][0]["args"][1], "x");
        assert_eq!(json["linux"]["intelRdt"]["closID"], "class");
        assert!(
            edits
                .apply(&mut spec, &BTreeMap::new(), Nodes::Made)
                .is_err()
        );
        edits
            .apply(&mut spec, &BTreeMap::new(), Nodes::Mounted)
            .unwrap();
        let mounted = spec.mounts().as_ref().unwrap().iter();
        let sources: Vec<_> = mounted
            .filter_map(|mount| mount.source().as_ref())
            .collect();
        assert!(sources.contains(&&PathBuf::from("/dev/theirs")));
    }
}
