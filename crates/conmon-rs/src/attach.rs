//! The attach socket and those who are connected to it.
//!
//! It is a `SOCK_SEQPACKET` socket. Each packet to a client is one byte that names the stream and
//! up to 8 KiB of output; each packet from a client goes to the container's stdin. A client that
//! reads slowly holds the container's output back, as it does with conmon, but never the monitor.

use crate::args::Options;
use crate::error::{Result, at, doing};
use crate::poller::{Poller, Source};
use rustix::event::epoll::EventFlags;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// How many clients are served at once; more are turned away.
const MAX_CLIENTS: usize = 64;

/// The longest socket path the kernel takes, without its end.
const MAX_SOCKET_PATH: usize = 107;

/// How long, after the container's end, a client may take for a packet.
const LAST_PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// The socket itself. Its files are removed when it is dropped.
pub(crate) struct AttachSocket {
    listener: OwnedFd,
    files: Vec<PathBuf>,
}

impl AttachSocket {
    /// Listens at `attach` in the bundle, or, without `--full-attach`, in the link to the bundle
    /// that is made in the socket directory.
    pub(crate) fn bind(options: &Options, bundle: &Path) -> Result<AttachSocket> {
        let mut files = Vec::new();
        let parent = match &options.cuuid {
            Some(uuid) if !options.full_attach => {
                let link = shortened(options.socket_dir().join(uuid));
                remove(&link)?;
                std::os::unix::fs::symlink(bundle, &link).map_err(at("create the link", &link))?;
                files.push(link.clone());
                link
            }
            _ => bundle.to_path_buf(),
        };
        let path = parent.join("attach");
        remove(&path)?;
        let listener = bind_in(&parent, Path::new("attach"), SocketType::SEQPACKET, 0o700)?;
        rustix::net::listen(&listener, 10).map_err(at("listen on", &path))?;
        files.insert(0, path);
        Ok(AttachSocket { listener, files })
    }

    /// The descriptor to wait on.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    fn accept(&self) -> Option<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(&self.listener, flags) {
            Ok(client) => Some(client),
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => None,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an attach client");
                None
            }
        }
    }
}

impl Drop for AttachSocket {
    fn drop(&mut self) {
        for file in &self.files {
            if let Err(error) = remove(file) {
                tracing::warn!(error = %error.to_line(), "attach socket left behind");
            }
        }
    }
}

/// A link exactly as long as the longest socket path is cut by one byte, as conmon cuts it:
/// callers look for it there.
fn shortened(link: PathBuf) -> PathBuf {
    let mut bytes = link.into_os_string().into_vec();
    if bytes.len() == MAX_SOCKET_PATH {
        bytes.pop();
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Binds a socket at `name` in `parent`, however long the path of that is.
pub(crate) fn bind_in(parent: &Path, name: &Path, kind: SocketType, mode: u32) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(parent, flags, Mode::empty()).map_err(at("open", parent))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)
        .map_err(doing("create a socket"))?;
    let mode = Mode::from_raw_mode(mode);
    // A socket's own mode becomes that of its file.
    rustix::fs::fchmod(&socket, mode).map_err(doing("set a socket's mode"))?;
    let address = SocketAddrUnix::new(short.as_os_str().as_bytes());
    let address = address.map_err(at("name the socket", &parent.join(name)))?;
    rustix::net::bind(&socket, &address).map_err(at("bind", &parent.join(name)))?;
    rustix::fs::chmod(&short, mode).map_err(at("set the mode of", &parent.join(name)))?;
    Ok(socket)
}

/// One who is connected.
struct Client {
    socket: OwnedFd,
    /// It will send nothing more.
    silent: bool,
    /// It has not taken the current packet yet.
    behind: bool,
    watched: bool,
}

/// What a client's event brought for the container's stdin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Nothing,
    /// So many bytes are in the buffer.
    Bytes(usize),
    /// This client has closed its side.
    End,
}

/// All who are connected.
#[derive(Default)]
pub(crate) struct Clients {
    slots: Vec<Option<Client>>,
    /// Input is not read for now: the container has not taken the last.
    paused: bool,
}

impl Clients {
    /// Takes in whoever waits at `socket`.
    pub(crate) fn accept(&mut self, socket: &AttachSocket, poller: &Poller) {
        let Some(connection) = socket.accept() else {
            return;
        };
        let free = self.slots.iter().position(Option::is_none);
        let slot = match free {
            Some(slot) => slot,
            None if self.slots.len() < MAX_CLIENTS => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            None => {
                tracing::warn!("too many attach clients");
                return;
            }
        };
        self.slots[slot] = Some(Client {
            socket: connection,
            silent: false,
            behind: false,
            watched: false,
        });
        self.watch(slot, poller);
    }

