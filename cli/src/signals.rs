//! The signals that a running node knows: SIGINT and SIGTERM end it, SIGHUP has it read its
//! configuration again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal says.
pub(crate) enum Heard {
    /// End; the signal's number.
    End(i32),
    /// Read the configuration again.
    Reload,
}

/// The signals that a node knows.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on: none of them ends the process by itself any more.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => Heard::End(SignalKind::interrupt().as_raw_value()),
            _ = self.terminate.recv() => Heard::End(SignalKind::terminate().as_raw_value()),
            _ = self.hangup.recv() => Heard::Reload,
        }
    }

    /// The number of the next signal that says to end. Cancel safe.
    pub(crate) async fn end(&mut self) -> i32 {
        loop {
            if let Heard::End(number) = self.next().await {
                return number;
            }
        }
    }
}
