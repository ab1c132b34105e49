//! Blocking netlink sockets.
//!
//! The kernel handles a request while it is being sent, so that every answer waits in the
//! socket when `send` returns: reading never blocks, and a missing answer is an error, not a hang.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, Parseable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

const HEADER_BYTES: usize = 16;

/// The kernel's datagrams are at most 32 KiB.
const BUFFER_BYTES: usize = 64 << 10;

/// `RTM_NEWLINK`, which also answers a question for links.
const RTM_NEWLINK: u16 = 16;

/// One message of the kernel.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes the first message off `datagram`.
    pub(crate) fn split(datagram: &'a [u8]) -> io::Result<(Self, &'a [u8])> {
        let header = datagram.get(..HEADER_BYTES).ok_or_else(truncated)?;
        let word = |at: usize| u32_at(header, at);
        let length = word(0) as usize;
        let payload = datagram.get(HEADER_BYTES..length).ok_or_else(truncated)?;
        let frame = Self {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            sequence: word(8),
            payload,
        };
        let rest = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        Ok((frame, rest))
    }

    /// What an acknowledgement says: `None` if this is not one.
    pub(crate) fn outcome(&self) -> Option<Result<(), Errno>> {
        match self.kind {
            NLMSG_DONE => Some(Ok(())),
            NLMSG_ERROR if self.payload.len() >= 4 => {
                let code = u32_at(self.payload, 0).cast_signed();
                Some(match code {
                    0 => Ok(()),
                    code => Err(Errno::from_raw(code.saturating_neg())),
                })
            }
            _ => None,
        }
    }
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "truncated netlink message")
}

/// The native-endian word at `at`, which the caller knows to be inside.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// A netlink socket bound and connected to the kernel.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_cap_ack(true)?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(BUFFER_BYTES),
        })
    }

    /// The number for the next request.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }

    /// Sends whole messages; large ones get a send buffer that fits.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > BUFFER_BYTES {
            setsockopt(&self.socket, sockopt::SndBufForce, &(bytes.len() * 2))?;
        }
        loop {
            match self.socket.send(bytes, 0) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next datagram that waits, or `None` if there is no more.
    pub(crate) fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            self.buffer.clear();
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            match self.socket.recv(&mut self.buffer, flags) {
                Ok(length) if length > self.buffer.len() => return Err(truncated()),
                Ok(_) => return Ok(Some(self.buffer.as_slice())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// One request about links, addresses or routes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) message: RouteNetlinkMessage,
    /// Beyond `NLM_F_REQUEST` and `NLM_F_ACK`.
    pub(crate) flags: u16,
}

/// What the kernel answered to a number of requests.
#[derive(Debug)]
pub(crate) struct Answers {
    /// The links asked for.
    pub(crate) links: Vec<LinkMessage>,
    /// The outcome of each request, in their order.
    pub(crate) outcomes: Vec<Result<(), Errno>>,
}

/// A socket for links, addresses and routes of one network namespace.
#[derive(Debug)]
pub(crate) struct RouteSocket {
    connection: Connection,
}

impl RouteSocket {
    /// A socket in the calling thread's namespace, which it stays in wherever it is used.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            connection: Connection::open(NETLINK_ROUTE)?,
        })
    }

    /// Sends all `requests` at once; the kernel works through them in order and does not stop
    /// at a failure.
    pub(crate) fn exchange(&mut self, requests: &[Request]) -> io::Result<Answers> {
        let mut bytes = Vec::new();
        let mut first = 0;
        for (index, request) in requests.iter().enumerate() {
            let sequence = self.connection.next_sequence();
            if index == 0 {
                first = sequence;
            }
            append(&mut bytes, request, sequence);
        }
        self.connection.send(&bytes)?;
        self.collect(first, requests.len())
    }

    fn collect(&mut self, first: u32, count: usize) -> io::Result<Answers> {
        let mut links = Vec::new();
        let mut outcomes = vec![None; count];
        while outcomes.contains(&None) {
            let mut datagram = self
                .connection
                .receive()?
                .ok_or_else(|| io::Error::other("the kernel left a netlink request unanswered"))?;
            while !datagram.is_empty() {
                let (frame, rest) = Frame::split(datagram)?;
                datagram = rest;
                let index = frame.sequence.wrapping_sub(first) as usize;
                let Some(slot) = outcomes.get_mut(index) else {
                    continue; // of an exchange that was given up
                };
                if let Some(outcome) = frame.outcome() {
                    *slot = Some(outcome);
                } else if frame.kind == RTM_NEWLINK {
                    links.push(
                        <LinkMessage as Parseable<[u8]>>::parse(frame.payload)
                            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
                    );
                }
            }
        }
        Ok(Answers {
            links,
            outcomes: outcomes.into_iter().flatten().collect(),
        })
    }
}

fn append(bytes: &mut Vec<u8>, request: &Request, sequence: u32) {
    let mut header = NetlinkHeader::default();
    header.flags = request.flags | NLM_F_REQUEST | NLM_F_ACK;
    header.sequence_number = sequence;
    let payload = NetlinkPayload::from(request.message.clone());
    let mut message = NetlinkMessage::new(header, payload);
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len(), 0);
    message.serialize(&mut bytes[start..]);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_bad_length_are_refused() {
        for length in [0u32, 15, 17, u32::MAX] {
            let mut datagram = length.to_ne_bytes().to_vec();
            datagram.resize(16, 0);
            assert!(Frame::split(&datagram).is_err(), "{length}");
        }
        assert!(Frame::split(&[0; 7]).is_err());
    }

    #[test]
    fn an_error_is_told_from_an_acknowledgement() {
        let frame = |code: i32| {
            let mut datagram = 20u32.to_ne_bytes().to_vec();
            datagram.extend(NLMSG_ERROR.to_ne_bytes());
            datagram.extend([0; 10]);
            datagram.extend(code.to_ne_bytes());
            datagram
        };
        let outcome = |code| Frame::split(&frame(code)).unwrap().0.outcome();
        assert_eq!(outcome(0), Some(Ok(())));
        assert_eq!(outcome(-libc::EEXIST), Some(Err(Errno::EEXIST)));
        assert_eq!(outcome(i32::MIN), Some(Err(Errno::UnknownErrno)));
    }

    #[test]
    fn the_loopback_interface_answers() {
        let mut socket = RouteSocket::open().unwrap();
        let answers = socket
            .exchange(&[crate::link::get("lo"), crate::link::get("nope0")])
            .unwrap();
        assert_eq!(answers.outcomes, [Ok(()), Err(Errno::ENODEV)]);
        assert_eq!(answers.links.len(), 1);
    }
}
