//! The column PORTS.

use minke_engine::{ContainerSummary, PublishedPort};

/// `0.0.0.0:8080->80/tcp`, then what is only exposed.
pub fn ports(container: &ContainerSummary) -> String {
    let mut texts: Vec<String> = container.ports.iter().map(port).collect();
    texts.extend(exposed(container));
    texts.join(", ")
}

/// `80/tcp`, `8000-8002/udp`: ports that are exposed and not published, neighbours together.
fn exposed(container: &ContainerSummary) -> Vec<String> {
    let is_published = |number: u16, protocol: &str| {
        container.ports.iter().any(|port| {
            let last = port.container_port.saturating_add(port.range.max(1) - 1);
            (port.container_port..=last).contains(&number) && port.protocol == protocol
        })
    };
    let mut open: Vec<(&str, u16)> = container
        .exposed_ports
        .iter()
        .flat_map(|(number, protocols)| {
            protocols
                .iter()
                .map(move |protocol| (protocol.as_str(), *number))
        })
        .filter(|(protocol, number)| !is_published(*number, protocol))
        .collect();
    open.sort();
    let mut spans: Vec<(&str, u16, u16)> = Vec::new();
    for (protocol, number) in open {
        match spans.last_mut() {
            Some((same, _, last)) if *same == protocol && *last == number.wrapping_sub(1) => {
                *last = number;
            }
            _ => spans.push((protocol, number, number)),
        }
    }
    spans
        .into_iter()
        .map(|(protocol, first, last)| match last {
            last if last == first => format!("{first}/{protocol}"),
            last => format!("{first}-{last}/{protocol}"),
        })
        .collect()
}

fn port(port: &PublishedPort) -> String {
    let ip = match port.host_ip.as_str() {
        "" => "0.0.0.0".to_owned(),
        ip if ip.contains(':') => format!("[{ip}]"),
        ip => ip.to_owned(),
    };
    let host = span(port.host_port, port.range);
    let container = span(port.container_port, port.range);
    format!("{ip}:{host}->{container}/{}", port.protocol)
}

fn span(first: u16, range: u16) -> String {
    match range {
        0 | 1 => first.to_string(),
        range => format!("{first}-{}", first.saturating_add(range - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_podmans() {
        let port = |host_ip: &str, range| PublishedPort {
            host_ip: host_ip.to_owned(),
            host_port: 8080,
            container_port: 80,
            range,
            protocol: "tcp".to_owned(),
        };
        for (published, expected) in [
            (vec![port("", 1)], "0.0.0.0:8080->80/tcp"),
            (vec![port("127.0.0.1", 3)], "127.0.0.1:8080-8082->80-82/tcp"),
            (
                vec![port("", 1), port("::1", 1)],
                "0.0.0.0:8080->80/tcp, [::1]:8080->80/tcp",
            ),
            (vec![], ""),
        ] {
            let container = ContainerSummary {
                ports: published,
                ..ContainerSummary::default()
            };
            assert_eq!(ports(&container), expected);
        }
    }

    #[test]
    fn exposed_ports_stand_behind_published_ones() {
        let tcp = || vec!["tcp".to_owned()];
        let container = ContainerSummary {
            ports: vec![PublishedPort {
                host_ip: String::new(),
                host_port: 8080,
                container_port: 80,
                range: 1,
                protocol: "tcp".to_owned(),
            }],
            exposed_ports: [
                (80, tcp()),
                (90, tcp()),
                (91, tcp()),
                (53, vec!["udp".to_owned()]),
            ]
            .into(),
            ..ContainerSummary::default()
        };
        assert_eq!(ports(&container), "0.0.0.0:8080->80/tcp, 90-91/tcp, 53/udp");
    }
}
