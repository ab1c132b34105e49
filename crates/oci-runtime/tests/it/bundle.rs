//! A bundle of busybox, a state root and a runtime to run it with; all gone at the end.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use minke_sys::cgroup::Cgroups;
use serde_json::{Value, json};

const OURS: &str = env!("CARGO_BIN_EXE_minke-oci");

/// What an ordinary container may do.
pub const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
];

/// One bundle with its own state root, and one container id.
pub struct Bundle {
    scratch: tempfile::TempDir,
    pub config: Value,
    pub id: String,
    runtime: PathBuf,
}

/// Whether the tests can make containers; says why not.
pub fn able() -> bool {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: containers of every kind take root");
        return false;
    }
    if !Path::new("/bin/busybox").exists() {
        eprintln!("skipped: /bin/busybox (busybox-static) is not installed");
        return false;
    }
    true
}

impl Bundle {
    /// A container of our runtime that runs `script` in busybox's shell.
    pub fn new(script: &str) -> Self {
        Self::of(Path::new(OURS), script)
    }

    /// The same for another runtime.
    pub fn of(runtime: &Path, script: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let scratch = tempfile::Builder::new()
            .prefix("minke-oci-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("mt{}-{number}", std::process::id());
        let bundle = Self {
            config: config(script, &id),
            scratch,
            id,
            runtime: runtime.to_owned(),
        };
        make_root(&bundle.rootfs());
        bundle
    }

    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    pub fn rootfs(&self) -> PathBuf {
        self.dir().join("rootfs")
    }

    pub fn state_root(&self) -> PathBuf {
        self.dir().join("state")
    }

    pub fn cgroup(&self) -> PathBuf {
        PathBuf::from(format!("/minke-test-{}", self.id))
    }

    /// Host path of a cgroup file.
    pub fn cgroup_file(&self, controller: &str, file: &str) -> PathBuf {
        let cgroups = Cgroups::detect().unwrap();
        let group = cgroups.group(&self.cgroup()).unwrap();
        group.dir(controller).unwrap().join(file)
    }

    pub fn save(&self) -> &Self {
        let text = serde_json::to_vec_pretty(&self.config).unwrap();
        fs::write(self.dir().join("config.json"), text).unwrap();
        self
    }

    /// The runtime with its state root, ready for a verb.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.runtime);
        command.arg("--root").arg(self.state_root());
        command.current_dir(self.dir()).stdin(Stdio::null());
        command
    }

    /// Runs a verb and gives what came of it.
    pub fn call(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs a verb that must work; gives its standard output.
    pub fn must(&self, args: &[&str]) -> String {
        let output = self.call(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a verb that must fail; gives its standard error.
    pub fn must_fail(&self, args: &[&str]) -> String {
        let output = self.call(args);
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Saves and runs the container to its end.
    pub fn run(&self) -> Output {
        self.save().call(&["run", &self.id])
    }

    /// As [`Bundle::run`], for the standard output of a container that must exit with 0.
    pub fn output(&self) -> String {
        let output = self.run();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a container that must not come to be; gives the reason.
    pub fn refusal(&self) -> String {
        let output = self.run();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Creates without waiting for output: init keeps its streams.
    pub fn create(&self) {
        self.create_with(&[]);
    }

    pub fn create_with(&self, flags: &[&str]) {
        self.save();
        let status = self
            .command()
            .arg("create")
            .args(flags)
            .arg(&self.id)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Creates and starts.
    pub fn up(&self) {
        self.create();
        self.must(&["start", &self.id]);
    }

    pub fn state(&self) -> Value {
        serde_json::from_str(&self.must(&["state", &self.id])).unwrap()
    }

    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    pub fn pid(&self) -> i32 {
        self.state()["pid"].as_i64().unwrap() as i32
    }

    pub fn wait_status(&self, wanted: &str) {
        eventually(wanted, || self.status() == wanted);
    }

    /// Executes a command; gives what came of it.
    pub fn exec(&self, flags: &[&str], command: &[&str]) -> Output {
        let mut args = vec!["exec"];
        args.extend(flags);
        args.push(&self.id);
        args.extend(command);
        self.call(&args)
    }

    pub fn mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().unwrap().push(mount);
    }

    /// Deletes the container whatever it does, and asserts that nothing is left of it.
    pub fn clean(&self) {
        self.must(&["delete", "--force", &self.id]);
        self.assert_nothing_left();
    }

    pub fn assert_nothing_left(&self) {
        let cgroups = Cgroups::detect().unwrap();
        let group = cgroups.group(&self.cgroup()).unwrap();
        assert!(!group.exists(), "cgroup of {} is left", self.id);
        assert!(!self.state_root().join(&self.id).exists());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let scratch = self.dir().to_str().unwrap();
        assert!(!mounts.contains(scratch), "mounts of {} are left", self.id);
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // Whatever a failed test left running.
        let _ = self.call(&["delete", "--force", &self.id]);
    }
}

/// What a process wrote, for messages.
pub fn text(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Waits until something comes true.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn make_root(root: &Path) {
    for dir in ["bin", "dev", "proc", "sys", "etc", "tmp", "run"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for name in [
        "sh", "cat", "true", "id", "sleep", "ls", "stat", "hostname", "mount", "grep", "readlink",
        "stty", "touch", "mkdir", "kill", "env", "pwd", "dd", "mknod", "test", "wc", "tr", "head",
    ] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
}

fn config(script: &str, id: &str) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh", "-c", script],
            "env": ["PATH=/bin", "HOME=/"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
            },
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "cgroupsPath": format!("/minke-test-{id}"),
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                {"type": "network"},
            ],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/acpi"],
            "readonlyPaths": ["/proc/sys", "/proc/bus"],
        },
    })
}
