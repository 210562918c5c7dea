//! What happened of late, for readers that come and go.
//!
//! One task writes the node's notices into a bounded log; every reader follows it at its own pace,
//! and resumes where it was by the number of the last event that it saw. A reader that was away
//! for longer than the log reaches back finds a gap in the numbers, and is told how wide.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use convoke::{Event, Node, Notice, Received};
use convoke_core::NodeName;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::model::{EventObject, Forgotten, rfc3339};

/// How many events are kept for readers that return.
const EVENTS_MAX: usize = 4096;
/// How many forgotten members are remembered; those forgotten first go first.
const FORGOTTEN_MAX: usize = 1024;

/// The log, shared by the writer and its readers. Far from the way of a packet: a lock will do.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    log: Arc<Mutex<Log>>,
    latest: watch::Receiver<u64>,
}

#[derive(Debug, Default)]
struct Log {
    events: VecDeque<Arc<EventObject>>,
    forgotten: BTreeMap<NodeName, Forgotten>,
}

/// A reader's place in the log.
#[derive(Debug)]
pub(crate) struct Reader {
    journal: Journal,
    last: u64,
}

impl Journal {
    /// Begins to keep what the node tells from now on. The task ends with the node.
    pub(crate) fn keep(node: &Node) -> (Self, JoinHandle<()>) {
        let mut subscription = node.subscribe();
        let (journal, latest) = Self::new();
        let writer = journal.clone();
        let task = tokio::spawn(async move {
            while let Some(received) = subscription.next().await {
                // What this task itself missed is a gap in the numbers, as for any reader.
                if let Received::Notice(notice) = received {
                    writer.write(&notice);
                    latest.send_replace(notice.seq);
                }
            }
        });
        (journal, task)
    }

    fn new() -> (Self, watch::Sender<u64>) {
        let (sender, latest) = watch::channel(0);
        (
            Self {
                log: Arc::default(),
                latest,
            },
            sender,
        )
    }

    /// A reader that has seen everything up to `last`; without it, everything up to now. A number
    /// from the future is one of a former life of the node: everything is news then.
    pub(crate) fn read_after(&self, last: Option<u64>) -> Reader {
        let latest = *self.latest.borrow();
        let last = last.map_or(latest, |last| if last > latest { 0 } else { last });
        Reader {
            journal: self.clone(),
            last,
        }
    }

    /// The members that were forgotten and have not come back, by name.
    pub(crate) fn forgotten(&self) -> Vec<Forgotten> {
        self.lock().forgotten.values().cloned().collect()
    }

    fn write(&self, notice: &Notice) {
        let mut log = self.lock();
        log.events.push_back(Arc::new(EventObject::of(notice)));
        if log.events.len() > EVENTS_MAX {
            log.events.pop_front();
        }
        log.remember(notice);
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        // Nothing panics while it is held, and a log without its last line is still a log.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn remember(&mut self, notice: &Notice) {
        match &notice.event {
            Event::MemberForgotten(member) => {
                let (name, incarnation) = (member.name.clone(), member.life.incarnation.0);
                let forgotten = Forgotten {
                    name: name.clone(),
                    incarnation,
                    at: rfc3339(notice.at),
                };
                self.forgotten.insert(name, forgotten);
            }
            Event::MemberJoined(profile) => {
                self.forgotten.remove(&profile.name);
            }
            _ => {}
        }
        if self.forgotten.len() > FORGOTTEN_MAX {
            let oldest = self.forgotten.values().min_by(|a, b| a.at.cmp(&b.at));
            let name = oldest.expect("more than the limit are held").name.clone();
            self.forgotten.remove(&name);
        }
    }
}

impl Reader {
    /// The next event, or how many were missed; `None` when the node has ended.
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Arc<EventObject>> {
        loop {
            if let Some(event) = self.at_hand() {
                return Some(event);
            }
            let last = self.last;
            self.journal
                .latest
                .wait_for(|latest| *latest > last)
                .await
                .ok()?;
        }
    }

    fn at_hand(&mut self) -> Option<Arc<EventObject>> {
        let log = self.journal.lock();
        let next = log.events.partition_point(|event| event.seq <= self.last);
        let event = log.events.get(next)?;
        let missed = event.seq - self.last - 1;
        if missed > 0 {
            self.last = event.seq - 1;
            return Some(Arc::new(EventObject::missed(self.last, missed)));
        }
        self.last = event.seq;
        Some(event.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convoke::MemberEvent;
    use std::time::{Duration, SystemTime};

    fn notice(seq: u64) -> Notice {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seq);
        Notice {
            seq,
            at,
            since: None,
            event: Event::QuorumLost,
        }
    }

    fn journal(seqs: impl IntoIterator<Item = u64>) -> (Journal, watch::Sender<u64>) {
        let (journal, latest) = Journal::new();
        for seq in seqs {
            journal.write(&notice(seq));
            latest.send_replace(seq);
        }
        (journal, latest)
    }

    async fn seen(reader: &mut Reader, count: usize) -> Vec<(u64, String, Option<u64>)> {
        let mut seen = Vec::new();
        for _ in 0..count {
            let event = reader.next().await.expect("the writer lives");
            seen.push((event.seq, event.event.clone(), event.detail.count));
        }
        seen
    }

    #[tokio::test]
    async fn a_reader_that_returns_goes_on_where_it_was() {
        let (journal, _latest) = journal(1..=5);
        let lost = || "quorum_lost".to_owned();
        let found = seen(&mut journal.read_after(Some(3)), 2).await;
        assert_eq!(found, [(4, lost(), None), (5, lost(), None)]);
    }

    #[tokio::test]
    async fn a_new_reader_sees_what_happens_from_now_on() {
        let (journal, latest) = journal(1..=5);
        let mut reader = journal.read_after(None);
        journal.write(&notice(6));
        latest.send_replace(6);
        assert_eq!(seen(&mut reader, 1).await[0].0, 6);
        drop(latest);
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn a_reader_that_was_away_too_long_is_told_how_many_it_missed() {
        let last = EVENTS_MAX as u64 + 10;
        let (journal, _latest) = journal(1..=last);
        let mut reader = journal.read_after(Some(4));
        assert_eq!(seen(&mut reader, 1).await, [(10, "missed".into(), Some(6))]);
        assert_eq!(seen(&mut reader, 1).await[0].0, 11);
        assert_eq!(journal.lock().events.len(), EVENTS_MAX);
    }

    #[tokio::test]
    async fn a_reader_from_a_former_life_of_the_node_sees_everything() {
        let (journal, _latest) = journal(1..=2);
        assert_eq!(seen(&mut journal.read_after(Some(900)), 2).await[1].0, 2);
    }

    #[test]
    fn forgotten_members_are_remembered_within_a_limit() {
        let (journal, _latest) = Journal::new();
        for number in 1..=FORGOTTEN_MAX as u64 + 1 {
            let name = format!("n{number}@127.0.0.1").parse().unwrap();
            let event = Event::MemberForgotten(MemberEvent {
                name,
                life: convoke::Life::ZERO,
            });
            journal.write(&Notice {
                event,
                ..notice(number)
            });
        }
        let kept = journal.forgotten();
        assert_eq!(kept.len(), FORGOTTEN_MAX);
        assert!(
            kept.iter()
                .all(|forgotten| forgotten.name.as_str() != "n1@127.0.0.1")
        );
    }
}
