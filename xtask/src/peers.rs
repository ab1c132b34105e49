//! Today's peers: a root directory with Debian sid's Podman, crun, conmon and netavark, beside the
//! Debian that this machine is.
//!
//! The root is made once, below the target directory, from the mirror that this machine's apt
//! uses. It is entered as a mount namespace with a root of its own: in a plain chroot the kernel
//! refuses what containers need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::program::{self, Program};
use crate::{cargo, setup};

/// What the root has.
const PACKAGES: &str = "podman,crun,conmon,netavark,runc,catatonit,ca-certificates,nftables";

/// Becomes the root: $1 is it, $2 a directory to share.
const ENTER: &str = r#"
set -e
mount --rbind "$1" "$1"
for directory in /proc /sys /dev /run; do
    mount --rbind "$directory" "$1$directory"
done
mkdir -p "$1$2" "$1/old"
mount --rbind "$2" "$1$2"
cd "$1"
pivot_root . old
cd /
umount -l /old
echo ready
exec sleep infinity
"#;

/// Makes the root, unless it is there.
pub fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.is_empty(), "peers takes no arguments");
    let root = root()?;
    if !is_whole(&root) {
        make(&root)?;
    }
    let version = Command::new("chroot")
        .arg(&root)
        .args(["dpkg-query", "-W", "podman", "crun", "conmon", "netavark"])
        .output()
        .context("cannot run chroot")?;
    print!("{}", String::from_utf8_lossy(&version.stdout));
    println!("peers: {}", root.display());
    Ok(())
}

fn root() -> Result<PathBuf> {
    Ok(cargo::target_directory()?.join("peers/sid"))
}

/// The root if it has been made.
pub fn made() -> Result<Option<PathBuf>> {
    let root = root()?;
    Ok(is_whole(&root).then_some(root))
}

fn is_whole(root: &Path) -> bool {
    root.join("usr/bin/podman").exists()
}

fn make(root: &Path) -> Result<()> {
    setup::need("mmdebstrap")?;
    let parent = root.parent().context("the root has no parent")?;
    fs::create_dir_all(parent)?;
    let half = parent.join("half");
    if half.exists() {
        fs::remove_dir_all(&half)?;
    }
    let source = format!("deb {} sid main", mirror()?);
    // Not shown: it names the mirror.
    let output = Command::new("mmdebstrap")
        .arg("--variant=minbase")
        // A mirror may be a copy of a certain day.
        .arg("--aptopt=Acquire::Check-Valid-Until \"false\"")
        // The directory may be below one that only we may enter.
        .arg("--aptopt=APT::Sandbox::User \"root\"")
        .arg(format!("--include={PACKAGES}"))
        .arg("sid")
        .arg(&half)
        .arg(source)
        .stdin(Stdio::null())
        .output()
        .context("cannot run mmdebstrap")?;
    ensure!(
        output.status.success(),
        "mmdebstrap failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&half, root).context("cannot name the finished root")
}

/// The mirror of Debian itself that apt uses here.
fn mirror() -> Result<String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"])
        .arg("Created-By: Packages")
        .output()
        .context("cannot run apt-get")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix("Debian Debian "));
    match found {
        Some(mirror) => Ok(mirror.trim().trim_end_matches('/').to_owned()),
        None => bail!("apt knows no mirror of Debian: run apt-get update first"),
    }
}

/// The root, entered: programs of it run in its mount namespace. Ends when this is dropped.
pub struct Entered {
    holder: Child,
}

impl Entered {
    /// Enters the root, in which `shared` is where it is here.
    pub fn new(root: &Path, shared: &Path) -> Result<Entered> {
        let mut holder = Command::new(program::need("unshare")?)
            .args(["--mount", "--propagation", "private", "--"])
            .args(["/bin/sh", "-c", ENTER, "peers"])
            .args([root, shared])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let mut ready = [0; 6];
        let mut output = holder.stdout.take().context("no stdout")?;
        std::io::Read::read_exact(&mut output, &mut ready).context("the root cannot be entered")?;
        Ok(Entered { holder })
    }

    /// A program of the root.
    pub fn program(&self, name: &str) -> Result<Program> {
        Ok(Program::new(program::need("nsenter")?).globals([
            format!("--target={}", self.holder.id()),
            "--mount".to_owned(),
            "--root".to_owned(),
            "--wd".to_owned(),
            "--".to_owned(),
            name.to_owned(),
        ]))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            if matches!(self.holder.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
