//! Networks of a normal user: a program outside carries what a network namespace sends and gets.
//!
//! [`pasta`] copies the host's addresses into the namespace and splices connections;
//! [`slirp4netns`] has a small network of its own, `10.0.2.0/24`. Both need no privilege beyond
//! the user namespace that owns the network namespace. The program ends by [`end`], and it is
//! found by the path of the namespace where whoever started it was killed before it could say so.

pub mod pasta;
pub mod slirp4netns;

use std::fs;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use minke_sys::proc::ProcessId;
use nix::ifaddrs::getifaddrs;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, netns};

/// What a container in such a network has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserNetwork {
    /// The program that carries it.
    pub process: Option<ProcessId>,
    /// The container's addresses, loopback and link-local ones left out.
    pub addresses: Vec<IpAddr>,
    /// Name servers inside, which the program passes on to the host's.
    pub nameservers: Vec<IpAddr>,
    /// Where the container reaches the host.
    pub host: Option<IpAddr>,
}

impl UserNetwork {
    /// Whether the program still carries it.
    pub fn is_alive(&self) -> bool {
        self.process.is_some_and(|process| process.is_alive())
    }
}

/// Ends the program that carries the namespace bound to `netns`, if there is one.
///
/// `known` is it, where it was recorded. Otherwise it is looked for among all processes that we
/// may ask: one of ours with the path of the namespace as an argument.
///
/// # Errors
/// If the kernel refuses to end it.
pub fn end(netns: &Path, known: Option<ProcessId>) -> Result<()> {
    let process = match known {
        Some(process) => Some(process),
        None => find(netns),
    };
    let Some(process) = process.filter(ProcessId::is_alive) else {
        return Ok(());
    };
    let failed = |source| Error::kernel("end the program of the network", source);
    // Held: the number cannot become another's.
    let Ok(held) = process.open() else {
        return Ok(());
    };
    match rustix::process::pidfd_send_signal(&held, rustix::process::Signal::KILL) {
        // Its sockets hold the published ports until it is gone.
        Ok(()) => held
            .wait_ended(Some(PATIENCE))
            .map(drop)
            .map_err(|source| Error::kernel("wait for the program of the network", source)),
        Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

/// The program that was started for the namespace at `netns`.
fn find(netns: &Path) -> Option<ProcessId> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let mut words = line.split(|byte| *byte == 0);
        let name = Path::new(std::ffi::OsStr::from_bytes(words.next()?)).file_name()?;
        let ours = name == "slirp4netns" || name.as_bytes().starts_with(b"pasta");
        let carries = words.any(|word| word == netns.as_os_str().as_bytes());
        (ours && carries).then(|| ProcessId::of(pid).ok())?
    })
}

/// The addresses of a namespace that others can reach.
fn addresses(netns: BorrowedFd<'_>) -> Result<Vec<IpAddr>> {
    let failed = |source| Error::kernel("list the addresses of the network namespace", source);
    let list = netns::within(netns, || getifaddrs().map(Iterator::collect::<Vec<_>>))
        .map_err(failed)?
        .map_err(|errno| failed(errno.into()))?;
    let mut found: Vec<IpAddr> = Vec::new();
    for entry in list {
        let Some(address) = entry.address else {
            continue;
        };
        let ip = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(address), _) => IpAddr::V4(address.ip()),
            (None, Some(address)) => IpAddr::V6(address.ip()),
            (None, None) => continue,
        };
        if is_global(ip) && !found.contains(&ip) {
            found.push(ip);
        }
    }
    Ok(found)
}

fn is_global(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !link_local
}

/// A program that was asked to be ready within this and was not, never will be.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a program printed, for an error's text: its first 4 KiB, without what it says of a
/// missing syslog.
fn said(mut file: fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = Vec::new();
    let _ = file.rewind();
    let _ = file.take(4096).read_to_end(&mut text);
    String::from_utf8_lossy(&text)
        .lines()
        .filter(|line| !line.contains("to syslog"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A file without a name, which ends with its descriptors.
fn nameless() -> Result<fs::File> {
    rustix::fs::memfd_create("output", rustix::fs::MemfdFlags::CLOEXEC)
        .map(fs::File::from)
        .map_err(|errno| Error::kernel("make a file in memory", errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_nobody_else_can_reach_are_left_out() {
        let told = |text: &str| is_global(text.parse().unwrap());
        assert!(told("192.0.2.1") && told("2001:db8::1"));
        for text in ["127.0.0.1", "::1", "169.254.1.2", "fe80::1", "0.0.0.0"] {
            assert!(!told(text), "{text}");
        }
    }

    #[test]
    fn what_a_program_said_is_told_without_its_trouble_with_syslog() {
        use std::io::Write;
        let mut file = nameless().unwrap();
        write!(file, "Failed to send 3 bytes to syslog\nno way out\n").unwrap();
        assert_eq!(said(file), "no way out");
    }
}
