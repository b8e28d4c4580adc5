//! The signals that a server obeys: stop, reload, reopen the log.

use std::io;
use std::thread::{self, JoinHandle};

use anyhow::{Context, anyhow};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::diagnostics;

/// What a signal asks for.
pub(super) enum Asked {
    Stop,
    Reload,
    Reopen,
}

/// The signals that a server obeys.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user: Signal,
    /// Comes when a file that is written meets its limit (setrlimit(2)). It is
    /// received so that it does not end the process, and the write fails instead.
    _file_size: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.user.recv() => Asked::Reopen,
        }
    }

    /// Waits for one that asks it to stop.
    pub(super) async fn stop(&mut self) {
        while !matches!(self.next().await, Asked::Stop) {}
    }

    async fn stop_before_it_serves(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A server that does not serve yet. Meanwhile a signal that asks it to stop ends the process
/// at once, whatever it is at: there is nothing to finish. The others are kept until it serves.
pub(super) struct Starting {
    over: oneshot::Sender<()>,
    thread: JoinHandle<(Runtime, Signals)>,
}

impl Starting {
    /// Begins to listen, in this runtime. From here on a signal that asks for something else
    /// does not end the process.
    pub(super) fn listen(runtime: Runtime) -> anyhow::Result<Starting> {
        let mut signals = {
            let _entered = runtime.enter();
            Signals::listen().context("cannot wait for signals")?
        };
        let (over, is_over) = oneshot::channel();
        let listen = move || {
            let is_asked_to_stop = runtime.block_on(async {
                tokio::select! {
                    () = signals.stop_before_it_serves() => true,
                    _ = is_over => false,
                }
            });
            if is_asked_to_stop {
                tracing::info!("stopped before serving");
                diagnostics::finish();
                std::process::exit(0);
            }
            (runtime, signals)
        };
        let thread = thread::Builder::new().name("starting".to_owned()).spawn(listen);
        Ok(Starting { over, thread: thread.context("cannot wait for signals")? })
    }

    /// Gives back the runtime, and the signals: it serves.
    pub(super) fn over(self) -> anyhow::Result<(Runtime, Signals)> {
        // If the thread is gone, joining it is an error.
        let _ = self.over.send(());
        self.thread.join().map_err(|_| anyhow!("the thread that waits for signals panicked"))
    }
}
