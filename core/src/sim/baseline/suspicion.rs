//! Suspicion: the time that an accused member has to refute.
//!
//! In SWIM a fixed time that grows with the logarithm of the group (§4.2). Lifeguard begins with a
//! multiple of it and comes down to it as others accuse independently (§IV.B, LHA-Suspicion), so
//! that a lonely accuser, who may be the ill one, has to wait long.

use std::time::Duration;

use crate::name::NodeId;
use crate::time::Instant;

use super::config::Config;

/// The bounds of a suspicion's timeout, and what moves it from one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    min: Duration,
    max: Duration,
    /// How many confirmations bring the timeout to its minimum.
    expected: u32,
}

impl Window {
    /// The window for a suspicion among so many members, the dead that are not forgotten included.
    pub(super) fn new(config: &Config, members: usize) -> Self {
        let min = config.probe_interval * (config.suspicion_mult * per_mille(members)) / 1000;
        let expected = config.suspicion_mult.saturating_sub(2);
        // The accused and the accuser will not confirm.
        let others = u32::try_from(members.saturating_sub(2)).unwrap_or(u32::MAX);
        Self {
            min,
            max: min * config.suspicion_max_mult,
            expected: if config.confirmations && others >= expected {
                expected
            } else {
                0
            },
        }
    }

    /// The timeout with so many confirmations, in whole milliseconds.
    pub(super) fn timeout(&self, confirmations: u32) -> Duration {
        if self.expected == 0 {
            return self.min;
        }
        let weight = f64::from(confirmations + 1).ln() / f64::from(self.expected + 1).ln();
        let shortened = (self.max - self.min).as_secs_f64() * weight.min(1.0);
        let millis = ((self.max.as_secs_f64() - shortened) * 1000.0 + ROUNDING).floor();
        Duration::from_millis(millis as u64).max(self.min)
    }
}

/// Keeps results that are whole numbers whole, on every machine.
const ROUNDING: f64 = 1e-6;

/// The decimal logarithm of the number of members, in thousandths, at least one.
fn per_mille(members: usize) -> u32 {
    let scale = (members.max(1) as f64).log10().max(1.0);
    (scale * 1000.0 + ROUNDING) as u32
}

/// A suspicion that stands.
#[derive(Debug)]
pub(super) struct Suspicion {
    started: Instant,
    window: Window,
    /// The first accuser, and those who confirmed: [`Window::expected`] more at the most.
    accusers: Vec<NodeId>,
}

impl Suspicion {
    pub(super) fn new(window: Window, by: NodeId, now: Instant) -> Self {
        Self {
            started: now,
            window,
            accusers: vec![by],
        }
    }

    /// Another accusation came; says whether it confirms: its accuser is another than all before,
    /// and confirmations are still counted.
    pub(super) fn confirm(&mut self, by: NodeId) -> bool {
        let new = self.confirmations() < self.window.expected && !self.accusers.contains(&by);
        if new {
            self.accusers.push(by);
        }
        new
    }

    /// When the time to refute is over.
    pub(super) fn deadline(&self) -> Instant {
        self.started + self.window.timeout(self.confirmations())
    }

    fn confirmations(&self) -> u32 {
        u32::try_from(self.accusers.len() - 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeouts(members: usize) -> [u64; 3] {
        let window = Window::new(&Config::lifeguard(), members);
        [0, 1, 2].map(|c| u64::try_from(window.timeout(c).as_millis()).unwrap())
    }

    #[test]
    fn the_minimum_grows_with_the_logarithm_and_the_maximum_is_six_times_that() {
        assert_eq!(timeouts(10), [24_000, 11_381, 4000]);
        assert_eq!(timeouts(100), [48_000, 22_762, 8000]);
        assert_eq!(timeouts(128), [50_568, 23_980, 8428]);
        assert_eq!(timeouts(1000), [72_000, 34_144, 12_000]);
        assert_eq!(timeouts(10_000), [96_000, 45_525, 16_000]);
    }

    #[test]
    fn where_too_few_can_confirm_the_minimum_holds_at_once() {
        assert_eq!(timeouts(3), [4000; 3]);
        assert_eq!(timeouts(4)[0], 24_000);
    }

    #[test]
    fn plain_swim_waits_the_minimum_and_counts_nobody() {
        let window = Window::new(&Config::swim(), 1000);
        assert_eq!(window.timeout(0), Duration::from_secs(12));
        let mut suspicion = Suspicion::new(window, NodeId(1), Instant::ORIGIN);
        assert!(!suspicion.confirm(NodeId(2)));
        assert_eq!(suspicion.deadline(), Instant::from_micros(12_000_000));
    }

    #[test]
    fn only_further_accusers_confirm_and_only_as_many_as_are_expected() {
        let window = Window::new(&Config::lifeguard(), 100);
        let mut suspicion = Suspicion::new(window, NodeId(1), Instant::ORIGIN);
        assert!(!suspicion.confirm(NodeId(1)));
        assert!(suspicion.confirm(NodeId(2)));
        assert!(!suspicion.confirm(NodeId(2)));
        assert!(suspicion.confirm(NodeId(3)));
        assert!(!suspicion.confirm(NodeId(4)));
        assert_eq!(suspicion.deadline(), Instant::from_micros(8_000_000));
    }
}
