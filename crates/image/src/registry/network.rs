//! The one place where async code runs: a thread with a single-threaded runtime.

use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// A running network thread; ends when dropped.
#[derive(Debug)]
pub(crate) struct Network {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, started) = sync_channel(1);
        let body = move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = ready.send(Ok(runtime.handle().clone()));
                let _ = runtime.block_on(stopped);
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        let stream = |source| Error::Stream {
            what: "the network thread".to_owned(),
            source,
        };
        let thread = std::thread::Builder::new()
            .name("registry".to_owned())
            .spawn(body)
            .map_err(stream)?;
        let handle = started.recv().map_err(|_| ended())?.map_err(stream)?;
        Ok(Network {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Runs `future` to its end while this thread waits.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.spawn(future)()
    }

    /// Starts `future`; the returned function waits for its end.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> impl FnOnce() -> Result<T> {
        let (result, finished) = sync_channel(1);
        self.handle.spawn(async move {
            let _ = result.send(future.await);
        });
        move || finished.recv().map_err(|_| ended())?
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn ended() -> Error {
    Error::Request {
        attempted: "talking to the registry".to_owned(),
        problem: "the network thread ended".to_owned(),
        kind: ErrorKind::Unreachable,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn futures_run_and_panics_do_not_hang() {
        let network = Network::start().unwrap();
        assert_eq!(network.run(async { Ok(7) }).unwrap(), 7);
        let error = network.run::<()>(async { panic!("on purpose") });
        assert!(error.is_err());
    }
}
