//! slirp4netns(1): a network of the container's own, `10.0.2.0/24`, behind a program.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ipnetwork::Ipv4Network;
use minke_sys::proc::ProcessId;
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::json;

use super::UserNetwork;
use crate::netavark::PortMapping;
use crate::{Error, Result};

/// What a network by slirp4netns is made of.
#[derive(Debug, Clone, Copy)]
pub struct Slirp4netnsRequest<'a> {
    /// The program.
    pub program: &'a Path,
    /// The file that the namespace is bound to.
    pub netns: &'a Path,
    /// Where its socket for published ports is made. Its directory may have a long path.
    pub socket: &'a Path,
    /// Ports published on the host.
    pub ports: &'a [PortMapping],
    /// `KEY=VALUE`: `allow_host_loopback`, `cidr`, `enable_ipv6`, `mtu`, `outbound_addr`,
    /// `outbound_addr6`, `port_handler` (only `slirp4netns`).
    pub options: &'a [String],
}

/// What the options say.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    subnet: Ipv4Network,
    words: Vec<String>,
}

/// Starts slirp4netns for a namespace, and returns when it is ready and its ports are open.
///
/// # Errors
/// [`Error::Invalid`] for an option it does not have; [`Error::Program`] if it refused.
pub fn setup(request: &Slirp4netnsRequest<'_>) -> Result<UserNetwork> {
    let options = read(request.options)?;
    let failed = |source| Error::file("run", request.program, source);
    let (ready, tell) = ready_pipe().map_err(|errno| failed(errno.into()))?;
    let output = super::nameless()?;
    let mut command = Command::new(request.program);
    command
        .args(&options.words)
        .args(["-c", "-r", &tell.as_raw_fd().to_string()])
        .arg("--api-socket")
        .arg(name_of(request.socket)?)
        .arg("--netns-type=path")
        .arg(request.netns)
        .arg("tap0")
        .current_dir(directory_of(request.socket))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    drop(tell);
    let made = await_ready(&ready)
        .ok_or_else(|| output.try_clone().map(super::said).unwrap_or_default())
        .and_then(|()| publish(request, options.subnet));
    if let Err(said) = made {
        let _ = child.kill();
        let status = child.wait().map_err(failed)?;
        return Err(Error::Program {
            program: "slirp4netns",
            code: status.code().unwrap_or(-1),
            said,
        });
    }
    let inside = |offset: u32| nth(options.subnet, offset);
    Ok(UserNetwork {
        process: ProcessId::of(child.id() as i32).ok(),
        addresses: vec![inside(100)],
        nameservers: vec![inside(3)],
        host: Some(inside(2)),
    })
}

fn directory_of(socket: &Path) -> &Path {
    socket.parent().unwrap_or(Path::new("/"))
}

fn name_of(socket: &Path) -> Result<&std::ffi::OsStr> {
    socket.file_name().ok_or_else(|| {
        let subject = format!("the socket {}", socket.display());
        Error::invalid(subject, "it has no name")
    })
}

/// A pipe whose end for writing is inherited.
fn ready_pipe() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe()?;
    rustix::io::fcntl_setfd(&read, rustix::io::FdFlags::CLOEXEC)?;
    Ok((read, write))
}

