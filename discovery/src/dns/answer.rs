//! An answer, for as long as it may be used.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::seed::Seed;

/// An answer is used for this long, however short its records live: several who want to know at
/// once ask once.
const USE_MIN: Duration = Duration::from_secs(1);
/// It is used no longer than this, whatever its records say: the file of hosts names no time at all.
const USE_MAX: Duration = Duration::from_secs(300);
/// Records that live shorter than this are asked for anew after this: those of time to live 0 are
/// not to be kept, and no server is to be hammered for them. Passes at the interval come sooner
/// where the interval is shorter.
const AGAIN_MIN: Duration = Duration::from_secs(5);
/// A fleet whose answers run out together asks over this part of their time.
const SPREAD: f64 = 0.1;

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) seeds: Vec<Seed>,
    /// The shortest time to live of the records that it was made of.
    pub(super) time_to_live: Duration,
}

/// The last answer, while it may be used, and until when it need not be asked for again.
#[derive(Debug)]
pub(super) struct Kept(watch::Sender<Option<Held>>);

#[derive(Clone, Debug)]
struct Held {
    seeds: Vec<Seed>,
    used_until: Instant,
    /// When it is news that it ran out; `None` once that was told, or it was asked for again.
    again_at: Option<Instant>,
}

impl Default for Kept {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Kept {
    /// The seeds of an answer that may still be used.
    pub(super) fn fresh(&self, now: Instant) -> Option<Vec<Seed>> {
        let held = self.0.borrow();
        let held = held.as_ref().filter(|held| now < held.used_until);
        held.map(|held| held.seeds.clone())
    }

    pub(super) fn keep(&self, answer: Answer, now: Instant) {
        let used = answer.time_to_live.clamp(USE_MIN, USE_MAX);
        let mut rng = fastrand::Rng::with_seed(RandomState::new().hash_one(0));
        let again = used.max(AGAIN_MIN).mul_f64(1.0 + SPREAD * rng.f64());
        self.0.send_replace(Some(Held {
            seeds: answer.seeds,
            used_until: now + used,
            again_at: Some(now + again),
        }));
    }

    /// It is being asked for again: that it ran out is no news any more, even if nobody answers.
    pub(super) fn on_asked(&self) {
        self.0.send_if_modified(|held| {
            let told = held.as_mut().and_then(|held| held.again_at.take());
            told.is_some()
        });
    }

    /// Returns when the answer has run out, once an answer. Cancel safe.
    pub(super) async fn ran_out(&self) {
        let mut held = self.0.subscribe();
        loop {
            let again_at = held.borrow_and_update().as_ref().and_then(|h| h.again_at);
            tokio::select! {
                () = sleep_until(again_at.unwrap_or_else(Instant::now)), if again_at.is_some() => {
                    self.on_asked();
                    return;
                }
                // The other end is part of this value.
                _ = held.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    fn answer(seconds: u64) -> Answer {
        Answer {
            seeds: vec!["a@10.0.0.7".parse().unwrap()],
            time_to_live: Duration::from_secs(seconds),
        }
    }

    async fn runs_out_within(kept: &Kept, limit: Duration) -> bool {
        timeout(limit, kept.ran_out()).await.is_ok()
    }

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_used_while_its_records_live_and_then_told_of_once() {
        let (kept, second) = (Kept::default(), Duration::from_secs(1));
        assert!(!runs_out_within(&kept, 1000 * second).await, "nothing yet");
        kept.keep(answer(30), Instant::now());
        advance(29 * second).await;
        assert!(kept.fresh(Instant::now()).is_some());
        assert!(!runs_out_within(&kept, SOON).await);
        assert!(runs_out_within(&kept, 5 * second).await);
        assert_eq!(kept.fresh(Instant::now()), None);
        assert!(!runs_out_within(&kept, 1000 * second).await, "told before");
        kept.keep(answer(30), Instant::now());
        assert!(runs_out_within(&kept, 34 * second).await, "a new answer");
    }

    #[tokio::test(start_paused = true)]
    async fn records_of_no_life_are_not_asked_for_again_and_again() {
        let kept = Kept::default();
        for _ in 0..100 {
            let at = Instant::now();
            kept.keep(answer(0), at);
            kept.ran_out().await;
            assert!(at.elapsed() >= AGAIN_MIN && at.elapsed() <= AGAIN_MIN * 2);
            assert_eq!(kept.fresh(Instant::now()), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn records_that_live_for_ever_are_asked_for_all_the_same() {
        let kept = Kept::default();
        kept.keep(answer(u64::from(u32::MAX)), Instant::now());
        assert!(runs_out_within(&kept, 2 * USE_MAX).await);
        assert_eq!(kept.fresh(Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_fails_is_left_to_the_next_pass() {
        let kept = Kept::default();
        kept.keep(answer(10), Instant::now());
        advance(Duration::from_secs(60)).await;
        kept.on_asked();
        assert!(!runs_out_within(&kept, Duration::from_secs(1000)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ran_out_while_nobody_waited_is_told_at_once() {
        let kept = Kept::default();
        kept.keep(answer(10), Instant::now());
        advance(Duration::from_secs(60)).await;
        assert!(runs_out_within(&kept, SOON).await);
    }
}
