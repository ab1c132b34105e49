//! Devices by the names of the Container Device Interface.

use std::fs;

use crate::archive::IMAGE;
use crate::scratch::{Scratch, outcome};

#[test]
fn named_devices_reach_the_container() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let dir = scratch.path("cdi");
    fs::create_dir(&dir).unwrap();
    fs::write(scratch.path("data"), "given").unwrap();
    let marker = scratch.path("hooked");
    let json = format!(
        r#"{{"cdiVersion":"0.7.0","kind":"vendor.com/device",
        "containerEdits":{{"env":["OF_ALL=1"]}},
        "devices":[{{"name":"one","containerEdits":{{
            "env":["OF_ONE=2"],
            "deviceNodes":[{{"path":"/dev/mine","hostPath":"/dev/zero"}}],
            "mounts":[{{"hostPath":"{}","containerPath":"/data","options":["ro","bind"]}}],
            "hooks":[{{"hookName":"createRuntime","path":"/bin/busybox","args":["busybox","touch","{}"]}}],
            "additionalGIDs":[4321]}}}}]}}"#,
        scratch.path("data").display(),
        marker.display()
    );
    fs::write(dir.join("vendor.json"), json).unwrap();
    let yaml = "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env: [GPU=all]\n";
    fs::write(dir.join("gpu.yaml"), yaml).unwrap();
    fs::write(dir.join("broken.json"), "{").unwrap();
    let script = "echo $OF_ALL $OF_ONE $GPU; dd if=/dev/mine bs=3 count=1 2>/dev/null | wc -c; cat /data; echo; id -G";
    let mut run = scratch.command();
    run.arg("--cdi-spec-dir").arg(&dir);
    run.args(["run", "--rm", "--network", "none", "--gpus", "all"]);
    run.args([
        "--device",
        "vendor.com/device=one",
        IMAGE,
        "sh",
        "-c",
        script,
    ]);
    let ran = outcome(&mut run);
    assert_eq!(ran.out, "1 2 all\n3\ngiven\n0 4321\n", "{ran:?}");
    assert!(marker.exists());
    assert!(ran.err.contains("broken.json"), "{ran:?}");
    // As directories of the configuration.
    let conf = scratch.path("containers.conf");
    fs::write(&conf, format!("[engine]\ncdi_spec_dirs = [{dir:?}]\n")).unwrap();
    let mut run = scratch.command();
    run.env("CONTAINERS_CONF", &conf);
    run.args(["run", "--rm", "--network", "none", "--gpus", "all", IMAGE]);
    let ran = outcome(run.args(["sh", "-c", "echo $GPU"]));
    assert_eq!(ran.out, "all\n", "{ran:?}");
}

#[test]
fn devices_that_no_file_names_are_refused_together() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    let refused = scratch.minke(&format!(
        "--cdi-spec-dir {} run --device a.com/b=c --gpus 0 {IMAGE} true",
        scratch.path("none").display()
    ));
    let expected =
        "Error: setting up CDI devices: unresolvable CDI devices a.com/b=c, nvidia.com/gpu=0\n";
    assert_eq!((refused.code, refused.err.as_str()), (125, expected));
    assert_eq!(scratch.ok("ps -aq"), "");
}