/// Waits for the byte that says so; `None` if the program ended without.
fn await_ready(ready: &OwnedFd) -> Option<()> {
    let mut waiting = [PollFd::new(ready, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: super::PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut waiting, Some(&patience)).ok()?;
    let mut byte = [0; 1];
    (rustix::io::read(ready, &mut byte) == Ok(1)).then_some(())
}

fn nth(subnet: Ipv4Network, offset: u32) -> IpAddr {
    let first = u32::from(subnet.network());
    IpAddr::V4(Ipv4Addr::from(first.saturating_add(offset)))
}

/// Podman's defaults, then what was asked.
fn read(options: &[String]) -> Result<Options> {
    let mut subnet = Ipv4Network::new(Ipv4Addr::new(10, 0, 2, 0), 24).expect("24 is a prefix");
    let mut cidr = None;
    let (mut loopback, mut ipv6, mut mtu) = (false, true, "65520".to_owned());
    let mut words = vec!["--enable-sandbox".to_owned(), "--enable-seccomp".to_owned()];
    for option in options {
        let invalid = |problem: &str| {
            Err(Error::Invalid {
                subject: format!("option {option:?} of slirp4netns"),
                problem: problem.into(),
            })
        };
        let Some((key, value)) = option.split_once('=') else {
            return invalid("KEY=VALUE is wanted");
        };
        match (key, value) {
            ("cidr", value) => match value.parse::<Ipv4Network>() {
                // The program's own range.
                Ok(network) if (1..=25).contains(&network.prefix()) => {
                    subnet = network;
                    cidr = Some(format!("--cidr={value}"));
                }
                _ => return invalid("it is no IPv4 network of at least 128 addresses"),
            },
            ("allow_host_loopback", "true" | "false") => loopback = value == "true",
            ("enable_ipv6", "true" | "false") => ipv6 = value == "true",
            ("mtu", value) if value.parse::<u32>().is_ok_and(|mtu| mtu >= 68) => {
                mtu = value.to_owned();
            }
            ("outbound_addr" | "outbound_addr6", value) if !value.is_empty() => {
                words.push(format!("--{}={value}", key.replace('_', "-")));
            }
            ("port_handler", "slirp4netns") => {}
            ("port_handler", "rootlesskit") => {
                return Err(Error::Unsupported {
                    subject: "slirp4netns".into(),
                    feature: "the port handler rootlesskit".into(),
                });
            }
            ("allow_host_loopback" | "enable_ipv6" | "mtu" | "port_handler", _) => {
                return invalid("it has no such value");
            }
            _ => return invalid("there is no such option"),
        }
    }
    words.push(format!("--mtu={mtu}"));
    words.extend(cidr);
    if !loopback {
        words.push("--disable-host-loopback".into());
    }
    if ipv6 {
        words.push("--enable-ipv6".into());
    }
    Ok(Options { subnet, words })
}

/// Asks the program to listen. `Err` is what it said.
fn publish(request: &Slirp4netnsRequest<'_>, subnet: Ipv4Network) -> Result<(), String> {
    for port in request.ports {
        let protocols = match port.protocol.as_str() {
            "" => "tcp",
            text => text,
        };
        for protocol in protocols.split(',') {
            for offset in 0..port.range.max(1) {
                let question = json!({
                    "execute": "add_hostfwd",
                    "arguments": {
                        "proto": protocol,
                        "host_addr": match port.host_ip.as_str() {
                            "" => "0.0.0.0",
                            ip => ip,
                        },
                        "host_port": port.host_port.saturating_add(offset),
                        "guest_addr": nth(subnet, 100),
                        "guest_port": port.container_port.saturating_add(offset),
                    },
                });
                let answer = ask(request.socket, &question.to_string())
                    .map_err(|error| format!("its socket: {error}"))?;
                if answer.contains("\"error\"") {
                    return Err(format!(
                        "cannot publish port {}: {}",
                        port.host_port.saturating_add(offset),
                        answer.trim()
                    ));
                }
            }
        }
    }
    Ok(())
}

/// One question a connection; the end of what we send ends it.
fn ask(socket: &Path, question: &str) -> std::io::Result<String> {
    // The address of a socket has 107 bytes at most; this one is short wherever the socket is.
    let directory = std::fs::File::open(directory_of(socket))?;
    let name = socket.file_name().unwrap_or_default();
    let short = Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(name);
    let mut stream = UnixStream::connect(short)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(question.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(options: &[&str]) -> Result<String> {
        let options: Vec<String> = options.iter().map(|word| (*word).to_owned()).collect();
        read(&options).map(|options| options.words.join(" "))
    }

    #[test]
    fn the_host_is_closed_to_the_container_unless_asked() {
        let closed = words(&[]).unwrap();
        assert!(closed.contains("--disable-host-loopback") && closed.contains("--mtu=65520"));
        let open = words(&["allow_host_loopback=true", "enable_ipv6=false", "mtu=1500"]).unwrap();
        assert_eq!(open, "--enable-sandbox --enable-seccomp --mtu=1500");
    }

    #[test]
    fn unknown_options_are_refused() {
        for option in [
            "no",
            "cidr=x",
            "cidr=192.0.2.0/30",
            "mtu=1",
            "speed=9",
            "enable_ipv6=2",
        ] {
            assert!(words(&[option]).is_err(), "{option}");
        }
    }

    #[test]
    fn addresses_follow_from_the_subnet() {
        let read = read(&["cidr=192.0.2.0/24".to_owned()]).unwrap();
        assert_eq!(
            nth(read.subnet, 100),
            "192.0.2.100".parse::<IpAddr>().unwrap()
        );
    }
}
