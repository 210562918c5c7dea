//! Writes what is to be remembered, in a task of its own, so that nobody waits for a disk who does
//! not have to.
//!
//! Only the newest state counts: what was not written yet when a newer one comes is skipped. A
//! disk that fails is tried again and again; the node goes on meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::StoreError;
use crate::store::{Remembered, Store};
use crate::tasks::Tasks;

/// Time between two tries to write to a disk that fails.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Where states go to be written. Without a store, nowhere.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Option<Open>);

#[derive(Clone, Debug)]
struct Open {
    /// The newest state, numbered.
    newest: Arc<watch::Sender<(u64, Option<Arc<Remembered>>)>>,
    /// The number of the last one that is on the disk.
    written: watch::Receiver<u64>,
}

impl Journal {
    /// A journal that remembers nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn start(store: Store, tasks: &Tasks) -> Self {
        let (newest, states) = watch::channel((0, None));
        let (done, written) = watch::channel(0);
        tasks.spawn(keep(Arc::new(store), states, done));
        Self(Some(Open {
            newest: Arc::new(newest),
            written,
        }))
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Has a state written soon.
    pub(crate) fn write(&self, remembered: Remembered) {
        if let Some(open) = &self.0 {
            open.newest.send_modify(|(number, newest)| {
                *number += 1;
                *newest = Some(Arc::new(remembered));
            });
        }
    }

    /// Waits until everything handed in so far is on the disk. Cancel safe.
    pub(crate) async fn written(&self) {
        if let Some(open) = &self.0 {
            let number = open.newest.borrow().0;
            // An error means that the task has ended: nothing will be written any more.
            let _ = open
                .written
                .clone()
                .wait_for(|written| *written >= number)
                .await;
        }
    }
}

async fn keep(
    store: Arc<Store>,
    mut states: watch::Receiver<(u64, Option<Arc<Remembered>>)>,
    done: watch::Sender<u64>,
) {
    let mut failing = false;
    while states.changed().await.is_ok() {
        loop {
            let (number, state) = states.borrow_and_update().clone();
            let Some(state) = state else { break };
            match write(store.clone(), state).await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("the data directory can be written again");
                    }
                    done.send_replace(number);
                    break;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!("{error}. The node goes on, and tries again");
                    }
                }
            }
            // A newer state is tried at once: what failed may have been mended with it.
            let _ = timeout(RETRY_INTERVAL, states.changed()).await;
        }
    }
}

async fn write(store: Arc<Store>, state: Arc<Remembered>) -> Result<(), StoreError> {
    let writing = tokio::task::spawn_blocking(move || store.write(&state));
    // A panic in there is a bug that the runtime reports; a cancelled write ends with the node.
    writing.await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use convoke_core::{Admission, ClusterId, Incarnation, Membership};

    use super::*;

    fn remembered(incarnation: u64) -> Remembered {
        Remembered {
            node: "a@10.0.0.1".parse().unwrap(),
            cluster_name: "convoke".to_owned(),
            membership: Membership {
                cluster: ClusterId(1),
                admission: Admission(1),
                admitted: false,
                incarnation: Incarnation(incarnation),
                discovery: false,
                withdrawn: false,
                down: false,
            },
            discovery_stopped: false,
            contacts: Vec::new(),
            tombstones: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_fails_is_tried_again_until_it_is_mended() {
        let scratch = tempfile::tempdir().unwrap();
        let (dir, away) = (scratch.path().join("data"), scratch.path().join("away"));
        let name = "a@10.0.0.1".parse().unwrap();
        let (store, _) = Store::open(&dir, &name, "convoke").unwrap();
        let tasks = Tasks::default();
        let journal = Journal::start(store, &tasks);
        journal.write(remembered(1));
        journal.written().await;
        std::fs::rename(&dir, &away).unwrap();
        journal.write(remembered(2));
        let waited = timeout(3 * RETRY_INTERVAL, journal.written()).await;
        assert!(waited.is_err(), "it can't have been written");
        std::fs::rename(&away, &dir).unwrap();
        journal.written().await;
        tasks.abort();
        tasks.ended().await;
        // The lock is free once the store is dropped, and with it the newest state can be read.
        let (_, found) = Store::open(&dir, &name, "convoke").unwrap();
        assert_eq!(found, Some(remembered(2)));
    }
}
