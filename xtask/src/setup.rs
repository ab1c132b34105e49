//! Debian packages this workspace needs, by lane.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::program;

/// A package of Debian 12 or later, and why it is needed.
struct Package {
    name: &'static str,
    reason: &'static str,
}

const fn package(name: &'static str, reason: &'static str) -> Package {
    Package { name, reason }
}

const PACKAGES: &[Package] = &[
    package("gcc", "build: links, and compiles SQLite, zstd and ring"),
    package("libc6-dev", "build: the C library, also as static archive"),
    package(
        "docker-registry",
        "quickstart, lanes: the registry images are pulled from",
    ),
    package(
        "skopeo",
        "quickstart, lanes: puts images into the registry; peer of the image crate",
    ),
    package(
        "busybox-static",
        "quickstart, lanes: what the test images hold",
    ),
    package("curl", "quickstart, lanes: talks to published ports"),
    package("gzip", "quickstart, lanes: image layers"),
    package("tar", "quickstart, lanes: image layers"),
    package("podman", "lanes, bench: the peer of the engine"),
    package("buildah", "lanes: peer on the same store"),
    package(
        "runc",
        "lanes, bench: minke --runtime runc; Podman's runtime here",
    ),
    package("crun", "lanes: minke --runtime crun"),
    package("conmon", "lanes: minke --conmon /usr/bin/conmon"),
    package("netavark", "lanes, bench: Podman's networks"),
    package(
        "containernetworking-plugins",
        "lanes: Podman's and CNI's networks",
    ),
    package("nftables", "tests: shows the rules minke makes by netlink"),
    package("iptables", "lanes: netavark spawns it"),
    package("iproute2", "tests: ip, namespaces, links"),
    package("procps", "tests: sysctl, ps"),
    package("uidmap", "rootless lane: newuidmap, newgidmap"),
    package("passwd", "rootless lane: useradd"),
    package(
        "fuse-overlayfs",
        "rootless lane: what rootless peers may mount with",
    ),
    package(
        "slirp4netns",
        "rootless lane: the network of rootless peers",
    ),
    package(
        "passt",
        "rootless and tutorial lanes: pasta, a normal user's network",
    ),
    package("util-linux", "lanes: unshare, mount, setpriv"),
    package("e2fsprogs", "tests: file systems in files"),
    package("libseccomp2", "tests: the oracle of the seccomp crate"),
    package("gnupg", "tests: signatures"),
    package(
        "apache2-utils",
        "tests: htpasswd for registries with passwords",
    ),
    package("xz-utils", "tests: compressed archives"),
    package("zstd", "tests: compressed archives"),
    package("jq", "tests: JSON in scripts"),
];

/// Installs what is missing; with `--list` only says what that is.
pub fn run(arguments: &[String]) -> Result<()> {
    let only_list = match arguments {
        [] => false,
        [flag] if flag == "--list" => true,
        _ => bail!("setup takes only --list"),
    };
    let missing = missing()?;
    if missing.is_empty() {
        println!("setup: all {} packages are installed", PACKAGES.len());
        return Ok(());
    }
    for package in &missing {
        println!("missing: {:<28} {}", package.name, package.reason);
    }
    if only_list {
        return Ok(());
    }
    install(
        &missing
            .iter()
            .map(|package| package.name)
            .collect::<Vec<_>>(),
    )
}

/// Installs one program that only some commands need, where it is missing.
pub fn need(package: &str) -> Result<()> {
    if program::find(package).is_some() {
        return Ok(());
    }
    install(&[package])
}

fn missing() -> Result<Vec<&'static Package>> {
    ensure!(
        program::find("dpkg-query").is_some() && program::find("apt-get").is_some(),
        "setup knows Debian's packages only; install by hand: {}",
        PACKAGES
            .iter()
            .map(|package| package.name)
            .collect::<Vec<_>>()
            .join(" ")
    );
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${binary:Package} ${db:Status-Status}\n"])
        .output()
        .context("cannot run dpkg-query")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let installed: Vec<&str> = text.lines().filter_map(installed_name).collect();
    Ok(PACKAGES
        .iter()
        .filter(|package| !installed.contains(&package.name))
        .collect())
}

/// The package named by a line `NAME[:ARCHITECTURE] installed`.
fn installed_name(line: &str) -> Option<&str> {
    let name = line.strip_suffix(" installed")?;
    Some(name.split_once(':').map_or(name, |(name, _)| name))
}

fn install(names: &[&str]) -> Result<()> {
    ensure!(
        program::is_root(),
        "packages are missing; run:\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        names.join(" ")
    );
    program::shown(apt_get().arg("update"))?;
    program::shown(
        apt_get()
            .args(["install", "-y", "--no-install-recommends"])
            .args(names),
    )?;
    println!("setup: installed {}", names.join(" "));
    Ok(())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_told_from_removed_ones() {
        assert_eq!(
            installed_name("libseccomp2:amd64 installed"),
            Some("libseccomp2")
        );
        assert_eq!(installed_name("podman installed"), Some("podman"));
        assert_eq!(installed_name("podman config-files"), None);
        assert_eq!(installed_name("podman not-installed"), None);
    }

    #[test]
    fn no_package_is_listed_twice() {
        let mut names: Vec<_> = PACKAGES.iter().map(|package| package.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PACKAGES.len());
    }
}
