//! Who sees whom, and since when: what the engines themselves tell, by their events.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::samples::Samples;

/// How often it is looked whether something has come about. The times themselves are those of the
/// events.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What a node says of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It takes part.
    Up,
    /// It is dead.
    Failed,
    /// It takes no part, and is not dead: it left, or was never met.
    Gone,
}

/// The sights of all nodes of all nodes.
#[derive(Debug)]
pub(super) struct Views {
    rows: Vec<Mutex<Row>>,
    /// Ordered pairs that are up.
    up: AtomicUsize,
}

#[derive(Debug)]
struct Row {
    seen: Vec<(Sight, Instant)>,
    /// How often each was found dead.
    failures: Vec<usize>,
}

/// Where one node's sights are written.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    views: Arc<Views>,
    observer: usize,
}

impl Views {
    /// Of so many nodes, none of whom has met another one.
    pub(super) fn new(nodes: usize) -> Arc<Self> {
        let row = || {
            Mutex::new(Row {
                seen: vec![(Sight::Gone, Instant::now()); nodes],
                failures: vec![0; nodes],
            })
        };
        Arc::new(Self {
            rows: (0..nodes).map(|_| row()).collect(),
            up: AtomicUsize::new(0),
        })
    }

    /// Where `observer` is to write what it sees.
    pub(super) fn watcher(self: &Arc<Self>, observer: usize) -> Watcher {
        Watcher {
            views: self.clone(),
            observer,
        }
    }

    /// Whether every ordered pair is up.
    pub(super) fn is_whole(&self) -> bool {
        let nodes = self.rows.len();
        self.up.load(Ordering::Acquire) == nodes * (nodes - 1)
    }

    /// The share of all ordered pairs that are up.
    pub(super) fn share(&self) -> f64 {
        let nodes = self.rows.len();
        self.up.load(Ordering::Acquire) as f64 / (nodes * (nodes - 1)) as f64
    }

    /// How long after `since` each of the observers last changed its mind about each of the
    /// subjects, where that is now a sight of this kind; itself excepted.
    pub(super) fn samples(
        &self,
        observers: &[usize],
        subjects: &[usize],
        since: Instant,
        is: fn(Sight) -> bool,
    ) -> Samples {
        let mut samples = Samples::default();
        for &observer in observers {
            let row = self.row(observer);
            for &subject in subjects.iter().filter(|subject| **subject != observer) {
                match row.seen[subject] {
                    (sight, at) if is(sight) => samples.add(at.saturating_duration_since(since)),
                    _ => samples.add_never(),
                }
            }
        }
        samples
    }

    /// Whether each of the observers sees each of the subjects so.
    pub(super) fn all(
        &self,
        observers: &[usize],
        subjects: &[usize],
        is: fn(Sight) -> bool,
    ) -> bool {
        observers.iter().all(|&observer| {
            let row = self.row(observer);
            let mut others = subjects.iter().filter(|subject| **subject != observer);
            others.all(|&subject| is(row.seen[subject].0))
        })
    }

    /// Forgets how often nodes were found dead.
    pub(super) fn forget_failures(&self) {
        for observer in 0..self.rows.len() {
            self.row(observer).failures.fill(0);
        }
    }

    /// How often a node found another one dead since that was last forgotten, and how many were.
    pub(super) fn failures(&self) -> (usize, usize) {
        let mut of = vec![0; self.rows.len()];
        for observer in 0..self.rows.len() {
            let row = self.row(observer);
            of.iter_mut()
                .zip(&row.failures)
                .for_each(|(all, own)| *all += own);
        }
        (of.iter().sum(), of.iter().filter(|n| **n > 0).count())
    }

    fn row(&self, observer: usize) -> MutexGuard<'_, Row> {
        self.rows[observer]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// The node sees `subject` so from now on. Itself and strangers are ignored.
    pub(super) fn saw(&self, subject: usize, sight: Sight) {
        self.saw_at(subject, sight, Instant::now());
    }

    /// The node has seen `subject` so since then.
    pub(super) fn saw_at(&self, subject: usize, sight: Sight, at: Instant) {
        let mut row = self.views.row(self.observer);
        if subject == self.observer || subject >= row.seen.len() {
            return;
        }
        if sight == Sight::Failed {
            row.failures[subject] += 1;
        }
        let before = row.seen[subject].0;
        if before == sight {
            return;
        }
        row.seen[subject] = (sight, at);
        drop(row);
        if sight == Sight::Up {
            self.views.up.fetch_add(1, Ordering::AcqRel);
        } else if before == Sight::Up {
            self.views.up.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// The number of the node whose sights these are.
    pub(super) fn observer(&self) -> usize {
        self.observer
    }
}

/// Waits until it is so, for `limit` at the most.
pub(super) async fn until(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_up(sight: Sight) -> bool {
        sight == Sight::Up
    }

    #[test]
    fn it_is_whole_when_every_ordered_pair_is_up() {
        let views = Views::new(3);
        for observer in 0..3 {
            for subject in 0..3 {
                // Of itself a node says nothing: all is said before the last turn.
                assert_eq!(views.is_whole(), (observer, subject) == (2, 2));
                views.watcher(observer).saw(subject, Sight::Up);
                views.watcher(observer).saw(subject, Sight::Up);
            }
        }
        assert!(views.is_whole() && views.all(&[0, 1, 2], &[0, 1, 2], is_up));
        views.watcher(1).saw(2, Sight::Failed);
        assert_eq!(views.share(), 5.0 / 6.0);
        views.watcher(1).saw(2, Sight::Gone);
        assert!(!views.is_whole() && !views.all(&[1], &[2], is_up));
        assert!(views.all(&[0, 2], &[0, 1, 2], is_up));
    }

    #[test]
    fn each_pair_is_a_sample_and_oneself_is_none() {
        let (began, views) = (Instant::now(), Views::new(3));
        views.watcher(0).saw(1, Sight::Up);
        let samples = views.samples(&[0, 1, 2], &[0, 1, 2], began, is_up);
        assert_eq!((samples.count(), samples.never()), (6, 5));
    }

    #[test]
    fn failures_are_counted_by_event_and_by_node() {
        let views = Views::new(3);
        for observer in [0, 1] {
            views.watcher(observer).saw(2, Sight::Failed);
        }
        views.watcher(0).saw(2, Sight::Up);
        views.watcher(0).saw(2, Sight::Failed);
        assert_eq!(views.failures(), (3, 1));
        views.forget_failures();
        assert_eq!(views.failures(), (0, 0));
    }
}
