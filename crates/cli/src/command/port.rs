//! `minke port`: where a container's ports are published.

use clap::Args;
use minke_engine::{Engine, ListRequest, PublishedPort};

use crate::error::{Error, Exit, Result};
use crate::output::{Output, short_id};
use crate::targets;

#[derive(Debug, Args)]
pub struct PortArgs {
    /// Show the ports of every running container
    #[arg(short, long)]
    all: bool,
    /// Show the ports of the container made last
    #[arg(short, long)]
    latest: bool,
    /// CONTAINER [PORT[/PROTOCOL]]
    #[arg(value_name = "CONTAINER [PORT]")]
    words: Vec<String>,
}

/// Shows published ports.
pub fn run(args: PortArgs, engine: &Engine, out: &mut Output) -> Result<Exit> {
    let (name, port) = words(&args)?;
    let wanted = port.map(parse).transpose()?;
    if args.all {
        for container in engine.list(&ListRequest::default())? {
            for (port, line) in lines(&container.ports) {
                if wanted.as_ref().is_none_or(|wanted| *wanted == port) {
                    out.line(&format!("{}\t{port} -> {line}", short_id(&container.id)))?;
                }
            }
        }
        return Ok(Exit::OK);
    }
    let name = match name {
        Some(name) => name.to_owned(),
        None => targets::newest(engine)?,
    };
    let ports = lines(&engine.published_ports(&name)?);
    let Some(wanted) = wanted else {
        for (port, line) in ports {
            out.line(&format!("{port} -> {line}"))?;
        }
        return Ok(Exit::OK);
    };
    let mut found = ports
        .into_iter()
        .filter(|(port, _)| *port == wanted)
        .peekable();
    if found.peek().is_none() {
        return Err(Error::refused(format!(
            "failed to find published port {wanted:?}"
        )));
    }
    for (_, line) in found {
        out.line(&line)?;
    }
    Ok(Exit::OK)
}

/// The container, unless a flag names it, and the port.
fn words(args: &PortArgs) -> Result<(Option<&str>, Option<&str>)> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    match (args.all || args.latest, words.as_slice()) {
        _ if args.all && args.latest => {
            Err(Error::refused("--all and --latest cannot be used together"))
        }
        (true, []) => Ok((None, None)),
        (true, [port]) if args.latest => Ok((None, Some(port))),
        (true, _) => Err(Error::refused("no arguments are needed with --all")),
        (false, []) => Err(Error::refused(
            "you must supply a running container name or id",
        )),
        (false, [name]) => Ok((Some(name), None)),
        (false, [name, port]) => Ok((Some(name), Some(port))),
        (false, _) => Err(Error::refused("`minke port` accepts at most 2 arguments")),
    }
}

/// `80` is `80/tcp`.
fn parse(text: &str) -> Result<String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number: u16 = crate::flag::unsigned(number)
        .ok()
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| Error::refused(format!("invalid port {text:?}: not a port number")))?;
    Ok(format!("{number}/{protocol}"))
}

/// `80/tcp` with `0.0.0.0:8080`, a line each.
fn lines(ports: &[PublishedPort]) -> Vec<(String, String)> {
    let mut lines: Vec<_> = ports
        .iter()
        .flat_map(|port| {
            port.protocol.split(',').flat_map(move |protocol| {
                (0..port.range.max(1)).map(move |offset| {
                    let ip = match port.host_ip.as_str() {
                        "" => "0.0.0.0",
                        ip => ip,
                    };
                    let host = port.host_port.saturating_add(offset);
                    let inside = port.container_port.saturating_add(offset);
                    (inside, protocol, format!("{ip}:{host}"))
                })
            })
        })
        .collect();
    lines.sort();
    lines
        .into_iter()
        .map(|(inside, protocol, line)| (format!("{inside}/{protocol}"), line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_a_line_for_each_port() {
        let port = PublishedPort {
            host_ip: String::new(),
            host_port: 8080,
            container_port: 80,
            range: 2,
            protocol: "tcp,udp".to_owned(),
        };
        let texts: Vec<String> = lines(&[port])
            .into_iter()
            .map(|(port, line)| format!("{port} -> {line}"))
            .collect();
        let expected = [
            "80/tcp -> 0.0.0.0:8080",
            "80/udp -> 0.0.0.0:8080",
            "81/tcp -> 0.0.0.0:8081",
            "81/udp -> 0.0.0.0:8081",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn tcp_is_meant() {
        assert_eq!(parse("80").unwrap(), "80/tcp");
        assert_eq!(parse("53/udp").unwrap(), "53/udp");
        assert!(parse("x").is_err() && parse("70000").is_err());
    }
}
