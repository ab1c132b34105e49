//! What can go wrong, and what a caller may branch on.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::netavark::Protocol;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on a network failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No network has this name or ID.
    #[error("unable to find network with name or ID {name}: network not found")]
    NetworkUnknown {
        /// What was asked for.
        name: String,
    },
    /// A short ID fits several networks.
    #[error("more than one network matches the ID {id}")]
    NetworkAmbiguous {
        /// What was asked for.
        id: String,
    },
    /// A network definition or a container's network options make no sense.
    #[error("{subject}: {problem}")]
    Invalid {
        /// The network, option or file.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something this version does not do.
    #[error("{subject}: {feature} is not supported")]
    Unsupported {
        /// The network or option.
        subject: String,
        /// What was asked for.
        feature: String,
    },
    /// Every address of a subnet is leased.
    #[error("network {network}: no free address left in {subnet}")]
    Exhausted {
        /// The network's name.
        network: String,
        /// The subnet, or its lease range.
        subnet: String,
    },
    /// An address asked for belongs to another container, or to the gateway.
    #[error("network {network}: requested address {address} is already in use by {holder}")]
    AddressTaken {
        /// The network's name.
        network: String,
        /// The address.
        address: IpAddr,
        /// The container's ID, or `the gateway`.
        holder: String,
    },
    /// A host port belongs to another process or container.
    ///
    /// The text is Podman's: scripts look for `address already in use`.
    #[error(
        "cannot listen on the {} port: listen {}{} {address}: bind: address already in use",
        protocol.as_str().to_ascii_uppercase(), protocol.as_str(), family_digit(address)
    )]
    PortTaken {
        /// The port's protocol.
        protocol: Protocol,
        /// Host address and port as Go prints them: `:8080`, `127.0.0.1:8080`, `[::1]:8080`.
        address: String,
        /// The container that holds it, where it is one of ours.
        holder: Option<String>,
    },
    /// A host port could not be probed for another reason, such as an address the host lacks.
    #[error(
        "cannot listen on the {} port: listen {}{} {address}",
        protocol.as_str().to_ascii_uppercase(), protocol.as_str(), family_digit(address)
    )]
    PortRefused {
        /// The port's protocol.
        protocol: Protocol,
        /// Host address and port as Go prints them.
        address: String,
        /// The kernel's answer to bind(2).
        source: io::Error,
    },
    /// A subnet of a network overlaps another's that is in use.
    #[error("network {network}: a subnet overlaps one that is already in use")]
    SubnetTaken {
        /// The interface of the network.
        network: String,
    },
    /// A program that carries a normal user's network refused.
    #[error("{program} failed with exit code {code}:\n{said}")]
    Program {
        /// `pasta` or `slirp4netns`.
        program: &'static str,
        /// Its exit code; -1 if a signal ended it.
        code: i32,
        /// What it said.
        said: String,
    },
    /// A file could not be read, written or understood.
    #[error("cannot {act} {}", path.display())]
    File {
        /// What was attempted: `read`, `write`, `lock`.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel refused a change of links, addresses, routes or rules.
    #[error("cannot {act}")]
    Kernel {
        /// What was attempted.
        act: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// What a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The network does not exist.
    NotFound,
    /// What was asked for makes no sense.
    Invalid,
    /// What was asked for is not done here.
    Unsupported,
    /// An address, port or subnet belongs to somebody else.
    InUse,
    /// There is no address left.
    Exhausted,
    /// A file or the kernel refused.
    Io,
}

impl Error {
    /// What a caller may branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NetworkUnknown { .. } => ErrorKind::NotFound,
            Error::NetworkAmbiguous { .. } | Error::Invalid { .. } => ErrorKind::Invalid,
            Error::Unsupported { .. } => ErrorKind::Unsupported,
            Error::AddressTaken { .. } | Error::PortTaken { .. } | Error::SubnetTaken { .. } => {
                ErrorKind::InUse
            }
            Error::Exhausted { .. } => ErrorKind::Exhausted,
            Error::PortRefused { .. }
            | Error::Program { .. }
            | Error::File { .. }
            | Error::Kernel { .. } => ErrorKind::Io,
        }
    }

    pub(crate) fn invalid(subject: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Invalid {
            subject: subject.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn kernel(act: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Error::Kernel {
            act: act.into(),
            source: source.into(),
        }
    }

    pub(crate) fn file(
        act: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Error::File {
            act,
            path: path.into(),
            source: source.into(),
        }
    }
}

/// The digit Go puts after a protocol: `tcp4`, `tcp6`.
fn family_digit(address: &str) -> char {
    if address.starts_with('[') { '6' } else { '4' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_in_podmans_words() {
        let error = |protocol, address: &str| Error::PortTaken {
            protocol,
            address: address.into(),
            holder: None,
        };
        assert_eq!(
            error(Protocol::Tcp, ":8080").to_string(),
            "cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use"
        );
        assert_eq!(
            error(Protocol::Udp, "[::1]:53").to_string(),
            "cannot listen on the UDP port: listen udp6 [::1]:53: bind: address already in use"
        );
    }
}