    /// Sends `packet` to everyone; returns whether all have it.
    pub(crate) fn send(&mut self, packet: &[u8], poller: &Poller) -> bool {
        for slot in 0..self.slots.len() {
            self.send_one(slot, packet, poller);
        }
        self.is_settled()
    }

    /// Whether no client has yet to take the current packet.
    pub(crate) fn is_settled(&self) -> bool {
        !self.slots.iter().flatten().any(|client| client.behind)
    }

    fn send_one(&mut self, slot: usize, packet: &[u8], poller: &Poller) {
        let Some(client) = self.client(slot) else {
            return;
        };
        let was_behind = client.behind;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::io::retry_on_intr(|| rustix::net::send(&client.socket, packet, flags)) {
            Ok(_) => client.behind = false,
            Err(Errno::AGAIN | Errno::NOBUFS) => client.behind = true,
            Err(_) => return self.drop_client(slot, poller),
        }
        if client.behind != was_behind {
            self.watch(slot, poller);
        }
    }

    /// Waits until all who are behind have `packet`; whoever takes too long is disconnected.
    pub(crate) fn settle(&mut self, packet: &[u8], poller: &Poller) {
        for slot in 0..self.slots.len() {
            while let Some(client) = self.client(slot).filter(|client| client.behind) {
                let mut wait = [PollFd::new(&client.socket, PollFlags::OUT)];
                match rustix::event::poll(&mut wait, Some(&LAST_PATIENCE)) {
                    Ok(0) => self.drop_client(slot, poller),
                    Ok(_) => self.send_one(slot, packet, poller),
                    Err(Errno::INTR) => {}
                    Err(_) => self.drop_client(slot, poller),
                }
            }
        }
    }

    /// Handles an event of the client in `slot`. `packet` is what those behind still wait for;
    /// input goes to `buffer`.
    pub(crate) fn handle(
        &mut self,
        slot: usize,
        flags: EventFlags,
        packet: &[u8],
        buffer: &mut [u8],
        poller: &Poller,
    ) -> Input {
        let Some(client) = self.client(slot) else {
            return Input::Nothing;
        };
        let closed = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if client.behind && (closed || flags.contains(EventFlags::OUT)) {
            self.send_one(slot, packet, poller);
        }
        let paused = self.paused;
        let Some(client) = self.client(slot) else {
            return Input::End;
        };
        if !client.silent && !paused && (closed || flags.contains(EventFlags::IN)) {
            return self.receive(slot, closed, buffer, poller);
        }
        if client.silent && closed {
            self.drop_client(slot, poller);
        }
        Input::Nothing
    }

    fn receive(&mut self, slot: usize, closed: bool, buffer: &mut [u8], poller: &Poller) -> Input {
        let Some(client) = self.client(slot) else {
            return Input::Nothing;
        };
        match rustix::net::recv(&client.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((length, _)) if length > 0 => Input::Bytes(length),
            Err(Errno::AGAIN | Errno::INTR) => Input::Nothing,
            _ => {
                client.silent = true;
                if closed {
                    self.drop_client(slot, poller);
                } else {
                    self.watch(slot, poller);
                }
                Input::End
            }
        }
    }

    /// Stops or resumes reading input.
    pub(crate) fn pause(&mut self, paused: bool, poller: &Poller) {
        if self.paused == paused {
            return;
        }
        self.paused = paused;
        for slot in 0..self.slots.len() {
            self.watch(slot, poller);
        }
    }

    /// Tells the poller what is of interest now. While input is paused, a client that may still
    /// have some is not watched at all: its hang-up would be reported over and over.
    fn watch(&mut self, slot: usize, poller: &Poller) {
        let paused = self.paused;
        let Some(client) = self.client(slot) else {
            return;
        };
        let mut flags = EventFlags::empty();
        if !client.silent && !paused {
            flags |= EventFlags::IN;
        }
        if client.behind {
            flags |= EventFlags::OUT;
        }
        let wanted = client.silent || !flags.is_empty();
        let source = Source::Client(slot);
        let result = match (client.watched, wanted) {
            (false, true) => poller.add(&client.socket, source, flags),
            (true, true) => poller.set(&client.socket, source, flags),
            (true, false) => {
                poller.remove(&client.socket);
                Ok(())
            }
            (false, false) => Ok(()),
        };
        client.watched = wanted;
        if let Err(error) = result {
            tracing::warn!(%error, "cannot watch an attach client");
        }
    }

    fn client(&mut self, slot: usize) -> Option<&mut Client> {
        self.slots.get_mut(slot)?.as_mut()
    }

    fn drop_client(&mut self, slot: usize, poller: &Poller) {
        if let Some(client) = self.slots.get_mut(slot).and_then(Option::take)
            && client.watched
        {
            poller.remove(&client.socket);
        }
    }
}
