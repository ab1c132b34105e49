//! Namespaces that take all traces along.
//!
//! Lanes and benches run in a world of their own: network, mount and process namespaces with a
//! private `/run`, `/dev/shm` and `/etc`. What they make there (bridges, rules, mounts, users,
//! processes) ends with it, however it ends, and other runs on this machine do not meet it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::program;

/// Sets the world up, then runs the arguments. A shell stays as process 1, which reaps.
const SETUP: &str = r#"
set -e
etc="$TMPDIR/etc"
mkdir -p "$etc"
mount -t tmpfs -o mode=755 etc "$etc"
cp -a /etc/. "$etc"
if [ -e /etc/resolv.conf ]; then
    cp -L --remove-destination /etc/resolv.conf "$etc/resolv.conf.copy"
    mv -f "$etc/resolv.conf.copy" "$etc/resolv.conf"
fi
mount --bind "$etc" /etc
mount -t tmpfs -o mode=755 run /run
mkdir -m 1777 /run/lock
mount -t tmpfs -o mode=1777 shm /dev/shm
ip link set lo up
if [ -c /dev/net/tun ]; then
    # Open to all, as Debian's udev makes it; only here.
    mknod -m 666 "$TMPDIR/tun" c 10 200
    mount --bind "$TMPDIR/tun" /dev/net/tun
fi
code=0
"$@" || code=$?
exit $code
"#;

/// Runs our own `command` with `arguments` in a new world, whose scratch directory is `directory`.
///
/// Gives the exit code.
pub fn run(directory: &Path, command: &str, arguments: &[String]) -> Result<i32> {
    ensure!(
        program::is_root(),
        "namespaces of this kind need root: run it with sudo"
    );
    // A copy: cargo may replace our own file while we build the workspace.
    let us = directory.join("xtask");
    std::fs::copy("/proc/self/exe", &us).context("cannot copy our own binary")?;
    let path = std::env::var("PATH").unwrap_or_default();
    // Should we be killed, so is unshare, and with it every process of the world.
    let status = Command::new(program::need("setpriv")?)
        .args(["--pdeathsig", "KILL"])
        .arg(program::need("unshare")?)
        .args([
            "--net",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--mount-proc",
        ])
        .args([
            "--fork",
            "--kill-child",
            "--",
            "/bin/sh",
            "-c",
            SETUP,
            "world",
        ])
        .arg(us)
        .arg(command)
        .args(arguments)
        .env("TMPDIR", directory)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null())
        .status()
        .context("cannot run unshare")?;
    Ok(program::code(status))
}
