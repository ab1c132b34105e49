//! Debian's docker-registry on loopback.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::program::{self, Program};

/// A registry without TLS and passwords; it ends on drop.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
    storage: PathBuf,
}

impl Registry {
    /// Starts one that keeps its blobs below `directory`, on a free port.
    pub fn start(directory: &Path) -> Result<Registry> {
        let port = free_port()?;
        let storage = directory.join("registry");
        fs::create_dir_all(&storage)?;
        let config = directory.join("registry.yml");
        fs::write(&config, config_text(&storage, port))?;
        let log = directory.join("registry.log");
        let child = Command::new(program::need("docker-registry")?)
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()
            .context("cannot start docker-registry")?;
        let mut registry = Registry {
            child,
            port,
            storage,
        };
        registry.wait_until_it_listens(&log)?;
        Ok(registry)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The full name of an image here.
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.host())
    }

    /// Copies an image of an OCI layout here.
    pub fn push(&self, layout: &Path, image: &str) -> Result<()> {
        skopeo()?
            .ok([
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
                &format!("oci:{}:latest", layout.display()),
                &format!("docker://{}", self.name(image)),
            ])
            .map(drop)
    }

    /// The file that holds a blob, to be damaged by tests.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = self.storage.join("docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    fn wait_until_it_listens(&mut self, log: &Path) -> Result<()> {
        let port = self.port;
        let child = &mut self.child;
        program::until("docker-registry listens", Duration::from_secs(20), || {
            if let Some(status) = child.try_wait()? {
                let log = fs::read_to_string(log).unwrap_or_default();
                bail!("docker-registry ended with {status}:\n{log}");
            }
            Ok(TcpStream::connect(("127.0.0.1", port)).ok())
        })?;
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// skopeo, trusting what it is told to copy.
pub fn skopeo() -> Result<Program> {
    Ok(Program::new(program::need("skopeo")?).globals(["--insecure-policy"]))
}

/// A port of loopback that nobody listens on now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")
        .context("no free port")?
        .local_addr()?
        .port())
}

/// No blob cache: tests change blobs below the registry's feet.
fn config_text(storage: &Path, port: u16) -> String {
    format!(
        "version: 0.1\n\
         log:\n  level: warn\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n\
         http:\n  addr: 127.0.0.1:{port}\n",
        storage.display()
    )
}
