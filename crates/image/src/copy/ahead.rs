//! Reading ahead on another thread, in bounded memory.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS_AHEAD: usize = 4;

/// The near end of a stream that another thread reads.
pub(crate) struct ReadAhead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    spent: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    ended: bool,
}

/// Reads `stream` on a thread of `scope`, at most a mebibyte ahead. The thread ends with the
/// stream, at its first error, or when the near end is dropped.
pub(crate) fn read_ahead<'scope, R>(scope: &'scope Scope<'scope, '_>, stream: R) -> ReadAhead
where
    R: Read + Send + 'scope,
{
    read_ahead_with(scope, move || Ok(stream))
}

/// As [`read_ahead`], of a stream that is opened on the thread.
pub(crate) fn read_ahead_with<'scope, R, F>(scope: &'scope Scope<'scope, '_>, open: F) -> ReadAhead
where
    R: Read,
    F: FnOnce() -> io::Result<R> + Send + 'scope,
{
    let (filled, chunks) = sync_channel(CHUNKS_AHEAD);
    let (spent, empty) = sync_channel(CHUNKS_AHEAD + 2);
    scope.spawn(move || {
        let result = open().and_then(|stream| pump(stream, &filled, &empty));
        if let Err(error) = result {
            let _ = filled.send(Err(error));
        }
    });
    ReadAhead {
        chunks,
        spent,
        current: Vec::new(),
        at: 0,
        ended: false,
    }
}

fn pump(
    mut stream: impl Read,
    filled: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let mut chunk = empty.try_recv().unwrap_or_else(|_| vec![0; CHUNK_BYTES]);
        chunk.resize(CHUNK_BYTES, 0);
        let count = fill(&mut stream, &mut chunk)?;
        chunk.truncate(count);
        let ended = count == 0;
        if filled.send(Ok(chunk)).is_err() || ended {
            return Ok(());
        }
    }
}

/// Fills `buffer` as far as the stream goes.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match stream.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() && !self.ended {
            let gone = || io::Error::other("the reading thread ended early");
            let next = self.chunks.recv().map_err(|_| gone())??;
            let spent = std::mem::replace(&mut self.current, next);
            let _ = self.spent.try_send(spent);
            self.at = 0;
            self.ended = self.current.is_empty();
        }
        let rest = &self.current[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_through_in_order() {
        let data: Vec<u8> = (0..3 * CHUNK_BYTES + 17).map(|i| (i / 7) as u8).collect();
        std::thread::scope(|scope| {
            let mut out = Vec::new();
            let mut ahead = read_ahead(scope, &data[..]);
            ahead.read_to_end(&mut out).unwrap();
            assert!(out == data);
            assert_eq!(ahead.read(&mut [0; 8]).unwrap(), 0);
        });
    }

    #[test]
    fn errors_come_through() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        std::thread::scope(|scope| {
            let mut ahead = read_ahead(scope, (&b"abc"[..]).chain(Broken));
            let error = ahead.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), "broken");
        });
    }

    #[test]
    fn an_endless_stream_stops_when_the_reader_leaves() {
        std::thread::scope(|scope| {
            let mut ahead = read_ahead(scope, io::repeat(7));
            ahead.read_exact(&mut [0; 10]).unwrap();
        });
    }
}
