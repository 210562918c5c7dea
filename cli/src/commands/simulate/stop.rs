//! Ctrl-C: runs that are at work are given up, and those that ended are told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Code;

/// Whether the user wants it to end.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Stop {
    asked: Arc<AtomicBool>,
}

impl Stop {
    /// Listens to Ctrl-C from now on. A second one ends the process at once.
    ///
    /// # Errors
    /// When the system has no room for another thread.
    pub(in super::super) fn on_interrupt() -> io::Result<Self> {
        let stop = Self::default();
        let listener = stop.clone();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut interrupts = {
            let _inside = runtime.enter();
            signal(SignalKind::interrupt())?
        };
        let listen = move || {
            runtime.block_on(async {
                interrupts.recv().await;
                listener.ask();
                interrupts.recv().await;
                std::process::exit(Code::Interrupted as i32);
            });
        };
        thread::Builder::new()
            .name("interrupts".into())
            .spawn(listen)?;
        Ok(stop)
    }

    /// As Ctrl-C does.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Ends a run from within, where it was asked for.
    pub(super) fn unwind_if_asked(&self) {
        if self.is_asked() {
            // Not a panic: no hook tells it.
            std::panic::resume_unwind(Box::new("stopped"));
        }
    }
}
