//! The monitor against the real runc, a real bundle, and Podman.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
};

const MONITOR: &str = env!("CARGO_BIN_EXE_minke-conmon");
const PATIENCE: Duration = Duration::from_secs(60);

fn runc() -> Option<PathBuf> {
    find("runc").filter(|_| find("busybox").is_some() && rustix::process::geteuid().is_root())
}

fn find(program: &str) -> Option<PathBuf> {
    let directories = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let paths = directories.map(|directory| Path::new(directory).join(program));
    paths.into_iter().find(|path| path.exists())
}

macro_rules! need {
    ($found:expr, $what:literal) => {
        match $found {
            Some(found) => found,
            None => {
                eprintln!("skipped: needs {}", $what);
                return;
            }
        }
    };
}

fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// A bundle with busybox in its own directory, whose container is deleted in the end.
struct Bundle {
    directory: tempfile::TempDir,
    runc: PathBuf,
    id: String,
}

impl Bundle {
    fn new(runc: PathBuf, terminal: bool, script: &str) -> Bundle {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("rootfs/bin");
        fs::create_dir_all(&root).unwrap();
        fs::copy(find("busybox").unwrap(), root.join("busybox")).unwrap();
        fs::create_dir(directory.path().join("exits")).unwrap();
        fs::create_dir(directory.path().join("persist")).unwrap();
        let id = format!(
            "minke-test-{}",
            directory.path().file_name().unwrap().display()
        );
        let id = id.replace('.', "");
        let bundle = Bundle {
            directory,
            runc,
            id,
        };
        bundle.configure(terminal, script);
        bundle
    }

