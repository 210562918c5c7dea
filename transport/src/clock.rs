//! The node's clock: counts from its own start, and knows what time it was then.

use std::time::{Duration, SystemTime};

use convoke_core::Instant;

/// How far the engine's origin lies before the start: what others tell of happened earlier, and
/// has a moment too.
const PAST: Duration = Duration::from_secs(100 * 24 * 3600);

/// Moments as the engine sees them, as tokio sees them, and as people see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: tokio::time::Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: tokio::time::Instant::now(),
            wall: SystemTime::now(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::ORIGIN + PAST + self.started.elapsed()
    }

    /// The moment for tokio's timers.
    pub(crate) fn timer(&self, at: Instant) -> tokio::time::Instant {
        self.started + at.since(Instant::ORIGIN + PAST)
    }

    /// The moment on the wall clock, as far as that has run evenly since the start.
    pub(crate) fn wall(&self, at: Instant) -> SystemTime {
        self.wall - PAST + (at - Instant::ORIGIN)
    }

    /// The start in milliseconds since 1970.
    pub(crate) fn started_ms(&self) -> u64 {
        let since = self
            .wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
