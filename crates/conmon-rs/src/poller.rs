//! What the monitor waits for.

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How many events are taken at once.
const BATCH: usize = 16;

/// Tokens from here on are attach clients.
const FIRST_CLIENT: u64 = 32;

/// Where an event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Signals,
    Stdin,
    Stdout,
    Stderr,
    Listener,
    Control,
    WindowSize,
    Console,
    OutOfMemory,
    Notify,
    Container,
    Client(usize),
}

const FIXED: [Source; 11] = [
    Source::Signals,
    Source::Stdin,
    Source::Stdout,
    Source::Stderr,
    Source::Listener,
    Source::Control,
    Source::WindowSize,
    Source::Console,
    Source::OutOfMemory,
    Source::Notify,
    Source::Container,
];

impl Source {
    fn token(self) -> u64 {
        match self {
            Source::Client(slot) => FIRST_CLIENT + slot as u64,
            fixed => FIXED
                .iter()
                .position(|source| *source == fixed)
                .map_or(0, |at| at as u64),
        }
    }

    fn from_token(token: u64) -> Source {
        match FIXED.get(token as usize) {
            Some(source) => *source,
            None => Source::Client(token.saturating_sub(FIRST_CLIENT) as usize),
        }
    }
}

/// An epoll set whose events name their source.
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> Result<Poller> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Poller { epoll })
    }

    pub(crate) fn add(&self, fd: impl AsFd, source: Source, flags: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(source.token()), flags)
    }

    pub(crate) fn set(&self, fd: impl AsFd, source: Source, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(source.token()), flags)
    }

    /// Forgets `fd`; that it is not known is no error.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        if let Err(error) = epoll::delete(&self.epoll, fd)
            && error != Errno::NOENT
        {
            tracing::warn!(%error, "cannot stop watching a descriptor");
        }
    }

    /// Waits for events, at most for `timeout`; a signal ends the wait with none.
    pub(crate) fn wait<'a>(
        &self,
        events: &'a mut Events,
        timeout: Option<Duration>,
    ) -> Result<impl Iterator<Item = (Source, EventFlags)> + use<'a>> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let found: &'a [Event] = match epoll::wait(&self.epoll, &mut events.0, timeout.as_ref()) {
            Ok((found, _)) => found,
            Err(Errno::INTR) => &[],
            Err(error) => return Err(error),
        };
        Ok(found.iter().map(|event| {
            let Event { flags, data, .. } = *event;
            (Source::from_token(data.u64()), flags)
        }))
    }
}

/// Room for the events of one wait.
pub(crate) struct Events([MaybeUninit<Event>; BATCH]);

impl Events {
    pub(crate) fn new() -> Events {
        Events([MaybeUninit::uninit(); BATCH])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_their_source() {
        let clients = [Source::Client(0), Source::Client(31)];
        for source in FIXED.into_iter().chain(clients) {
            assert_eq!(Source::from_token(source.token()), source);
        }
    }

    #[test]
    fn an_event_names_the_readable_end() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let poller = Poller::new().unwrap();
        poller
            .add(&ours, Source::Client(3), EventFlags::IN)
            .unwrap();
        rustix::io::write(&theirs, b"x").unwrap();
        let mut events = Events::new();
        let found: Vec<_> = poller.wait(&mut events, None).unwrap().collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Source::Client(3));
        poller.remove(&ours);
        poller.remove(&ours);
        let wait = Some(Duration::ZERO);
        assert_eq!(poller.wait(&mut events, wait).unwrap().count(), 0);
    }
}