    fn configure(&self, terminal: bool, script: &str) {
        let made = Command::new(&self.runc)
            .arg("spec")
            .current_dir(self.path())
            .status();
        assert!(made.unwrap().success());
        let path = self.path().join("config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["process"]["terminal"] = terminal.into();
        config["process"]["args"] = serde_json::json!(["/bin/busybox", "sh", "-c", script]);
        config["process"]["rlimits"] = serde_json::json!([]);
        config["root"]["readonly"] = false.into();
        fs::write(path, config.to_string()).unwrap();
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    fn runc(&self, args: &[&str]) -> Output {
        let run = Command::new(&self.runc)
            .arg("--root")
            .arg(self.file("state"))
            .args(args)
            .output();
        run.unwrap()
    }

    /// Has the monitor create the container; returns what came over the sync pipe first.
    fn create(&self, more: &[&str]) -> serde_json::Value {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let keep: &OwnedFd = &theirs.as_fd().try_clone_to_owned().unwrap();
        rustix::io::fcntl_setfd(keep, rustix::io::FdFlags::empty()).unwrap();
        let log = format!("k8s-file:{}", self.file("log").display());
        let state = format!("--root={}", self.file("state").display());
        let output = Command::new(MONITOR)
            .args([
                "--api-version",
                "1",
                "--full-attach",
                "-c",
                &self.id,
                "-u",
                &self.id,
            ])
            .arg("-r")
            .arg(&self.runc)
            .args(["--runtime-arg", &state, "-l", &log, "-b"])
            .arg(self.path())
            .arg("-p")
            .arg(self.file("pid"))
            .arg("-P")
            .arg(self.file("monitor.pid"))
            .arg("--exit-dir")
            .arg(self.file("exits"))
            .arg("--persist-dir")
            .arg(self.file("persist"))
            .args(more)
            .env("_OCI_SYNCPIPE", keep.as_raw_fd().to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut line = String::new();
        drop(theirs);
        std::io::BufRead::read_line(&mut std::io::BufReader::new(ours), &mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn start(&self) {
        let output = self.runc(&["start", &self.id]);
        assert!(output.status.success(), "{output:?}");
    }

    fn exit_code(&self) -> String {
        let path = self.file("exits").join(&self.id);
        wait_until("the exit file", || path.exists());
        fs::read_to_string(path).unwrap()
    }

    fn monitor_pid(&self) -> String {
        self.read("monitor.pid")
    }

    fn attach(&self) -> OwnedFd {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let address = SocketAddrUnix::new(self.file("attach")).unwrap();
        rustix::net::connect(&socket, &address).unwrap();
        socket
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.runc(&["delete", "--force", &self.id]);
    }
}

/// All output that a client gets until the monitor closes, by stream.
fn receive_all(socket: &OwnedFd) -> (String, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 16384];
    loop {
        let received = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty());
        let length = received.map_or(0, |(length, _)| length);
        match buffer[0] {
            _ if length == 0 => break,
            2 => stdout.extend_from_slice(&buffer[1..length]),
            3 => stderr.extend_from_slice(&buffer[1..length]),
            other => panic!("stream {other}"),
        }
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr))
}

fn send(socket: &OwnedFd, bytes: &[u8]) {
    rustix::net::send(socket, bytes, SendFlags::empty()).unwrap();
}

#[test]
fn a_container_is_logged_and_its_end_recorded() {
    let runc = need!(runc(), "root, runc and busybox");
    let bundle = Bundle::new(runc, false, "echo out; echo err >&2; printf part; exit 7");
    let mark = bundle.file("mark");
    let mark = mark.to_str().unwrap();
    let report = bundle.create(&["--exit-command", "/bin/touch", "--exit-command-arg", mark]);
    assert_eq!(
        report["data"].as_i64().unwrap().to_string(),
        bundle.read("pid")
    );
    bundle.start();
    assert_eq!(bundle.exit_code(), "7");
    assert_eq!(bundle.read("persist/exit"), "7");
    let log = bundle.read("log");
    for end in [" stdout F out\n", " stderr F err\n", " stdout P part\n"] {
        assert!(log.contains(end), "{log}");
    }
    wait_until("the exit command", || Path::new(mark).exists());
    assert!(!bundle.file("attach").exists());
}

#[test]
fn the_reason_of_a_failure_reaches_the_caller() {
    let runc = need!(runc(), "root, runc and busybox");
    let bundle = Bundle::new(runc, false, "true");
    let text = bundle
        .read("config.json")
        .replace("/bin/busybox", "/no/such");
    fs::write(bundle.file("config.json"), text).unwrap();
    let report = bundle.create(&[]);
    assert_eq!(report["data"], -1);
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("/no/such"), "{message}");
}

#[test]
fn clients_talk_to_the_container() {
    let runc = need!(runc(), "root, runc and busybox");
    let bundle = Bundle::new(
        runc,
        false,
        "while read l; do echo got $l; done; echo bye >&2",
    );
    bundle.create(&["-i"]);
    let first = bundle.attach();
    let second = bundle.attach();
    bundle.start();
    send(&first, b"one\n");
    send(&second, b"two\n");
    wait_until("both lines", || {
        bundle.read("log").matches("got").count() == 2
    });
    rustix::net::shutdown(&first, Shutdown::Write).unwrap();
    for client in [&first, &second] {
        let (stdout, stderr) = receive_all(client);
        assert!(
            stdout.contains("got one\n") && stdout.contains("got two\n"),
            "{stdout}"
        );
        assert_eq!(stderr, "bye\n");
    }
    assert_eq!(bundle.exit_code(), "0");
}

#[test]
fn a_slow_client_loses_nothing_and_stops_nobody() {
    let runc = need!(runc(), "root, runc and busybox");
    let bundle = Bundle::new(
        runc,
        false,
        "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done",
    );
    bundle.create(&[]);
    let client = bundle.attach();
    bundle.start();
    sleep(Duration::from_millis(500));
    // The monitor still takes orders while the client does not read.
    let moved = bundle.file("moved");
    fs::rename(bundle.file("log"), &moved).unwrap();
    let mut ctl = File::options()
        .write(true)
        .open(bundle.file("ctl"))
        .unwrap();
    ctl.write_all(b"2 0 0\n").unwrap();
    wait_until("a new log", || bundle.file("log").exists());
    let (stdout, _) = receive_all(&client);
    assert_eq!(stdout.lines().count(), 60000);
    assert!(stdout.ends_with("line 59999\n"));
    assert_eq!(bundle.exit_code(), "0");
}

#[test]
fn a_terminal_has_the_size_that_was_asked_for() {
    let runc = need!(runc(), "root, runc and busybox");
    let bundle = Bundle::new(runc, true, "read l; /bin/busybox stty size; echo $l");
    bundle.create(&["-t"]);
    let mut ctl = File::options()
        .write(true)
        .open(bundle.file("ctl"))
        .unwrap();
    ctl.write_all(b"1 31 97\n").unwrap();
    let client = bundle.attach();
    bundle.start();
    send(&client, b"hello\n");
    let (stdout, stderr) = receive_all(&client);
    assert!(stdout.contains("31 97\r\n"), "{stdout}");
    assert!(stdout.ends_with("hello\r\n"), "{stdout}");
    assert_eq!(stderr, "");
    assert_eq!(bundle.exit_code(), "0");
}

#[test]
fn the_monitor_outlives_its_caller_and_leaks_nothing() {
    let runc = need!(runc(), "root, runc and busybox");
    let bundle = Bundle::new(runc, false, "read l; exit 6");
    bundle.create(&["-i", "--leave-stdin-open"]);
    bundle.start();
    let pid = bundle.monitor_pid();
    let count = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let before = count();
    for _ in 0..20 {
        let client = bundle.attach();
        wait_until("a client is served", || count() > before);
        drop(client);
        wait_until("a client is forgotten", || count() == before);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let anonymous = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    eprintln!(
        "anonymous memory of the monitor: {}",
        anonymous.unwrap_or("?").trim()
    );
    send(&bundle.attach(), b"enough\n");
    assert_eq!(bundle.exit_code(), "6");
}

#[test]
fn time_is_up_after_the_timeout() {
    let runc = need!(runc(), "root, runc and busybox");
    let bundle = Bundle::new(runc, false, "exec /bin/busybox sleep 1000");
    bundle.create(&["--timeout", "1"]);
    bundle.start();
    assert_eq!(bundle.exit_code(), "-1");
}

#[test]
fn signals_are_passed_on() {
    let runc = need!(runc(), "root, runc and busybox");
    let bundle = Bundle::new(
        runc,
        false,
        "trap 'exit 9' TERM; echo up; while :; do /bin/busybox sleep 0.1; done",
    );
    bundle.create(&[]);
    bundle.start();
    wait_until("the trap", || bundle.read("log").contains("up"));
    let pid = bundle.monitor_pid().parse().ok();
    let pid = pid.and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(bundle.exit_code(), "9");
}

/// Podman with a store of its own.
struct Podman {
    directory: tempfile::TempDir,
}

impl Podman {
    fn new() -> Option<Podman> {
        runc()?;
        find("podman")?;
        let directory = tempfile::tempdir().unwrap();
        let podman = Podman { directory };
        let root = podman.directory.path().join("rootfs");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::copy(find("busybox").unwrap(), root.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
        let tar = podman.directory.path().join("image.tar");
        let mut pack = Command::new("tar");
        pack.arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".");
        assert!(pack.status().unwrap().success());
        let output = podman.run(&["import", tar.to_str().unwrap(), "busybox:test"]);
        assert!(output.status.success(), "{output:?}");
        Some(podman)
    }

    fn line(&self, args: &[&str]) -> Vec<String> {
        let base = self.directory.path();
        let at = |name: &str| base.join(name).display().to_string();
        let mut line: Vec<String> = vec![find("podman").unwrap().display().to_string()];
        for (flag, value) in [
            ("--root", at("root")),
            ("--runroot", at("run")),
            ("--tmpdir", at("tmp")),
            ("--storage-driver", "vfs".into()),
            ("--cgroup-manager", "cgroupfs".into()),
            ("--runtime", "runc".into()),
            ("--conmon", MONITOR.into()),
        ] {
            line.extend([flag.to_string(), value]);
        }
        line.extend(args.iter().map(|arg| arg.to_string()));
        line
    }

    fn run(&self, args: &[&str]) -> Output {
        let line = self.line(args);
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs under script(1), so that Podman has a terminal.
    fn run_in_terminal(&self, args: &[&str]) -> Output {
        let quoted: Vec<_> = self
            .line(args)
            .iter()
            .map(|word| format!("'{word}'"))
            .collect();
        let mut command = Command::new("script");
        command.args(["-qec", &quoted.join(" "), "/dev/null"]);
        command.stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.run(&["rm", "--all", "--force", "--time", "0"]);
    }
}

/// What `podman run` needs here: no network, and limits below those of the machine.
const LIMITS: [&str; 6] = [
    "--network",
    "none",
    "--ulimit",
    "nofile=1000:1000",
    "--ulimit",
    "nproc=1000:1000",
];

fn with_limits<'a>(first: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    [first, &LIMITS, rest].concat()
}

#[test]
fn podman_runs_logs_and_execs_through_us() {
    let podman = need!(Podman::new(), "root, podman, runc and busybox");
    let script = "echo out; echo err >&2; exit 3";
    let first = ["run", "--name", "one", "--log-driver", "k8s-file"];
    let ran = podman.run(&with_limits(
        &first,
        &["busybox:test", "/bin/sh", "-c", script],
    ));
    assert_eq!(ran.status.code(), Some(3), "{ran:?}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "out\n");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("err\n"));
    let logs = podman.run(&["logs", "one"]);
    assert_eq!(String::from_utf8_lossy(&logs.stdout), "out\n");

    let first = ["run", "-d", "--name", "two", "--log-driver", "k8s-file"];
    let forever = ["busybox:test", "/bin/busybox", "sleep", "1000"];
    let detached = podman.run(&with_limits(&first, &forever));
    assert!(detached.status.success(), "{detached:?}");
    let exec = podman.run(&["exec", "two", "/bin/sh", "-c", "echo in; exit 5"]);
    assert_eq!(exec.status.code(), Some(5), "{exec:?}");
    assert_eq!(String::from_utf8_lossy(&exec.stdout), "in\n");
    let missing = podman.run(&["exec", "two", "/no/such"]);
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    let stopped = podman.run(&["stop", "--time", "0", "two"]);
    assert!(stopped.status.success(), "{stopped:?}");
}

#[test]
fn podman_runs_in_a_terminal_through_us() {
    let podman = need!(Podman::new(), "root, podman, runc and busybox");
    need!(find("script"), "script(1)");
    let script = "[ -t 0 ] || exit 1; [ -t 1 ] || exit 2; echo is a terminal; exit 4";
    let tail = ["busybox:test", "/bin/sh", "-c", script];
    let ran = podman.run_in_terminal(&with_limits(&["run", "--rm", "-it"], &tail));
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(said.contains("is a terminal\r\n"), "{ran:?}");
    assert_eq!(ran.status.code(), Some(4), "{ran:?}");
}

#[test]
fn the_program_answers_for_itself() {
    let version = Command::new(MONITOR).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("conmon version 2."));
    let refused = Command::new(MONITOR).arg("--nope").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let mut said = String::new();
    refused.stderr.as_slice().read_to_string(&mut said).unwrap();
    assert_eq!(said, "[conmon:e]: unknown option --nope\n");
}
