//! The tasks of one node, so that they can be ended together.
//!
//! A killed process sends no goodbye. To end a node in that way inside a living process, quinn's
//! own tasks are aborted first (they alone send), then the node's: with the last of them the
//! sockets close.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::task::{AbortHandle, Id};
use tokio_util::task::TaskTracker;

/// The tasks that run now. Touched when a task begins or ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    quic: DashMap<Id, AbortHandle>,
    own: DashMap<Id, AbortHandle>,
    ended: AtomicBool,
}

#[derive(Clone, Copy)]
enum Kind {
    Quic,
    Own,
}

impl Tasks {
    /// Runs a task until it ends or all are aborted.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_as(Kind::Own, task);
    }

    /// What quinn is to run its own tasks with.
    pub(crate) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(TrackedRuntime(self.clone()))
    }

    /// Ends all tasks, at the next point where each waits.
    pub(crate) fn abort(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
        for table in [&self.0.quic, &self.0.own] {
            table.iter().for_each(|task| task.abort());
        }
        self.0.tracker.close();
    }

    /// Waits until all tasks have ended. Cancel safe.
    pub(crate) async fn ended(&self) {
        self.0.tracker.wait().await;
    }

    fn spawn_as(&self, kind: Kind, task: impl Future<Output = ()> + Send + 'static) {
        let ended = Arc::new(AtomicBool::new(false));
        let listed = Listed {
            tasks: self.clone(),
            kind,
            ended: ended.clone(),
        };
        let handle = tokio::spawn(self.0.tracker.track_future(async move {
            let _listed = listed;
            task.await;
        }));
        let table = self.0.table(kind);
        table.insert(handle.id(), handle.abort_handle());
        // It may have ended before it was listed.
        if ended.load(Ordering::SeqCst) {
            table.remove(&handle.id());
        }
        if self.0.ended.load(Ordering::SeqCst) {
            handle.abort();
        }
    }
}

impl Inner {
    fn table(&self, kind: Kind) -> &DashMap<Id, AbortHandle> {
        match kind {
            Kind::Quic => &self.quic,
            Kind::Own => &self.own,
        }
    }
}

/// Strikes its task off the list when it ends.
struct Listed {
    tasks: Tasks,
    kind: Kind,
    ended: Arc<AtomicBool>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(id) = tokio::task::try_id() {
            self.tasks.0.table(self.kind).remove(&id);
        }
    }
}

/// Tokio, with every task on the list.
struct TrackedRuntime(Tasks);

impl Runtime for TrackedRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn_as(Kind::Quic, future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

impl fmt::Debug for TrackedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrackedRuntime")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_short_task_stays_on_the_list() {
        let tasks = Tasks::default();
        for _ in 0..20_000 {
            tasks.spawn(async {});
        }
        tasks.0.tracker.close();
        tasks.ended().await;
        assert!(tasks.0.own.is_empty(), "{}", tasks.0.own.len());
    }

    #[tokio::test]
    async fn what_has_ended_is_struck_off_and_what_has_not_is_aborted() {
        let tasks = Tasks::default();
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(async {});
        tasks.spawn(async move {
            let _held = ended;
            std::future::pending::<()>().await;
        });
        tasks.runtime().spawn(Box::pin(std::future::pending()));
        while tasks.0.own.len() > 1 {
            tokio::task::yield_now().await;
        }
        tasks.abort();
        tasks.ended().await;
        assert!(end.await.is_err(), "what the task held is dropped");
        assert!(tasks.0.own.is_empty() && tasks.0.quic.is_empty());
        tasks.spawn(std::future::pending());
        tasks.ended().await;
    }
}
