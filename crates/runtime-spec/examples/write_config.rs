//! Prints the config.json of a small container.

use minke_runtime_spec::option::{port, size, volume};
use minke_runtime_spec::{ContainerSpec, Host, ImageConfig, generate, to_json};

fn main() -> minke_runtime_spec::Result<()> {
    let mut spec = ContainerSpec {
        command: vec!["httpd".into(), "-f".into()],
        mounts: vec![volume::parse("/srv:/www:ro")?],
        ports: vec![port::parse("8080:80")?],
        ..ContainerSpec::default()
    };
    spec.resources.memory_bytes = Some(size::parse("memory", "64m")?);
    let host = Host {
        container_id: "0123456789abcdef".into(),
        rootfs: "/run/example/rootfs".into(),
        ..Host::default()
    };
    let generated = generate(&spec, &ImageConfig::default(), &host)?;
    print!("{}", to_json(&generated.spec));
    Ok(())
}
