//! Runs what a program does around a change of cluster: one callback after the other, in order.

use std::time::Duration;

use convoke_core::output::Change;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::input::Input;
use crate::options::Callbacks;
use crate::rim::Rim;

/// How long a callback is waited for. A join as a whole may take 10 s.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(8);
/// Callbacks that may wait for the one that runs.
const CALLS_MAX: usize = 16;

/// A callback that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Prepare(Change),
    Resume(Change, bool),
    Down(bool),
}

/// The way to the task that runs them.
#[derive(Debug)]
pub(crate) struct Caller(mpsc::Sender<Call>);

impl Caller {
    pub(crate) fn start(callbacks: Callbacks, rim: std::sync::Arc<Rim>) -> Self {
        let (sender, mut calls) = mpsc::channel(CALLS_MAX);
        let tasks = rim.tasks.clone();
        tasks.spawn(async move {
            while let Some(call) = calls.recv().await {
                run(&callbacks, call).await;
                if let Call::Prepare(change) = call
                    && change != Change::Removed
                {
                    rim.hand_in(Input::Prepared).await;
                }
            }
        });
        Self(sender)
    }

    /// Has a callback run; false where too many wait because one hangs.
    pub(crate) fn call(&self, call: Call) -> bool {
        self.0.try_send(call).is_ok()
    }
}

async fn run(callbacks: &Callbacks, call: Call) {
    let running = match call {
        Call::Prepare(change) => callbacks.prepare.as_ref().map(|prepare| prepare(change)),
        Call::Resume(change, done) => callbacks.resume.as_ref().map(|resume| resume(change, done)),
        Call::Down(down) => callbacks.down.as_ref().map(|tell| tell(down)),
    };
    let Some(running) = running else { return };
    // In a task of its own: one that panics or blocks must not take the others with it.
    match timeout(CALLBACK_TIMEOUT, tokio::spawn(running)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(?call, "a callback failed: {error}"),
        Err(_) => tracing::warn!(
            ?call,
            "a callback took longer than {CALLBACK_TIMEOUT:?}: going on without it"
        ),
    }
}
