//! Programs of others, where they are installed.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Whether `program` can be started; says so if not.
pub fn have(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Runs a program to its end and gives its output; panics with its errors if it fails.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Debian's docker-registry on a free loopback port, with a root of its own.
pub struct Registry {
    child: Child,
    _root: TempDir,
    pub host: String,
}

/// bcrypt of `secret` for user `user`.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

impl Registry {
    pub fn start() -> Option<Self> {
        Self::with("")
    }

    pub fn with_basic_auth() -> Option<Self> {
        Self::with("auth:\n  htpasswd:\n    realm: test\n    path: ROOT/htpasswd\n")
    }

    /// With TLS by a certificate of its own making, which is given in DER.
    pub fn with_tls() -> Option<(Self, Vec<u8>)> {
        if !have("openssl") {
            return None;
        }
        let keys = tempfile::tempdir().unwrap();
        let at = |name: &str| keys.path().join(name).to_str().unwrap().to_owned();
        let (key, cert, der) = (at("key.pem"), at("cert.pem"), at("cert.der"));
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                       -subj /CN=test -addext subjectAltName=IP:127.0.0.1 \
                       -addext basicConstraints=critical,CA:FALSE -keyout";
        let mut arguments: Vec<&str> = request.split_whitespace().collect();
        arguments.extend([key.as_str(), "-out", &cert]);
        run("openssl", &arguments);
        run(
            "openssl",
            &["x509", "-in", &cert, "-outform", "der", "-out", &der],
        );
        let tls = format!("  tls: {{certificate: {cert}, key: {key}}}\n");
        let registry = Self::with(&tls)?;
        Some((registry, std::fs::read(der).unwrap()))
    }

    fn with(extra: &str) -> Option<Self> {
        if !have("docker-registry") {
            return None;
        }
        // Somebody else may take the port between our look and the registry's start.
        (0..5).find_map(|_| Self::try_start(extra))
    }

    fn try_start(extra: &str) -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        let address = free_address();
        std::fs::write(path.join("htpasswd"), HTPASSWD).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http:\n  addr: \"{address}\"\n{}",
            path.join("data").display(),
            extra.replace("ROOT", path.to_str().unwrap()),
        );
        let file = path.join("config.yml");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("docker-registry")
            .args([Path::new("serve"), &file])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Registry {
            child,
            _root: root,
            host: address,
        };
        registry.wait_until_up().then_some(registry)
    }

    fn wait_until_up(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(&self.host).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address nobody listened at a moment ago.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
