//! pasta(1), of the package passt: the host's own addresses inside, connections spliced.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use minke_sys::proc::ProcessId;

use super::UserNetwork;
use crate::netavark::PortMapping;
use crate::{Error, Result, netns};

/// Where the container asks for names (Podman's choice, link-local so that it meets nobody's).
const NAMESERVER: &str = "169.254.1.1";
/// Where the container reaches the host, with a pasta that can map it (since 2024).
const HOST: &str = "169.254.1.2";

/// What a network by pasta is made of.
#[derive(Debug, Clone, Copy)]
pub struct PastaRequest<'a> {
    /// The program.
    pub program: &'a Path,
    /// The file that the namespace is bound to. pasta ends when it is removed.
    pub netns: &'a Path,
    /// Where pasta writes its number. In a directory that only we can write.
    pub pid_file: &'a Path,
    /// Ports published on the host.
    pub ports: &'a [PortMapping],
    /// Further options of pasta's, as the user gave them; `--map-gw` as well, which is the
    /// opposite of its `--no-map-gw`.
    pub options: &'a [String],
}

/// Starts pasta for a namespace, and returns when it is ready.
///
/// # Errors
/// [`Error::Program`] if pasta refused, such as for a port that is taken or where the host has no
/// network; [`Error::Unsupported`] for a protocol that it does not carry.
pub fn setup(request: &PastaRequest<'_>) -> Result<UserNetwork> {
    let mut arguments = arguments(request)?;
    let maps_host = !request
        .options
        .iter()
        .any(|word| word == "--map-guest-addr");
    let mut host = None;
    if maps_host {
        let mut more = vec!["--map-guest-addr".to_owned(), HOST.to_owned()];
        more.extend(arguments.iter().cloned());
        match run(request, &more) {
            // Before 2024 there was no such option.
            Err(Error::Program { said, .. }) if said.contains("--map-guest-addr") => {}
            Err(error) => return Err(error),
            Ok(()) => {
                host = HOST.parse().ok();
                arguments.clear();
            }
        }
    }
    if !arguments.is_empty() {
        run(request, &arguments)?;
    }
    let namespace = netns::open(request.netns)?;
    let addresses = super::addresses(namespace.as_fd())?;
    let nameservers = nameservers(request.options)
        .into_iter()
        .filter(|server| {
            addresses
                .iter()
                .any(|own| own.is_ipv4() == server.is_ipv4())
        })
        .collect();
    Ok(UserNetwork {
        process: process(request.pid_file),
        addresses,
        nameservers,
        host,
    })
}

/// Who wrote the file. pasta may have ended meanwhile, with the namespace.
fn process(pid_file: &Path) -> Option<ProcessId> {
    let text = std::fs::read_to_string(pid_file).ok()?;
    ProcessId::of(text.trim().parse().ok()?).ok()
}

/// Runs pasta until it has gone to the background. It keeps what it was given as stdout and
/// stderr, so they are no pipes.
fn run(request: &PastaRequest<'_>, arguments: &[String]) -> Result<()> {
    let output = super::nameless()?;
    let failed = |source| Error::file("run", request.program, source);
    let clone = || output.try_clone().map_err(failed);
    let mut command = Command::new(request.program);
    command
        .args(arguments)
        .arg("--pid")
        .arg(request.pid_file)
        .args(["--quiet", "--netns"])
        .arg(request.netns)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(clone()?)
        .stderr(clone()?);
    let mut child = command.spawn().map_err(failed)?;
    let limit = Instant::now() + super::PATIENCE;
    loop {
        match child.try_wait().map_err(failed)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                return Err(Error::Program {
                    program: "pasta",
                    code: status.code().unwrap_or(-1),
                    said: super::said(output),
                });
            }
            None if Instant::now() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::kernel("wait for pasta", rustix::io::Errno::TIMEDOUT));
            }
            None => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
    }
}

/// The servers inside that pasta passes on.
fn nameservers(options: &[String]) -> Vec<IpAddr> {
    let asked: Vec<IpAddr> = options
        .windows(2)
        .filter(|pair| pair[0] == "--dns-forward")
        .filter_map(|pair| pair[1].parse().ok())
        .collect();
    if asked.is_empty() {
        return NAMESERVER.parse().into_iter().collect();
    }
    asked
}

/// The command line but for the namespace. What nobody asked for is switched off: pasta alone
/// would forward every port.
fn arguments(request: &PastaRequest<'_>) -> Result<Vec<String>> {
    let mut words = vec!["--config-net".to_owned()];
    let is_map_gateway = |word: &&String| *word == "--map-gw";
    words.extend(
        request
            .options
            .iter()
            .filter(|word| !is_map_gateway(word))
            .cloned(),
    );
    for port in request.ports {
        words.extend(published(port)?);
    }
    let has = |words: &[String], names: [&str; 2]| {
        words.iter().any(|word| names.contains(&word.as_str()))
    };
    if !words.iter().any(|word| word == "--dns-forward") {
        words.extend(["--dns-forward".to_owned(), NAMESERVER.to_owned()]);
    }
    for names in [
        ["-t", "--tcp-ports"],
        ["-u", "--udp-ports"],
        ["-T", "--tcp-ns"],
        ["-U", "--udp-ns"],
    ] {
        if !has(&words, names) {
            words.extend([names[0].to_owned(), "none".to_owned()]);
        }
    }
    if !request.options.iter().any(|word| word == "--map-gw") {
        words.push("--no-map-gw".to_owned());
    }
    Ok(words)
}

/// `-t ADDRESS/8080-8089:80-89`, once a protocol.
fn published(port: &PortMapping) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let last = |first: u16| first.saturating_add(port.range.max(1) - 1);
    let address = match port.host_ip.as_str() {
        "" => String::new(),
        ip => format!("{ip}/"),
    };
    let ports = format!(
        "{address}{}-{}:{}-{}",
        port.host_port,
        last(port.host_port),
        port.container_port,
        last(port.container_port)
    );
    let protocols = match port.protocol.as_str() {
        "" => "tcp",
        text => text,
    };
    for protocol in protocols.split(',') {
        let flag = match protocol {
            "tcp" => "-t",
            "udp" => "-u",
            other => {
                return Err(Error::Unsupported {
                    subject: "pasta".into(),
                    feature: format!("forwarding the protocol {other}"),
                });
            }
        };
        words.extend([flag.to_owned(), ports.clone()]);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ports: &[PortMapping], options: &[&str]) -> String {
        let options: Vec<String> = options.iter().map(|word| (*word).to_owned()).collect();
        let request = PastaRequest {
            program: Path::new("pasta"),
            netns: Path::new("/run/netns"),
            pid_file: Path::new("/run/pid"),
            ports,
            options: &options,
        };
        arguments(&request).unwrap().join(" ")
    }

    #[test]
    fn what_nobody_asked_for_is_switched_off() {
        assert_eq!(
            line(&[], &[]),
            "--config-net --dns-forward 169.254.1.1 -t none -u none -T none -U none --no-map-gw"
        );
    }

    #[test]
    fn the_users_options_come_first_and_stand() {
        assert_eq!(
            line(
                &[],
                &["--map-gw", "-T", "5000", "--dns-forward", "192.0.2.1"]
            ),
            "--config-net -T 5000 --dns-forward 192.0.2.1 -t none -u none -U none"
        );
    }

    #[test]
    fn ports_are_forwarded_by_protocol_and_range() {
        let port = PortMapping {
            container_port: 80,
            host_port: 8080,
            host_ip: "127.0.0.1".into(),
            protocol: "tcp,udp".into(),
            range: 3,
        };
        let line = line(&[port], &[]);
        assert!(line.contains("-t 127.0.0.1/8080-8082:80-82 -u 127.0.0.1/8080-8082:80-82"));
        assert!(!line.contains("-t none") && line.contains("-T none"));
    }
}
